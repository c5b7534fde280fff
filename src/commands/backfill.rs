//! `redledger backfill BATCH…`: batches again, from the archive or from where they came.
//!
//! What is planned is small: numbers and revisions. Lists and files are opened when their turn comes.

mod plan;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use self::plan::{Origin, Plan, Planned};
use super::{
    Context,
    ingest::dataset_of,
    output::{Table, counted, say},
    selection::Selection,
    session::{Limits, LoadSession, Queue},
};
use crate::{
    archive::{Archive, Delivery},
    batch::{ArchivedFile, Batch, BatchContent, FileSource, InlineRows, Replay, Way},
    batch_no::BatchNo,
    cli::{Backfill, Format},
    contract::Contract,
    error::{Error, ExitStatus, Result},
    history::{self, Acceptance},
    hook, ledger, warehouse,
};

pub(super) fn run(context: &Context, arguments: &Backfill) -> Result<ExitStatus> {
    let mut selections = arguments
        .batches
        .iter()
        .map(|text| Selection::parse(text))
        .collect::<Result<Vec<_>>>()?;
    if let Some(path) = &arguments.from_file {
        selections.extend(Selection::read(path)?);
    }
    if let Some(dataset) = &arguments.dataset {
        context.contracts.require(dataset)?;
    }
    let own = Archive::new(&context.config.data_dir);
    let archive = match &arguments.from_data_dir {
        Some(data_dir) if !data_dir.join("archive").is_dir() => {
            return Err(Error::usage(format!(
                "{} holds no archive",
                data_dir.display()
            )));
        }
        Some(data_dir) => Archive::new(data_dir),
        None => own.clone(),
    };
    let foreign = !archive.is_same(&own);
    let archive = if foreign { archive } else { own };
    let Plan { batches, errors } = plan::make(context, arguments, &selections, &archive)?;
    if !foreign && warehouse::is_lost(&context.config)? {
        name_others(&archive, &batches)?;
    }
    if arguments.dry_run {
        for error in &errors {
            super::report_error(error);
        }
        show(&batches, arguments.doing.format)?;
        let exits = errors.iter().map(Error::exit_status);
        return Ok(exits.max().unwrap_or(ExitStatus::Success));
    }
    let mut session = LoadSession::begin(context, "backfill", arguments.doing.clone())?;
    for error in errors {
        session.note_error(error);
    }
    let mut queue = Backlog {
        context,
        archive,
        foreign,
        batches,
    };
    session.load_some(&mut queue, Limits::default());
    session.finish()
}

/// Says what a warehouse that is made anew will lack.
fn name_others(archive: &Archive, planned: &[Planned]) -> Result<()> {
    const NAMED: usize = 10;
    let planned: HashSet<(Option<&str>, &BatchNo)> = planned
        .iter()
        .map(|of| {
            let dataset = of.dataset.as_ref().map(|of| of.name.as_str());
            (dataset, &of.batch_no)
        })
        .collect();
    let mut others = archive.batches()?;
    others.retain(|(dataset, batch_no)| {
        let known_as = [Some(dataset.as_str()), None];
        !known_as
            .iter()
            .any(|dataset| planned.contains(&(*dataset, batch_no)))
    });
    if others.is_empty() {
        return Ok(());
    }
    let mut names: Vec<_> = others
        .iter()
        .take(NAMED)
        .map(|(dataset, batch_no)| format!("{batch_no} of {dataset}"))
        .collect();
    if others.len() > NAMED {
        names.push("…".to_owned());
    }
    tracing::warn!(
        "the warehouse is gone and is made anew without what was not asked for, of which the archive holds {}: {} \
         (`redledger backfill '*'` loads everything)",
        others.len(),
        names.join(", ")
    );
    Ok(())
}

/// Batches to be loaded again, in order.
struct Backlog<'c> {
    context: &'c Context,
    archive: Archive,
    foreign: bool,
    batches: Vec<Planned>,
}

impl Queue for Backlog<'_> {
    fn names(&self) -> Vec<String> {
        let names = self
            .batches
            .iter()
            .map(|planned| planned.batch_no.to_string());
        names.collect()
    }

    fn take(&mut self, session: &LoadSession<'_>, index: usize) -> Result<Batch> {
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
                    Way::ByHand(ledger::now()),
                ))
            }
            Origin::Provider => self.ask_provider(session, index),
        }
    }

    fn instead(&mut self, session: &LoadSession<'_>, index: usize) -> Result<Option<Batch>> {
        let is_announced = matches!(self.batches[index].origin, Origin::Announcement(_));
        if !is_announced || self.context.config.provider.url.is_empty() {
            return Ok(None);
        }
        self.ask_provider(session, index).map(Some)
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

    fn ask_provider(&self, session: &LoadSession<'_>, index: usize) -> Result<Batch> {
        let planned = &self.batches[index];
        let announcements = session.ask_provider(&planned.batch_no)?;
        let latest = hook::assemble(announcements).pop();
        let batch = latest
            .ok_or_else(|| Error::Internal("a reply without a hook".into()))?
            .batch?;
        let dataset = match &planned.dataset {
            Some(dataset) => Some(Arc::clone(dataset)),
            None => dataset_of(self.context, None, batch.event_type.as_deref())?,
        };
        Ok(Batch::announced(batch, dataset, Way::ByHand(ledger::now())))
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

fn show(batches: &[Planned], format: Format) -> Result<()> {
    let mut table = Table::new(&["batch", "dataset", "revision", "would", "files", "bytes"])
        .shortening(&[("would", 20), ("dataset", 16)])
        .dropping(&["bytes", "files", "revision", "dataset"]);
    for planned in batches {
        let (revision, would, files, bytes) = match &planned.origin {
            Origin::Archive {
                revision,
                is_loaded,
                files,
                bytes,
            } => {
                let would = if *is_loaded {
                    "check: it is loaded"
                } else {
                    "load from the archive"
                };
                let figures = (Some(*revision), Some(*files), Some(*bytes));
                (figures.0, would.to_owned(), figures.1, figures.2)
            }
            Origin::Announcement(batch) => {
                let from = match batch.as_ref().map(|batch| &batch.content) {
                    Some(hook::Content::Files(urls)) => {
                        let urls: Vec<String> = urls.iter().map(ToString::to_string).collect();
                        format!("fetch {}", urls.join(" "))
                    }
                    Some(hook::Content::Rows(rows)) => {
                        format!("load {}", counted(rows.len() as u64, "announced row"))
                    }
                    None => String::new(),
                };
                (None, from, None, None)
            }
            Origin::Provider => (None, "ask the provider".to_owned(), None, None),
        };
        table.push([
            planned.batch_no.as_str().into(),
            planned
                .dataset
                .as_ref()
                .map(|contract| contract.name.to_string())
                .into(),
            revision.into(),
            would.into(),
            files.into(),
            bytes.into(),
        ]);
    }
    match format {
        Format::Table if table.is_empty() => say!("nothing to do"),
        format => table.print(format)?,
    }
    Ok(())
}
