//! `redledger config check|show`

mod check;

use serde_json::Value;

use super::{
    context::Context,
    output::{self, Table, say},
};
use crate::{
    cli::{ConfigCommand, Format, SettingsFormat},
    error::{Error, ExitStatus, Result},
};

pub(super) fn run(context: &Context, arguments: &ConfigCommand) -> Result<ExitStatus> {
    match arguments {
        ConfigCommand::Check => check::run(context)?,
        ConfigCommand::Show { format } => show(context, *format)?,
    }
    Ok(ExitStatus::Success)
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
        SettingsFormat::Csv => {
            let value = serde_json::to_value(&context.config).map_err(|error| fault(&error))?;
            let mut table = Table::new(&["setting", "value"]);
            rows(&value, String::new(), &mut table);
            table.print(Format::Csv)
        }
    }
}

/// A setting a row: `download.attempts,8`.
fn rows(value: &Value, name: String, table: &mut Table) {
    match value {
        Value::Object(section) if !section.is_empty() || name.is_empty() => {
            for (key, value) in section {
                let dot = if name.is_empty() { "" } else { "." };
                rows(value, format!("{name}{dot}{key}"), table);
            }
        }
        value => table.push([name.into(), value.clone()]),
    }
}
