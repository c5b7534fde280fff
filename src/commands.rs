//! One file per subcommand; this one picks it.

mod archive;
mod backfill;
mod config;
mod connections;
mod context;
mod datasets;
mod demo;
mod dictionary;
mod dismiss;
mod export;
mod ingest;
mod lineage;
mod load_report;
mod manual;
mod metrics;
mod output;
mod page;
mod progress;
mod rejections;
mod report;
mod rollback;
mod run;
mod serve;
mod signals;
mod status;
mod trace;
mod ui;
mod verify;

use self::context::{Context, settings};
pub use self::output::report_error;
use crate::{
    cli::{Cli, Command, Datasets, Rollback},
    error::{Error, ExitStatus, Result},
};

/// Runs a command. Its result is on stdout, what stopped it on stderr.
pub fn run(cli: Cli) -> ExitStatus {
    let is_serve = matches!(cli.command, Command::Serve(_));
    let status = result(cli).unwrap_or_else(|error| {
        report_error(&error);
        match error {
            // Whoever starts the receiver again and again must know when that is in vain.
            Error::Settings { .. } if is_serve => ExitStatus::Settings,
            error => error.exit_status(),
        }
    });
    output::finished(status)
}

/// Prints what is asked for in place of a command (help, the version), or why the command line is not understood.
pub fn say_instead(instead: &clap::Error) -> ExitStatus {
    let printed = instead.print();
    if instead.use_stderr() {
        return ExitStatus::Fault;
    }
    if let Err(error) = printed {
        output::note_lost(error);
    }
    output::finished(ExitStatus::Success)
}

fn result(cli: Cli) -> Result<ExitStatus> {
    // Contracts that are not in order are what this one is for.
    if let Command::Datasets(Datasets::Check { files }) = &cli.command {
        return datasets::check(&settings(&cli.global)?.0, files);
    }
    // It needs no settings, and must not fail by them.
    if let Command::Rollback(Rollback {
        look_at: Some(path),
        ..
    }) = &cli.command
    {
        return crate::run::look_at(path);
    }
    let data_dir = cli.global.data_dir.clone();
    let context = Context::new(cli.global)?;
    if !matches!(cli.command, Command::Config(_) | Command::Datasets(_)) {
        context.check_events()?;
    }
    match cli.command {
        Command::Demo(doing) => demo::run(context, data_dir, &doing),
        Command::Ingest(arguments) => ingest::run(&context, &arguments),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { subcommand } => manual::man(&subcommand),
        Command::Dismiss(arguments) => dismiss::run(&context, &arguments),
        Command::Run(arguments) => self::run::run(&context, &arguments),
        Command::Backfill(arguments) => backfill::run(&context, &arguments),
        Command::Archive(arguments) => archive::run(&context, &arguments),
        Command::Serve(arguments) => serve::run(&context, &arguments),
        Command::Status(arguments) => status::run(&context, &arguments),
        Command::Verify(arguments) => verify::run(&context, &arguments),
        Command::Rollback(arguments) => rollback::run(&context, &arguments),
        Command::Rejections(arguments) => rejections::run(&context, &arguments),
        Command::Report(arguments) => report::run(&context, &arguments),
        Command::Trace(arguments) => trace::run(&context, &arguments),
        Command::Ui(arguments) => ui::run(&context, &arguments),
        Command::Dictionary(arguments) => dictionary::run(&context, &arguments),
        Command::Export(arguments) => export::run(&context, &arguments),
        Command::Datasets(arguments) => datasets::run(&context, &arguments),
        Command::Config(arguments) => config::run(&context, &arguments),
    }
}
