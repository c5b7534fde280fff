//! Views of `account_negative`.

use serde_json::json;

use super::{account, balance, load};
use crate::support::program::Workspace;

fn standings(workspace: &Workspace) -> Vec<String> {
    workspace.query(
        "SELECT right(account_id::VARCHAR, 2) || ' ' || standing || ' ' || last_card_negative FROM account_last_seen \
         ORDER BY account_id",
    )
}

fn episodes(workspace: &Workspace) -> Vec<String> {
    workspace.query(
        "SELECT concat_ws(' ', right(account_id::VARCHAR, 2), batches, batches_rejected, is_open, is_in_newest_batch, \
         first_amount, last_amount) FROM negative_episode WHERE measure = 'card' ORDER BY account_id, negative_since",
    )
}

#[test]
fn the_newest_batch_is_what_is_negative_now_whatever_was_loaded_last() {
    let workspace = Workspace::new();
    load(
        &workspace,
        "B2",
        48,
        &[balance(1, "-2", "0", 47), balance(2, "-5.50", "-1", 47)],
    );
    load(&workspace, "B1", 24, &[balance(1, "-1", "0", 23)]);
    let owed = workspace.query("SELECT sum(card_negative)::VARCHAR FROM account_balance");
    assert_eq!(owed, ["-7.5000"]);
    assert_eq!(
        standings(&workspace),
        ["01 current -2.0000", "02 current -5.5000"]
    );
}

#[test]
fn a_time_in_2099_freezes_nothing_and_is_counted() {
    let workspace = Workspace::new();
    let mut late = balance(2, "-3", "0", 23);
    late["statTime"] = json!(4_070_908_800_000_i64);
    load(&workspace, "B1", 24, &[balance(1, "-1", "0", 23), late]);
    load(&workspace, "B2", 48, &[balance(1, "-2", "0", 47)]);
    let snapshots = workspace.query(
        "SELECT concat_ws(' ', batch_no, taken_at, taken_from, rows_from_the_future, is_newest) \
         FROM account_negative_snapshot ORDER BY ordinal",
    );
    assert_eq!(
        snapshots,
        [
            "B1 2026-03-02 00:00:00 accepted_at 1 false",
            "B2 2026-03-02 23:00:00 stat_time 0 true",
        ]
    );
}

#[test]
fn an_account_that_was_rejected_is_neither_cured_nor_current() {
    let workspace = Workspace::new();
    let rows = [1, 2, 3].map(|number| balance(number, "-1", "0", 1));
    load(&workspace, "B1", 2, &rows);
    let mut many: Vec<_> = (4..=250)
        .map(|number| balance(number, "-1", "0", 25))
        .collect();
    many.push(balance(1, "-4", "0", 25));
    many.push(balance(2, "1.23456", "0", 25));
    load(&workspace, "B2", 26, &many);
    assert_eq!(
        standings(&workspace)[..3],
        [
            "01 current -4.0000",
            "02 rejected -1.0000",
            "03 gone -1.0000"
        ]
    );
    assert_eq!(
        episodes(&workspace)[..3],
        [
            "01 2 0 true true -1.0000 -4.0000",
            "02 1 1 true false -1.0000 -1.0000",
            "03 1 0 false false -1.0000 -1.0000",
        ]
    );
    // A row that names nobody may be anybody's: nobody is known to be cured.
    let mut nobody = balance(9, "-1", "0", 49);
    nobody["accountId"] = json!("not an id");
    many.push(nobody);
    many.retain(|row| row["accountId"] != account(2).as_str());
    for row in &mut many {
        row["statTime"] = json!(super::MARCH + 49 * super::HOUR);
    }
    load(&workspace, "B3", 50, &many);
    assert_eq!(
        standings(&workspace)[..3],
        [
            "01 current -4.0000",
            "02 unknown -1.0000",
            "03 unknown -1.0000"
        ]
    );
    let open = workspace.query(
        "SELECT concat_ws(' ', amount, age_days, bucket, amount_is_last_known) FROM negative_ageing \
         WHERE right(account_id::VARCHAR, 2) IN ('01', '02') AND measure = 'card' ORDER BY account_id",
    );
    assert_eq!(open, ["-4.0000 2 0-7 false", "-1.0000 2 0-7 true"]);
}

#[test]
fn an_empty_batch_ends_what_was_negative() {
    let workspace = Workspace::new();
    load(&workspace, "B1", 2, &[balance(1, "-1", "0", 1)]);
    load(&workspace, "B2", 26, &[]);
    assert_eq!(standings(&workspace), ["01 gone -1.0000"]);
    assert_eq!(episodes(&workspace), ["01 1 0 false false -1.0000 -1.0000"]);
    assert_eq!(
        workspace.query("SELECT count(*)::VARCHAR FROM account_balance"),
        ["0"]
    );
    let exposed = workspace.query(
        "SELECT concat_ws(' ', reporting_day, accounts, card_negative) FROM exposure_by_day ORDER BY reporting_day",
    );
    assert_eq!(exposed, ["2026-03-01 1 -1.0000", "2026-03-02 0 0.0000"]);
}

#[test]
fn a_day_without_a_batch_has_no_exposure_and_is_a_night_all_the_same() {
    let workspace = Workspace::new();
    load(&workspace, "B1", 2, &[balance(1, "-1", "-2", 1)]);
    load(&workspace, "B3", 50, &[balance(1, "-3", "-4", 49)]);
    let exposed = workspace.query(
        "SELECT concat_ws(' ', reporting_day, card_negative, budget_negative) FROM exposure_by_day ORDER BY 1",
    );
    assert_eq!(
        exposed,
        ["2026-03-01 -1.0000 -2.0000", "2026-03-03 -3.0000 -4.0000"]
    );
    let nights = workspace
        .query("SELECT concat_ws(' ', reporting_day, batches, loaded) FROM night ORDER BY 1");
    assert_eq!(
        nights,
        ["2026-03-01 1 1", "2026-03-02 0 0", "2026-03-03 1 1"]
    );
}

#[test]
fn what_an_account_is_called_has_versions() {
    let workspace = Workspace::new();
    let named = |name: &str, hours| {
        let mut row = balance(1, "-1", "0", hours);
        row["accountName"] = json!(name);
        row
    };
    load(&workspace, "B1", 2, &[named("Old", 1)]);
    load(&workspace, "B2", 26, &[named("Old", 25)]);
    load(&workspace, "B3", 50, &[named("New", 49)]);
    let versions = workspace.query(
        "SELECT concat_ws(' ', version, account_name, valid_from, last_seen_at, is_current) FROM account ORDER BY version",
    );
    assert_eq!(
        versions,
        [
            "1 Old 2026-03-01 01:00:00 2026-03-02 01:00:00 false",
            "2 New 2026-03-03 01:00:00 2026-03-03 01:00:00 true",
        ]
    );
}
