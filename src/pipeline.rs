//! The order of the stages: the only room that knows it.
//!
//! ```text
//! Batch ── identify ──► Identified ── insert ──► Inserted ── judge ──► Judged ── settle ──► Outcome
//!          dataset,                   its rows,              totals, limits,     archive, ledger,
//!          what stands                then those of          controls, what      commit; or why not
//!                                     files they name        stands
//! ```
//!
//! One batch is one transaction. The async half (see `headed_file` and `feed`) opens files and sends chunks; this thread
//! runs the `INSERT` that takes them off the channel. Whatever fails rolls everything back; why it failed is then written
//! in a second transaction.

mod again;
mod context;
mod doubts;
mod failure;
mod identify;
mod insert;
mod inserted;
mod judge;
mod kept;
mod outcome;
mod record;
mod settle;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use self::outcome::{Ending, Outcome};
use self::{
    context::LoadContext,
    failure::Failure,
    identify::{Identification, Identified},
    insert::Insert,
    settle::Settled,
};
use crate::{
    archive::Archive,
    batch::Batch,
    config::Config,
    contract::{Contract, Contracts},
    error::{Error, FetchKind, Result},
    feed::{Feed, Progress},
    source::Fetcher,
    stop::Stop,
    warehouse::Warehouse,
};

/// A file's time may be a tick of the system's clock behind the time of day.
const CLOCK_TICK: Duration = Duration::from_secs(1);

/// Loads batches, one after the other, into one warehouse.
pub struct Pipeline<'a>(LoadContext<'a>);

impl<'a> Pipeline<'a> {
    /// A pipeline that fetches under `config.download`.
    ///
    /// # Errors
    /// [`Error::Settings`] when a setting of `[download]` can't be used.
    pub fn new(
        config: &'a Config,
        contracts: &'a Contracts,
        runtime: tokio::runtime::Handle,
        run_id: String,
        progress: Arc<Progress>,
        stop: Stop,
    ) -> Result<Self> {
        let feed = Feed {
            archive: Archive::new(&config.data_dir),
            keeps: config.archive.keep,
            fetcher: Fetcher::new(&config.download)?,
            download: Arc::new(config.download.clone()),
            progress,
        };
        Ok(Self(LoadContext {
            contracts,
            runtime,
            feed,
            run_id,
            stop,
        }))
    }

    /// Loads one batch.
    ///
    /// # Errors
    /// Only for what would hit any other batch too: the warehouse, the machine or [`Error::Stopped`]; nothing
    /// of this batch is loaded then. Everything else is an [`Outcome`].
    pub fn load(&self, warehouse: &mut Warehouse, batch: &Batch) -> Result<Outcome> {
        let outcome = self.attempt_twice(warehouse, batch);
        warehouse.forget_batch(batch.batch_no.as_str());
        outcome
    }

    fn attempt_twice(&self, warehouse: &mut Warehouse, batch: &Batch) -> Result<Outcome> {
        match self.attempt(warehouse, batch, true)? {
            Some(outcome) => Ok(outcome),
            // Nothing of the old object was committed: read the new one from its beginning, once.
            None => {
                tracing::warn!(batch_no = %batch.batch_no, "the file changed while it was read; starting over");
                let again = self.attempt(warehouse, batch, false)?;
                again.ok_or_else(|| Error::Internal("a file changed, and again".into()))
            }
        }
    }

    /// One attempt at a batch; `None`: a file changed meanwhile, which `may_restart` lets it say.
    fn attempt(
        &self,
        warehouse: &mut Warehouse,
        batch: &Batch,
        may_restart: bool,
    ) -> Result<Option<Outcome>> {
        let progress = &self.0.feed.progress;
        progress.begin(batch.batch_no.to_string(), batch.content.files() as u64);
        let mut identified = match self.0.identify(warehouse, batch)? {
            Identification::Ready(identified) => identified,
            Identification::Refused(dataset, standing, refusal) => {
                return Ok(Some(self.0.refused(batch, &dataset, &standing, &refusal)));
            }
            Identification::Changed(..) if may_restart => return Ok(None),
            Identification::Changed(contract, error) => {
                let failure = Failure::of(error.into())?;
                return self
                    .failed(warehouse, batch, contract.as_ref(), failure)
                    .map(Some);
            }
            Identification::Nothing => return Ok(Some(self.0.nothing(batch))),
            Identification::Failed(contract, failure) => {
                return self
                    .failed(warehouse, batch, contract.as_ref(), failure)
                    .map(Some);
            }
        };
        let contract = Arc::clone(&identified.contract);
        let began = SystemTime::now() - CLOCK_TICK;
        let outcome = match self.load_identified(warehouse, batch, &mut identified) {
            Ok(Settled::Loaded(outcome, files)) => {
                warehouse.note_files(files);
                return Ok(Some(*outcome));
            }
            Ok(Settled::Unchanged(judged)) => {
                self.0.unchanged(warehouse, batch, &identified, &judged)?
            }
            Ok(Settled::NotLoaded(judged, failure)) => {
                self.0
                    .not_loaded(warehouse, batch, Some(&contract), Some(&judged), failure)?
            }
            Err(Error::Fetch(error)) if error.kind == FetchKind::Changed && may_restart => {
                return Ok(None);
            }
            Err(error) => {
                let failure = Failure::of(batch.cause_of(error))?;
                self.failed(warehouse, batch, Some(&contract), failure)?
            }
        };
        self.0.remove_unnamed(warehouse, batch, &identified, began);
        Ok(Some(outcome))
    }

    /// A batch of which not a row was judged.
    fn failed(
        &self,
        warehouse: &mut Warehouse,
        batch: &Batch,
        contract: Option<&Arc<Contract>>,
        failure: Failure,
    ) -> Result<Outcome> {
        match batch.replay {
            Some(_) => Ok(self.0.not_replayed(batch, contract, failure)),
            None => self.0.not_loaded(warehouse, batch, contract, None, failure),
        }
    }

    /// The transaction, from BEGIN to its end.
    fn load_identified(
        &self,
        warehouse: &mut Warehouse,
        batch: &Batch,
        identified: &mut Identified,
    ) -> Result<Settled> {
        let threads = warehouse.threads();
        let handle = warehouse.interrupt_handle();
        let transaction = warehouse.begin()?;
        let insert = Insert {
            context: &self.0,
            transaction: &transaction,
            threads,
            batch,
            log: Arc::default(),
        };
        let judged = self.0.interruptible(handle, || insert.judged(identified));
        match judged {
            Ok(judged) => self.0.settle(transaction, batch, identified, judged),
            Err(error) => {
                transaction.rollback();
                Err(error)
            }
        }
    }

    /// What downloads files.
    #[must_use]
    pub fn fetcher(&self) -> &Fetcher {
        &self.0.feed.fetcher
    }
}
