//! One file per subcommand; this one picks it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod demo;
mod ingest;
mod load_report;
mod output;
mod progress;
mod run;
mod serve;
mod session;

use crate::{
    cli::{Cli, Command, Global},
    config::Config,
    contract::Contracts,
    error::{Error, ExitStatus, Result},
};

/// Runs a command; its result is on stdout.
///
/// # Errors
/// What stopped it. `main` prints it and exits with [`Error::exit_status`].
pub fn run(cli: Cli) -> Result<ExitStatus> {
    let data_dir = cli.global.data_dir.clone();
    let context = Context::new(cli.global)?;
    match cli.command {
        Command::Demo(doing) => demo::run(context, data_dir, &doing),
        Command::Ingest(arguments) => ingest::run(&context, &arguments),
        Command::Run(arguments) => run::run(&context, &arguments),
        Command::Serve(arguments) => serve::run(&context, &arguments),
        _ => Err(Error::usage("not there yet")),
    }
}

/// Prints an error, its causes and its hint to stderr.
pub fn report_error(error: &Error) {
    eprintln!("error: {}", error.chain());
    if let Some(hint) = error.hint() {
        eprintln!("hint: {hint}");
    }
}

/// What every command starts with.
struct Context {
    config: Config,
    contracts: Contracts,
    show_progress: bool,
}

impl Context {
    fn new(global: Global) -> Result<Self> {
        let mut config = Config::load(global.config.as_deref(), std::env::vars())?;
        if let Some(data_dir) = global.data_dir {
            config.data_dir = data_dir;
        }
        let contracts = Contracts::load(config.datasets_dir())?;
        Ok(Self {
            config,
            contracts,
            show_progress: !global.no_progress && !global.quiet,
        })
    }
}
