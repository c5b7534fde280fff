//! `redledger report`: a page as a file.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::Path,
};

use askama::Template as _;

use super::{context::Context, output::say, progress};
use crate::{
    audit,
    cli::{Language, Report},
    clock,
    error::{Error, ExitStatus, Result},
    inbox::Inbox,
    page::{BatchPage, Choice, Lang, Links, MARK, NightPage, Sources},
    run, warehouse,
};

pub(super) fn run(context: &Context, arguments: &Report) -> Result<ExitStatus> {
    let out = &arguments.out;
    let folder = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    check_replaceable(out)?;
    // Only this user reads it, and it is there whole or not at all.
    let mut file = tempfile::Builder::new()
        .prefix(".redledger-report-")
        .tempfile_in(folder)
        .map_err(Error::io("write a report to", folder))?;
    let choice = Choice {
        lang: language(arguments.lang),
        days: arguments.days,
        records: !arguments.no_records,
        links: Links::Within,
    };
    let (page, said) = page(context, arguments, choice)?;
    let failed = |error: io::Error| Error::io("write", out)(error);
    file.write_all(page.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(out).map_err(|error| failed(error.error))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    say!("{}: {said}", out.display());
    Ok(ExitStatus::Success)
}

pub(super) fn language(of: Language) -> Lang {
    match of {
        Language::En => Lang::En,
        Language::Zh => Lang::Zh,
    }
}

/// That nothing is there, or an earlier report.
fn check_replaceable(out: &Path) -> Result<()> {
    let is_report = |path: &Path| -> io::Result<bool> {
        if !fs::symlink_metadata(path)?.is_file() {
            return Ok(false);
        }
        let mut start = Vec::new();
        let file = File::open(path)?;
        file.take(MARK.len() as u64).read_to_end(&mut start)?;
        Ok(start == MARK.as_bytes())
    };
    match is_report(out) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Usage {
            message: format!(
                "{} is there and is no report: it was left as it is",
                out.display()
            ),
            hint: Some("name another file, or move that one away".into()),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("look for", out)(error)),
    }
}

/// The page, and what it says in a word.
fn page(context: &Context, arguments: &Report, choice: Choice) -> Result<(String, &'static str)> {
    let config = &context.config;
    let spill = tempfile::Builder::new()
        .prefix("redledger-report-")
        .tempdir()
        .map_err(Error::io("make a folder in", std::env::temp_dir()))?;
    let connection = warehouse::open_auditing(&config.warehouse_path(), spill.path())?;
    let Some(connection) = connection else {
        audit::check_nothing_loaded(config)?;
        return Err(Error::Usage {
            message: format!(
                "nothing is loaded yet in {}",
                config.warehouse_path().display()
            ),
            hint: Some(
                "see `redledger ingest --help`, or `redledger demo` for a first look".into(),
            ),
        });
    };
    warehouse::limit(&connection, &config.load)?;
    let bar = progress::spinner(context.show_progress);
    let now = clock::now();
    let sources = Sources {
        connection: &connection,
        config,
        contracts: &context.contracts,
        late: run::late(config, &context.contracts, Some(&connection), now)?,
        waiting: Inbox::new(&config.data_dir).waiting()?.len(),
        now,
        step: &|what| {
            bar.set_message(what.to_owned());
            bar.tick();
        },
    };
    let made = match &arguments.batch {
        Some(batch) => {
            let page = BatchPage::of(&sources, batch, arguments.dataset.as_deref(), choice)?;
            (page.render(), "one batch")
        }
        None => {
            let page = NightPage::of(&sources, choice)?;
            (page.render(), page.verdict())
        }
    };
    bar.finish_and_clear();
    drop(connection);
    let (page, said) = made;
    // Into a string: nothing of it can fail.
    let page = page.map_err(|error| Error::io("write", &arguments.out)(io::Error::other(error)))?;
    Ok((page, said))
}
