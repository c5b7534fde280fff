//! What is to be loaded, one batch after the other.

use std::time::Instant;

use super::intake::Intake;
use crate::{batch::Batch, error::Result, pipeline::Outcome};

/// Batches to be loaded, made one by one when their turn comes: each may hold a long list.
pub(crate) trait Queue {
    /// The batches' numbers.
    fn names(&self) -> Vec<String>;

    /// The batch at `index`.
    fn take(&mut self, intake: &Intake<'_>, index: usize) -> Result<Batch>;

    /// What to load in place of a batch whose link is dead.
    fn instead(&mut self, _: &Intake<'_>, _index: usize) -> Result<Option<Batch>> {
        Ok(None)
    }

    /// What has become of the batch at `index`.
    fn note(&mut self, _index: usize, _: &Outcome) {}
}

impl Queue for &[Batch] {
    fn names(&self) -> Vec<String> {
        let names = self.iter().map(|batch| batch.batch_no.to_string());
        names.collect()
    }

    fn take(&mut self, _: &Intake<'_>, index: usize) -> Result<Batch> {
        Ok(self[index].clone())
    }
}

/// When to stop before all batches are done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Batches to try.
    pub(crate) batches: usize,
    /// No batch is begun after this, and the one under way is cut off.
    pub(crate) until: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batches: usize::MAX,
            until: None,
        }
    }
}
