//! The page on downloads says what the policy table says.

use redledger::error::{FailedState, FetchKind};

/// All kinds; a new one does not compile until it is here.
fn kinds() -> Vec<(FetchKind, &'static str)> {
    use FetchKind as K;
    let kinds = [
        K::Passing,
        K::Expired,
        K::Gone,
        K::Refused,
        K::Changed,
        K::Malformed,
        K::Unreadable,
    ];
    kinds
        .into_iter()
        .map(|kind| match kind {
            K::Passing => (kind, "passing"),
            K::Expired => (kind, "expired"),
            K::Gone => (kind, "gone"),
            K::Refused => (kind, "refused"),
            K::Changed => (kind, "changed"),
            K::Malformed => (kind, "malformed"),
            K::Unreadable => (kind, "unreadable"),
        })
        .collect()
}

#[test]
fn page_on_downloads_holds_the_table_of_failures() {
    let page = include_str!("../../docs/downloads.md");
    let found: Vec<Vec<&str>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").collect())
        .collect();
    for (kind, name) in kinds() {
        let policy = kind.policy();
        let retried = if policy.retry { "yes" } else { "no" };
        let state = match policy.state {
            FailedState::Failed | FailedState::Held => "`failed`",
            FailedState::Waiting => "`waiting`",
            FailedState::Expired => "`expired`",
        };
        let exit = policy.exit.code().to_string();
        let row = found
            .iter()
            .find(|row| row[0] == format!("**{name}**"))
            .unwrap_or_else(|| panic!("docs/downloads.md has no row for {name}"));
        assert_eq!(
            row[2..],
            [retried, state, &exit, policy.hint],
            "docs/downloads.md: {name}"
        );
    }
    let rows = found.iter().filter(|row| row[0].starts_with("**"));
    assert_eq!(rows.count(), kinds().len(), "docs/downloads.md: rows");
}
