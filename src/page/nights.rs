//! Nights by datasets, the newest first.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{
    format::{Zone, count},
    sources::{Choice, Sources},
    verdict::{Verdict, of_state, told_at},
};
use crate::ledger::{BatchRecord, UNKNOWN_DATASET};

/// Nights before one has to unfold the rest.
const SHOWN: usize = 14;

/// The grid.
#[derive(Debug)]
pub(super) struct Nights {
    pub(super) datasets: Vec<String>,
    pub(super) shown: Vec<Night>,
    pub(super) earlier: Vec<Night>,
}

/// A row of it: a night, or many in a row without any batch.
#[derive(Debug)]
pub(super) struct Night {
    pub(super) day: Date,
    /// The first of them.
    pub(super) since: Option<Date>,
    pub(super) cells: Vec<Cell>,
}

/// A night's batches of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    /// `ok`, `rejected`, `open`, `late` or `none`.
    pub(super) kind: &'static str,
    /// Which says it without a color.
    pub(super) symbol: &'static str,
    /// Rows loaded; empty where there is no batch.
    pub(super) rows: String,
    /// The same for who does not see it.
    pub(super) said: &'static str,
    /// To the worst batch.
    pub(super) link: Option<String>,
}

impl Nights {
    /// Of the latest attempt at every batch: the last `days` days up to now, no further back than the first batch.
    pub(super) fn of(
        sources: &Sources<'_>,
        batches: &[BatchRecord],
        zone: &Zone,
        choice: Choice,
    ) -> Self {
        let mut at: BTreeMap<(Date, &str), Vec<&BatchRecord>> = BTreeMap::new();
        for batch in batches {
            let day = zone.day(told_at(batch));
            at.entry((day, column(batch))).or_default().push(batch);
        }
        let mut datasets: BTreeSet<&str> = batches.iter().map(column).collect();
        datasets.extend(sources.late.iter().map(|late| late.dataset.as_str()));
        let today = zone.day(sources.now);
        // A batch may be announced for tomorrow.
        let newest = at.keys().map(|(day, _)| *day).max();
        let newest = newest.map_or(today, |day| day.max(today));
        let first = at.keys().map(|(day, _)| *day).min();
        let mut nights: Vec<Night> = newest
            .series(jiff::Span::new().days(-1))
            .take(usize::from(choice.days))
            .take_while(|day| first.is_some_and(|first| *day >= first))
            .map(|day| {
                let cells = datasets.iter().map(|dataset| {
                    let is_late =
                        day == today && sources.late.iter().any(|late| late.dataset == *dataset);
                    let batches = at.get(&(day, *dataset)).map_or(&[][..], |of| &**of);
                    cell(batches, is_late, choice)
                });
                Night {
                    day,
                    since: None,
                    cells: cells.collect(),
                }
            })
            .collect();
        fold_silence(&mut nights);
        let earlier = nights.split_off(nights.len().min(SHOWN));
        Self {
            datasets: datasets.into_iter().map(str::to_owned).collect(),
            shown: nights,
            earlier,
        }
    }
}

/// So many nights without any batch are a row each; more of them are one.
const SILENT_ROWS: usize = 3;

fn fold_silence(nights: &mut Vec<Night>) {
    let is_silent = |night: &Night| night.cells.iter().all(|cell| cell.kind == "none");
    let mut folded: Vec<Night> = Vec::with_capacity(nights.len());
    for run in nights.chunk_by(|a, b| is_silent(a) && is_silent(b)) {
        let since = (run.len() > SILENT_ROWS).then(|| run[run.len() - 1].day);
        let shown = if since.is_some() { 1 } else { run.len() };
        folded.extend(run.iter().take(shown).map(|night| Night {
            day: night.day,
            since,
            cells: night.cells.clone(),
        }));
    }
    *nights = folded;
}

/// A batch whose dataset nothing tells has a column, too.
fn column(batch: &BatchRecord) -> &str {
    match batch.entry.dataset.as_str() {
        UNKNOWN_DATASET => "?",
        dataset => dataset,
    }
}

fn cell(batches: &[&BatchRecord], is_late: bool, choice: Choice) -> Cell {
    let words = choice.words();
    let worst = batches.iter().max_by_key(|batch| of_state(batch));
    let verdict = worst.map(|batch| of_state(batch));
    let (kind, symbol, said) = match (verdict, is_late) {
        (Some(Verdict::NotRight), _) => ("open", "✗", words.state_open),
        (_, true) => ("late", "✗", words.state_late),
        (None, false) => ("none", "·", words.no_batch),
        (Some(Verdict::RightWithRejected), false) => ("rejected", "!", words.state_rejected),
        (Some(_), false) => ("ok", "✓", words.state_ok),
    };
    let rows: u64 = batches.iter().map(|batch| batch.entry.rows_loaded).sum();
    Cell {
        kind,
        symbol,
        rows: match kind {
            "none" => String::new(),
            "late" => words.state_late.to_owned(),
            _ => count(rows),
        },
        said,
        link: worst.map(|batch| {
            let entry = &batch.entry;
            choice.links.batch(&entry.dataset, &entry.batch_no)
        }),
    }
}
