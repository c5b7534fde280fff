//! What the archive is to have of a batch.

use std::time::SystemTime;

use super::{context::LoadContext, identify::Identified, judge::Judged};
use crate::{
    archive::{Delivery, DeliveryOutcome, Format},
    batch::{Batch, BatchContent},
    clock,
    contract::Contract,
    error::Result,
    history::Standing,
    ledger,
    warehouse::Warehouse,
};

impl LoadContext<'_> {
    /// Writes down in the archive what was delivered, unless it is from there.
    pub(super) fn keep(
        &self,
        batch: &Batch,
        standing: &Standing,
        contract: &Contract,
        judged: &Judged,
        revision: i32,
        outcome: DeliveryOutcome,
    ) -> Result<()> {
        let is_from_there = batch
            .replay
            .as_ref()
            .is_some_and(|replay| !replay.foreign && replay.revision == revision);
        // What an earlier release has written down is known by something else now.
        let is_there = is_from_there && standing.archived_as(revision) == Some(&judged.known_by());
        if !self.feed.keeps || is_there {
            return Ok(());
        }
        let files = judged.parts.iter().flat_map(|part| &part.files);
        // Only all of them make a delivery.
        let files: Option<Vec<_>> = files.map(|file| file.delivered.clone()).collect();
        let Some(files) = files.filter(|files| !files.is_empty()) else {
            return Ok(());
        };
        let columns = match &batch.content {
            BatchContent::Rows(list) => list.columns.clone(),
            BatchContent::Files(_) => Vec::new(),
        };
        self.feed.archive.record(&Delivery {
            format: Format,
            dataset: contract.name.to_string(),
            batch_no: batch.batch_no.clone(),
            revision,
            outcome,
            origin: batch.origin.clone(),
            announced_at_ms: batch.announced_at,
            total: batch.total,
            notes: batch.notes.clone(),
            unknown_keys: batch.unknown_keys,
            columns,
            // The order in which deliveries were written down is their order.
            recorded_at_us: batch
                .replay
                .as_ref()
                .filter(|_| is_from_there)
                .map_or_else(clock::now, |replay| replay.recorded_at),
            accepted_at_us: Some(batch.acceptance.at),
            watermark_us: batch.replay.as_ref().and_then(|replay| replay.watermark),
            files,
        })
    }

    /// Removes what an attempt that began then has kept and nothing names: it was not loaded, or brought nothing new.
    /// Failing to is no reason to fail a batch.
    pub(super) fn remove_unnamed(
        &self,
        warehouse: &Warehouse,
        batch: &Batch,
        identified: &Identified,
        began: SystemTime,
    ) {
        if !self.feed.keeps {
            return;
        }
        let datasets = identified.datasets();
        let named = || ledger::kept_files(warehouse.connection(), &datasets, &batch.batch_no);
        let archive = &self.feed.archive;
        let removed = archive.remove_unnamed(&datasets, &batch.batch_no, began, named);
        if let Err(error) = removed {
            tracing::warn!(batch_no = %batch.batch_no, "what nothing names stays in the archive: {}", error.chain());
        }
    }

    /// What is loaded was delivered again: somebody may have lost what the archive knew of it.
    pub(super) fn keep_what_is_missing(
        &self,
        batch: &Batch,
        identified: &Identified,
        judged: &Judged,
    ) -> Result<()> {
        let standing = &identified.standing;
        let Some(loaded) = standing.loaded() else {
            return Ok(());
        };
        if standing.is_archived(loaded.revision) || judged.known_by() != loaded.content_hash {
            return Ok(());
        }
        self.keep(
            batch,
            standing,
            &identified.contract,
            judged,
            loaded.revision,
            DeliveryOutcome::Loaded,
        )
    }
}
