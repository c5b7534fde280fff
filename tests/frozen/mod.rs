//! What earlier releases have stored can be read, loaded into, verified and rolled back to; what a later one has stored
//! is refused and left alone.
//!
//! Each `format-*` here is a data directory as a release left it, all with the same batches (`format-1/README.md`). It
//! is never changed: tests work on copies.

mod later;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::{
    checkout::checkout,
    program::{Ran, Workspace},
};

/// What is the same in two warehouses of the same batches, whatever release has written them.
const TABLES: [(&str, &str); 8] = [
    ("account_negative", "* EXCLUDE (file_id)"),
    ("account_negative_bill", "* EXCLUDE (file_id)"),
    ("account_negative_bill_line", "* EXCLUDE (file_id)"),
    ("account_repayment", "* EXCLUDE (file_id)"),
    (
        "redledger.batch",
        "dataset, batch_no, revision, state, rows_expected, rows_read, rows_loaded, rows_rejected, rows_added, \
         rows_removed, rows_changed, files, bytes, announced_at, message",
    ),
    (
        "redledger.file",
        "dataset, batch_no, revision, url, bytes, content_hash, encoding, header, rows_read, rows_loaded, \
         rows_rejected, archive_path",
    ),
    ("redledger.rejection", "* EXCLUDE (file_id)"),
    ("redledger.control", "*"),
];

/// Every release's folder.
fn releases() -> Vec<PathBuf> {
    let folders = fs::read_dir(checkout("tests/frozen")).expect("tests/frozen");
    let mut folders: Vec<PathBuf> = folders
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "no release is kept");
    folders
}

/// The version that its name says.
fn version(release: &Path) -> i32 {
    let name = release.file_name().unwrap_or_default().to_string_lossy();
    let number = name.strip_prefix("format-").expect("format-*");
    number.parse().expect("a number")
}

/// A copy of a release's data directory, its warehouses unpacked.
fn thawed(release: &Path) -> Workspace {
    let workspace = Workspace::new();
    workspace.copy_from(&release.join("data"));
    for name in ["warehouse.duckdb", "warehouse.duckdb.previous"] {
        let packed = workspace.data().join(format!("{name}.zst"));
        let bytes = zstd::decode_all(&fs::read(&packed).expect("a warehouse")[..]).expect("zstd");
        fs::write(workspace.data().join(name), bytes).expect("to write");
        fs::remove_file(packed).expect("to remove");
    }
    workspace
}

fn live(workspace: &Workspace) -> PathBuf {
    workspace.data().join("warehouse.duckdb")
}

/// Every file below the data directory but the lock.
fn contents(workspace: &Workspace) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = workspace.files().into_iter();
    let mut files = files.filter(|path| !path.ends_with("lock"));
    let read = |path: PathBuf| (path.clone(), fs::read(path).expect("to read"));
    files.by_ref().map(read).collect()
}

/// The rows of the tables but for clocks and numbers of files; of the ledger only what `of` selects.
fn digest(workspace: &Workspace, of: &str) -> Vec<Vec<String>> {
    let rows = |(table, columns): &(&str, &str)| {
        let chosen = if table.starts_with("redledger.") {
            of
        } else {
            "true"
        };
        workspace.query(&format!(
            "SELECT t::VARCHAR FROM (SELECT {columns} FROM {table} WHERE {chosen}) t ORDER BY 1"
        ))
    };
    TABLES.iter().map(rows).collect()
}

