//! Batches to be loaded again. What is planned is small: lists and files are opened when their turn comes.

use std::{collections::HashMap, sync::Arc};

use super::{
    intake::Intake,
    plan::{Origin, Planned},
    queue::Queue,
};
use crate::{
    archive::{Archive, Delivery},
    batch::{ArchivedFile, Batch, BatchContent, FileSource, InlineRows, Replay, Way},
    clock,
    config::Config,
    contract::{Contract, Contracts},
    error::{Error, Result},
    history::{self, Acceptance},
    hook,
};

/// Batches to be loaded again, in order.
pub(crate) struct Backlog<'c> {
    pub(crate) config: &'c Config,
    pub(crate) contracts: &'c Contracts,
    pub(crate) archive: Archive,
    /// Whether that is another data directory's.
    pub(crate) foreign: bool,
    pub(crate) batches: Vec<Planned>,
}

impl Queue for Backlog<'_> {
    fn names(&self) -> Vec<String> {
        let names = self
            .batches
            .iter()
            .map(|planned| planned.batch_no.to_string());
        names.collect()
    }

    fn take(&mut self, intake: &Intake<'_>, index: usize) -> Result<Batch> {
        let planned = &mut self.batches[index];
        match &mut planned.origin {
            Origin::Archive { revision, .. } => {
                let revision = *revision;
                self.read_archive(index, revision)
            }
            Origin::Announcement(batch) => {
                let batch = batch
                    .take()
                    .ok_or_else(|| Error::Internal("an announcement taken twice".into()))?;
                Ok(Batch::announced(
                    *batch,
                    planned.dataset.clone(),
                    Way::ByHand(clock::now()),
                ))
            }
            Origin::Provider => self.ask_provider(intake, index),
        }
    }

    fn instead(&mut self, intake: &Intake<'_>, index: usize) -> Result<Option<Batch>> {
        let is_announced = matches!(self.batches[index].origin, Origin::Announcement(_));
        if !is_announced || self.config.provider.url.is_empty() {
            return Ok(None);
        }
        self.ask_provider(intake, index).map(Some)
    }
}

impl Backlog<'_> {
    fn read_archive(&self, index: usize, revision: i32) -> Result<Batch> {
        let planned = &self.batches[index];
        let dataset = planned
            .dataset
            .clone()
            .ok_or_else(|| Error::Internal("an archived batch without a dataset".into()))?;
        let deliveries = self
            .archive
            .deliveries(dataset.name.as_str(), &planned.batch_no)?;
        let (delivery, accepted_at) = history::in_order(deliveries)
            .into_iter()
            .find(|(delivery, _)| delivery.revision == revision)
            .ok_or_else(|| Error::File {
                origin: planned.batch_no.to_string(),
                message: format!("revision {revision} is not in the archive any more"),
                hint: None,
            })?;
        let withdrawn = self.archive.withdrawn()?;
        let of = (dataset.name.as_str(), &planned.batch_no);
        let is_withdrawn = withdrawn.find(of.0, of.1, revision).is_some();
        replayed(
            &self.archive,
            delivery,
            accepted_at,
            is_withdrawn,
            dataset,
            self.foreign,
        )
    }

    fn ask_provider(&self, intake: &Intake<'_>, index: usize) -> Result<Batch> {
        let planned = &self.batches[index];
        let announcements = intake.ask_provider(&planned.batch_no)?;
        let latest = hook::assemble(announcements).pop();
        let batch = latest
            .ok_or_else(|| Error::Internal("a reply without a hook".into()))?
            .batch?;
        let dataset = match &planned.dataset {
            Some(dataset) => Some(Arc::clone(dataset)),
            None => self
                .contracts
                .of_event(&self.config.hook.events, batch.event_type.as_deref())?,
        };
        Ok(Batch::announced(batch, dataset, Way::ByHand(clock::now())))
    }
}

/// A delivery as it came the first time.
fn replayed(
    archive: &Archive,
    delivery: Delivery,
    accepted_at: i64,
    is_withdrawn: bool,
    dataset: Arc<Contract>,
    foreign: bool,
) -> Result<Batch> {
    let inline = delivery
        .own_files()
        .find(|file| file.path.ends_with(".jsonl.zst"));
    let content = match inline {
        Some(file) => {
            let rows = hook::stored_rows(&file.url, &archive.read(file)?)?;
            BatchContent::Rows(InlineRows {
                rows: Arc::new(rows),
                columns: delivery.columns,
                pages: Vec::new(),
            })
        }
        None => {
            let files = delivery.own_files().map(|file| {
                FileSource::Archived(Arc::new(ArchivedFile {
                    archive: archive.clone(),
                    file: file.clone(),
                }))
            });
            BatchContent::Files(files.collect())
        }
    };
    let named: HashMap<_, _> = delivery
        .files
        .into_iter()
        .filter_map(|file| {
            let archive = archive.clone();
            Some((file.named_by?, Arc::new(ArchivedFile { archive, file })))
        })
        .collect();
    Ok(Batch {
        batch_no: delivery.batch_no,
        dataset: Some(dataset),
        origin: delivery.origin,
        announced_at: delivery.announced_at_ms,
        acceptance: Acceptance::recorded(accepted_at),
        by_hand: true,
        total: delivery.total,
        content,
        missing: None,
        pages_incomplete: false,
        is_overdue: false,
        dataset_is_unsigned: false,
        notes: delivery.notes,
        unknown_keys: delivery.unknown_keys,
        replay: Some(Replay {
            revision: delivery.revision,
            recorded_at: delivery.recorded_at_us,
            watermark: delivery.watermark_us,
            is_withdrawn,
            named: Arc::new(named),
            foreign,
        }),
    })
}
