//! What a run publishes, and what it leaves as it is: the file's mode and group, the one before it, somebody else's work.

mod holders;
mod rights;
mod steps;

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use crate::support::program::{Ran, Workspace};

const HEADER: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime";

fn csv(amount: &str) -> String {
    let row = format!("936da01f-9abd-4d9d-80c7-02af85c822a8,0,{amount},0,USD,1711785600000");
    format!("{HEADER}\n{row}\n")
}

/// Loads a batch of one row.
#[track_caller]
fn load(workspace: &Workspace, batch_no: &str, amount: &str) -> Ran {
    workspace.write("rows.csv", csv(amount));
    let ran = workspace.run(&["ingest", "rows.csv", "--batch-no", batch_no]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    ran
}

fn live(workspace: &Workspace) -> PathBuf {
    workspace.data().join("warehouse.duckdb")
}

fn previous(workspace: &Workspace) -> PathBuf {
    workspace.data().join("warehouse.duckdb.previous")
}

fn amounts(workspace: &Workspace) -> Vec<String> {
    workspace.query("SELECT batch_no || card_negative FROM account_negative ORDER BY ALL")
}

/// Its inode and bytes.
fn identity(path: &PathBuf) -> (u64, Vec<u8>) {
    let inode = fs::metadata(path).expect("the file").ino();
    (inode, fs::read(path).expect("the file"))
}
