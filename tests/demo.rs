//! `redledger demo`, as a new user runs it.

use std::{path::Path, process::Output};

use duckdb::{AccessMode, Config, Connection};

use crate::support::program::with_own_settings;

fn demo(data_dir: &Path, format: &str) -> Output {
    with_own_settings(env!("CARGO_BIN_EXE_redledger"))
        .args(["demo", "--format", format, "--data-dir"])
        .arg(data_dir)
        .output()
        .expect("the program runs")
}

/// Where the bills' own files are.
fn bills(warehouse: &Path) -> Vec<String> {
    let connection = Config::default()
        .access_mode(AccessMode::ReadOnly)
        .and_then(|config| Connection::open_with_flags(warehouse, config))
        .expect("a warehouse");
    let mut statement = connection
        .prepare("SELECT negative_url FROM account_negative_bill ORDER BY ALL")
        .expect("the bills");
    let urls = statement
        .query_map([], |row| row.get(0))
        .expect("the bills");
    urls.map(|url| url.expect("a URL")).collect()
}

#[test]
fn demo_loads_every_dataset_and_a_second_demo_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = demo(folder.path(), "json");
    assert_eq!(
        first.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&first.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&first.stdout).expect("a JSON report");
    let of = |name: &str| -> Vec<String> {
        let batches = report["batches"].as_array().expect("batches");
        batches
            .iter()
            .map(|batch| batch[name].to_string().trim_matches('"').to_owned())
            .collect()
    };
    assert_eq!(
        of("dataset"),
        [
            "account_negative",
            "account_negative",
            "account_negative_bill",
            "account_repayment"
        ]
    );
    assert_eq!(of("outcome"), ["loaded"; 4]);
    assert_eq!(of("rows_loaded"), ["238", "10", "18", "12"]);
    assert_eq!(of("rows_rejected"), ["2", "0", "0", "0"]);

    let warehouse = folder.path().join("warehouse.duckdb");
    let (before, urls) = (
        std::fs::read(&warehouse).expect("a warehouse"),
        bills(&warehouse),
    );
    let second = demo(folder.path(), "text");
    assert_eq!(second.status.code(), Some(0));
    let second = String::from_utf8(second.stdout).expect("text");
    let urls_now = bills(&warehouse);
    if urls == urls_now {
        assert_eq!(second.matches(" unchanged ").count(), 4, "{second}");
        assert!(
            before == std::fs::read(&warehouse).expect("a warehouse"),
            "the warehouse was written"
        );
    }
    // Another program may have held the demo's port at one of the times: then bills name other addresses and are
    // another revision.
    assert_eq!(urls.len(), urls_now.len());
    assert_eq!(second.matches("SELECT").count(), 3, "{second}");
}
