//! Pages for people: what they say, what they keep to themselves, who may look.

mod browser;
mod report;
mod ui;

use serde_json::{Value, json};

use crate::support::program::{Ran, Workspace};

/// A row of `account_negative`.
fn row(number: usize, stat_time: i64) -> Value {
    json!({
        "accountId": format!("0193f2a4-0000-7000-8000-{number:012}"),
        "accountName": "甲公司",
        "accountEn": "Alpha",
        "displayId": format!("{number:07}"),
        "type": "0",
        "cardNegative": "-12.50",
        "budgetNegative": "-1234.5678",
        "currency": "USD",
        "statTime": stat_time.to_string(),
    })
}

/// An announcement of these rows, made on a day of March 2026.
fn hook(batch_no: &str, day: u32, rows: &[Value]) -> String {
    let resource = json!({
        "batchNo": batch_no, "page": 1, "size": 1000, "total": rows.len(), "lastPage": true, "list": rows,
    });
    json!({"createTime": midnight(day) + 3_600_000, "resource": resource}).to_string()
}

/// Of a day of March 2026, in epoch milliseconds.
fn midnight(day: u32) -> i64 {
    1_772_323_200_000 + i64::from(day - 1) * 86_400_000
}

/// Loads a batch of two rows, announced on that day of March; `spoiled` rows more are rejected.
fn load(workspace: &Workspace, batch_no: &str, day: u32, spoiled: usize) -> Ran {
    let mut rows: Vec<Value> = (0..2 + spoiled).map(|at| row(at, midnight(day))).collect();
    for row in rows.iter_mut().skip(2) {
        row["cardNegative"] = "<script>alert(1)</script>".into();
    }
    let name = workspace.write(&format!("{batch_no}.json"), hook(batch_no, day, &rows));
    workspace.run(&["ingest", &name, "--dataset", "account_negative"])
}

/// Rejected rows are half of a batch at times.
fn workspace() -> Workspace {
    let workspace = Workspace::new().set("DATASETS_DIR", "datasets");
    std::fs::create_dir(workspace.path().join("datasets")).expect("a folder");
    let contract = crate::support::checkout::checkout("config/datasets/account_negative.toml");
    let contract = std::fs::read_to_string(contract).expect("the shipped contract");
    let lenient = contract.replacen("max_rejected = \"1%\"", "max_rejected = \"60%\"", 1);
    assert_ne!(lenient, contract);
    workspace.write("datasets/account_negative.toml", lenient);
    workspace
}

/// Makes a report and reads it.
fn report(workspace: &Workspace, options: &[&str]) -> String {
    let mut arguments = vec!["report", "--out", "night.html"];
    arguments.extend(options);
    let ran = workspace.run(&arguments);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    std::fs::read_to_string(workspace.path().join("night.html")).expect("a report")
}

/// What is between two texts.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).expect("the beginning") + from.len();
    let end = text[start..].find(to).expect("the end");
    &text[start..start + end]
}

/// A page's text without its markup, one blank between words.
fn text(html: &str) -> String {
    let body = &html[html.find("<body").expect("a body")..];
    let mut said = String::new();
    for piece in body.split('<') {
        said.push(' ');
        said.push_str(piece.split_once('>').map_or("", |(_, text)| text));
    }
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}
