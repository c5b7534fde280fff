//! What a run has done, for whoever says it.

use std::path::PathBuf;

use super::cadence::Late;
use crate::{
    error::{Error, ExitStatus},
    pipeline::{Ending, Outcome},
    wording::counted,
};

/// What a command that loads has done.
pub(crate) struct Report<'a> {
    pub(crate) run_id: &'a str,
    pub(crate) warehouse: PathBuf,
    pub(crate) exit: ExitStatus,
    pub(crate) outcomes: &'a [Outcome],
    pub(crate) errors: Vec<&'a Error>,
    /// Whether what `outcomes` say is published: a fault undoes a run.
    pub(crate) published: bool,
    /// Batches that a limit or a signal has kept from being loaded.
    pub(crate) left: &'a [String],
    /// The signal's error.
    pub(crate) stopped: Option<&'a Error>,
    /// Datasets that are late; empty where the command does not look for them.
    pub(crate) late: &'a [Late],
}

/// Rows that this run has rejected.
fn known_rejected(outcome: &Outcome) -> u64 {
    if outcome.outcome == Ending::Unchanged {
        0
    } else {
        outcome.rows_rejected
    }
}

impl Report<'_> {
    /// Such as `2 loaded, 1 failed`.
    pub(crate) fn summary(&self) -> String {
        self.summary_with(self.left.len())
    }

    /// The same while it is not settled which batches are `left`.
    pub(crate) fn summary_with(&self, left: usize) -> String {
        let mut parts: Vec<_> = self.stopped.iter().map(ToString::to_string).collect();
        if !self.published {
            parts.push("nothing is published".into());
        }
        for ending in Ending::ALL {
            let count = self
                .outcomes
                .iter()
                .filter(|of| of.outcome == ending)
                .count();
            if count > 0 {
                parts.push(format!("{count} {}", ending.as_str()));
            }
        }
        if !self.errors.is_empty() {
            parts.push(counted(self.errors.len() as u64, "error"));
        }
        if left > 0 {
            parts.push(format!("{left} left to load"));
        }
        let rejected: u64 = self.outcomes.iter().map(known_rejected).sum();
        if rejected > 0 {
            parts.push(format!("{} rejected", counted(rejected, "row")));
        }
        if parts.is_empty() {
            "nothing to do".into()
        } else {
            parts.join(", ")
        }
    }
}
