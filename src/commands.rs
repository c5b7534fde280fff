//! One file per subcommand; this one picks it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod archive;
mod backfill;
mod cadence;
mod config;
mod contents;
mod datasets;
mod demo;
mod ingest;
mod load_report;
mod manual;
mod output;
mod progress;
mod rejections;
mod rollback;
mod run;
mod selection;
mod serve;
mod session;
mod status;
mod verify;

use crate::{
    cli::{Cli, Command, Datasets, Global, Rollback},
    config::Config,
    contract::Contracts,
    error::{Error, ExitStatus, Result},
};

/// Runs a command; its result is on stdout.
///
/// # Errors
/// What stopped it. `main` prints it and exits with [`Error::exit_status`].
pub fn run(cli: Cli) -> Result<ExitStatus> {
    // Contracts that are not in order are what this one is for.
    if let Command::Datasets(Datasets::Check { files }) = &cli.command {
        return datasets::check(&settings(&cli.global)?, files);
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
    let settings_file = cli.global.config.clone();
    let context = Context::new(cli.global)?;
    if !matches!(cli.command, Command::Config(_) | Command::Datasets(_)) {
        ingest::check_events(&context)?;
    }
    match cli.command {
        Command::Demo(doing) => demo::run(context, data_dir, &doing),
        Command::Ingest(arguments) => ingest::run(&context, &arguments),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { subcommand } => manual::man(subcommand.as_deref()),
        Command::Run(arguments) => run::run(&context, &arguments),
        Command::Backfill(arguments) => backfill::run(&context, &arguments),
        Command::Archive(arguments) => archive::run(&context, &arguments),
        Command::Serve(arguments) => serve::run(&context, &arguments),
        Command::Status(arguments) => status::run(&context, &arguments),
        Command::Verify(arguments) => verify::run(&context, &arguments),
        Command::Rollback(arguments) => rollback::run(&context, &arguments),
        Command::Rejections(arguments) => rejections::run(&context, &arguments),
        Command::Datasets(arguments) => datasets::run(&context, &arguments),
        Command::Config(arguments) => config::run(&context, settings_file.as_deref(), &arguments),
    }
}

/// Prints an error, its causes and its hint to stderr.
pub fn report_error(error: &Error) {
    eprintln!("error: {}", error.chain());
    if let Some(hint) = error.hint() {
        eprintln!("hint: {hint}");
    }
}

/// The settings in force.
fn settings(global: &Global) -> Result<Config> {
    let mut config = Config::load(global.config.as_deref(), std::env::vars())?;
    if let Some(data_dir) = &global.data_dir {
        config.data_dir.clone_from(data_dir);
    }
    Ok(config)
}

/// Says on stderr that the ledger has nothing to show.
fn say_nothing_loaded(context: &Context) {
    let warehouse = context.config.warehouse_path();
    eprintln!("Nothing loaded yet in {}.", warehouse.display());
}

/// What every command starts with.
struct Context {
    config: Config,
    contracts: Contracts,
    show_progress: bool,
}

impl Context {
    fn new(global: Global) -> Result<Self> {
        let config = settings(&global)?;
        let contracts = Contracts::load(config.datasets_dir())?;
        Ok(Self {
            config,
            contracts,
            show_progress: !global.no_progress && !global.quiet,
        })
    }
}
