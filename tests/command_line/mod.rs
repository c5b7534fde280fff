//! The command line as people and shells use it: output that goes nowhere, odd names, settings of every kind.

mod completion;
mod output;
mod places;
mod settings;
mod terminal;
mod words;

use std::{fs, process::Command};

use crate::support::program::{Ran, Workspace, finish};

const ROWS: &str = "accountId,accountName,accountEn,displayId,type,cardNegative,budgetNegative,currency,statTime\n\
    6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be001,甲公司,Alpha,0001,0,-12.50,0,USD,1711785600000\n";
/// Two of its three rows are rejected.
const BAD_ROWS: &str = "accountId,accountName,accountEn,displayId,type,cardNegative,budgetNegative,currency,statTime\n\
    6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be001,甲公司,Alpha,0001,0,-12.50,0,USD,1711785600000\n\
    6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be002,乙公司,Beta,0002,1,-0.12345,0,USD,1711785600000\n\
    6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be003,丙公司,Gamma,0003,1,-1.00,0,EUR,1711785600\n";

/// A warehouse with one batch that is loaded and one that has failed, and files of all kinds to name.
fn loaded() -> Workspace {
    let workspace = Workspace::new();
    let good = workspace.write("good.csv", ROWS);
    let bad = workspace.write("bad.csv", BAD_ROWS);
    assert_eq!(
        workspace
            .run(&["ingest", &good, "--batch-no", "BATCH_20260330163600"])
            .exit,
        Some(0)
    );
    assert_eq!(
        workspace
            .run(&["ingest", &bad, "--batch-no", "BATCH_20260331163600"])
            .exit,
        Some(1)
    );
    workspace
}

/// The program under test, with what a test adds to its call.
fn called(workspace: &Workspace, arguments: &[&str], with: impl FnOnce(&mut Command)) -> Ran {
    let mut command = workspace.command(env!("CARGO_BIN_EXE_redledger"));
    command.args(arguments);
    with(&mut command);
    finish(command.spawn().expect("the program starts"))
}

/// What a shell makes of a line; `redledger` is the program under test.
fn shell(workspace: &Workspace, line: &str) -> Ran {
    let mut command = workspace.command("bash");
    let line = format!(
        "redledger() {{ '{}' \"$@\"; }}; {line}",
        env!("CARGO_BIN_EXE_redledger")
    );
    command.args(["-c", &line]);
    finish(command.spawn().expect("a shell"))
}

/// An empty inbox, as the receiver makes it.
fn with_inbox() -> Workspace {
    let workspace = Workspace::new();
    fs::create_dir_all(workspace.data().join("inbox")).expect("an inbox");
    workspace
}
