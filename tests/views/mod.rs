//! What analysts see: the views of schema `main`.

mod balances;
mod clients;
mod made;
mod oracle;
mod others;

use serde_json::{Value, json};

use crate::support::program::Workspace;

/// Milliseconds of 2026-03-01 00:00 UTC, and of an hour.
const MARCH: i64 = 1_772_323_200_000;
const HOUR: i64 = 3_600_000;

/// The account of this number.
fn account(number: u8) -> String {
    format!("936da01f-9abd-4d9d-80c7-02af85c822{number:02x}")
}

/// A row of `account_negative`: account, card, budget, hours after the first of March.
fn balance(number: u8, card: &str, budget: &str, hours: i64) -> Value {
    json!({
        "accountId": account(number), "type": 0, "accountName": format!("Name {number}"), "cardNegative": card,
        "budgetNegative": budget, "currency": "USD", "statTime": MARCH + hours * HOUR,
    })
}

/// Announces a batch with these rows and loads it; it is announced so many hours after the first of March.
fn load(workspace: &Workspace, number: &str, hours: i64, rows: &[Value]) {
    let hook = json!({
        "eventType": "x", "createTime": MARCH + hours * HOUR,
        "resource": {"batchNo": number, "page": 1, "lastPage": true, "total": rows.len(), "list": rows},
    });
    let name = workspace.write(&format!("{number}.json"), hook.to_string());
    let ran = workspace.run(&["ingest", &name, "--dataset", "account_negative"]);
    assert!(
        ran.exit == Some(0) || ran.exit == Some(1),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    workspace.verify();
}
