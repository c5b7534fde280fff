//! Which content of a batch stands, and under which revision, whatever comes in which order: announcements late or
//! twice, corrections by hand, rollbacks, a lost warehouse.

mod clocks;
mod empty;
mod order;
mod revisions;
mod withdrawn;

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};

use crate::support::program::{Ran, Workspace};

/// 2026-03-30T16:36:00Z, in epoch milliseconds.
const THAT_NIGHT: i64 = 1_774_888_560_000;

/// An announcement of `B1` with one row of this amount.
fn hook(amount: &str) -> Value {
    json!({"batchNo": "B1", "lastPage": true, "total": 1, "list": [{
        "accountId": "6f1b3c1e-0f5b-4a53-9a87-000000000001", "displayId": "01", "type": 0,
        "cardNegative": amount, "budgetNegative": 0, "currency": "USD", "statTime": 1_711_785_600_000_i64,
    }]})
}

/// The same in the webhook's envelope, made so many minutes after that night.
fn announced(amount: &str, minutes: i64) -> Value {
    made_at(&hook(amount), THAT_NIGHT + minutes * 60_000)
}

fn made_at(hook: &Value, millis: i64) -> Value {
    json!({"eventType": "x", "createTime": millis.to_string(), "id": millis.to_string(), "resource": hook.to_string()})
}

/// What became of a batch.
#[derive(Debug, PartialEq)]
struct Became {
    exit: Option<i32>,
    outcome: String,
    revision: Option<i64>,
    message: String,
}

impl Became {
    #[track_caller]
    fn of(ran: &Ran) -> Self {
        let report: Value = serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", ran.stdout, ran.stderr));
        let batch = &report["batches"][0];
        let text = |key: &str| batch[key].as_str().unwrap_or_default().to_owned();
        Self {
            exit: ran.exit,
            outcome: text("outcome"),
            revision: batch["revision"].as_i64(),
            message: format!("{}\n{}", text("message"), text("hint")),
        }
    }

    #[track_caller]
    fn loaded(&self, revision: i64) {
        let found = (self.exit, self.outcome.as_str(), self.revision);
        assert_eq!(found, (Some(0), "loaded", Some(revision)), "{self:?}");
    }

    #[track_caller]
    fn unchanged(&self, exit: i32) {
        let found = (self.exit, self.outcome.as_str());
        assert_eq!(found, (Some(exit), "unchanged"), "{self:?}");
    }

    /// Nothing of it is loaded, and nothing is wrong with it.
    #[track_caller]
    fn left_alone(&self) {
        let is_fine = matches!(self.exit, Some(0 | 1));
        assert!(is_fine && self.outcome != "loaded", "{self:?}");
    }

    /// Refused because something newer was accepted; that is said.
    #[track_caller]
    fn refused_as_older(&self, exit: i32) {
        self.unchanged(exit);
        let says_so = ["before", "older", "earlier"];
        assert!(
            says_so.iter().any(|word| self.message.contains(word)),
            "{self:?}"
        );
    }
}

/// Gives the announcement to `ingest`.
#[track_caller]
fn ingest(workspace: &Workspace, announcement: &Value) -> Became {
    workspace.write("hook.json", announcement.to_string());
    Became::of(&workspace.run(&["ingest", "hook.json", "--format", "json"]))
}

/// Puts the announcement into the inbox, as received just now, and runs.
#[track_caller]
fn run(workspace: &Workspace, announcement: &Value) -> Became {
    let now = jiff::Timestamp::now().as_millisecond();
    receive(workspace, announcement, now);
    Became::of(&workspace.run(&["run", "--format", "json"]))
}

/// Puts the announcement into the inbox, as received then; each has a name of its own.
fn receive(workspace: &Workspace, announcement: &Value, millis: i64) {
    let folders = ["inbox", "inbox/done", "inbox/bad"].map(|folder| workspace.data().join(folder));
    let count = |folder: &PathBuf| fs::read_dir(folder).map_or(0, |entries| entries.count());
    let number: usize = folders.iter().map(count).sum();
    // The receiver's clock counts microseconds.
    let name = format!("{:020}-{number:064}.json", millis * 1_000);
    workspace.receive(&name, &announcement.to_string());
}

/// Loads a CSV with one row of this amount as `B1`, by hand.
#[track_caller]
fn by_hand(workspace: &Workspace, amount: &str) -> Became {
    let header = "accountId,displayId,type,cardNegative,budgetNegative,currency,statTime";
    let row = format!("6f1b3c1e-0f5b-4a53-9a87-000000000001,01,0,{amount},0,USD,1711785600000");
    workspace.write("rows.csv", format!("{header}\n{row}\n"));
    Became::of(&workspace.run(&["ingest", "rows.csv", "--batch-no", "B1", "--format", "json"]))
}

#[track_caller]
fn command(workspace: &Workspace, arguments: &[&str], exit: i32) -> Ran {
    let ran = workspace.run(arguments);
    assert_eq!(
        ran.exit,
        Some(exit),
        "{arguments:?}: {}{}",
        ran.stdout,
        ran.stderr
    );
    ran
}

/// The one amount that stands.
#[track_caller]
fn stands(workspace: &Workspace, amount: &str) {
    let rows =
        "SELECT card_negative::DECIMAL(18,2)::VARCHAR FROM account_negative WHERE batch_no = 'B1'";
    assert_eq!(workspace.query(rows), [format!("{amount}.00")]);
    let loaded =
        "SELECT count(*)::VARCHAR FROM redledger.batch WHERE batch_no = 'B1' AND state = 'loaded'";
    assert_eq!(workspace.query(loaded), ["1"]);
}

/// `revision state` of every revision in the ledger.
fn history(workspace: &Workspace) -> Vec<String> {
    workspace.query(
        "SELECT revision || ' ' || state FROM redledger.batch WHERE batch_no = 'B1' ORDER BY revision",
    )
}

/// The archive's documents of `B1`, as they are written.
fn documents(workspace: &Workspace) -> BTreeMap<String, String> {
    let folder = workspace.data().join("archive/account_negative/B1");
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            (name.into_owned(), fs::read_to_string(&path).expect("text"))
        })
        .collect()
}

/// Takes the warehouse away, as a lost disk does; the archive is on another one.
fn lose(workspace: &Workspace) {
    for name in ["warehouse.duckdb", "warehouse.duckdb.previous"] {
        let path = workspace.data().join(name);
        if path.exists() {
            fs::remove_file(path).expect("to remove");
        }
    }
}
