//! The night: announcements are received all day, and a scheduled run loads them.

mod cadence;
mod dismiss;
mod greedy;
mod held;
mod inbox;
mod issues;
mod month;
mod reports;
mod run;
mod scheduling;

mod serve;
mod signatures;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::support::program::{Ran, Workspace};

/// A workspace whose receiver takes announcements from anybody.
fn unsigned() -> Workspace {
    Workspace::new().set("SERVE__SIGNATURE", "none")
}

/// An announcement of `rows` inline rows.
fn inline(batch_no: &str, rows: usize) -> Value {
    let list: Vec<Value> = (0..rows).map(row).collect();
    json!({"batchNo": batch_no, "page": 1, "size": 1000, "total": rows, "lastPage": true, "list": list})
}

/// A row of `account_negative`.
fn row(number: usize) -> Value {
    json!({
        "accountId": format!("0193f2a4-0000-7000-8000-{number:012}"),
        "accountName": "甲公司",
        "accountEn": "Alpha",
        "displayId": format!("{number:07}"),
        "type": "0",
        "cardNegative": "-12.50",
        "budgetNegative": "0",
        "currency": "USD",
        "statTime": "1774888560000",
    })
}

/// A page of a batch of `total` rows in pages of two.
fn page(batch_no: &str, number: usize, total: usize) -> Value {
    let from = (number - 1) * 2;
    let list: Vec<Value> = (from..total.min(from + 2)).map(row).collect();
    json!({
        "batchNo": batch_no, "page": number, "size": 2, "total": total,
        "lastPage": from + 2 >= total, "list": list,
    })
}

/// Puts announcements into the inbox, in this order of arrival; their paths.
fn receive(workspace: &Workspace, announcements: &[Value]) -> Vec<PathBuf> {
    let inbox = workspace.data().join("inbox");
    fs::create_dir_all(&inbox).expect("a folder");
    let known = ["inbox", "inbox/done", "inbox/bad"]
        .map(|folder| names(workspace, folder).len())
        .iter()
        .sum::<usize>();
    let stored = announcements.iter().zip(known..).map(|(announcement, at)| {
        let path = inbox.join(format!("{at:020}-{at:032x}.json"));
        fs::write(&path, announcement.to_string()).expect("to write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("to set");
        path
    });
    stored.collect()
}

/// The names in a folder below the data directory, in order; none when it is not there.
fn names(workspace: &Workspace, folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(workspace.data().join(folder)) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

/// The report of a run with `--format json`.
#[track_caller]
fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", ran.stdout, ran.stderr))
}

/// `number outcome` of every batch of a report, in its order.
#[track_caller]
fn outcomes(ran: &Ran) -> Vec<String> {
    report(ran)["batches"]
        .as_array()
        .expect("batches")
        .iter()
        .map(|batch| {
            format!(
                "{} {}",
                batch["batch_no"].as_str().unwrap_or("?"),
                batch["outcome"].as_str().unwrap_or("?")
            )
        })
        .collect()
}
