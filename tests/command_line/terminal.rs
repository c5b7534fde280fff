//! What people see on a terminal, 80 places wide or 120.

use super::loaded;
use crate::support::{
    program::{Ran, Workspace, finish},
    skipped,
};

/// What a command shows on a terminal so wide; `None` where there is no `script` to make one.
fn on_a_terminal(workspace: &Workspace, columns: usize, line: &str) -> Option<Ran> {
    let mut command = workspace.command("script");
    let program = env!("CARGO_BIN_EXE_redledger");
    let line = format!(
        "stty cols {columns} rows 40; {}",
        line.replace("redledger", program)
    );
    command.args(["-qec", &line, "/dev/null"]);
    match command.spawn() {
        Ok(child) => Some(finish(child)),
        Err(error) => {
            skipped("a terminal", &format!("there is no `script`: {error}"));
            None
        }
    }
}

#[test]
fn ingest_from_a_terminal_says_that_it_waits() {
    let workspace = Workspace::new();
    // The terminal ends when nothing more is typed.
    if let Some(ran) = on_a_terminal(&workspace, 80, "redledger ingest -") {
        assert!(
            ran.stdout.contains("from the terminal; Ctrl-D"),
            "{}",
            ran.stdout
        );
    }
    let _ = loaded;
}
