//! Sources of one call, some of which can't be had.

use super::{HEADER, ROWS, balances};
use crate::support::program::Workspace;

#[test]
fn announcement_that_is_none_keeps_no_other_of_its_folder_out() {
    let workspace = Workspace::new();
    std::fs::create_dir(workspace.path().join("hooks")).expect("a folder");
    let row = serde_json::json!({
        "accountId": "00000000-0000-4000-8000-000000000001", "type": 0, "cardNegative": "1.00",
        "budgetNegative": "0", "currency": "USD", "statTime": 1_774_888_560_000_u64,
    });
    for (name, text) in [
        (
            "1.json",
            serde_json::json!({"batchNo": "FIRST", "lastPage": true, "list": [row]}).to_string(),
        ),
        ("2.json", "no announcement".to_owned()),
        (
            "3.json",
            serde_json::json!({"batchNo": "LAST", "lastPage": true, "list": [row]}).to_string(),
        ),
    ] {
        workspace.write(&format!("hooks/{name}"), text);
    }
    let ran = workspace.run(&[
        "ingest",
        "hooks",
        "--dataset",
        "account_negative",
        "--format",
        "json",
    ]);
    assert_eq!(ran.exit, Some(2), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(
        workspace.query("SELECT batch_no FROM account_negative ORDER BY ALL"),
        ["FIRST", "LAST"]
    );
}

#[test]
fn batch_of_files_is_not_loaded_without_one_of_them() {
    let workspace = Workspace::new();
    let first = workspace.write("a.csv", balances(ROWS, 0));
    let arguments = [
        "--dataset",
        "account_negative",
        "--batch-no",
        "B1",
        "--format",
        "json",
    ];
    let ran = workspace.run(&[&["ingest", &first, "missing.csv"], &arguments[..]].concat());
    assert_eq!(ran.exit, Some(2), "{} {}", ran.stdout, ran.stderr);
    assert!(
        !workspace.data().join("warehouse.duckdb").exists(),
        "half a batch"
    );
    let second = workspace.write("missing.csv", format!("{HEADER}\r\n"));
    let ran = workspace.run(&[&["ingest", &first, &second], &arguments[..]].concat());
    assert_eq!(ran.exit, Some(0), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(workspace.rows("account_negative").len(), ROWS);
}
