//! Files and lists of more columns than anybody has thought of: a batch may fail of them, the process does not.

use std::fmt::Write as _;

use crate::support::program::Workspace;

const HEADER: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime";

/// A CSV of `rows` rows with `columns` undeclared columns of two characters each.
fn wide(columns: usize, rows: usize) -> String {
    let mut text = String::from(HEADER);
    for column in 0..columns {
        let _ = write!(text, ",one of many columns {column}");
    }
    for row in 0..rows {
        let _ = write!(
            text,
            "\n936da01f-9abd-4d9d-80c7-{row:012x},0,-1.5,0,USD,1711785600000"
        );
        text.push_str(&",ab".repeat(columns));
    }
    text.push('\n');
    text
}

#[test]
fn columns_that_memory_has_no_room_for_fail_their_batch_and_no_other() {
    let workspace = Workspace::new().set("LOAD__MEMORY_LIMIT", "64MB");
    let wide = workspace.write("wide.csv", wide(2_000, 2_500));
    let small = workspace.write("small.csv", self::wide(3, 10));
    let dataset = ["--dataset", "account_negative"];
    let ran = workspace.run(&[&["ingest", &wide, "--batch-no", "WIDE"][..], &dataset].concat());
    let exit = ran.exit.expect("an end of its own");
    assert!(exit < 4, "exit {exit}: {}", ran.stderr);
    let ran = workspace.run(&[&["ingest", &small, "--batch-no", "SMALL"][..], &dataset].concat());
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    let rows = workspace
        .query("SELECT count(*) FILTER (batch_no = 'WIDE')::VARCHAR FROM account_negative");
    assert_eq!(rows, [if exit == 0 { "2500" } else { "0" }]);
}

#[test]
fn every_cell_of_a_wide_file_is_kept() {
    let workspace = Workspace::new();
    let file = workspace.write("wide.csv", wide(1_000, 700));
    let arguments = [
        "ingest",
        &file,
        "--batch-no",
        "B",
        "--dataset",
        "account_negative",
    ];
    let ran = workspace.run(&arguments);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    let cells = workspace.query(
        "SELECT concat_ws(' ', count(*), sum(cardinality(extra)), \
         count(DISTINCT extra), min(extra['one of many columns 999'])) FROM account_negative",
    );
    assert_eq!(cells, ["700 700000 1 ab"]);
}

#[test]
fn an_inline_list_has_at_most_as_many_keys_as_a_file_has_columns() {
    let workspace = Workspace::new();
    let mut list = String::new();
    for row in 0..6_000 {
        let _ = write!(
            list,
            r#"{}{{"accountId":"936da01f-9abd-4d9d-80c7-{row:012x}","type":0,"cardNegative":-1.5,"budgetNegative":0,"currency":"USD","statTime":1711785600000,"key {row}":{row}}}"#,
            if row > 0 { "," } else { "" },
        );
    }
    let hook = format!(r#"{{"batchNo":"B","total":6000,"lastPage":true,"list":[{list}]}}"#);
    let hook = workspace.write("hook.json", hook);
    let ran = workspace.run(&["ingest", &hook]);
    assert_eq!(ran.exit, Some(1), "{}", ran.stderr);
    assert!(
        ran.stdout
            .contains("6006 columns where at most 4096 are allowed"),
        "{}",
        ran.stdout
    );
}
