//! Settings from the environment: `REDLEDGER_SECTION__KEY`, laid over those of the file.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::Config;
use crate::{
    error::{Error, Result},
    toml_file,
};

/// What all variables begin with; `__` separates a section from its key.
const PREFIX: &str = "REDLEDGER_";
/// Names the settings file.
const FILE: &str = "REDLEDGER_CONFIG";

/// The settings file: the one given, else that of the variable, else `./redledger.toml` when there is one.
#[must_use]
pub fn settings_file(given: Option<&Path>) -> Option<PathBuf> {
    let named = || {
        let path = std::env::var_os(FILE).filter(|path| !path.is_empty())?;
        Some(PathBuf::from(path))
    };
    let implicit = || Some(PathBuf::from("redledger.toml")).filter(|path| path.is_file());
    given
        .map(Path::to_path_buf)
        .or_else(named)
        .or_else(implicit)
}

/// Variables that are no settings; whether they may be there is known once all settings are.
pub(super) struct Others(Vec<String>);

/// Lays what the environment sets over `table`.
///
/// # Errors
/// [`Error::Settings`] names the variable whose value can't be used.
pub(super) fn overlaid(
    mut table: Table,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(Table, Others)> {
    let defaults = defaults()?;
    let mut others = Vec::new();
    for (name, value) in environment {
        if !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) || name == FILE {
            continue;
        }
        match setting(&defaults, &name) {
            Some((path, default)) => {
                let name = name.to_string_lossy();
                let value = understood(&name, &value, &path, default)?;
                insert(&mut table, &path, value);
            }
            None => others.push(name.to_string_lossy().into_owned()),
        }
    }
    others.sort();
    Ok((table, Others(others)))
}

impl Others {
    /// They hold secrets that `config` or the defaults name.
    ///
    /// # Errors
    /// [`Error::Settings`] names one that does not, and the nearest that would.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        let defaults = Config::default();
        let secrets = [config, &defaults]
            .map(|config| [&*config.serve.secret_env, &*config.provider.token_env]);
        let mut secrets: Vec<&str> = secrets.into_iter().flatten().collect();
        secrets.push(FILE);
        let unknown = self.0.iter().find(|name| !secrets.contains(&name.as_str()));
        let Some(unknown) = unknown else {
            return Ok(());
        };
        let mut known = variables();
        known.extend(secrets.into_iter().map(str::to_owned));
        let key = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
        let keys: Vec<String> = known.iter().map(|name| key(name)).collect();
        let nearest = toml_file::nearest(&key(unknown), keys.iter().map(String::as_str));
        let is_link = ["SERVICE_", "PORT"]
            .iter()
            .any(|link| key(unknown).starts_with(link));
        Err(Error::Settings {
            place: unknown.clone(),
            message: "no setting and no secret is called so".into(),
            hint: Some(match nearest {
                _ if is_link => "Kubernetes makes such variables for a Service: set `enableServiceLinks: false` in \
                                 the pod"
                    .into(),
                Some(nearest) => format!("did you mean `{PREFIX}{nearest}`?"),
                None => "`redledger config show` has all settings; `__` is between section and key".into(),
            }),
        })
    }
}

/// The variables of the environment that set something, by name.
#[must_use]
pub fn variables_in_force() -> Vec<String> {
    let Ok(defaults) = defaults() else {
        return Vec::new();
    };
    let mut names: Vec<String> = std::env::vars_os()
        .filter(|(name, _)| setting(&defaults, name).is_some())
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Every setting with its default: which there are, and of what type.
fn defaults() -> Result<Table> {
    Table::try_from(Config::default())
        .map_err(|error| Error::Internal(format!("the default settings: {error}")))
}

/// All variables that would be understood; a key of a person's own is left out.
fn variables() -> Vec<String> {
    fn below(prefix: &str, table: &Table, names: &mut Vec<String>) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.to_uppercase());
            match value {
                Value::Table(inner) if !inner.is_empty() => {
                    below(&format!("{name}__"), inner, names);
                }
                _ => names.push(name),
            }
        }
    }
    let mut names = Vec::new();
    if let Ok(defaults) = defaults() {
        below(PREFIX, &defaults, &mut names);
    }
    names
}

/// Where the setting is that a variable names, and its default. What follows the name of a map is a key of a person's
/// own, such as an event's type: it keeps its case. A dataset's name has none to keep.
fn setting<'d>(defaults: &'d Table, variable: &OsStr) -> Option<(Vec<String>, &'d Value)> {
    let mut rest = variable.to_str()?.strip_prefix(PREFIX)?;
    let mut table = defaults;
    let mut path = Vec::new();
    loop {
        let (name, after) = match rest.split_once("__") {
            Some((name, after)) => (name, Some(after)),
            None => (rest, None),
        };
        let name = name.to_lowercase();
        let value = table.get(&name)?;
        path.push(name);
        match (value, after) {
            (Value::Table(map), after) if map.is_empty() => {
                let names_datasets = path == ["expected_every"];
                path.extend(after.map(|key| match names_datasets {
                    true => key.to_lowercase(),
                    false => key.to_owned(),
                }));
                return Some((path, value));
            }
            (Value::Table(section), Some(after)) => (table, rest) = (section, after),
            (Value::Table(_), None) | (_, Some(_)) => return None,
            (_, None) => return Some((path, value)),
        }
    }
}

/// The value of a variable, checked by itself so that errors name it. A variable has no type: it is read as TOML if
/// that fits the setting, else as plain text; a list may be written `a,b`.
fn understood(name: &str, value: &OsStr, path: &[String], default: &Value) -> Result<Value> {
    let text = value.to_str().ok_or_else(|| Error::Settings {
        place: name.to_owned(),
        message: "its value is not UTF-8".into(),
        hint: None,
    })?;
    let plain = match default {
        Value::Array(_) => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| Value::String(part.to_owned()))
                .collect(),
        ),
        _ => Value::String(text.to_owned()),
    };
    let mut failure = None;
    for candidate in text.parse::<Value>().ok().into_iter().chain([plain]) {
        let mut only = Table::new();
        insert(&mut only, path, candidate.clone());
        match only.try_into::<Config>() {
            Ok(_) => return Ok(candidate),
            Err(error) => failure = Some(toml_file::settings_error(name.into(), error.message())),
        }
    }
    Err(failure.unwrap_or_else(|| Error::Internal("a variable without candidates".into())))
}

fn insert(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [section, rest @ ..] => {
            let entry = table
                .entry(section.clone())
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}
