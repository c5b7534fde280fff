//! For auditors: every cell read a second time, and where a row came from.

mod cells;
mod trace;

use std::fs;

use crate::support::program::Workspace;

const NEGATIVE: &str = "accountId,accountName,accountEn,displayId,type,cardNegative,budgetNegative,currency,statTime,region\n";

/// A row of `account_negative`.
fn row(number: usize, card: &str) -> String {
    format!(
        "0193f2a4-0000-7000-8000-{number:012},\"甲, \"\"乙\"\"\",Alpha,{number:07},0,{card},0,USD,1774888560000,Asia\n"
    )
}

/// A batch `B1` of four rows in lines 2, 3, 5 and 6; line 4 is rejected, line 7 is nothing but delimiters.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    let rows = [
        row(1, "-12.50"),
        row(2, "-7"),
        row(3, "none"),
        row(4, "-0.0001"),
        row(5, "-99999999999999.9999"),
        ",,,,,,,,,\n".to_owned(),
    ];
    workspace.write("rows.csv", NEGATIVE.to_owned() + &rows.concat());
    let contract = crate::support::checkout::checkout("config/datasets/account_negative.toml");
    let contract = fs::read_to_string(contract).expect("the shipped contract");
    fs::create_dir(workspace.path().join("datasets")).expect("a folder");
    workspace.write(
        "datasets/account_negative.toml",
        contract.replacen("max_rejected = \"1%\"", "max_rejected = \"60%\"", 1),
    );
    let workspace = workspace.set("DATASETS_DIR", "datasets");
    let ran = workspace.run(&["ingest", "rows.csv", "--batch-no", "B1"]);
    assert_eq!(ran.exit, Some(1), "{}", ran.stderr);
    workspace
}

/// Changes the published file as redledger never does.
#[track_caller]
fn damage(workspace: &Workspace, sql: &str) {
    let live = workspace.data().join("warehouse.duckdb");
    let connection = duckdb::Connection::open(live).expect("the warehouse opens");
    connection.execute_batch(sql).expect(sql);
    connection.close().expect("closed");
    workspace.damaged();
}
