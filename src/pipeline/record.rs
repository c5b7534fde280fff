//! What the ledger is to have of a batch.

use super::{
    failure::Failure,
    judge::Judged,
    outcome::{Ending, Outcome},
};
use crate::{
    batch::Batch,
    error::{ExitStatus, Result},
    ledger::{self, Attempt, BatchEntry, Control, Difference, FileEntry, State},
    rejection::Rejection,
    warehouse::BatchTransaction,
};

/// What the ledger is to have of a batch.
pub(super) struct Record<'r> {
    pub(super) entry: BatchEntry,
    files: Vec<FileEntry>,
    rejections: Vec<&'r Rejection>,
    controls: &'r [Control],
}

impl<'r> Record<'r> {
    /// Of a batch that was judged.
    pub(super) fn of(
        batch: &Batch,
        dataset: &str,
        run_id: &str,
        revision: i32,
        judged: Option<&'r Judged>,
        failure: Option<&Failure>,
    ) -> Self {
        let is_loaded = failure.is_none();
        let sum = |of: fn(&FileEntry) -> u64| judged.map_or(0, |judged| judged.sum(of));
        let rows_loaded = match is_loaded {
            true => sum(|file| file.rows_loaded),
            false => 0,
        };
        let difference = judged.and_then(|judged| judged.difference);
        let why = failure.map(Failure::in_the_books);
        let found = judged.into_iter().flat_map(|judged| &judged.notes);
        let notes = batch.notes.iter().chain(found).cloned();
        let notes: Vec<String> = why.into_iter().chain(notes).collect();
        let announced_at = batch.announced_at.and_then(|at| at.checked_mul(1000));
        let entry = BatchEntry {
            dataset: dataset.to_owned(),
            batch_no: batch.batch_no.to_string(),
            revision,
            state: failure.map_or(State::Loaded, |failure| failure.state.state()),
            rows_expected: judged.map_or(batch.total, |judged| judged.rows_expected),
            rows_read: sum(|file| file.rows_read),
            rows_loaded,
            rows_rejected: sum(|file| file.rows_rejected),
            difference: difference.unwrap_or(Difference {
                added: rows_loaded,
                ..Difference::default()
            }),
            files: judged.map_or(0, |judged| judged.files().count() as u64),
            bytes: sum(|file| file.bytes),
            content_hash: judged.filter(|_| is_loaded).map(Judged::known_by),
            announced_at,
            accepted_at: Some(batch.acceptance.at),
            watermark: batch.replay.as_ref().and_then(|replay| replay.watermark),
            run_id: run_id.to_owned(),
            message: (!notes.is_empty()).then(|| notes.join("; ")),
        };
        let files = judged.into_iter().flat_map(Judged::files).cloned();
        let parts = || judged.into_iter().flat_map(|judged| &judged.parts);
        Self {
            entry,
            files: files
                .map(|file| FileEntry {
                    rows_loaded: if is_loaded { file.rows_loaded } else { 0 },
                    ..file
                })
                .collect(),
            rejections: parts().flat_map(|part| &part.rejections).collect(),
            controls: judged.map_or(&[], |judged| &judged.controls),
        }
    }

    pub(super) fn write(&self, transaction: &BatchTransaction<'_>) -> Result<()> {
        let Self {
            entry,
            files,
            rejections,
            controls,
        } = self;
        ledger::record(transaction.connection(), entry, files, rejections, controls)
    }

    /// Whether the ledger says this already.
    pub(super) fn is_said(&self, attempt: Option<&Attempt>) -> bool {
        let entry = &self.entry;
        let figures = [
            entry.rows_read,
            entry.rows_rejected,
            entry.files,
            entry.bytes,
        ];
        attempt.is_some_and(|attempt| {
            attempt.revision == entry.revision
                && attempt.state == entry.state
                && attempt.has_dataset == (entry.dataset != ledger::UNKNOWN_DATASET)
                && attempt.figures == figures
                && attempt.announced_at == entry.announced_at
                && attempt.message == entry.message
        })
    }

    pub(super) fn outcome(&self, ending: Ending) -> Outcome {
        let entry = &self.entry;
        let has_dataset = entry.dataset != ledger::UNKNOWN_DATASET;
        Outcome {
            dataset: has_dataset.then(|| entry.dataset.clone()),
            batch_no: entry.batch_no.clone(),
            revision: (entry.revision > 0).then_some(entry.revision),
            outcome: ending,
            rows_read: entry.rows_read,
            rows_loaded: entry.rows_loaded,
            rows_rejected: entry.rows_rejected,
            difference: Difference::default(),
            files: entry.files,
            bytes: entry.bytes,
            message: None,
            hint: None,
            exit: ExitStatus::Success,
            is_over: true,
            written: false,
        }
    }
}
