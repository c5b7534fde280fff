//! `redledger demo`, as a new user runs it.

use std::{path::Path, process::Output};

use duckdb::{AccessMode, Config, Connection};

use crate::support::program::{Workspace, with_own_settings};

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

/// A month of nights in `folder`, each as an object.
fn month(folder: &Path) -> Output {
    with_own_settings(env!("CARGO_BIN_EXE_redledger"))
        .args(["demo", "--month", "--format", "json", "--data-dir"])
        .arg(folder)
        .output()
        .expect("the program runs")
}

#[test]
fn a_month_has_nights_that_are_right_and_some_that_are_not() {
    let workspace = Workspace::new();
    let played = month(&workspace.data());
    let said = String::from_utf8_lossy(&played.stderr);
    assert_eq!(played.status.code(), Some(0), "{said}");
    let nights: Vec<serde_json::Value> =
        serde_json::from_slice(&played.stdout).expect("an array of nights");
    let exits: Vec<u64> = nights
        .iter()
        .filter_map(|night| night["exit"].as_u64())
        .collect();
    assert_eq!(exits.len(), 30);
    // Rejected rows, a failed batch, a dead link that was tried again, pages that were missing.
    let not_well: Vec<(usize, u64)> = exits
        .iter()
        .enumerate()
        .filter(|(_, exit)| **exit != 0)
        .map(|(night, exit)| (night, *exit))
        .collect();
    assert_eq!(
        not_well,
        [(3, 1), (10, 1), (18, 3), (19, 1), (21, 3), (29, 1)],
        "{nights:#?}"
    );

    let asked = |sql: &str| workspace.query(sql);
    // Each night has its own time in the ledger, and in the end nothing is open.
    assert_eq!(
        asked("SELECT count(DISTINCT finished_at::DATE)::VARCHAR FROM redledger.run"),
        ["30"]
    );
    assert_eq!(asked("SELECT sum(open)::VARCHAR FROM night"), ["0"]);
    assert_eq!(
        asked(
            "SELECT max(revision)::VARCHAR FROM redledger.batch WHERE dataset = 'account_negative' AND state = 'loaded'"
        ),
        ["2"]
    );
    // What is owed now is what the last batch says, and everybody's age is told.
    assert_eq!(
        asked(
            "SELECT ((SELECT sum(card_negative) FROM account_balance) = (SELECT sum(amount) FROM negative_ageing WHERE measure = 'card' \
             AND NOT amount_is_last_known))::VARCHAR"
        ),
        ["true"]
    );
    assert_eq!(
        asked("SELECT (count(DISTINCT bucket) = 2)::VARCHAR FROM negative_ageing"),
        ["true"]
    );
    assert_eq!(
        asked(
            "SELECT (count(*) FILTER (is_open) > 50 AND count(*) FILTER (NOT is_open) > 50)::VARCHAR FROM negative_episode"
        ),
        ["true"]
    );
    assert_eq!(
        asked("SELECT count(*)::VARCHAR FROM repayment WHERE is_restated"),
        ["1"]
    );
    assert_eq!(asked("SELECT sum(lines_missing)::VARCHAR FROM bill"), ["0"]);

    let again = month(&workspace.data());
    assert_eq!(again.status.code(), Some(2));
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(
        said.contains("a month is played into a folder of its own"),
        "{said}"
    );
}
