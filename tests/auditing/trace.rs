//! `redledger trace`: where a row came from, and whether all of it still agrees.

use std::fs;

use serde_json::Value;

use super::{NEGATIVE, damage, row, workspace};
use crate::support::{
    program::{Ran, Workspace},
    server::{Reply, Server},
};

fn trace(workspace: &Workspace, arguments: &[&str]) -> (Ran, Value) {
    let ran = workspace.run(&[&["trace"], arguments, &["--format", "json"]].concat());
    let document = serde_json::from_str(&ran.stdout).unwrap_or_default();
    (ran, document)
}

/// Checks that do not agree.
fn against(document: &Value) -> Vec<&str> {
    let checks = document["checks"].as_array().expect("checks").iter();
    checks
        .filter(|check| check["agrees"] == false)
        .map(|check| check["what"].as_str().expect("a check"))
        .collect()
}

#[test]
fn a_loaded_row_is_shown_with_its_bytes_and_agrees() {
    let workspace = workspace();
    let (ran, document) = trace(&workspace, &["1:2"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert_eq!(document["row"]["columns"]["card_negative"], "-12.5000");
    assert_eq!(document["record"], row(1, "-12.50").trim_end());
    assert_eq!(document["history"][0]["state"], "loaded");
    assert_eq!(document["agrees"], true);

    let ran = workspace.run(&[
        "trace",
        "account_negative",
        "--account",
        "0000001",
        "--batch",
        "B1",
    ]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    for part in [
        "account_negative B1, file 1, line 2",
        "0193f2a4-0000-7000-8000-000000000001",
        "SHA-256",
        "the inbox keeps no announcement of it",
        "All of it agrees.",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
}

#[test]
fn a_rejected_row_and_a_line_of_nothing_are_told_apart() {
    let workspace = workspace();
    let (ran, document) = trace(&workspace, &["1:4"]);
    assert_eq!(ran.exit, Some(0));
    assert_eq!(document["row"]["is"], "rejected");
    assert_eq!(document["row"]["rejections"][0]["code"], "invalid-decimal");
    for line in ["1:7", "1:99"] {
        let (ran, document) = trace(&workspace, &[line]);
        assert_eq!(ran.exit, Some(0), "{line}: {}", ran.stdout);
        assert_eq!(document["row"]["is"], "nowhere", "{line}");
    }
}

#[test]
fn what_does_not_agree_is_named() {
    let whole = workspace();
    for (sql, place, check) in [
        (
            "UPDATE account_negative SET card_negative = -12.51 WHERE line = 2",
            "1:2",
            "every cell is what the bytes say, read a second time",
        ),
        (
            "DELETE FROM account_negative WHERE line = 2",
            "1:2",
            "the row is in the table just when its revision is loaded",
        ),
        (
            "DELETE FROM account_negative WHERE line = 3",
            "1:2",
            "the table has as many rows of the file as the ledger says",
        ),
        (
            "UPDATE redledger.file SET content_hash = 'other'",
            "1:2",
            "the kept bytes are those that were delivered",
        ),
        (
            "UPDATE redledger.batch SET state = 'superseded'",
            "1:2",
            "the row is in the table just when its revision is loaded",
        ),
    ] {
        let workspace = Workspace::new().set(
            "DATASETS_DIR",
            &whole.path().join("datasets").to_string_lossy(),
        );
        workspace.copy_data_of(&whole);
        damage(&workspace, sql);
        let (ran, document) = trace(&workspace, &[place]);
        assert_eq!(ran.exit, Some(1), "{sql}: {}", ran.stdout);
        assert!(against(&document).contains(&check), "{sql}: {}", ran.stdout);
    }
}

#[test]
fn a_row_of_a_replaced_revision_is_told_from_a_lost_one() {
    let workspace = Workspace::new();
    for (card, number) in [("-1", 1), ("-2", 2)] {
        let name = workspace.write("rows.csv", NEGATIVE.to_owned() + &row(1, card));
        let ran = workspace.run(&["ingest", &name, "--batch-no", "B1"]);
        assert_eq!(ran.exit, Some(0), "{number}: {}", ran.stderr);
    }
    let (ran, document) = trace(&workspace, &["1:2"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stdout);
    assert_eq!(document["row"]["is"], "nowhere");
    assert_eq!(document["history"][0]["state"], "loaded");
    assert_eq!(document["history"][1]["state"], "superseded");
    assert!(
        document["record"]
            .as_str()
            .expect("the record")
            .contains(",-1,")
    );
}

#[test]
fn bytes_that_are_gone_are_said_and_damaged_ones_found() {
    let workspace = workspace();
    let kept = workspace
        .files()
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".csv.zst"))
        .expect("a kept file");
    let bytes = fs::read(&kept).expect("a kept file");
    fs::remove_file(&kept).expect("to remove");
    workspace.damaged();
    let (ran, document) = trace(&workspace, &["1:2"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stdout);
    let missing = document["record_missing"].as_str().expect("why");
    assert!(missing.contains("no longer kept"), "{missing}");

    let other = zstd::encode_all(&b"other bytes\n"[..], 1).expect("compressed");
    for damaged in [&bytes[..bytes.len() / 2], &other] {
        fs::write(&kept, damaged).expect("to write");
        let (ran, _) = trace(&workspace, &["1:2"]);
        assert_eq!(ran.exit, Some(1), "{}", ran.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_announcement_is_told_and_no_secret_is() {
    let rows = NEGATIVE.to_owned() + &row(1, "-1");
    let server = Server::start(move |_| Reply::new(200, rows.clone())).await;
    let workspace = Workspace::new();
    let url = server.url("/rows.csv?X-Amz-Signature=SECRET&X-Amz-Credential=KEY");
    let hook = serde_json::json!({
        "id": "evt-17", "eventType": "account.negative", "createTime": 1_774_888_569_000_i64,
        "resource": {"batchNo": "B1", "lastPage": true, "total": 1, "fileUrl": url},
    });
    workspace.receive("20260330T163609000000Z-1.json", &hook.to_string());
    let ran = workspace.run(&["run"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    for format in ["json", "table", "csv"] {
        let ran = workspace.run(&["trace", "1:2", "--format", format]);
        assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
        assert!(!ran.stdout.contains("SECRET"), "{}", ran.stdout);
        assert!(
            format == "csv" || ran.stdout.contains("evt-17"),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn what_is_not_there_is_said() {
    let workspace = workspace();
    for (arguments, message) in [
        (&["7:2"][..], "the ledger has no file 7"),
        (&["account_negative"], "names no row"),
        (
            &["nothing"],
            "is no line of a file (FILE_ID:LINE) and no dataset",
        ),
        (&["account_negative", "--account", "none"], "has that id"),
        (&["1:2", "--account", "0000001"], "goes with a dataset"),
    ] {
        let (ran, _) = trace(&workspace, arguments);
        assert_eq!(ran.exit, Some(2), "{arguments:?}");
        assert!(
            ran.stderr.contains(message),
            "{arguments:?}: {}",
            ran.stderr
        );
    }
    // Several rows: which.
    let name = workspace.write("more.csv", NEGATIVE.to_owned() + &row(1, "-1"));
    workspace.run(&["ingest", &name, "--batch-no", "B2"]);
    let ran = workspace.run(&["trace", "account_negative", "--account", "0000001"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("redledger trace 2:2"), "{}", ran.stdout);
}
