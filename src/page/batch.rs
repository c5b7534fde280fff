//! A batch: its history, files, controls. Unfolded within a night's page, or a page of its own.

use askama::Template;

use super::{
    format::{Zone, anchor, count},
    rejected::Rejected,
    sources::{Choice, Foot, Sources},
    style::{STYLE, policy_within},
    verdict::{Verdict, of_state, told_at},
    words::{Lang, Words},
};
use crate::{
    error::{Error, Result},
    ledger::{self, BatchRecord, Control, FileEntry, RejectionFilter, State},
    load::ControlName,
};

/// Most files that are listed in a night's page, and in a batch's own.
const FILES_OF_MANY: usize = 10;
const FILES: usize = 200;
/// Digits of a hash beside others.
const HASH_SHOWN: usize = 12;

/// A batch in figures and words.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) anchor: String,
    pub(super) batch_no: String,
    pub(super) dataset: String,
    /// As a cell of the grid.
    pub(super) kind: &'static str,
    pub(super) symbol: &'static str,
    pub(super) night: String,
    pub(super) state: &'static str,
    pub(super) rows: String,
    pub(super) rejected: String,
    pub(super) message: String,
    pub(super) history: Vec<Revision>,
    pub(super) files: Vec<File>,
    pub(super) more_files: String,
    pub(super) controls: Vec<Checked>,
    /// The command that shows more.
    pub(super) command: String,
}

/// An attempt at it.
#[derive(Debug)]
pub(super) struct Revision {
    pub(super) revision: i32,
    pub(super) state: &'static str,
    pub(super) announced: String,
    pub(super) read: String,
    pub(super) rows: String,
    pub(super) rejected: String,
    pub(super) difference: String,
    pub(super) accepted: String,
    pub(super) written: String,
}

/// A file it came in.
#[derive(Debug)]
pub(super) struct File {
    pub(super) file_id: i64,
    pub(super) link: Option<String>,
    pub(super) url: String,
    pub(super) bytes: String,
    pub(super) rows: String,
    pub(super) rejected: String,
    pub(super) hash: String,
}

/// A control.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) name: String,
    pub(super) expected: String,
    pub(super) actual: String,
    pub(super) kind: &'static str,
    pub(super) result: &'static str,
}

impl Batch {
    /// Of its latest attempt.
    pub(super) fn read(
        sources: &Sources<'_>,
        latest: &BatchRecord,
        most_files: usize,
        zone: &Zone,
        choice: Choice,
    ) -> Result<Self> {
        let (connection, entry) = (sources.connection, &latest.entry);
        let words = choice.words();
        let (dataset, batch_no) = (entry.dataset.as_str(), entry.batch_no.as_str());
        let child = sources.contracts.child_of(dataset);
        let datasets: Vec<&str> = std::iter::once(dataset)
            .chain(child.map(|child| child.name.as_str()))
            .collect();
        let files = ledger::files(connection, &datasets, batch_no, entry.revision)?;
        let controls = ledger::controls(connection, dataset, batch_no, entry.revision)?;
        let revisions = ledger::revisions(connection, batch_no, Some(dataset))?;
        let more = files.len().saturating_sub(most_files);
        let (kind, symbol) = match of_state(latest) {
            Verdict::NotRight => ("open", "✗"),
            Verdict::RightWithRejected => ("rejected", "!"),
            Verdict::Late | Verdict::Right => ("ok", "✓"),
        };
        Ok(Self {
            anchor: anchor(dataset, batch_no),
            kind,
            symbol,
            night: zone.day(told_at(latest)).to_string(),
            state: state(entry.state, words),
            rows: count(entry.rows_loaded),
            rejected: count(entry.rows_rejected),
            message: entry.message.clone().unwrap_or_default(),
            history: revisions
                .iter()
                .map(|of| revision(of, zone, words))
                .collect(),
            files: files
                .iter()
                .take(most_files)
                .map(|of| file(of, choice))
                .collect(),
            more_files: match more {
                0 => String::new(),
                more => count(more as u64),
            },
            controls: controls.iter().map(|of| checked(of, words)).collect(),
            command: format!("redledger status {batch_no}"),
            batch_no: batch_no.to_owned(),
            dataset: dataset.to_owned(),
        })
    }

