//! Tests that can't be had everywhere.

use std::io::Write as _;

/// Set to `1` where a test that is skipped is a failure: `.ci/run` sets it for what it has installed.
const MUST_RUN: &str = "TESTS_MUST_RUN";

/// Says that `what` is not tested here, and why; a failure where tests must run.
///
/// Straight to standard error: what a test that passes prints is not shown.
#[track_caller]
pub(crate) fn skipped(what: &str, why: &str) {
    match judge(what, why, std::env::var(MUST_RUN).ok().as_deref()) {
        // Where nobody listens, nobody is told.
        Ok(message) => drop(writeln!(std::io::stderr(), "{message}")),
        Err(message) => panic!("{message}"),
    }
}

/// Tests of what can't be had everywhere, and that nothing can install: they may be skipped where others must run.
const MAY_BE_SKIPPED: [&str; 1] = ["lineage against OpenLineage's schemas"];

/// What to say, and whether it is a failure.
fn judge(what: &str, why: &str, must_run: Option<&str>) -> Result<String, String> {
    let message = format!("skipped: {what}: {why}");
    match must_run {
        Some("1") if !MAY_BE_SKIPPED.contains(&what) => Err(format!("{message} ({MUST_RUN}=1)")),
        _ => Ok(message),
    }
}

#[test]
fn a_skipped_test_is_a_failure_where_tests_must_run() {
    for must_run in [None, Some(""), Some("0")] {
        let said = judge("a test", "it can't be had", must_run);
        assert_eq!(
            said.expect("no failure"),
            "skipped: a test: it can't be had"
        );
    }
    let said = judge("a test", "it can't be had", Some("1"));
    assert_eq!(
        said.expect_err("a failure"),
        "skipped: a test: it can't be had (TESTS_MUST_RUN=1)"
    );
}
