//! What other programs read: metrics, the dictionary, exports.

mod metrics;

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use crate::support::skipped;

/// Runs a tool that `.ci/install-servers` installs; `None`, said, where it can't be had.
fn tool(what: &str, mut command: Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            let program = PathBuf::from(command.get_program());
            skipped(what, &format!("{}: {error}", program.display()));
            None
        }
    }
}

/// What a tool has said, on both streams.
fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|of| String::from_utf8_lossy(of));
    format!("{out}{err}")
}
