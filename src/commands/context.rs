//! What every command starts with.

use std::path::{Path, PathBuf};

use super::{output::remark, progress::ProgressDisplay};
use crate::{
    cli::{Global, LoadOptions},
    config::{Config, settings_file},
    contract::Contracts,
    error::Result,
    run::{Equipment, Run},
};

/// What every command starts with.
pub(super) struct Context {
    pub(super) config: Config,
    pub(super) contracts: Contracts,
    /// Where the settings come from; `None`: defaults, and the environment.
    pub(super) settings_file: Option<PathBuf>,
    /// What the command line says of where things are, for commands that it is told to go on with.
    pub(super) given: String,
    pub(super) show_progress: bool,
}

impl Context {
    pub(super) fn new(global: Global) -> Result<Self> {
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

    /// A run of a command that loads.
    pub(super) fn begin(&self, command: &'static str, options: &LoadOptions) -> Result<Run<'_>> {
        let equipment = Equipment {
            config: &self.config,
            contracts: &self.contracts,
            show: Box::new(|progress| {
                Box::new(ProgressDisplay::start(self.show_progress, progress))
            }),
        };
        Run::begin(equipment, command, options.lock_wait)
    }

    /// That every dataset of `[hook.events]` is one that is announced.
    pub(super) fn check_events(&self) -> Result<()> {
        let events = &self.config.hook.events;
        self.contracts.check_announced(events, "hook.events")
    }

    /// Says on stderr that the ledger has nothing to show.
    pub(super) fn say_nothing_loaded(&self) {
        let warehouse = self.config.warehouse_path();
        remark!("Nothing loaded yet in {}.", warehouse.display());
    }
}

/// The settings in force, and the file that they come from.
pub(super) fn settings(global: &Global) -> Result<(Config, Option<PathBuf>)> {
    settings_of(global.config.as_deref(), global.data_dir.as_deref())
}

/// The same, by `--config` and `--data-dir`.
pub(super) fn settings_of(
    file: Option<&Path>,
    data_dir: Option<&Path>,
) -> Result<(Config, Option<PathBuf>)> {
    let file = settings_file(file);
    let mut config = Config::load(file.as_deref(), std::env::vars_os())?;
    if let Some(data_dir) = data_dir {
        config.data_dir = data_dir.into();
    }
    Ok((config, file))
}

/// `--config` and `--data-dir` as a shell takes them, each with a blank in front; nothing for what was not given.
pub(super) fn given(config: Option<&Path>, data_dir: Option<&Path>) -> String {
    let options = [("--config", config), ("--data-dir", data_dir)];
    let said = options
        .into_iter()
        .filter_map(|(option, path)| Some(format!(" {option}{}", as_word(path?))));
    said.collect()
}

/// A path as a word of a shell's line, with a blank in front.
pub(super) fn as_word(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    match !path.is_empty() && path.chars().all(is_plain) {
        true => format!(" {path}"),
        false => format!(" '{}'", path.replace('\'', "'\\''")),
    }
}
