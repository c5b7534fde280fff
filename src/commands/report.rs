//! `redledger report`: a page as a file.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::Path,
};

use super::{context::Context, output::say, page, progress};
use crate::{
    cli::Report,
    error::{Error, ExitStatus, Result},
    page::{BatchPage, Links, MARK, NightPage},
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
    let (page, said) = made(context, arguments)?;
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
fn made(context: &Context, arguments: &Report) -> Result<(String, &'static str)> {
    let bar = progress::spinner(context.show_progress);
    let step = |what: &str| {
        bar.set_message(what.to_owned());
        bar.tick();
    };
    let choice = page::choice(&arguments.page, Links::Within);
    let dataset = arguments.dataset.as_deref();
    let made = page::look(context, &step, |sources| match &arguments.batch {
        Some(batch) => {
            let page = BatchPage::of(sources, batch, dataset, choice)?;
            Ok((page::rendered(&page)?, "one batch"))
        }
        None => {
            let page = NightPage::of(sources, choice)?;
            Ok((page::rendered(&page)?, page.verdict()))
        }
    });
    bar.finish_and_clear();
    made
}