    /// As one of many.
    pub(super) fn of_many(
        sources: &Sources<'_>,
        latest: &BatchRecord,
        zone: &Zone,
        choice: Choice,
    ) -> Result<Self> {
        Self::read(sources, latest, FILES_OF_MANY, zone, choice)
    }
}

fn revision(of: &BatchRecord, zone: &Zone, words: &Words) -> Revision {
    let entry = &of.entry;
    let is_compared = matches!(entry.state, State::Loaded | State::Superseded);
    let difference = entry.difference;
    Revision {
        revision: entry.revision,
        state: state(entry.state, words),
        announced: entry.rows_expected.map_or_else(String::new, count),
        read: count(entry.rows_read),
        rows: count(entry.rows_loaded),
        rejected: count(entry.rows_rejected),
        difference: match is_compared {
            true => format!(
                "+{} −{} ~{}",
                difference.added, difference.removed, difference.changed
            ),
            false => String::new(),
        },
        accepted: entry
            .accepted_at
            .or(entry.announced_at)
            .map_or_else(String::new, |at| zone.time(at)),
        written: zone.time(of.written_at),
    }
}

fn file(of: &FileEntry, choice: Choice) -> File {
    let hash = of.content_hash.iter().flat_map(|hash| hash.chars());
    File {
        file_id: of.file_id,
        link: choice.links.line(of.file_id, 1),
        url: of.url.clone(),
        bytes: count(of.bytes),
        rows: count(of.rows_loaded),
        rejected: count(of.rows_rejected),
        hash: hash.take(HASH_SHOWN).collect(),
    }
}

fn checked(of: &Control, words: &Words) -> Checked {
    let is_figure = matches!(
        ControlName::parse(&of.name),
        Some(ControlName::Broken(_) | ControlName::Sum(_))
    );
    let (kind, result) = match (of.passed, &of.expected, is_figure) {
        (true, Some(_), _) => ("ok", words.agrees),
        (true, None, _) => ("none", words.noted),
        (false, _, true) => ("rejected", words.differs),
        (false, _, false) => ("open", words.differs),
    };
    Checked {
        name: of.name.clone(),
        expected: of.expected.clone().unwrap_or_default(),
        actual: of.actual.clone(),
        kind,
        result,
    }
}

fn state(of: State, words: &Words) -> &'static str {
    match of {
        State::Loaded => words.loaded,
        State::Superseded => words.superseded,
        State::Failed => words.failed,
        State::Waiting => words.waiting,
        State::Expired => words.expired,
        State::Dismissed => words.dismissed,
    }
}

/// The page of one batch.
#[derive(Template)]
#[template(path = "batch.html", config = "src/page/askama.toml")]
pub(crate) struct BatchPage {
    lang: Lang,
    w: &'static Words,
    style: &'static str,
    policy: &'static str,
    home: Option<&'static str>,
    title: String,
    batches: Vec<Batch>,
    rejected: Rejected,
    records: bool,
    foot: Foot,
}

impl BatchPage {
    /// Of the batches with this number, of `dataset` if given.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is none; [`Error::Database`] if the engine fails.
    pub(crate) fn of(
        sources: &Sources<'_>,
        batch_no: &str,
        dataset: Option<&str>,
        choice: Choice,
    ) -> Result<Self> {
        let mut latest = ledger::revisions(sources.connection, batch_no, dataset)?;
        latest.dedup_by(|later, first| later.entry.dataset == first.entry.dataset);
        if latest.is_empty() {
            return Err(Error::Usage {
                message: format!("there is no batch `{batch_no}`"),
                hint: Some("`redledger status` lists them".into()),
            });
        }
        let zone = sources.zone();
        let batches = latest
            .iter()
            .map(|of| Batch::read(sources, of, FILES, &zone, choice))
            .collect::<Result<_>>()?;
        let filter = RejectionFilter {
            batch_no: Some(batch_no.to_owned()),
            ..RejectionFilter::default()
        };
        Ok(Self {
            lang: choice.lang,
            w: choice.words(),
            style: STYLE,
            policy: policy_within(),
            home: choice.links.home(),
            title: batch_no.to_owned(),
            batches,
            rejected: Rejected::read(sources, &filter, choice)?,
            records: choice.records,
            foot: Foot::of(sources),
        })
    }
}
