//! The page of the nights.

use askama::Template;
use jiff::ToSpan as _;

use super::{
    batch::Batch,
    exposure::Exposure,
    figures::{Ageing, Repayments, reaches},
    format::{Zone, count},
    nights::Nights,
    rejected::Rejected,
    sources::{Choice, Foot, Sources},
    style::{STYLE, policy_within},
    verdict::{Judgment, Verdict, of_state, told_at},
    words::{Lang, Words},
};
use crate::{
    archive::Archive,
    error::Result,
    history,
    ledger::{self, BatchRecord, RejectionFilter, State},
};

/// Most batches that are described.
const BATCHES: usize = 100;

/// Was the night right, and what stands behind it.
#[derive(Template)]
#[template(path = "night.html", config = "src/page/askama.toml")]
pub(crate) struct NightPage {
    lang: Lang,
    w: &'static Words,
    style: &'static str,
    policy: &'static str,
    home: Option<&'static str>,
    title: String,
    judgment: Judgment,
    /// Its class, symbol and words.
    verdict: (&'static str, &'static str, &'static str),
    reaches: Vec<(&'static str, String)>,
    last_run: Option<String>,
    nights: Nights,
    exposure: Option<Exposure>,
    ageing: Option<Ageing>,
    repayments: Option<Repayments>,
    rejected: Rejected,
    records: bool,
    batches: Vec<Batch>,
    more_batches: String,
    foot: Foot,
}

impl NightPage {
    /// Reads all of it.
    ///
    /// # Errors
    /// [`crate::error::Error::Database`] if the engine fails.
    pub(crate) fn of(sources: &Sources<'_>, choice: Choice) -> Result<Self> {
        let (zone, words) = (sources.zone(), choice.words());
        let step = sources.step;
        let today = zone.day(sources.now);
        let after = today.saturating_sub(i32::from(choice.days).days());
        step("batches");
        let batches = batches(sources)?;
        let judgment = Judgment::of(sources, &batches, &zone, choice);
        let recent: Vec<&BatchRecord> = batches
            .iter()
            .filter(|of| zone.day(told_at(of)) > after || of_state(of) == Verdict::NotRight)
            .collect();
        let described = recent
            .iter()
            .take(BATCHES)
            .map(|of| Batch::of_many(sources, of, &zone, choice))
            .collect::<Result<_>>()?;
        step("rejected rows");
        let filter = RejectionFilter {
            since: recent.iter().map(|of| told_at(of)).min(),
            ..RejectionFilter::default()
        };
        let rejected = Rejected::read(sources, &filter, choice)?;
        step("exposure");
        let exposure = Exposure::read(sources, choice)?;
        step("ageing");
        let ageing = Ageing::read(sources, choice)?;
        step("repayments");
        let repayments = Repayments::read(sources, choice)?;
        Ok(Self {
            lang: choice.lang,
            w: words,
            style: STYLE,
            policy: policy_within(),
            home: None,
            title: words.title.to_owned(),
            verdict: shown(judgment.verdict, words),
            reaches: reaches(sources, &zone)?,
            last_run: last_run(sources, &zone, words)?,
            nights: Nights::of(sources, &batches, &zone, choice),
            exposure,
            ageing,
            repayments,
            rejected,
            records: choice.records,
            batches: described,
            more_batches: match recent.len().saturating_sub(BATCHES) {
                0 => String::new(),
                more => count(more as u64),
            },
            foot: Foot::of(sources),
            judgment,
        })
    }

    /// The verdict in words.
    pub(crate) fn verdict(&self) -> &'static str {
        self.verdict.2
    }
}

/// The latest attempt at every batch but those that a person has dismissed; open ones first, then the newest.
fn batches(sources: &Sources<'_>) -> Result<Vec<BatchRecord>> {
    let mut batches = ledger::batches(sources.connection, None)?;
    let dismissed = Archive::new(&sources.config.data_dir).dismissed()?;
    history::mark_dismissed(&mut batches, &dismissed);
    batches.retain(|of| of.entry.state != State::Dismissed);
    batches.sort_by_key(|of| {
        let is_open = of_state(of) == Verdict::NotRight;
        std::cmp::Reverse((is_open, told_at(of)))
    });
    Ok(batches)
}

fn shown(
    verdict: Option<Verdict>,
    words: &'static Words,
) -> (&'static str, &'static str, &'static str) {
    match verdict {
        None => ("none", "·", words.nothing),
        Some(Verdict::Right) => ("ok", "✓", words.right),
        Some(Verdict::RightWithRejected) => ("rejected", "!", words.right_with_rejected),
        Some(Verdict::Late) => ("late", "✗", words.late),
        Some(Verdict::NotRight) => ("open", "✗", words.not_right),
    }
}

fn last_run(sources: &Sources<'_>, zone: &Zone, words: &Words) -> Result<Option<String>> {
    let sql = "SELECT command, epoch_us(finished_at), exit_code FROM redledger.run \
               ORDER BY finished_at DESC, run_id DESC LIMIT 1";
    let runs = sources.ask(sql, &[], |row| {
        let (command, at, status): (String, i64, i32) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let at = zone.time(at);
        Ok(format!("{at}, {command}, {} {status}", words.ended_with))
    })?;
    Ok(runs.into_iter().next())
}
