//! `redledger export`: which rows, and that nothing of them changes on the way.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use serde_json::{Value, json};

use super::{dictionary::demo, python, said, tool};
use crate::support::program::{Ran, Workspace};

/// What a program reads on stdout.
#[track_caller]
fn told(ran: &Ran) -> Value {
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).expect("one JSON object")
}

#[track_caller]
fn numbers(of: &Value) -> Vec<&str> {
    let batches = of.as_array().expect("batches").iter();
    batches
        .map(|of| of["batch_no"].as_str().expect("a number"))
        .collect()
}

fn read(workspace: &Workspace, name: &str) -> String {
    fs::read_to_string(workspace.path().join(name)).expect("an export")
}

const ALL_KINDS: &str = r#"
name = "kinds"
comment = "One of each"
[[fields]]
name = "id"
type = "uuid"
[[fields]]
name = "note"
type = "text"
[[fields]]
name = "count"
type = "integer"
[[fields]]
name = "fee"
type = "decimal"
precision = 38
scale = 10
[[fields]]
name = "at"
type = "timestamp"
unit = "us"
[[fields]]
name = "open"
type = "boolean"
"#;

/// Rows of every kind of value, and cells that have to be told apart.
fn kinds() -> Workspace {
    let workspace = Workspace::new().set("DATASETS_DIR", "datasets");
    fs::create_dir(workspace.path().join("datasets")).expect("a folder");
    workspace.write("datasets/kinds.toml", ALL_KINDS);
    let rows = [
        "id,note,count,fee,at,open,more",
        "936da01f-9abd-4d9d-80c7-02af85c822a8,\"a, \"\"b\"\"\nc\",-42,-0.0000000001,1774888560000001,true,\"x\"\"\\\ty\"",
        ",,,9999999999999999999999999999.9999999999,1774888560000000,0,",
        ",=1+1,,-42,,,",
        ",-42,,,,,",
        ",-1+2,,,,,",
        ",@cmd,9223372036854775807,0,,,中文",
    ];
    workspace.write("kinds.csv", rows.join("\n") + "\n");
    let ran = workspace.run(&[
        "ingest",
        "kinds.csv",
        "--dataset",
        "kinds",
        "--batch-no",
        "B1",
    ]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    workspace
}

#[test]
fn csv_tells_null_from_empty_keeps_every_digit_and_is_the_same_each_time() {
    let workspace = kinds();
    let ran = workspace.run(&["export", "kinds", "--out", "a.csv"]);
    let report = told(&ran);
    assert_eq!(
        (&report["rows"], &report["out"]),
        (&json!(6), &json!("a.csv"))
    );
    let file = workspace
        .query("SELECT file_id::VARCHAR FROM redledger.file")
        .concat();
    let expected = [
        "id,note,count,fee,at,open,extra,batch_no,file_id,line",
        "936da01f-9abd-4d9d-80c7-02af85c822a8,\"a, \"\"b\"\"\nc\",-42,-0.0000000001,2026-03-30T16:36:00.000001Z,true,\
         \"{\"\"more\"\":\"\"x\\\"\"\\\\\\u0009y\"\"}\",B1,FILE,2",
        ",,,9999999999999999999999999999.9999999999,2026-03-30T16:36:00.000000Z,false,EMPTY,B1,FILE,4",
        ",=1+1,,-42.0000000000,,,EMPTY,B1,FILE,5",
        ",-42,,,,,EMPTY,B1,FILE,6",
        ",-1+2,,,,,EMPTY,B1,FILE,7",
        ",@cmd,9223372036854775807,0.0000000000,,,\"{\"\"more\"\":\"\"中文\"\"}\",B1,FILE,8",
        "",
    ];
    let expected = expected
        .join("\n")
        .replace("FILE", &file)
        .replace("EMPTY", "\"{\"\"more\"\":\"\"\"\"}\"");
    assert_eq!(read(&workspace, "a.csv"), expected);
    let ran = workspace.run(&["export", "kinds", "--out", "b.csv", "--batch", "B1"]);
    assert_eq!(told(&ran)["rows"], 6);
    assert_eq!(read(&workspace, "b.csv"), expected);

    let ran = workspace.run(&["export", "kinds", "--out", "c.csv", "--for-spreadsheets"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    let guarded = expected
        .replace("\n,=1+1,", "\n,'=1+1,")
        .replace("\n,-1+2,", "\n,'-1+2,")
        .replace("\n,@cmd,", "\n,'@cmd,");
    assert_eq!(read(&workspace, "c.csv"), guarded);
}

#[test]
fn nothing_is_null_and_two_quotes_are_the_empty_text() {
    let workspace = kinds();
    let warehouse = workspace.damaged().data().join("warehouse.duckdb");
    let connection = duckdb::Connection::open(warehouse).expect("a warehouse");
    let sql = "DELETE FROM kinds WHERE line > 5; UPDATE kinds SET note = '', extra = NULL; \
               UPDATE kinds SET extra = MAP {} WHERE line = 4; UPDATE kinds SET note = NULL WHERE line = 5; CHECKPOINT";
    connection.execute_batch(sql).expect("to change");
    drop(connection);
    told(&workspace.run(&["export", "kinds", "--out", "a.csv"]));
    let text = read(&workspace, "a.csv");
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert!(
        rows[0].contains("a8,\"\",-42,") && rows[0].contains(",true,,B1,"),
        "{text}"
    );
    assert!(
        rows[1].starts_with(",\"\",,9") && rows[1].contains(",false,{},B1,"),
        "{text}"
    );
    assert!(rows[2].starts_with(",,,-42.0000000000,"), "{text}");
}

#[test]
fn an_export_is_private_replaces_nothing_and_leaves_nothing_behind() {
    let workspace = kinds();
    fs::create_dir(workspace.path().join("it's out")).expect("a folder");
    let ran = workspace.run(&["export", "kinds", "--out", "it's out/a.csv"]);
    assert_eq!(told(&ran)["rows"], 6);
    let path = workspace.path().join("it's out/a.csv");
    let mode = fs::metadata(&path).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&path).expect("an export");
    for format in ["csv", "parquet"] {
        let ran = workspace.run(&[
            "export",
            "kinds",
            "--format",
            format,
            "--out",
            "it's out/a.csv",
        ]);
        assert_eq!((ran.exit, ran.stdout.as_str()), (Some(2), ""));
        assert!(ran.stderr.contains("is there already"), "{}", ran.stderr);
    }
    for (arguments, why) in [
        (&["kind"][..], "did you mean `kinds`?"),
        (&["kinds", "--batch", "B2"], "the ledger has no such batch"),
        (&["kinds", "--batch", "../x"], "--batch: "),
        (
            &["kinds", "--format", "parquet", "--for-spreadsheets"],
            "--format csv only",
        ),
    ] {
        let ran = workspace.run(&[&["export", "--out", "it's out/b.csv"], arguments].concat());
        assert_eq!(
            (ran.exit, ran.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}"
        );
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    }
    let ran = workspace.run(&["export", "kinds", "--out", "no/such/folder/a.csv"]);
    assert_eq!(ran.exit, Some(2));
    let left = fs::read_dir(path.parent().expect("a folder")).expect("a folder");
    assert_eq!(left.count(), 1, "something is left");
    assert_eq!(fs::read(&path).expect("an export"), before);
}

#[test]
fn where_nothing_is_loaded_there_is_a_header() {
    let workspace = Workspace::new();
    fs::create_dir_all(workspace.data().join("inbox")).expect("a folder");
    let whole = ["export", "account_negative", "--out", "none.csv"];
    let ran = workspace.run(&whole);
    assert_eq!(told(&ran)["rows"], 0);
    assert!(ran.stderr.contains("Nothing loaded yet"), "{}", ran.stderr);
    let header = "account_id,account_name,account_en,display_id,type,card_negative,budget_negative,currency,stat_time,extra,batch_no,file_id,line\n";
    assert_eq!(read(&workspace, "none.csv"), header);
    let ran = workspace.run(&[
        "export",
        "account_negative",
        "--out",
        "b.csv",
        "--batch",
        "B1",
    ]);
    assert_eq!(ran.exit, Some(2), "{}", ran.stderr);

    // Another dataset is loaded: this one's table is not there yet.
    let workspace = kinds();
    let ran = workspace.run(&whole);
    assert_eq!(told(&ran)["rows"], 0);
    assert_eq!(read(&workspace, "none.csv"), header);
}

/// An announcement of rows with these amounts, made at `hour` of a day.
fn announced(batch_no: &str, amounts: &[&str], hour: u32) -> String {
    let rows = amounts.iter().zip(1..).map(|(amount, number)| {
        json!({
            "accountId": format!("0193f2a4-0000-7000-8000-{number:012}"), "type": 0, "cardNegative": amount,
            "budgetNegative": "0", "currency": "USD", "statTime": "1774888560000",
        })
    });
    let rows: Vec<Value> = rows.collect();
    let hook = json!({"batchNo": batch_no, "total": rows.len(), "lastPage": true, "list": rows});
    let at = 1_774_828_800_000_i64 + i64::from(hour) * 3_600_000;
    json!({"resource": hook, "createTime": at}).to_string()
}

#[test]
fn since_is_by_acceptance_and_names_what_was_replaced_withdrawn_or_came_late() {
    let workspace = Workspace::new();
    let run = |announcements: &[(&str, String)]| {
        for (name, hook) in announcements {
            workspace.receive(name, hook);
        }
        let ran = workspace.run(&["run"]);
        assert!(matches!(ran.exit, Some(0)), "{}{}", ran.stdout, ran.stderr);
    };
    run(&[
        ("1.json", announced("B1", &["-1"], 1)),
        ("2.json", announced("B2", &["-2"], 2)),
        ("3.json", announced("B3", &["-3"], 3)),
    ]);
    let export = |out: &str, arguments: &[&str]| {
        workspace.run(&[&["export", "account_negative", "--out", out], arguments].concat())
    };
    let report = told(&export("1.csv", &["--since", "2026-03-30T02:00:00Z"]));
    assert_eq!(numbers(&report["batches"]), ["B2", "B3"]);
    assert_eq!(report["batches"][0]["accepted_at"], "2026-03-30T02:00:00Z");
    assert_eq!(report["delete_first"], json!([]));
    // All three were loaded after that, years later.
    assert_eq!(numbers(&report["loaded_since"]), ["B1"]);
    assert_eq!(read(&workspace, "1.csv").lines().count(), 3);

    // Of a consumer that goes on from there: one batch was announced anew.
    run(&[("4.json", announced("B1", &["-10", "-11"], 4))]);
    let ran = export("2.csv", &["--since", "2026-03-30T03:30:00Z"]);
    let report = told(&ran);
    assert_eq!(numbers(&report["batches"]), ["B1"]);
    assert_eq!(
        report["delete_first"],
        json!([{"batch_no": "B1", "why": "replaced", "revision": 2}])
    );
    assert!(
        ran.stderr
            .contains("delete first what you have of B1: revision 2 has replaced it"),
        "{}",
        ran.stderr
    );
    assert!(read(&workspace, "2.csv").contains(",-11.0000,"));

    // And that was rolled back, with a batch that is gone altogether.
    run(&[("5.json", announced("B5", &["-5"], 5))]);
    let before = jiff::Timestamp::now().to_string();
    let rolled_back = workspace.run(&["rollback"]);
    assert_eq!(rolled_back.exit, Some(0), "{}", rolled_back.stderr);
    let ran = export("3.csv", &["--since", &before]);
    let report = told(&ran);
    assert_eq!(report["batches"], json!([]));
    assert_eq!(
        report["delete_first"],
        json!([{"batch_no": "B5", "why": "withdrawn", "revision": null}])
    );
    assert!(
        ran.stderr
            .contains("delete first what you have of B5: a rollback has withdrawn it"),
        "{}",
        ran.stderr
    );
    assert_eq!(read(&workspace, "3.csv").lines().count(), 1);

    let ran = export("4.csv", &["--batch", "B5"]);
    assert_eq!(ran.exit, Some(2), "{}", ran.stderr);
}

#[test]
fn a_batch_that_is_not_loaded_is_no_empty_export() {
    let workspace = Workspace::new();
    let mut hook: Value = serde_json::from_str(&announced("B1", &["-1"], 1)).expect("JSON");
    hook["resource"]["total"] = 2.into();
    workspace.receive("1.json", &hook.to_string());
    workspace.run(&["run"]);
    let ran = workspace.run(&[
        "export",
        "account_negative",
        "--out",
        "a.csv",
        "--batch",
        "B1",
    ]);
    assert_eq!(ran.exit, Some(2));
    assert!(
        ran.stderr
            .contains("batch `B1` is failed: nothing of it is loaded"),
        "{}",
        ran.stderr
    );
}

/// Exports every dataset of the demo to the folder `package` as CSV, with what describes them.
fn package() -> (Workspace, PathBuf) {
    let workspace = demo();
    let folder = workspace.path().join("package");
    fs::create_dir(&folder).expect("a folder");
    for dataset in [
        "account_negative",
        "account_negative_bill",
        "account_negative_bill_line",
        "account_repayment",
        "order",
    ] {
        let out = format!("package/{dataset}.csv");
        let report = told(&workspace.run(&["export", dataset, "--out", &out]));
        assert!(
            report["rows"].as_u64().is_some_and(|rows| rows > 0),
            "{dataset}"
        );
    }
    let ran = workspace.run(&["dictionary", "--format", "frictionless"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    fs::write(folder.join("datapackage.json"), ran.stdout).expect("to write");
    (workspace, folder)
}

#[test]
fn frictionless_finds_what_is_exported_valid_and_notices_a_spoilt_cell() {
    let (_workspace, folder) = package();
    let validate = || {
        let mut command = python("frictionless");
        command
            .current_dir(&folder)
            .args(["validate", "datapackage.json", "--json"]);
        tool("what frictionless makes of exports", command)
    };
    let Some(valid) = validate() else { return };
    assert!(valid.status.success(), "{}", said(&valid));
    // A header alone would be valid as well.
    for (file, from, to, code) in [
        ("account_negative", ",USD,", ",usd,", "constraint-error"),
        ("account_negative", ",0,-", ",7,-", "constraint-error"),
        ("account_repayment", ".0000,", ".0000x,", "type-error"),
        ("account_repayment", ",2026-", ",", "type-error"),
        (
            "account_negative_bill_line",
            "BATCH_",
            "BITCH_",
            "foreign-key",
        ),
    ] {
        let path = folder.join(format!("{file}.csv"));
        let sound = fs::read_to_string(&path).expect("an export");
        let spoilt = sound.replacen(from, to, 1);
        assert_ne!(spoilt, sound, "{file} has no {from}");
        fs::write(&path, spoilt).expect("to write");
        let Some(checked) = validate() else { return };
        assert!(
            !checked.status.success(),
            "{file} {from}: {}",
            said(&checked)
        );
        assert!(
            said(&checked).contains(code),
            "{file} {from}: {}",
            said(&checked)
        );
        fs::write(&path, sound).expect("to write");
    }
}

/// Every row of a Parquet file as a line of text, and above them its schema and its comments.
const READ_PARQUET: &str = r#"
import sys, uuid, pyarrow.parquet as parquet
def text(value):
    if value is None: return "NULL"
    if isinstance(value, bytes): return str(uuid.UUID(bytes=value))
    if isinstance(value, bool): return str(value).lower()
    if isinstance(value, list): return ";".join(f"{key}={text(of)}" for key, of in value)
    if hasattr(value, "isoformat"): return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return format(value, "f") if hasattr(value, "as_tuple") else str(value)
table = parquet.read_table(sys.argv[1])
for field in table.schema:
    print("field", field.name, field.type)
for key, value in (table.schema.metadata or {}).items():
    print("said", key.decode(), value.decode())
for row in table.to_pylist():
    print("row", "|".join(text(of) for of in row.values()).encode("unicode_escape").decode())
"#;

/// What pyarrow reads of a file.
struct ReadBack {
    /// Types, by column.
    types: BTreeMap<String, String>,
    comments: BTreeMap<String, String>,
    rows: Vec<String>,
}

/// What pyarrow reads of a dataset that is exported as Parquet. `None`, said, where that can't be had.
fn through_parquet(workspace: &Workspace, dataset: &str) -> Option<ReadBack> {
    let out = format!("{dataset}.parquet");
    let ran = workspace.run(&["export", dataset, "--format", "parquet", "--out", &out]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    let mut command = python("python");
    command
        .args(["-c", READ_PARQUET])
        .arg(workspace.path().join(out));
    let read = tool("an export as pyarrow reads it", command)?;
    assert!(read.status.success(), "{}", said(&read));
    let text = String::from_utf8(read.stdout).expect("text");
    let pairs = |of: &str| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(of));
        lines
            .filter_map(|line| line.split_once(' '))
            .map(|(key, value)| (key.into(), value.into()))
            .collect()
    };
    let rows = text.lines().filter_map(|line| line.strip_prefix("row "));
    Some(ReadBack {
        types: pairs("field "),
        comments: pairs("said "),
        rows: rows.map(str::to_owned).collect(),
    })
}

/// The same rows as the warehouse has them.
fn in_the_warehouse(workspace: &Workspace, dataset: &str) -> Vec<String> {
    let columns = workspace.query(&format!(
        "SELECT CASE WHEN data_type LIKE 'MAP%' THEN 'array_to_string(list_transform(map_entries(\"' || column_name \
         || '\"), lambda of: concat(of.key, ''='', of.value)), '';'')' \
         WHEN data_type = 'TIMESTAMP' THEN 'strftime(\"' || column_name || '\", ''%Y-%m-%d %H:%M:%S.%f'')' \
         ELSE '\"' || column_name || '\"::VARCHAR' END \
         FROM duckdb_columns() WHERE table_name = '{dataset}' AND schema_name = 'main' ORDER BY column_index"
    ));
    let cells: Vec<String> = columns
        .iter()
        .map(|cell| format!("coalesce({cell}, 'NULL')"))
        .collect();
    workspace.query(&format!(
        "SELECT concat_ws('|', {}) FROM \"{dataset}\" ORDER BY file_id, line",
        cells.join(", ")
    ))
}

/// As Python's `unicode_escape` writes it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            ' '..='~' => escaped.push(c),
            c if u32::from(c) < 0x100 => escaped.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x1_0000 => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => escaped.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    escaped
}

#[test]
fn parquet_comes_back_cell_for_cell_through_pyarrow() {
    let of_kinds = kinds();
    let of_demo = demo();
    for (workspace, dataset, types) in [
        (
            &of_kinds,
            "kinds",
            &[
                ("id", "uuid"),
                ("fee", "decimal128(38, 10)"),
                ("at", "timestamp[us]"),
                ("open", "bool"),
                ("count", "int64"),
            ][..],
        ),
        (
            &of_demo,
            "account_negative",
            &[
                ("account_id", "uuid"),
                ("type", "uint8"),
                ("card_negative", "decimal128(18, 4)"),
                ("line", "int64"),
            ],
        ),
        (
            &of_demo,
            "account_negative_bill_line",
            &[("fields", "map<string, string")],
        ),
    ] {
        let Some(back) = through_parquet(workspace, dataset) else {
            return;
        };
        let expected: Vec<String> = in_the_warehouse(workspace, dataset)
            .iter()
            .map(|row| escaped(row))
            .collect();
        assert!(!back.rows.is_empty());
        assert_eq!(back.rows, expected, "{dataset}");
        for (name, kind) in types {
            assert!(
                back.types[*name].contains(kind),
                "{dataset}: {name} is {}",
                back.types[*name]
            );
        }
        let comment = workspace.query(&format!(
            "SELECT comment FROM duckdb_tables() WHERE table_name = '{dataset}'"
        ));
        assert_eq!(back.comments["comment"], comment.concat(), "{dataset}");
        assert_eq!(
            back.comments["comment.file_id"],
            "File the row came from, see redledger.file"
        );
    }
}

const READ_XLSX: &str = r#"
import sys
from openpyxl import load_workbook
book = load_workbook(sys.argv[1])
for sheet in book:
    print(sheet.title, sheet.freeze_panes)
    for row in sheet.iter_rows():
        print("|".join("" if of.value is None else f"{of.data_type}:{of.value!r}" for of in row))
"#;

/// What openpyxl reads of a dataset that is exported as a workbook.
fn through_xlsx(workspace: &Workspace, dataset: &str) -> Option<Vec<String>> {
    let out = format!("{dataset}.xlsx");
    let ran = workspace.run(&["export", dataset, "--format", "xlsx", "--out", &out]);
    let report = told(&ran);
    assert_eq!(report["format"], "xlsx");
    let path = workspace.path().join(out);
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut command = python("python");
    command.args(["-c", READ_XLSX]).arg(path);
    let read = tool("an export as openpyxl reads it", command)?;
    assert!(read.status.success(), "{}", said(&read));
    let text = String::from_utf8(read.stdout).expect("text");
    Some(text.lines().map(str::to_owned).collect())
}

#[test]
fn a_workbook_has_numbers_where_excel_keeps_them_and_text_everywhere_else() {
    let workspace = kinds();
    let Some(read) = through_xlsx(&workspace, "kinds") else {
        return;
    };
    let expected = [
        "kinds A2",
        "s:'id'|s:'note'|s:'count'|s:'fee'|s:'at'|s:'open'|s:'extra'|s:'batch_no'|s:'file_id'|s:'line'",
        "s:'936da01f-9abd-4d9d-80c7-02af85c822a8'|s:'a, \"b\"\\nc'|n:-42|n:-1e-10|s:'2026-03-30T16:36:00.000001Z'|b:True|\
         s:'{\"more\":\"x\\\\\"\\\\\\\\\\\\u0009y\"}'|s:'B1'|n:1|n:2",
        "|||s:'9999999999999999999999999999.9999999999'|s:'2026-03-30T16:36:00.000000Z'|b:False|EMPTY|s:'B1'|n:1|n:4",
        "|s:'=1+1'||n:-42|||EMPTY|s:'B1'|n:1|n:5",
        "|s:'-42'|||||EMPTY|s:'B1'|n:1|n:6",
        "|s:'-1+2'|||||EMPTY|s:'B1'|n:1|n:7",
        "|s:'@cmd'|s:'9223372036854775807'|n:0|||s:'{\"more\":\"中文\"}'|s:'B1'|n:1|n:8",
    ];
    let expected = expected.map(|line| line.replace("EMPTY", "s:'{\"more\":\"\"}'"));
    assert_eq!(read, expected);

    let later = [
        "export",
        "kinds",
        "--format",
        "xlsx",
        "--out",
        "a.xlsx",
        "--since",
        "2099-01-01T00:00:00Z",
    ];
    let ran = workspace.run(&later);
    assert_eq!(told(&ran)["rows"], 0);
    let guarded = [
        "export",
        "kinds",
        "--format",
        "xlsx",
        "--out",
        "b.xlsx",
        "--for-spreadsheets",
    ];
    let ran = workspace.run(&guarded);
    assert_eq!(ran.exit, Some(2));
    assert!(
        ran.stderr.contains("never taken for a formula"),
        "{}",
        ran.stderr
    );
}

#[test]
fn what_a_cell_of_excel_cannot_hold_is_refused_and_named() {
    let workspace = Workspace::new().set("DATASETS_DIR", "datasets");
    fs::create_dir(workspace.path().join("datasets")).expect("a folder");
    workspace.write("datasets/kinds.toml", ALL_KINDS);
    let long = "长".repeat(32_767);
    workspace.write(
        "kinds.csv",
        format!("id,note,count\n,{long},1\n,{long}a,2\n"),
    );
    let ingested = workspace.run(&[
        "ingest",
        "kinds.csv",
        "--dataset",
        "kinds",
        "--batch-no",
        "B1",
    ]);
    assert_eq!(ingested.exit, Some(0), "{}", ingested.stderr);
    let ran = workspace.run(&["export", "kinds", "--format", "xlsx", "--out", "a.xlsx"]);
    assert_eq!(ran.exit, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("`note` of file 1, line 3 has 32768 characters"),
        "{}",
        ran.stderr
    );
    assert!(!workspace.path().join("a.xlsx").exists());
}
