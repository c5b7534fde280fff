//! When views are made, and which.

use std::fs;

use super::{balance, load};
use crate::support::program::Workspace;

fn problems(workspace: &Workspace) -> Vec<String> {
    workspace.query("SELECT name || ': ' || problem FROM redledger.view WHERE problem IS NOT NULL ORDER BY name")
}

fn published(workspace: &Workspace) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let file = workspace.data().join("warehouse.duckdb");
    file.metadata().expect("a warehouse").ino()
}

#[test]
fn every_view_and_column_says_what_it_is() {
    let workspace = Workspace::new();
    workspace.run(&["demo", "--data-dir", "data"]);
    assert_eq!(problems(&workspace), [""; 0]);
    let silent = workspace.query(
        "SELECT c.table_name || '.' || c.column_name FROM duckdb_columns() c JOIN duckdb_views() v \
         ON v.view_name = c.table_name AND v.schema_name = c.schema_name WHERE NOT v.internal \
         AND v.database_name = c.database_name AND c.schema_name = 'main' AND c.comment IS NULL",
    );
    assert_eq!(silent, [""; 0]);
    let views = workspace.query("SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' AND comment IS NOT NULL");
    assert_eq!(views.len(), 15);
}

#[test]
fn another_zone_is_published_by_the_next_run_and_then_nothing_is() {
    let workspace = Workspace::new();
    load(&workspace, "B1", 20, &[balance(1, "-1", "0", 17)]);
    fs::create_dir_all(workspace.data().join("inbox")).expect("a folder");
    let day = |workspace: &Workspace| {
        workspace.query("SELECT reporting_day::VARCHAR FROM exposure_by_day")
    };
    assert_eq!(day(&workspace), ["2026-03-01"]);
    let before = published(&workspace);
    assert_eq!(workspace.run(&["run"]).exit, Some(0));
    assert_eq!(published(&workspace), before);
    let workspace = workspace.set("REPORTING__TIME_ZONE", "Asia/Shanghai");
    assert_eq!(workspace.run(&["run"]).exit, Some(0));
    assert_ne!(published(&workspace), before);
    // 17:00 UTC is the next morning there.
    assert_eq!(day(&workspace), ["2026-03-02"]);
    let before = published(&workspace);
    assert_eq!(workspace.run(&["run"]).exit, Some(0));
    assert_eq!(published(&workspace), before);
    workspace.verify();
}

#[test]
fn days_of_a_zone_with_daylight_saving_begin_at_its_midnight() {
    let workspace = Workspace::new().set("REPORTING__TIME_ZONE", "Europe/Berlin");
    // The clocks go forward on the 29th of March, 2026: before, midnight is 23:00 UTC, after 22:00.
    for (number, hours) in [
        ("B1", 22 + 27 * 24),
        ("B2", 23 + 27 * 24),
        ("B3", 21 + 28 * 24),
        ("B4", 22 + 28 * 24),
    ] {
        load(&workspace, number, hours, &[balance(1, "-1", "0", hours)]);
    }
    let days = workspace
        .query("SELECT batch_no || ' ' || reporting_day FROM account_negative_snapshot ORDER BY 1");
    assert_eq!(
        days,
        [
            "B1 2026-03-28",
            "B2 2026-03-29",
            "B3 2026-03-29",
            "B4 2026-03-30"
        ]
    );
}

#[test]
fn what_is_no_snapshot_is_not_called_one() {
    let workspace = Workspace::new().set("REPORTING__SNAPSHOT", "false");
    load(&workspace, "B1", 2, &[balance(1, "-1", "0", 1)]);
    let left_out: Vec<String> = problems(&workspace)
        .into_iter()
        .filter(|of| of.contains("snapshot is off"))
        .collect();
    assert_eq!(left_out.len(), 6, "{left_out:?}");
    assert_eq!(
        workspace.query("SELECT count(*)::VARCHAR FROM account"),
        ["1"]
    );
}

#[test]
fn a_table_keeps_its_name_and_a_contract_may_not_have_it() {
    let workspace = Workspace::new().set("DATASETS_DIR", "contracts");
    fs::create_dir(workspace.path().join("contracts")).expect("a folder");
    let contract = "name = \"account\"\ncomment = \"x\"\n[[fields]]\nname = \"holder\"\ntype = \"text\"\nrequired = true\ncomment = \"x\"\n";
    workspace.write("contracts/account.toml", contract);
    let ran = workspace.run(&["datasets", "check"]);
    assert_eq!(ran.exit, Some(2), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("`account` is the name of a view"),
        "{}",
        ran.stderr
    );
    workspace.write("rows.csv", "holder\nsomebody\n");
    let ran = workspace.run(&[
        "ingest",
        "rows.csv",
        "--batch-no",
        "B1",
        "--dataset",
        "account",
    ]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert_eq!(workspace.query("SELECT holder FROM account"), ["somebody"]);
    assert!(problems(&workspace).contains(&"account: a table has its name".to_owned()));
    workspace.verify();
}

#[test]
fn a_view_that_lacks_its_table_is_left_out_and_made_once_it_is_there() {
    let workspace = Workspace::new();
    load(&workspace, "B1", 2, &[balance(1, "-1", "0", 1)]);
    let problems_before = problems(&workspace);
    assert!(
        problems_before
            .iter()
            .any(|of| of.starts_with("repayment: ")),
        "{problems_before:?}"
    );
    workspace.run(&["demo", "--data-dir", "data"]);
    assert_eq!(problems(&workspace), [""; 0]);
}

#[test]
fn a_users_own_query_is_a_view_and_one_that_fails_stops_nothing() {
    let workspace = Workspace::new().set("REPORTING__VIEWS_DIR", "mine");
    fs::create_dir(workspace.path().join("mine")).expect("a folder");
    workspace.write(
        "mine/worst.sql",
        "SELECT account_id, card_negative FROM account_balance ORDER BY card_negative LIMIT 1;\n",
    );
    workspace.write(
        "mine/wrong.sql",
        "SELECT no_such_column FROM account_balance",
    );
    workspace.write("mine/notes.txt", "no view");
    load(
        &workspace,
        "B1",
        2,
        &[balance(1, "-1", "0", 1), balance(2, "-9", "0", 1)],
    );
    assert_eq!(
        workspace.query("SELECT card_negative::VARCHAR FROM worst"),
        ["-9.0000"]
    );
    let wrong: Vec<String> = problems(&workspace)
        .into_iter()
        .filter(|of| of.starts_with("wrong: "))
        .collect();
    assert!(
        wrong.len() == 1 && wrong[0].contains("no_such_column"),
        "{wrong:?}"
    );
    assert_eq!(workspace.run(&["config", "check"]).exit, Some(0));

    // What is gone from the folder goes.
    fs::remove_file(workspace.path().join("mine/worst.sql")).expect("removed");
    load(&workspace, "B2", 26, &[balance(1, "-1", "0", 25)]);
    let views = workspace
        .query("SELECT view_name FROM duckdb_views() WHERE view_name IN ('worst', 'wrong')");
    assert_eq!(views, [""; 0]);

    workspace.write("mine/account.sql", "SELECT 1");
    let ran = workspace.run(&["config", "check"]);
    assert_eq!(ran.exit, Some(2));
    assert!(ran.stderr.contains("is a shipped view"), "{}", ran.stderr);
    // A folder that is not there is said, and stops nothing either.
    let workspace = workspace.set("REPORTING__VIEWS_DIR", "nowhere");
    load(&workspace, "B3", 50, &[balance(1, "-1", "0", 49)]);
    assert_eq!(workspace.run(&["config", "check"]).exit, Some(2));
}
