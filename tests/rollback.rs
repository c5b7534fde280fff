//! `redledger rollback`: the warehouse before the last run, put back without a copy and without a gap.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use serde_json::{Value, json};

use crate::support::program::{Ran, Workspace};

const HEADER: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime";

/// Loads a batch of one row.
fn load(workspace: &Workspace, batch_no: &str, amount: &str) -> Ran {
    let row = format!("936da01f-9abd-4d9d-80c7-02af85c822a8,0,{amount},0,USD,1711785600000");
    workspace.write("rows.csv", format!("{HEADER}\n{row}\n"));
    let ran = workspace.run(&["ingest", "rows.csv", "--batch-no", batch_no]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    ran
}

/// Two runs: `OLD` alone, then `OLD` with another amount and `NEW`.
fn two_runs() -> Workspace {
    let workspace = Workspace::new();
    load(&workspace, "OLD", "-1");
    load(&workspace, "OLD", "-2");
    workspace
}

fn rollback(workspace: &Workspace, arguments: &[&str]) -> (Ran, Value) {
    let ran = workspace.run(&[&["rollback", "--format", "json"], arguments].concat());
    let report = serde_json::from_str(&ran.stdout).unwrap_or_default();
    (ran, report)
}

fn live(workspace: &Workspace) -> PathBuf {
    workspace.data().join("warehouse.duckdb")
}

fn previous(workspace: &Workspace) -> PathBuf {
    workspace.data().join("warehouse.duckdb.previous")
}

fn amounts(workspace: &Workspace) -> Vec<String> {
    workspace.query("SELECT batch_no || card_negative FROM account_negative ORDER BY ALL")
}

/// Names of all files that belong to the warehouse.
fn names(workspace: &Workspace) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(workspace.data())
        .expect("the folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.starts_with("warehouse"))
        .collect();
    names.sort();
    names
}

#[test]
fn rollback_publishes_the_warehouse_before_the_last_run_and_twice_changes_nothing() {
    let workspace = two_runs();
    load(&workspace, "NEW", "-3");
    assert_eq!(amounts(&workspace), ["NEW-3.0000", "OLD-2.0000"]);
    let inode = |path: PathBuf| fs::metadata(path).expect("the file").ino();
    let (newer, older) = (inode(live(&workspace)), inode(previous(&workspace)));

    let (ran, report) = rollback(&workspace, &[]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert_eq!(amounts(&workspace), ["OLD-2.0000"]);
    assert_eq!(report["withdrawn"][0]["batch_no"], "NEW");
    assert_eq!(report["withdrawn"][1], Value::Null);
    assert_eq!(report["restored"], json!([]));
    assert_eq!(report["published"]["batches"], 1);
    assert_eq!(report["published"]["run"]["outcome"], "1 loaded");
    // Names change, data is not copied.
    assert_eq!(
        (inode(live(&workspace)), inode(previous(&workspace))),
        (older, newer)
    );

    let (ran, report) = rollback(&workspace, &[]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert_eq!(report["restored"][0]["batch_no"], "NEW");
    assert_eq!(
        (inode(live(&workspace)), inode(previous(&workspace))),
        (newer, older)
    );
    assert_eq!(
        names(&workspace),
        ["warehouse.duckdb", "warehouse.duckdb.previous"]
    );
}

#[test]
fn a_revision_is_rolled_back_and_the_next_run_goes_on_from_there() {
    let workspace = two_runs();
    let (ran, report) = rollback(&workspace, &[]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert_eq!(report["withdrawn"][0]["revision"], 2);
    assert_eq!(report["restored"][0]["revision"], 1);
    assert_eq!(amounts(&workspace), ["OLD-1.0000"]);
    load(&workspace, "OLD", "-2");
    assert_eq!(amounts(&workspace), ["OLD-2.0000"]);
    rollback(&workspace, &[]);
    assert_eq!(amounts(&workspace), ["OLD-1.0000"]);
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let workspace = two_runs();
    let before = (fs::read(live(&workspace)), fs::read(previous(&workspace)));
    let (ran, report) = rollback(&workspace, &["--dry-run"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert_eq!(report["dry_run"], true);
    assert_eq!(report["withdrawn"][0]["batch_no"], "OLD");
    let after = (fs::read(live(&workspace)), fs::read(previous(&workspace)));
    assert!(before.0.expect("read") == after.0.expect("read"));
    assert!(before.1.expect("read") == after.1.expect("read"));
    let ran = workspace.run(&["rollback", "--dry-run"]);
    assert!(
        ran.stdout.contains("would publish the state after run"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_run_that_changes_nothing_leaves_the_previous_warehouse_as_it_is() {
    let workspace = two_runs();
    load(&workspace, "OLD", "-2");
    rollback(&workspace, &[]);
    assert_eq!(amounts(&workspace), ["OLD-1.0000"]);
}

#[test]
fn without_a_previous_warehouse_there_is_nothing_to_roll_back_to() {
    let workspace = Workspace::new();
    let (ran, _) = rollback(&workspace, &[]);
    assert_eq!(ran.exit, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("nothing to roll back to"),
        "{}",
        ran.stderr
    );
    assert!(!workspace.data().exists());
    load(&workspace, "OLD", "-1");
    let (ran, _) = rollback(&workspace, &[]);
    assert_eq!(ran.exit, Some(2), "{}", ran.stderr);
    assert_eq!(amounts(&workspace), ["OLD-1.0000"]);
}

#[test]
fn keep_previous_0_keeps_none() {
    let workspace = Workspace::new();
    workspace.write("redledger.toml", "[warehouse]\nkeep_previous = 0\n");
    load(&workspace, "OLD", "-1");
    load(&workspace, "OLD", "-2");
    assert_eq!(names(&workspace), ["warehouse.duckdb"]);
}

#[test]
fn a_published_warehouse_that_is_broken_is_rolled_back_too() {
    let workspace = two_runs();
    fs::write(live(&workspace), "no database any more").expect("to write");
    let (ran, report) = rollback(&workspace, &[]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert!(report["unreadable"].is_string(), "{report}");
    assert_eq!(amounts(&workspace), ["OLD-1.0000"]);
}

#[test]
fn a_broken_previous_warehouse_is_never_published() {
    let workspace = two_runs();
    fs::write(previous(&workspace), "no database any more").expect("to write");
    let (ran, _) = rollback(&workspace, &[]);
    assert_eq!(ran.exit, Some(2), "{}", ran.stderr);
    assert_eq!(amounts(&workspace), ["OLD-2.0000"]);
}

#[test]
fn a_rollback_that_was_cut_off_is_finished_and_not_undone() {
    let workspace = two_runs();
    // As it is between the second and the third step: published, and the other one without its name.
    let other = workspace.data().join("warehouse.duckdb.previous.new");
    fs::hard_link(live(&workspace), &other).expect("a link");
    fs::rename(previous(&workspace), live(&workspace)).expect("renamed");
    let (ran, report) = rollback(&workspace, &[]);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    assert_eq!(report["interrupted"], true, "{report}");
    assert_eq!(amounts(&workspace), ["OLD-1.0000"]);
    let (ran, _) = rollback(&workspace, &[]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert_eq!(amounts(&workspace), ["OLD-2.0000"]);
}

#[test]
fn rollback_waits_for_the_lock() {
    let workspace = two_runs();
    let lock = fs::File::open(workspace.data().join("lock")).expect("the lock");
    lock.lock().expect("the lock");
    let (ran, _) = rollback(&workspace, &["--lock-wait", "0s"]);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    assert_eq!(amounts(&workspace), ["OLD-2.0000"]);
}
