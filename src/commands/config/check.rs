//! `redledger config check`: what only the use of the settings would show, on this machine and as this user.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use super::super::{
    context::Context,
    output::{remark, say},
    serve,
};
use crate::{
    config::{Config, SignatureScheme, variables_in_force},
    error::{Error, Result},
    provider::Provider,
    run,
    source::Fetcher,
    source_url::SourceUrl,
    views, warehouse,
};

pub(super) fn run(context: &Context) -> Result<()> {
    let config = &context.config;
    let fetcher = Fetcher::new(&config.download)?;
    check_data_dir(&config.data_dir)?;
    warehouse::exists(&config.warehouse_path())?;
    context.check_events()?;
    run::check_cadence(&context.config, &context.contracts)?;
    check_provider(config, &fetcher)?;
    views::check(&config.reporting)?;
    let secret = check_serve(config)?;
    describe(context);
    if let Some(missing) = secret {
        remark!("note: {missing}");
    }
    say!("OK");
    Ok(())
}

fn wrong(place: &str, message: String) -> Error {
    Error::Settings {
        place: place.into(),
        message,
        hint: None,
    }
}

/// It can be written, or made below a folder that can.
fn check_data_dir(data_dir: &Path) -> Result<()> {
    if data_dir.to_str().is_none() {
        let message = format!(
            "{} is not UTF-8, and DuckDB can't open it",
            data_dir.display()
        );
        return Err(wrong("data_dir", message));
    }
    let mut folder = match data_dir.is_absolute() {
        true => data_dir.to_path_buf(),
        false => Path::new(".").join(data_dir),
    };
    loop {
        match folder.metadata() {
            Ok(metadata) if !metadata.is_dir() => {
                return Err(wrong(
                    "data_dir",
                    format!("{} is no folder", folder.display()),
                ));
            }
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_symlink() => {
                let above = folder.parent().map(Path::to_path_buf);
                folder = above.unwrap_or_else(|| PathBuf::from("/"));
            }
            Err(error) => {
                return Err(wrong("data_dir", format!("{}: {error}", folder.display())));
            }
        }
    }
    access(&folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        let error = io::Error::from(error);
        wrong(
            "data_dir",
            format!("{} can't be written: {error}", folder.display()),
        )
    })
}

/// A question could be sent: headers, token, and an address that `[download]` lets through.
fn check_provider(config: &Config, fetcher: &Fetcher) -> Result<()> {
    if Provider::new(&config.provider, |name| std::env::var(name).ok())?.is_none() {
        return Ok(());
    }
    let filled = config
        .provider
        .url
        .replace("{batch_no}", "1")
        .replace("{page}", "1");
    let url = SourceUrl::parse(&filled).map_err(|message| wrong("[provider] url", message))?;
    fetcher
        .allows(&url)
        .map_err(|rule| wrong("[provider] url", format!("{url}: {rule}")))
}

/// The receiver could start, but for a secret that may be in its environment alone: what is missing then.
fn check_serve(config: &Config) -> Result<Option<String>> {
    let serve = &config.serve;
    serve
        .listen
        .addresses()
        .map_err(|error| wrong("[serve] listen", format!("{}: {error}", serve.listen)))?;
    let has_file = !serve.secret_file.as_os_str().is_empty();
    let has_variable = std::env::var_os(&serve.secret_env).is_some();
    if has_file || has_variable || serve.signature == SignatureScheme::None {
        serve::secrets(serve)?;
        return Ok(None);
    }
    Ok(Some(format!(
        "`redledger serve` wants {}, which is not set here",
        serve.secret_env
    )))
}

fn describe(context: &Context) {
    let config = &context.config;
    let file = context.settings_file.as_deref();
    say!(
        "settings   {}",
        file.map_or("defaults".into(), |file| file.display().to_string())
    );
    let variables = variables_in_force();
    if !variables.is_empty() {
        say!("over them  {}", variables.join(", "));
    }
    say!("warehouse  {}", config.warehouse_path().display());
    if let Some(directory) = config.datasets_dir() {
        say!("contracts  shipped, then {}", directory.display());
    }
    let names: Vec<&str> = context
        .contracts
        .iter()
        .map(|contract| contract.name.as_str())
        .collect();
    say!("datasets   {}: {}", names.len(), names.join(", "));
}
