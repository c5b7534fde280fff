//! The page of a file: its lines as they were delivered, from the archive.

use askama::Template;

use super::{
    format::count,
    sources::{Choice, Foot, Sources},
    style::{STYLE, policy_within},
    words::{Lang, Words},
};
use crate::{
    archive::Archive,
    cells,
    error::{Error, Result},
    ledger,
    source_url::redacted,
};

/// Lines of a page.
const LINES: u64 = 200;
/// Of them before the one that is asked for.
const BEFORE: u64 = 20;

/// A line.
#[derive(Debug)]
struct Shown {
    number: u64,
    text: String,
}

/// A file's lines around one of them. Queries of URLs are masked.
#[derive(Template)]
#[template(path = "file.html", config = "src/page/askama.toml")]
pub(crate) struct FilePage {
    lang: Lang,
    w: &'static Words,
    style: &'static str,
    policy: &'static str,
    home: Option<&'static str>,
    title: String,
    batch_no: String,
    batch_link: String,
    dataset: String,
    url: String,
    bytes: String,
    hash: String,
    lines: Vec<Shown>,
    previous: Option<String>,
    next: Option<String>,
    foot: Foot,
}

impl FilePage {
    /// Of the lines around `line`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a file that the ledger does not have, or whose bytes are not kept; [`Error::Io`] when they
    /// can't be read.
    pub(crate) fn of(
        sources: &Sources<'_>,
        file_id: i64,
        line: u64,
        choice: Choice,
    ) -> Result<Self> {
        let missing = |message: String| Error::Usage {
            message,
            hint: None,
        };
        let (file, batch_no, _) = ledger::file(sources.connection, file_id)?
            .ok_or_else(|| missing(format!("the ledger has no file {file_id}")))?;
        let path = file
            .archive_path
            .as_ref()
            .map(|path| Archive::new(&sources.config.data_dir).place(path))
            .filter(|path| path.exists())
            .ok_or_else(|| missing(format!("the bytes of file {file_id} are not kept")))?;
        let first = line.saturating_sub(BEFORE).max(1);
        let encoding = file.encoding.as_deref().unwrap_or("UTF-8");
        let (lines, is_more) = cells::lines(&path, encoding, first, LINES as usize)
            .map_err(Error::io("read", &path))?;
        let page_at = |line: u64| choice.links.line(file_id, line);
        let contract = sources.contracts.get(&file.dataset);
        let owner = contract.map_or(file.dataset.as_str(), |of| of.entered_under());
        Ok(Self {
            lang: choice.lang,
            w: choice.words(),
            style: STYLE,
            policy: policy_within(),
            home: choice.links.home(),
            title: format!("{} {file_id}", choice.words().file),
            batch_link: choice.links.batch(owner, &batch_no),
            batch_no,
            dataset: file.dataset,
            url: file.url,
            bytes: count(file.bytes),
            hash: file.content_hash.unwrap_or_default(),
            lines: lines
                .into_iter()
                .map(|line| Shown {
                    number: line.number,
                    text: redacted(&line.text).into_owned(),
                })
                .collect(),
            previous: (first > 1)
                .then(|| page_at(first.saturating_sub(LINES - BEFORE).max(1)))
                .flatten(),
            next: is_more.then(|| page_at(first + LINES + BEFORE)).flatten(),
            foot: Foot::of(sources),
        })
    }
}
