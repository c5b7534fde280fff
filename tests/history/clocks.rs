//! A sender's clock that is ahead: what claims to be made more than five minutes after its receipt counts as the receipt.

use super::{by_hand, command, hook, ingest, lose, made_at, receive, run, stands};
use crate::support::program::Workspace;

/// 2100-01-01T00:00:00Z, in epoch milliseconds.
const FAR: i64 = 4_102_444_800_000;
const MINUTE: i64 = 60_000;

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[test]
fn a_create_time_in_the_future_keeps_no_correction_out() {
    for by in ["run", "ingest"] {
        let give = if by == "run" { run } else { ingest };
        let workspace = Workspace::new();
        let first = give(&workspace, &made_at(&hook("-1"), FAR));
        first.loaded(1);
        assert!(!first.message.trim().is_empty(), "it is noted: {first:?}");
        give(&workspace, &made_at(&hook("-2"), now())).loaded(2);
        stands(&workspace, "-2");
        by_hand(&workspace, "-3").loaded(3);
        // Received now, with a clock that is as far ahead as the first one's.
        give(&workspace, &made_at(&hook("-4"), FAR)).loaded(4);
        stands(&workspace, "-4");
    }
}

#[test]
fn that_holds_when_the_warehouse_comes_back_from_the_archive() {
    let workspace = Workspace::new();
    run(&workspace, &made_at(&hook("-1"), FAR)).loaded(1);
    run(&workspace, &made_at(&hook("-2"), now())).loaded(2);
    lose(&workspace);
    command(&workspace, &["backfill", "*"], 0);
    stands(&workspace, "-2");
    run(&workspace, &made_at(&hook("-3"), now())).loaded(3);
    stands(&workspace, "-3");
}

#[test]
fn an_announcement_is_as_old_as_the_inbox_says_not_as_its_run() {
    let workspace = Workspace::new();
    // Both received an hour ago, a minute apart; the second claims nothing, the first too much.
    receive(&workspace, &hook("-2"), now() - 59 * MINUTE);
    receive(&workspace, &made_at(&hook("-1"), FAR), now() - 60 * MINUTE);
    let ran = command(&workspace, &["run", "--format", "json"], 0);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(
        report["batches"].as_array().map(Vec::len),
        Some(2),
        "{report}"
    );
    stands(&workspace, "-2");
    // Made half an hour ago, it is news to both.
    run(&workspace, &made_at(&hook("-3"), now() - 30 * MINUTE)).loaded(3);
    stands(&workspace, "-3");
}
