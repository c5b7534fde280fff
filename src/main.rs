//! The `redledger` program: parse, set up logging, run, exit.

use std::{
    io::IsTerminal as _,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use clap::FromArgMatches as _;
use redledger::{
    cli::{self, Cli, Global, LogFormat},
    commands,
    error::ExitStatus,
};
use tracing_subscriber::{EnvFilter, fmt};

/// For DuckDB as well (`override`): with glibc freed memory stays with the arena of the thread that had it, and
/// 20 million rows peak about a fifth higher.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // What panics has said so on stderr, and is a fault like any other.
    let ended = catch_unwind(AssertUnwindSafe(run)).unwrap_or(ExitStatus::Fault);
    ExitCode::from(ended.code())
}

fn run() -> ExitStatus {
    if let Some(answered) = commands::complete() {
        return answered;
    }
    let parsed = cli::command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => {
            set_up_logging(&cli.global);
            commands::run(cli)
        }
        Err(instead) => commands::say_instead(&instead),
    }
}

fn set_up_logging(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    // Only this program's own logs: libraries may print URLs with their signatures.
    let filter = EnvFilter::new(format!("redledger={level}"));
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let logs = fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal() && !no_color)
        // What can't be logged is not worth a panic: it would say so on stderr, which is what fails.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match global.log_format {
        LogFormat::Text => logs.with_target(false).init(),
        LogFormat::Json => logs.json().init(),
    }
}
