//! What is published: for whom, where names can't be changed as usual, and where there was a warehouse before.

mod gone;
mod rights;

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::{
    crash::strace,
    support::program::{Ran, Workspace, finish},
};

const HEADER: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime";
fn csv(amount: u32) -> String {
    format!("{HEADER}\n936da01f-9abd-4d9d-80c7-02af85c822a8,0,-{amount},0,USD,1711785600000\n")
}

fn live(workspace: &Workspace) -> PathBuf {
    workspace.data().join("warehouse.duckdb")
}

fn previous(workspace: &Workspace) -> PathBuf {
    workspace.data().join("warehouse.duckdb.previous")
}

fn ingest<'a>(workspace: &Workspace, batch_no: &'a str, amount: u32) -> [&'a str; 4] {
    workspace.write("rows.csv", csv(amount));
    ["ingest", "rows.csv", "--batch-no", batch_no]
}

/// Runs with calls that name the published file refused, such as `linkat:error=EPERM`.
fn refused(workspace: &Workspace, calls: &[&str], arguments: &[&str]) -> Ran {
    let live = live(workspace).display().to_string();
    let calls: Vec<String> = calls.iter().map(|call| format!("inject={call}")).collect();
    let mut options = vec!["-e", "trace=linkat,renameat2", "-P", &live];
    options.extend(calls.iter().flat_map(|call| ["-e", call]));
    finish(strace::start(workspace, &options, arguments))
}

#[track_caller]
fn load(workspace: &Workspace, batch_no: &str, amount: u32) {
    let ran = workspace.run(&ingest(workspace, batch_no, amount));
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
}

fn batches(workspace: &Workspace) -> Vec<String> {
    workspace.query("SELECT batch_no FROM account_negative ORDER BY ALL")
}

fn says(ran: &Ran, exit: i32, what: &[&str]) {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.exit, Some(exit), "{said}");
    for text in what {
        assert!(said.contains(text), "{text}: {said}");
    }
}

#[test]
fn keep_previous_0_after_a_1_leaves_none_that_is_more_than_one_run_back() {
    for settings in ["keep_previous = 0", "mode = \"in-place\""] {
        let workspace = Workspace::new();
        load(&workspace, "A", 1);
        load(&workspace, "B", 2);
        assert!(previous(&workspace).exists());
        workspace.write("redledger.toml", format!("[warehouse]\n{settings}\n"));
        load(&workspace, "B", 2);
        assert!(previous(&workspace).exists(), "nothing was published");
        load(&workspace, "C", 3);
        assert!(!previous(&workspace).exists(), "{settings}");
        says(&workspace.run(&["rollback"]), 2, &["nothing to roll back"]);
        assert_eq!(batches(&workspace), ["A", "B", "C"]);
    }
}

#[test]
fn where_hard_links_are_refused_names_are_exchanged() {
    if !strace::works() {
        return;
    }
    let workspace = Workspace::new();
    load(&workspace, "A", 1);
    load(&workspace, "B", 2);
    let arguments = ingest(&workspace, "C", 3);
    let no_links = ["linkat:error=EPERM"];
    let ran = refused(&workspace, &no_links, &arguments);
    says(&ran, 0, &["INJECTED"]);
    assert_eq!(batches(&workspace), ["A", "B", "C"]);
    for left in [&["A", "B"][..], &["A", "B", "C"]] {
        let ran = refused(&workspace, &no_links, &["rollback"]);
        says(&ran, 0, &["published again"]);
        assert_eq!(batches(&workspace), left);
    }
    assert_eq!(workspace.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn where_names_can_not_be_exchanged_either_nothing_is_lost() {
    if !strace::works() {
        return;
    }
    let neither = ["linkat:error=EPERM", "renameat2:error=EINVAL"];
    let no_exchange = ["renameat2:error=EINVAL"];
    let workspace = Workspace::new();
    load(&workspace, "A", 1);
    load(&workspace, "B", 2);
    let files = || [live(&workspace), previous(&workspace)].map(|path| fs::read(path).ok());
    let before = files();
    let ran = refused(&workspace, &neither, &["rollback"]);
    says(&ran, 2, &["would be lost; nothing was changed"]);
    assert!(files() == before);
    // What is still published is not withdrawn.
    let withdrawn = fs::read_to_string(workspace.data().join("archive/withdrawn.json"));
    assert!(!withdrawn.expect("written").contains("\"B\""));
    let ran = refused(&workspace, &no_exchange, &["rollback"]);
    says(&ran, 0, &["published again"]);
    assert_eq!(batches(&workspace), ["A"]);
    // A run publishes all the same; what it replaces can't be kept, and neither is an older one.
    let arguments = ingest(&workspace, "C", 3);
    let ran = refused(&workspace, &neither, &arguments);
    says(&ran, 0, &["WARN", "can't be kept"]);
    assert_eq!(batches(&workspace), ["A", "C"]);
    assert!(!previous(&workspace).exists());
}

#[test]
fn what_a_rollback_withdraws_is_written_down_until_it_is_restored() {
    let workspace = Workspace::new();
    load(&workspace, "A", 1);
    load(&workspace, "A", 2);
    let withdrawn = || -> Value {
        let text = fs::read_to_string(workspace.data().join("archive/withdrawn.json"));
        serde_json::from_str(&text.expect("the document")).expect("JSON")
    };
    let dry = workspace.run(&["rollback", "--dry-run"]);
    says(&dry, 0, &["withdrawn: A", "rolling back once more"]);
    assert!(!workspace.data().join("archive/withdrawn.json").exists());
    let ran = workspace.run(&["rollback"]);
    says(&ran, 0, &["withdrawn: A", "a newer announcement"]);
    let document = withdrawn();
    assert_eq!(document["format"], 1);
    assert_eq!(document["withdrawn"][0]["dataset"], "account_negative");
    assert_eq!(document["withdrawn"][0]["batch_no"], "A");
    assert_eq!(document["withdrawn"][0]["revision"], 2);
    assert!(document["withdrawn"][0]["withdrawn_at_us"].is_i64());
    assert_eq!(document["withdrawn"].as_array().map(Vec::len), Some(1));
    says(&workspace.run(&["rollback"]), 0, &["loaded again: A"]);
    assert_eq!(withdrawn()["withdrawn"], serde_json::json!([]));
    // Nobody knows what a file held that can't be read.
    fs::write(live(&workspace), "no database any more").expect("to write");
    let ran = workspace.run(&["rollback"]);
    says(&ran, 0, &["can't be read", "backfill '*'"]);
    assert_eq!(withdrawn()["withdrawn"], serde_json::json!([]));
    // A document that can't be read is a reason to change nothing.
    load(&workspace, "B", 3);
    let document = workspace.data().join("archive/withdrawn.json");
    fs::write(&document, r#"{"format": 2}"#).expect("to write");
    says(
        &workspace.run(&["rollback"]),
        2,
        &["a newer redledger wrote it"],
    );
    assert_eq!(batches(&workspace), ["A", "B"]);
}
