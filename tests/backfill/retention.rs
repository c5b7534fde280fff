//! Retention never removes what a warehouse has loaded, whatever the archive's own documents say.

use std::fs;

use duckdb::Connection;

use super::negatives;
use crate::support::program::{Ran, Workspace};

/// Loads `B1` with one row; with another amount this is another revision.
fn load(workspace: &Workspace, amount: &str) -> Ran {
    load_as(workspace, "B1", amount)
}

fn load_as(workspace: &Workspace, batch_no: &str, amount: &str) -> Ran {
    workspace.write("rows.csv", negatives(&[amount]));
    let ran = workspace.run(&[
        "ingest",
        "rows.csv",
        "--dataset",
        "account_negative",
        "--batch-no",
        batch_no,
    ]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    ran
}

/// `B1` in as many revisions as there are amounts.
fn revisions_of(amounts: &[&str]) -> Workspace {
    let workspace = Workspace::new();
    for amount in amounts {
        load(&workspace, amount);
    }
    workspace
}

fn rollback(workspace: &Workspace) {
    let ran = workspace.run(&["rollback"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
}

fn prune(workspace: &Workspace) -> Ran {
    let ran = workspace.run(&["archive", "prune"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    ran
}

/// The revisions of `B1` that the archive has.
fn archived(workspace: &Workspace) -> Vec<String> {
    let folder = workspace.data().join("archive/account_negative/B1");
    let names = fs::read_dir(folder).expect("a folder").map(|entry| {
        let name = entry.expect("an entry").file_name();
        name.to_string_lossy().into_owned()
    });
    let mut revisions: Vec<String> = names
        .filter_map(|name| {
            let number = name.strip_prefix("revision-")?.strip_suffix(".json")?;
            Some(number.to_owned())
        })
        .collect();
    revisions.sort();
    revisions
}

/// The limits that let everything go, each by itself.
fn limits() -> [(&'static str, &'static str); 2] {
    [("ARCHIVE__MAX_BYTES", "1"), ("ARCHIVE__MAX_AGE", "0s")]
}

#[test]
fn pruning_keeps_the_revision_that_a_rollback_has_loaded_again() {
    for (limit, value) in limits() {
        let workspace = revisions_of(&["-1", "-2"]);
        rollback(&workspace);
        let workspace = workspace.set(limit, value);
        let dry = workspace.run(&["archive", "prune", "--dry-run"]);
        assert!(
            dry.stdout.contains("Would remove 0 revisions"),
            "{limit}: {}",
            dry.stdout
        );
        prune(&workspace);
        assert_eq!(archived(&workspace), ["1", "2"], "{limit}");
        workspace.verify();
        // Twice is back: the newer one is there too.
        rollback(&workspace);
        workspace.verify();
    }
}

#[test]
fn a_load_that_clears_the_archive_keeps_the_revision_that_a_rollback_has_loaded_again() {
    for (limit, value) in limits() {
        for mode in ["replace", "in-place"] {
            let workspace = revisions_of(&["-1", "-2"]);
            rollback(&workspace);
            let workspace = workspace.set(limit, value).set("WAREHOUSE__MODE", mode);
            load_as(&workspace, "B2", "-3");
            load_as(&workspace, "B2", "-4");
            assert_eq!(archived(&workspace), ["1", "2"], "{limit}, {mode}");
            workspace.verify();
        }
    }
}

#[test]
fn what_only_the_previous_warehouse_has_loaded_stays_and_can_be_rolled_back_to() {
    for (limit, value) in limits() {
        let workspace = revisions_of(&["-1", "-2", "-3"]).set(limit, value);
        let said = prune(&workspace).stdout;
        assert!(said.contains("Removed 1 revision and 1 file"), "{said}");
        assert_eq!(archived(&workspace), ["2", "3"], "{limit}");
        // So does the run that makes it the previous one.
        load(&workspace, "-4");
        assert_eq!(archived(&workspace), ["3", "4"], "{limit}");
        rollback(&workspace);
        workspace.verify();
    }
}

#[test]
fn a_loaded_file_whose_document_is_lost_stays_and_others_go() {
    let workspace = revisions_of(&["-1", "-2", "-3"]).set("ARCHIVE__MAX_AGE", "0s");
    let folder = workspace.data().join("archive/account_negative/B1");
    for revision in 1..=3 {
        fs::remove_file(folder.join(format!("revision-{revision}.json"))).expect("removed");
    }
    let said = prune(&workspace).stdout;
    assert!(said.contains("Removed 0 revisions and 1 file"), "{said}");
    let left = fs::read_dir(&folder).expect("a folder").count();
    // What the warehouse has loaded, and what the previous one has.
    assert_eq!(left, 2);
    // The same content again writes it down again.
    load(&workspace, "-3");
    workspace.verify();
}

#[test]
fn without_keep_current_what_is_loaded_goes_too() {
    let workspace = revisions_of(&["-1", "-2"])
        .set("ARCHIVE__KEEP_CURRENT", "false")
        .set("ARCHIVE__MAX_BYTES", "1");
    prune(&workspace);
    assert!(
        !workspace
            .data()
            .join("archive/account_negative/B1")
            .exists()
    );
}

#[test]
fn nothing_is_pruned_while_a_warehouse_can_not_be_read() {
    let workspace = revisions_of(&["-1", "-2", "-3"]).set("ARCHIVE__MAX_BYTES", "1");
    let files = workspace.files();
    for name in ["warehouse.duckdb", "warehouse.duckdb.previous"] {
        let path = workspace.data().join(name);
        let whole = fs::read(&path).expect("the file");
        for damaged in [&b"no database any more"[..], &whole[..whole.len() / 2]] {
            fs::write(&path, damaged).expect("written");
            for arguments in [
                &["archive", "prune"][..],
                &["archive", "prune", "--dry-run"],
            ] {
                let ran = workspace.run(arguments);
                assert_eq!(ran.exit, Some(2), "{name}: {}{}", ran.stdout, ran.stderr);
                assert!(ran.stderr.contains(name), "{}", ran.stderr);
                assert!(!ran.stdout.contains("emove"), "{}", ran.stdout);
            }
        }
        fs::write(&path, whole).expect("written");
    }
    let writer = Connection::open(workspace.data().join("warehouse.duckdb")).expect("opened");
    let ran = workspace.run(&["archive", "prune"]);
    assert_eq!(ran.exit, Some(3), "{}{}", ran.stdout, ran.stderr);
    drop(writer);
    assert_eq!(workspace.files(), files);
    prune(&workspace);
    assert_eq!(archived(&workspace), ["2", "3"]);
}

#[test]
fn a_load_that_can_not_read_a_warehouse_leaves_the_archive_and_says_so() {
    let workspace = revisions_of(&["-1", "-2", "-3"]).set("ARCHIVE__MAX_AGE", "0s");
    // What a load keeps can be read, unless somebody has written to it.
    let wal = workspace.data().join("warehouse.duckdb.previous.wal");
    fs::write(wal, "somebody's work").expect("written");
    let said = load(&workspace, "-4").stderr;
    assert!(
        said.contains("old deliveries stay in the archive"),
        "{said}"
    );
    assert!(said.contains("warehouse.duckdb.previous"), "{said}");
    assert_eq!(archived(&workspace), ["1", "2", "3", "4"]);
}
