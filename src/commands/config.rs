//! `redledger config check|show`

use std::path::Path;

use super::{
    Context,
    output::{self, say},
};
use crate::{
    cli::{Settings, SettingsFormat},
    config::setting_key,
    error::{Error, ExitStatus, Result},
    source::Fetcher,
};

pub(super) fn run(
    context: &Context,
    file: Option<&Path>,
    arguments: &Settings,
) -> Result<ExitStatus> {
    match arguments {
        Settings::Check => check(context, file)?,
        Settings::Show { format } => show(context, *format)?,
    }
    Ok(ExitStatus::Success)
}

/// The settings and contracts are understood by now; what is left is what only their use would show.
fn check(context: &Context, file: Option<&Path>) -> Result<()> {
    let config = &context.config;
    Fetcher::new(&config.download)?;
    super::ingest::check_events(context)?;
    super::cadence::check(context)?;
    let implicit = Path::new("redledger.toml");
    let file = file.or_else(|| implicit.is_file().then_some(implicit));
    let mut variables: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| setting_key(name).is_some())
        .collect();
    variables.sort();
    let names: Vec<&str> = context
        .contracts
        .iter()
        .map(|contract| contract.name.as_str())
        .collect();
    say!(
        "settings   {}",
        file.map_or("defaults".into(), |file| file.display().to_string())
    );
    if !variables.is_empty() {
        say!("over them  {}", variables.join(", "));
    }
    say!("warehouse  {}", config.warehouse_path().display());
    if let Some(directory) = config.datasets_dir() {
        say!("contracts  shipped, then {}", directory.display());
    }
    say!("datasets   {}: {}", names.len(), names.join(", "));
    say!("OK");
    Ok(())
}

fn show(context: &Context, format: SettingsFormat) -> Result<()> {
    let fault =
        |error: &dyn std::fmt::Display| Error::Internal(format!("writing settings: {error}"));
    match format {
        SettingsFormat::Toml => {
            let text = toml::to_string(&context.config).map_err(|error| fault(&error))?;
            say!("{}", text.trim_end());
            Ok(())
        }
        SettingsFormat::Json => {
            let value = serde_json::to_value(&context.config).map_err(|error| fault(&error))?;
            output::print_json(&value)
        }
    }
}
