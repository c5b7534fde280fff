//! `redledger dictionary`: a page for people, and what dbt makes of the sources.

use std::{fs, path::PathBuf, process::Output};

use duckdb::Connection;
use serde_json::json;

use super::{python, said, tool};
use crate::support::{checkout::checkout, program::Workspace};

/// A contract whose texts other programs may take for their own.
const AWKWARD: &str = r#"
name = "order"
comment = "Of {{ nobody }}: | pipes, \"quotes\", # and {% more %}"
[[fields]]
name = "select"
type = "text"
required = true
comment = "Kept: as it is"
[[fields]]
name = "state"
type = "enum"
values = { "it's {{ open }}" = "Open | not yet", "no" = "Closed" }
[[fields]]
name = "fee"
type = "decimal"
precision = 20
scale = 3
min = "-1000.5"
"#;

/// The demo's warehouse, and a dataset of one's own.
pub(super) fn demo() -> Workspace {
    let workspace = Workspace::new().set("DATASETS_DIR", "datasets");
    fs::create_dir(workspace.path().join("datasets")).expect("a folder");
    workspace.write("datasets/order.toml", AWKWARD);
    let data = workspace.data();
    let ran = workspace.run(&["demo", "--data-dir", &data.to_string_lossy()]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    workspace.write(
        "order.csv",
        "select,state,fee,other\n=1+1,it's {{ open }},-42.5,x\n-42,no,,\n",
    );
    let ran = workspace.run(&[
        "ingest",
        "order.csv",
        "--dataset",
        "order",
        "--batch-no",
        "B1",
    ]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    workspace
}

/// A project of dbt's over the warehouse at `warehouse`, with what the dictionary says.
fn project(workspace: &Workspace, warehouse: &str, datasets: &[&str]) -> PathBuf {
    let project = workspace.path().join("project");
    fs::create_dir_all(project.join("models")).expect("a folder");
    let arguments = [&["dictionary", "--format", "dbt"], datasets].concat();
    let ran = workspace.run(&arguments);
    assert_eq!((ran.exit, ran.stderr.as_str()), (Some(0), ""));
    let write = |name: &str, text: String| fs::write(project.join(name), text).expect("to write");
    write("models/sources.yml", ran.stdout);
    let flags = "flags: {send_anonymous_usage_stats: false}";
    write(
        "dbt_project.yml",
        format!(
            "name: consumer\nversion: '1.0'\nprofile: consumer\nmodel-paths: [models]\n{flags}\n"
        ),
    );
    let attached = json!([{"path": warehouse, "alias": "warehouse", "read_only": true}]);
    write(
        "profiles.yml",
        format!(
            "consumer:\n  target: dev\n  outputs:\n    dev: {{type: duckdb, path: dev.duckdb, attach: {attached}}}\n"
        ),
    );
    project
}

fn dbt(project: &PathBuf, arguments: &[&str]) -> Option<Output> {
    let mut command = python("dbt");
    command
        .current_dir(project)
        .env("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
        // The warehouse's times are UTC wherever dbt runs.
        .env("TZ", "Asia/Shanghai")
        .args(["--no-use-colors", "--show-all-deprecations"])
        .args(arguments);
    tool("what dbt makes of the dictionary", command)
}

#[test]
fn dbt_finds_the_demo_in_order_and_what_is_spoilt_out_of_order() {
    let workspace = demo();
    let warehouse = workspace.data().join("warehouse.duckdb");
    let project_of = |warehouse: &PathBuf| project(&workspace, &warehouse.to_string_lossy(), &[]);
    let Some(built) = dbt(&project_of(&warehouse), &["build"]) else {
        return;
    };
    let text = said(&built);
    assert!(built.status.success(), "{text}");
    assert!(text.contains("WARN=0 ERROR=0"), "{text}");
    assert!(!text.to_lowercase().contains("deprecat"), "{text}");

    let spoilt = workspace.path().join("spoilt.duckdb");
    fs::copy(&warehouse, &spoilt).expect("to copy");
    let connection = Connection::open(&spoilt).expect("a warehouse");
    connection
        .execute_batch(
            "INSERT INTO account_negative SELECT * FROM account_negative ORDER BY ALL LIMIT 1; \
             UPDATE account_repayment SET type = 7, currency = NULL; \
             UPDATE account_negative_bill_line SET bill_create_time = '2000-01-01'; \
             UPDATE \"order\" SET state = 'it''s {{ shut }}' WHERE state = 'no'; \
             UPDATE account_negative_bill SET file_id = 4711;",
        )
        .expect("to spoil");
    drop(connection);
    let Some(built) = dbt(&project_of(&spoilt), &["build"]) else {
        return;
    };
    let text = said(&built);
    assert!(!built.status.success(), "{text}");
    for test in [
        "account_negative_key",
        "account_repayment_type_is_a_code",
        "source_not_null_redledger_account_repayment__currency_",
        "account_negative_bill_line_has_its_account_negative_bill",
        "order_state_is_a_code",
        "account_negative_bill_has_its_file",
    ] {
        assert!(
            text.contains(&format!("Failure in test {test} ")),
            "{test}:\n{text}"
        );
    }
}

#[test]
fn dbt_says_that_data_is_stale_when_the_next_batch_is_late() {
    for (every, is_fresh) in [("4h", true), ("2h", false)] {
        let workspace = Workspace::new().set("EXPECTED_EVERY__ACCOUNT_NEGATIVE", every);
        let three_hours_ago = jiff::Timestamp::now().as_millisecond() - 3 * 3_600_000;
        let row = json!({
            "accountId": "0193f2a4-0000-7000-8000-000000000001", "type": 0, "cardNegative": "-1",
            "budgetNegative": "0", "currency": "USD", "statTime": three_hours_ago,
        });
        let hook = json!({
            "resource": {"batchNo": "B1", "total": 1, "lastPage": true, "list": [row]},
            "createTime": three_hours_ago,
        });
        workspace.receive("1.json", &hook.to_string());
        let ran = workspace.run(&["run"]);
        assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
        let warehouse = workspace.data().join("warehouse.duckdb");
        let project = project(
            &workspace,
            &warehouse.to_string_lossy(),
            &["account_negative"],
        );
        let Some(looked) = dbt(&project, &["source", "freshness"]) else {
            return;
        };
        let text = said(&looked);
        assert_eq!(looked.status.success(), is_fresh, "{every}: {text}");
        assert_eq!(text.contains("ERROR STALE"), !is_fresh, "{every}: {text}");
    }
}

#[test]
fn a_page_explains_every_column_of_every_table() {
    let workspace = demo();
    let ran = workspace.run(&["dictionary"]);
    assert_eq!((ran.exit, ran.stderr.as_str()), (Some(0), ""));
    let page = ran.stdout;
    let columns = workspace.query(
        "SELECT CASE schema_name WHEN 'main' THEN '' ELSE schema_name || '.' END || table_name || ' ' || column_name \
         || ' ' || data_type FROM duckdb_columns() WHERE NOT internal AND table_name IN (SELECT table_name FROM duckdb_tables()) \
         AND NOT (schema_name = 'redledger' AND table_name IN ('reporting', 'reporting_day', 'view'))",
    );
    // Those three are what views are made with, and say so themselves.
    assert!(columns.len() > 60);
    for column in columns {
        let mut parts = column.splitn(3, ' ');
        let mut next = || parts.next().expect("three parts");
        let (table, name, kind) = (next(), next(), next());
        let (_, section) = page.split_once(&format!("\n## {table}\n")).expect(table);
        let section = section.split("\n#").next().unwrap_or_default();
        let row = format!("| `{name}` | {kind} |");
        assert!(section.contains(&row), "{row} of {table}:\n{section}");
    }
    // What is written in a contract does not break the table that it is in.
    assert!(
        page.contains("Of {{ nobody }}: \\| pipes, \"quotes\", # and {% more %}"),
        "{page}"
    );
    assert!(
        page.contains("(it's {{ open }}: Open \\| not yet; no: Closed)"),
        "{page}"
    );
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells = line.replace("\\|", "").matches('|').count();
        assert!([4, 6].contains(&cells), "{line}");
    }

    let ran = workspace.run(&["dictionary", "account_repayment"]);
    assert!(ran.stdout.contains("## account_repayment"));
    assert!(!ran.stdout.contains("account_negative\n") && !ran.stdout.contains("# The ledger"));
    let ran = workspace.run(&["dictionary", "account_repaymen"]);
    assert_eq!(ran.exit, Some(2));
    assert!(
        ran.stderr.contains("did you mean `account_repayment`?"),
        "{}",
        ran.stderr
    );
}

/// What is shipped as a set is what is installed.
#[test]
fn the_tools_that_read_it_are_of_the_versions_that_are_promised() {
    let pins = fs::read_to_string(checkout(".ci/servers/requirements.txt")).expect("a list");
    for pin in [
        "dbt-core==1.11.",
        "dbt-duckdb==1.11.",
        "frictionless==5.",
        "pyarrow==",
    ] {
        assert!(pins.contains(&format!("\n{pin}")), "{pin}");
    }
}
