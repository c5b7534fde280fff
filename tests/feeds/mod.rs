//! What other programs read: metrics, the dictionary, exports.

mod dictionary;
mod export;
mod lineage;
mod metrics;

use std::{
    env,
    path::PathBuf,
    process::{Command, Output},
};

use crate::support::skipped;

/// A program of the Python environment that `.ci/install-servers` makes.
fn python(program: &str) -> Command {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let programs = cache
        .unwrap_or_default()
        .join("redledger/servers/python/bin");
    Command::new(programs.join(program))
}

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
