//! A folder stands for what is in it: all of it is read, or named.

use std::{fs, os::unix::fs::symlink, path::Path};

use super::{Ran, csv, hook, ingest, write};
use crate::downloads::content::gzip;

fn write_gzip(folder: &Path, name: &str, text: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bytes = runtime.block_on(gzip(text.as_bytes()));
    fs::write(folder.join(name), bytes).expect("written");
}

/// `new/`, empty.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("new")).expect("a folder");
    folder
}

fn error(ran: &Ran) -> &str {
    ran.report["errors"][0]["message"]
        .as_str()
        .unwrap_or_default()
}

/// The rows of a part with this account.
fn part(account: u32) -> String {
    csv().replace("02af85c822a8", &format!("02af85c8{account:04}"))
}

#[test]
fn announcements_are_read_whatever_the_case_of_their_endings_and_compressed() {
    let folder = folder();
    let path = folder.path();
    write(path, "new/1.json", &hook("PLAIN"));
    write(path, "new/2.JSON", &hook("UPPER"));
    write_gzip(path, "new/3.json.gz", &hook("GZIP"));
    write_gzip(path, "new/4.gz", &hook("BARE"));
    write(path, "new/.5.json", &hook("HIDDEN"));
    ingest(path, &["new"], "").assert(
        0,
        &[
            ("PLAIN", "loaded"),
            ("UPPER", "loaded"),
            ("GZIP", "loaded"),
            ("BARE", "loaded"),
        ],
    );
    write_gzip(path, "rows.csv.gz", &csv());
    let refused = ingest(path, &["rows.csv.gz"], "");
    refused.assert(2, &[]);
    assert!(
        error(&refused).contains("no announcement"),
        "{}",
        refused.report
    );
}

#[test]
fn what_of_a_folder_is_no_announcement_is_named_and_the_announcements_are_loaded() {
    let folder = folder();
    let path = folder.path();
    write(path, "new/1.json", &hook("ONE"));
    write(path, "new/notes.txt", "none");
    fs::create_dir(path.join("new/older.json")).expect("a folder");
    let ran = ingest(path, &["new"], "");
    ran.assert(0, &[("ONE", "loaded")]);
    assert!(
        ran.stderr.contains("notes.txt, older.json/"),
        "{}",
        ran.stderr
    );
    // Rows, which somebody may have meant to be loaded.
    write_gzip(path, "new/rows.csv.gz", &csv());
    let ran = ingest(path, &["new"], "");
    ran.assert(2, &[("ONE", "unchanged")]);
    assert!(error(&ran).contains("rows.csv.gz"), "{}", ran.report);
}

#[test]
fn an_announcement_that_can_not_be_read_does_not_stop_the_others() {
    let folder = folder();
    let path = folder.path();
    symlink("nowhere", path.join("new/0.json")).expect("a link");
    write(path, "new/1.json", &hook("ONE"));
    let ran = ingest(path, &["new"], "");
    ran.assert(2, &[("ONE", "loaded")]);
    assert!(error(&ran).contains("0.json"), "{}", ran.report);
}

#[test]
fn a_folder_of_parts_is_loaded_with_its_compressed_ones() {
    let folder = folder();
    let path = folder.path();
    write(path, "new/a.csv", &part(1));
    write(path, "new/b.CSV", &part(2));
    write_gzip(path, "new/c.csv.gz", &part(3));
    let ran = ingest(path, &["new", "--batch-no", "PARTS"], "");
    ran.assert(0, &[("PARTS", "loaded")]);
    assert_eq!(ran.report["batches"][0]["rows_loaded"], 3, "{}", ran.report);
}

#[test]
fn a_batch_is_not_loaded_from_a_folder_that_holds_more_than_its_parts() {
    for other in ["part.tsv", "hook.json", "more/"] {
        let folder = folder();
        let path = folder.path();
        write(path, "new/a.csv", &csv());
        match other.strip_suffix('/') {
            Some(name) => fs::create_dir(path.join("new").join(name)).expect("a folder"),
            None => write(path, &format!("new/{other}"), &csv()),
        }
        let ran = ingest(path, &["new", "--batch-no", "PARTS"], "");
        ran.assert(2, &[]);
        assert!(error(&ran).contains(other), "{}", ran.report);
    }
}

#[test]
fn a_part_counts_once_however_it_is_named() {
    let folder = folder();
    let path = folder.path();
    write(path, "new/a.csv", &part(1));
    symlink("a.csv", path.join("new/latest.csv")).expect("a link");
    write(path, "new/copy.csv", &part(2));
    let arguments = ["new", "./new/a.csv", "--batch-no", "PARTS"];
    let ran = ingest(path, &arguments, "");
    ran.assert(0, &[("PARTS", "loaded")]);
    let batch = &ran.report["batches"][0];
    assert_eq!(
        (&batch["files"], &batch["rows_read"]),
        (&2.into(), &2.into())
    );
    let message = batch["message"].as_str().unwrap_or_default();
    assert_eq!(
        message.matches("named more than once").count(),
        2,
        "{message}"
    );
}

#[test]
fn equal_parts_of_other_names_count_each_and_are_noted() {
    let folder = folder();
    let path = folder.path();
    write(path, "new/a.csv", &part(1));
    write(path, "new/copy.csv", &part(1));
    let ran = ingest(path, &["new", "--batch-no", "PARTS"], "");
    // The key tells that it is a copy.
    ran.assert(1, &[("PARTS", "failed")]);
    assert_eq!(ran.report["batches"][0]["rows_read"], 2, "{}", ran.report);
    let ledger = duckdb::Connection::open(path.join("data/warehouse.duckdb")).expect("it opens");
    let message: String = ledger
        .query_row("SELECT message FROM redledger.batch", [], |row| row.get(0))
        .expect("a batch");
    let said = "new/copy.csv has the same content as new/a.csv; both count";
    assert!(message.contains(said), "{message}");
}
