//! What is said of a batch.

use super::super::{context::Context, output::shortened};
use crate::{
    history,
    ledger::{self, BatchRecord, State},
};

/// What a person can do about a batch that is not loaded.
pub(super) fn what_to_do(context: &Context, batch: &BatchRecord) -> Option<String> {
    let (number, given) = (&batch.entry.batch_no, &context.given);
    let dismiss = format!("`redledger dismiss {number} --why TEXT{given}` if it is not wanted");
    Some(match batch.entry.state {
        State::Failed if batch.entry.dataset == ledger::UNKNOWN_DATASET => format!(
            "mend what is named; while its announcement is in the inbox each `redledger run{given}` tries it again; {dismiss}"
        ),
        State::Failed if batch.entry.rows_rejected > 0 => format!(
            "see `redledger rejections {number}{given}`; load what is mended when it is announced again, or with \
             `redledger ingest`; {dismiss}"
        ),
        State::Failed => format!(
            "mend what is named, then have it announced again or use `redledger ingest`; {dismiss}"
        ),
        State::Expired => format!(
            "nothing while it is young, for `redledger run{given}` tries it again; else have it announced again, or `redledger backfill {number} --refetch{given}`; {dismiss}"
        ),
        State::Waiting => format!("nothing: the next `redledger run{given}` tries it again"),
        _ => return None,
    })
}

/// The dataset, or a mark for a batch of which nothing has arrived that shows it.
pub(super) fn dataset_shown(dataset: &str) -> &str {
    if dataset == ledger::UNKNOWN_DATASET {
        "?"
    } else {
        dataset
    }
}

/// Whether somebody or a later run has something to do about it.
pub(super) fn is_open(batch: &BatchRecord) -> bool {
    history::is_open(batch.entry.state)
}

/// The message of a batch that is not loaded, and what of it is in the table all the same.
pub(super) fn explained(batch: &BatchRecord) -> String {
    let said = batch.entry.message.as_deref();
    let mut text = shortened(said.unwrap_or(batch.entry.state.as_str()), 400);
    if let Some(revision) = batch.loaded_revision {
        text += &format!(" (the rows of revision {revision} are still in the table)");
    }
    text
}