/// `batch state rREVISION rows` of every batch.
fn states(ran: &Ran) -> Vec<String> {
    let rows: Vec<Value> = serde_json::from_str(&ran.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let state = |row: &Value| {
        format!(
            "{} {} r{} {}",
            text(&row["batch_no"]),
            text(&row["state"]),
            row["revision"],
            row["rows_loaded"]
        )
    };
    let mut states: Vec<String> = rows.iter().map(state).collect();
    states.sort();
    states
}

const STATES: [&str; 7] = [
    "BILLS_1 loaded r1 5",
    "FAILED_1 failed r1 0",
    "GONE_1 expired r1 0",
    "NEGATIVE_1 loaded r2 2",
    "REJECTED_1 loaded r1 210",
    "REPAYMENTS_1 loaded r1 1",
    "WAITING_1 waiting r1 0",
];

/// Runs a command that must end with this status.
#[track_caller]
fn run(workspace: &Workspace, arguments: &[&str], exit: i32) -> Ran {
    let ran = workspace.run(arguments);
    assert_eq!(
        ran.exit,
        Some(exit),
        "{arguments:?}: {}{}",
        ran.stdout,
        ran.stderr
    );
    ran
}

/// Loads a batch of one row by hand.
#[track_caller]
fn load(workspace: &Workspace, batch_no: &str, amount: &str) -> Ran {
    let row = format!("6f1b3c1e-0f5b-4a53-9a87-000000000001,0,{amount},0,USD,1711785600000");
    let header = "accountId,type,cardNegative,budgetNegative,currency,statTime";
    workspace.write("rows.csv", format!("{header}\n{row}\n"));
    run(
        workspace,
        &["ingest", "rows.csv", "--batch-no", batch_no],
        0,
    )
}

/// The amounts of a batch of negative balances.
fn amounts(workspace: &Workspace, batch_no: &str) -> Vec<String> {
    workspace.query(&format!(
        "SELECT card_negative FROM (SELECT card_negative::VARCHAR AS card_negative FROM account_negative \
         WHERE batch_no = '{batch_no}' ORDER BY line)"
    ))
}

#[test]
fn what_a_release_has_stored_is_read_as_it_is_and_no_byte_of_it_changes() {
    for release in releases() {
        let workspace = thawed(&release);
        let before = contents(&workspace);
        let status = run(&workspace, &["status", "--format", "json"], 0);
        assert_eq!(states(&status), STATES, "{}", release.display());
        let said = run(&workspace, &["status", "NEGATIVE_1"], 0).stdout;
        assert!(said.contains("-5.2500"), "{said}");
        let said = run(&workspace, &["status"], 0).stdout;
        for line in [
            "inbox: 1 announcement for the next run",
            "inbox/bad: 3 announcements put aside",
        ] {
            assert!(said.contains(line), "{said}");
        }
        let said = run(&workspace, &["rejections", "--format", "json"], 0).stdout;
        let rejected: Vec<Value> = serde_json::from_str(&said).expect("JSON");
        assert_eq!(rejected.len(), 2, "{said}");
        let said = run(&workspace, &["verify"], 0).stdout;
        assert!(said.contains("Everything is as the ledger says."), "{said}");
        for arguments in [
            &["verify", "BILLS_1"][..],
            &["archive", "verify"],
            &["run", "--dry-run"],
            &["backfill", "*", "--dry-run"],
            &["rollback", "--dry-run"],
        ] {
            run(&workspace, arguments, 0);
        }
        assert!(contents(&workspace) == before, "{}", release.display());
    }
}

#[test]
fn a_load_brings_what_a_release_has_stored_up_to_date() {
    for release in releases() {
        let workspace = thawed(&release);
        let known = "batch_no <> 'NEW_1'";
        // A table of today may have columns that are new, too.
        let before = digest(&workspace, known);
        load(&workspace, "NEW_1", "-7");
        assert_eq!(amounts(&workspace, "NEW_1"), ["-7.0000"]);
        let after = digest(&workspace, known);
        assert_eq!(after[4..], before[4..], "the ledger's rows");
        assert_eq!(after[1..4], before[1..4], "the tables' rows");
        assert_eq!(after[0].len(), before[0].len() + 1);
        workspace.verify();
        let stored = workspace.query("SELECT version::VARCHAR FROM redledger.format");
        let stored: i32 = stored.concat().parse().expect("one number");
        assert!(stored > version(&release), "{stored}");
        let uncommented = "SELECT table_name || '.' || column_name FROM duckdb_columns() \
             WHERE NOT internal AND comment IS NULL";
        assert_eq!(workspace.query(uncommented), [""; 0]);
        // Once more there is nothing to bring up to date.
        let bytes = fs::read(live(&workspace)).expect("the warehouse");
        load(&workspace, "NEW_1", "-7");
        assert!(fs::read(live(&workspace)).is_ok_and(|now| now == bytes));
    }
}

#[test]
fn batches_of_a_release_go_on_where_it_left_them() {
    for release in releases() {
        let workspace = thawed(&release);
        // It has waited for its page for more than a day.
        run(&workspace, &["run"], 1);
        workspace.receive(
            "00001774888560000099-0000000000000000000000000000aa99.json",
            r#"{"batchNo":"WAITING_1","page":2,"size":1,"total":2,"lastPage":true,"list":[{"accountId":"6f1b3c1e-0f5b-4a53-9a87-000000000002","accountName":"n","accountEn":"n","displayId":"02","type":0,"cardNegative":"-4.00","budgetNegative":0,"currency":"USD","statTime":1711785600000}]}"#,
        );
        run(&workspace, &["run"], 0);
        assert_eq!(amounts(&workspace, "WAITING_1"), ["-3.0000", "-4.0000"]);
        // A correction by hand is the third revision, what was rejected may come again.
        load(&workspace, "NEGATIVE_1", "-9");
        assert_eq!(amounts(&workspace, "NEGATIVE_1"), ["-9.0000"]);
        load(&workspace, "FAILED_1", "-1");
        let revisions = workspace.query(
            "SELECT batch_no || ' r' || revision FROM redledger.batch WHERE state = 'loaded' \
             AND batch_no IN ('NEGATIVE_1', 'FAILED_1') ORDER BY 1",
        );
        assert_eq!(revisions[1], "NEGATIVE_1 r3");
        assert_eq!(revisions.len(), 2, "{revisions:?}");
        workspace.verify();
    }
}

#[test]
fn a_rollback_publishes_what_a_release_has_stored_and_a_load_goes_on_from_there() {
    for release in releases() {
        let workspace = thawed(&release);
        let newest = fs::read(live(&workspace)).expect("the warehouse");
        // To the one before, without anything brought up to date.
        run(&workspace, &["rollback"], 0);
        let second = amounts(&workspace, "NEGATIVE_1");
        run(&workspace, &["status"], 0);
        workspace.verify();
        run(&workspace, &["rollback"], 0);
        assert!(fs::read(live(&workspace)).is_ok_and(|now| now == newest));
        assert_ne!(amounts(&workspace, "NEGATIVE_1"), second);

        // From today's to the release's, byte for byte.
        load(&workspace, "NEW_1", "-7");
        run(&workspace, &["rollback"], 0);
        assert!(fs::read(live(&workspace)).is_ok_and(|now| now == newest));
        workspace.verify();
        load(&workspace, "NEW_2", "-8");
        assert_eq!(amounts(&workspace, "NEW_2"), ["-8.0000"]);
        assert_eq!(amounts(&workspace, "NEW_1"), [""; 0]);
        workspace.verify();
    }
}

#[test]
fn a_warehouse_that_is_lost_comes_back_from_the_archive_of_a_release() {
    for release in releases() {
        for gone in [
            &["warehouse.duckdb"][..],
            &["warehouse.duckdb", "warehouse.duckdb.previous"],
        ] {
            let workspace = thawed(&release);
            // What never arrived is in no archive.
            let archived = "batch_no NOT IN ('GONE_1', 'WAITING_1')";
            let before = digest(&workspace, archived);
            assert!(before.iter().all(|table| !table.is_empty()), "{before:?}");
            for name in gone {
                fs::remove_file(workspace.data().join(name)).expect("to remove");
            }
            // REJECTED_1 and FAILED_1 are worth a look.
            run(&workspace, &["backfill", "*"], 1);
            assert_eq!(digest(&workspace, archived), before);
            workspace.verify();
        }
    }
}
