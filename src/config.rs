//! Settings: defaults, then a file, then the environment; flags come last, in `commands`.
//!
//! `config/redledger.toml` documents every key and holds the defaults. Unknown keys are errors, wherever
//! they come from. No secret is ever a setting: settings name the variable or the file that holds it.

mod check;
mod environment;
mod listen;
mod quantities;
mod sections;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

pub use self::{
    environment::{settings_file, variables_in_force},
    listen::Listen,
    quantities::{ByteSize, Interval, Rate, parse_duration},
    sections::{
        ArchiveConfig, Config, DownloadConfig, HookConfig, InboxConfig, LoadConfig, Method,
        ProviderConfig, ServeConfig, SignatureScheme, WarehouseConfig, WarehouseMode,
    },
};
use crate::{
    error::{Error, Result},
    toml_file,
};

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "./data".into(),
            datasets_dir: PathBuf::new(),
            warehouse: WarehouseConfig::default(),
            load: LoadConfig::default(),
            download: DownloadConfig::default(),
            hook: HookConfig::default(),
            expected_every: BTreeMap::new(),
            serve: ServeConfig::default(),
            inbox: InboxConfig::default(),
            archive: ArchiveConfig::default(),
            provider: ProviderConfig::default(),
        }
    }
}

impl Config {
    /// Defaults, then `file` (see [`settings_file`]), then the environment.
    ///
    /// # Errors
    /// [`Error::Settings`] names the file and line, the variable, or the setting whose value could only fail.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self> {
        let mut table = toml::Table::new();
        if let Some(path) = file {
            let place = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| Error::Settings {
                place: place.clone(),
                message: format!("the settings can't be read: {error}"),
                hint: None,
            })?;
            // Alone first: a mistake in the file is reported with its line.
            let _: Self = toml_file::parse(&place, &text)?;
            table = toml_file::parse(&place, &text)?;
        }
        let (table, others) = environment::overlaid(table, environment)?;
        let config: Self = table.try_into().map_err(|error: toml::de::Error| {
            toml_file::settings_error("settings".into(), error.message())
        })?;
        others.check(&config)?;
        check::check(&config)?;
        Ok(config)
    }

    /// `datasets_dir`, unless it is empty.
    #[must_use]
    pub fn datasets_dir(&self) -> Option<&Path> {
        (!self.datasets_dir.as_os_str().is_empty()).then_some(self.datasets_dir.as_path())
    }

    /// The file that analysts open; where it is a link, the file that this leads to: that one is replaced.
    #[must_use]
    pub fn warehouse_path(&self) -> PathBuf {
        let path = self.data_dir.join("warehouse.duckdb");
        match path.is_symlink() {
            // One that leads nowhere is refused by whoever opens it.
            true => path.canonicalize().unwrap_or(path),
            false => path,
        }
    }

    /// Where delivered files are kept.
    #[must_use]
    pub fn archive_dir(&self) -> PathBuf {
        self.data_dir.join("archive")
    }
}

#[cfg(test)]
mod tests;
