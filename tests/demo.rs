//! `redledger demo`, as a new user runs it.

use std::process::{Command, Output};

fn demo(data_dir: &std::path::Path, format: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_redledger"))
        .args(["demo", "--format", format, "--data-dir"])
        .arg(data_dir)
        .output()
        .expect("the program runs")
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
    let before = std::fs::read(&warehouse).expect("a warehouse");
    let second = String::from_utf8(demo(folder.path(), "text").stdout).expect("text");
    // Another program may hold the demo's port; then bills name other addresses and are another revision.
    if second.contains("http://127.0.0.1:18417;") {
        assert_eq!(second.matches(" unchanged ").count(), 4, "{second}");
        assert!(
            before == std::fs::read(&warehouse).expect("a warehouse"),
            "the warehouse was written"
        );
    }
    assert_eq!(second.matches("SELECT").count(), 3, "{second}");
}
