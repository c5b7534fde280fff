//! One file per subcommand; this one picks it.

mod archive;
mod backfill;
mod completion;
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
mod version;

use self::context::{Context, settings};
pub use self::output::report_error;
use clap::error::ErrorKind;

use crate::{
    cli::{Cli, Command, Datasets, Rollback},
    error::{Error, ExitStatus, Result},
};

/// Answers a shell that asks what may be typed next; `None` where a command is to be run.
#[must_use]
pub fn complete() -> Option<ExitStatus> {
    match completion::answer()? {
        Ok(status) => Some(output::finished(status)),
        Err(error) => Some(say_instead(&error)),
    }
}

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
    let asks_for_more =
        || version::is_verbose(std::env::args_os().map(|word| word.to_string_lossy().into_owned()));
    if instead.kind() == ErrorKind::DisplayVersion && asks_for_more() {
        let said = version::verbose();
        return output::finished(said.map_or_else(
            |error| {
                report_error(&error);
                error.exit_status()
            },
            |text| {
                output::print_bytes(text.as_bytes());
                ExitStatus::Success
            },
        ));
    }
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
    let Cli { command, global } = cli;
    let data_dir = global.data_dir.clone();
    let context = || {
        let context = Context::new(global.clone())?;
        context.check_events()?;
        Ok::<_, Error>(context)
    };
    match command {
        // These need no settings, and must not fail by them.
        Command::Completions { shell } => completion::script(shell),
        Command::Man { subcommand } => manual::man(&subcommand),
        Command::Rollback(Rollback {
            look_at: Some(path),
            ..
        }) => crate::run::look_at(&path),
        // What is not in order is what these are for.
        Command::Datasets(Datasets::Check { files }) => {
            datasets::check(&settings(&global)?.0, &files)
        }
        Command::Datasets(arguments) => datasets::run(&Context::new(global)?, &arguments),
        Command::Config(arguments) => config::run(&Context::new(global)?, &arguments),
        Command::Demo(doing) => demo::run(context()?, data_dir, &doing),
        Command::Ingest(arguments) => ingest::run(&context()?, &arguments),
        Command::Dismiss(arguments) => dismiss::run(&context()?, &arguments),
        Command::Run(arguments) => self::run::run(&context()?, &arguments),
        Command::Backfill(arguments) => backfill::run(&context()?, &arguments),
        Command::Archive(arguments) => archive::run(&context()?, &arguments),
        Command::Serve(arguments) => serve::run(&context()?, &arguments),
        Command::Status(arguments) => status::run(&context()?, &arguments),
        Command::Verify(arguments) => verify::run(&context()?, &arguments),
        Command::Rollback(arguments) => rollback::run(&context()?, &arguments),
        Command::Rejections(arguments) => rejections::run(&context()?, &arguments),
        Command::Report(arguments) => report::run(&context()?, &arguments),
        Command::Trace(arguments) => trace::run(&context()?, &arguments),
        Command::Ui(arguments) => ui::run(&context()?, &arguments),
        Command::Dictionary(arguments) => dictionary::run(&context()?, &arguments),
        Command::Export(arguments) => export::run(&context()?, &arguments),
    }
}
