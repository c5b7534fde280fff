//! One file per subcommand; this one picks it.

mod archive;
mod backfill;
mod cadence;
mod config;
mod contents;
mod datasets;
mod demo;
mod dismiss;
mod ingest;
mod load_report;
mod manual;
mod output;
mod progress;
mod put_aside;
mod rejections;
mod rollback;
mod run;
mod selection;
mod serve;
mod session;
mod status;
mod verify;

use std::path::{Path, PathBuf};

use self::output::remark;
use crate::{
    cli::{Cli, Command, Datasets, Global, Rollback},
    config::{Config, settings_file},
    contract::Contracts,
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
        return contents::look_at(path);
    }
    let data_dir = cli.global.data_dir.clone();
    let context = Context::new(cli.global)?;
    if !matches!(cli.command, Command::Config(_) | Command::Datasets(_)) {
        ingest::check_events(&context)?;
    }
    match cli.command {
        Command::Demo(doing) => demo::run(context, data_dir, &doing),
        Command::Ingest(arguments) => ingest::run(&context, &arguments),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { subcommand } => manual::man(&subcommand),
        Command::Dismiss(arguments) => dismiss::run(&context, &arguments),
        Command::Run(arguments) => run::run(&context, &arguments),
        Command::Backfill(arguments) => backfill::run(&context, &arguments),
        Command::Archive(arguments) => archive::run(&context, &arguments),
        Command::Serve(arguments) => serve::run(&context, &arguments),
        Command::Status(arguments) => status::run(&context, &arguments),
        Command::Verify(arguments) => verify::run(&context, &arguments),
        Command::Rollback(arguments) => rollback::run(&context, &arguments),
        Command::Rejections(arguments) => rejections::run(&context, &arguments),
        Command::Datasets(arguments) => datasets::run(&context, &arguments),
        Command::Config(arguments) => config::run(&context, &arguments),
    }
}

/// Prints an error, its causes and its hint to stderr.
pub fn report_error(error: &Error) {
    remark!("error: {}", error.chain());
    if let Some(hint) = error.hint() {
        remark!("hint: {hint}");
    }
}

/// The settings in force, and the file that they come from.
fn settings(global: &Global) -> Result<(Config, Option<PathBuf>)> {
    let file = settings_file(global.config.as_deref());
    let mut config = Config::load(file.as_deref(), std::env::vars_os())?;
    if let Some(data_dir) = &global.data_dir {
        config.data_dir.clone_from(data_dir);
    }
    Ok((config, file))
}

/// `--config` and `--data-dir` as a shell takes them, each with a blank in front; nothing for what was not given.
fn given(config: Option<&Path>, data_dir: Option<&Path>) -> String {
    let options = [("--config", config), ("--data-dir", data_dir)];
    let said = options
        .into_iter()
        .filter_map(|(option, path)| Some(format!(" {option}{}", as_word(path?))));
    said.collect()
}

/// A path as a word of a shell's line, with a blank in front.
fn as_word(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    match !path.is_empty() && path.chars().all(is_plain) {
        true => format!(" {path}"),
        false => format!(" '{}'", path.replace('\'', "'\\''")),
    }
}

/// Says on stderr that the ledger has nothing to show.
fn say_nothing_loaded(context: &Context) {
    let warehouse = context.config.warehouse_path();
    remark!("Nothing loaded yet in {}.", warehouse.display());
}

/// What every command starts with.
struct Context {
    config: Config,
    contracts: Contracts,
    /// Where the settings come from; `None`: defaults, and the environment.
    settings_file: Option<PathBuf>,
    /// What the command line says of where things are, for commands that it is told to go on with.
    given: String,
    show_progress: bool,
}

impl Context {
    fn new(global: Global) -> Result<Self> {
        let (config, settings_file) = settings(&global)?;
        let contracts = Contracts::load(config.datasets_dir())?;
        Ok(Self {
            config,
            contracts,
            settings_file,
            given: given(global.config.as_deref(), global.data_dir.as_deref()),
            show_progress: !global.no_progress && !global.quiet,
        })
    }
}
