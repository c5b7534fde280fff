//! Was the night right? One word, and the reasons for it.

use jiff::civil::Date;

use super::{
    format::{Zone, count},
    sources::{Choice, Sources},
};
use crate::{
    history,
    ledger::{BatchRecord, State},
};

/// Most reasons that are named.
const REASONS: usize = 12;

/// Ordered from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Right,
    RightWithRejected,
    Late,
    NotRight,
}

/// Why the verdict is what it is, or what is worth knowing beside it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) verdict: Verdict,
    /// What it is about, and where a link to that leads.
    pub(super) about: String,
    pub(super) link: Option<String>,
    /// In the page's language.
    pub(super) text: String,
    /// As the ledger has it.
    pub(super) message: String,
}

/// The first line of the page.
#[derive(Debug)]
pub(super) struct Judgment {
    /// `None`: nothing was ever loaded.
    pub(super) verdict: Option<Verdict>,
    /// The last day on which a batch was announced.
    pub(super) night: Option<Date>,
    /// The worst first.
    pub(super) reasons: Vec<Reason>,
    /// Those that are not named.
    pub(super) more: usize,
}

impl Judgment {
    /// Of the latest attempt at every batch. A batch that is open keeps a night from being right until somebody has seen
    /// to it, however old it is; rejected rows are a matter of their night.
    pub(super) fn of(
        sources: &Sources<'_>,
        batches: &[BatchRecord],
        zone: &Zone,
        choice: Choice,
    ) -> Self {
        let night = batches.iter().map(|batch| zone.day(told_at(batch))).max();
        let mut reasons: Vec<Reason> = batches
            .iter()
            .filter_map(|batch| {
                let is_of_night = Some(zone.day(told_at(batch))) == night;
                of_batch(batch, is_of_night, choice)
            })
            .collect();
        reasons.extend(late(sources, zone, choice));
        if sources.waiting > 0 {
            reasons.push(Reason {
                verdict: Verdict::Right,
                about: count(sources.waiting as u64),
                link: None,
                text: choice.words().inbox_waits.into(),
                message: String::new(),
            });
        }
        // The newest of a kind first: that is how batches come.
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.verdict));
        let verdict = reasons.iter().map(|reason| reason.verdict).max();
        let more = reasons.len().saturating_sub(REASONS);
        reasons.truncate(REASONS);
        let is_empty = batches.is_empty() && sources.late.is_empty();
        Self {
            verdict: (!is_empty).then_some(verdict.unwrap_or(Verdict::Right)),
            night,
            reasons,
            more,
        }
    }
}

/// When it was announced, or else written: the night that it belongs to.
pub(super) fn told_at(batch: &BatchRecord) -> i64 {
    batch.entry.announced_at.unwrap_or(batch.written_at)
}

/// What one batch does to the verdict.
pub(super) fn of_state(batch: &BatchRecord) -> Verdict {
    match batch.entry.state {
        state if history::is_open(state) => Verdict::NotRight,
        State::Loaded if batch.entry.rows_rejected > 0 => Verdict::RightWithRejected,
        _ => Verdict::Right,
    }
}

fn of_batch(batch: &BatchRecord, is_of_night: bool, choice: Choice) -> Option<Reason> {
    let (entry, words) = (&batch.entry, choice.words());
    let verdict = of_state(batch);
    let text = match (verdict, entry.state) {
        (Verdict::NotRight, State::Waiting) => words.is_waiting.to_owned(),
        (Verdict::NotRight, State::Expired) => words.is_expired.to_owned(),
        (Verdict::NotRight, _) => words.is_failed.to_owned(),
        (Verdict::RightWithRejected, _) if is_of_night => {
            format!("{} {}", count(entry.rows_rejected), words.rows_rejected_in)
        }
        _ => return None,
    };
    let message = match verdict {
        Verdict::NotRight => entry.message.clone().unwrap_or_default(),
        _ => String::new(),
    };
    Some(Reason {
        verdict,
        about: entry.batch_no.clone(),
        link: Some(choice.links.batch(&entry.dataset, &entry.batch_no)),
        text,
        message,
    })
}

fn late(sources: &Sources<'_>, zone: &Zone, choice: Choice) -> Vec<Reason> {
    let words = choice.words();
    let late = sources.late.iter().map(|late| {
        let since = match late.newest_at() {
            Some(at) => format!("{} {}", words.newest_is_of, zone.time(at)),
            None => words.none_ever.to_owned(),
        };
        Reason {
            verdict: Verdict::Late,
            about: late.dataset.clone(),
            link: None,
            text: format!("{}: {since}", words.is_late),
            message: String::new(),
        }
    });
    late.collect()
}
