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
mod batch;
mod feed;
mod headed_file;
mod identify;
mod insert;
mod judge;
mod outcome;
mod progress;
mod settle;
mod tally;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use duckdb::InterruptHandle;

pub use self::{
    batch::{ArchivedFile, Batch, BatchContent, FileSource, InlineRows, Replay, Way},
    outcome::{Ending, Outcome},
    progress::Progress,
};
use self::{
    feed::Feeding,
    identify::{Identification, Identified},
    insert::Insert,
    judge::Failure,
    settle::Settled,
};
use crate::{
    archive::Archive,
    config::Config,
    contract::{Contract, Contracts},
    error::{Error, FetchKind, Result},
    source::Fetcher,
    source_url::SourceUrl,
    stop::Stop,
    warehouse::Warehouse,
};

/// How often a statement that is to end is told again: between two statements nobody hears it.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(20);

/// A file's time may be a tick of the system's clock behind the time of day.
const CLOCK_TICK: Duration = Duration::from_secs(1);

/// Loads batches, one after the other, into one warehouse.
pub struct Pipeline<'a> {
    contracts: &'a Contracts,
    runtime: tokio::runtime::Handle,
    feeding: Feeding,
    run_id: String,
    stop: Stop,
}

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
        let fetcher = Fetcher::new(&config.download)?;
        let feeding = Feeding {
            archive: Archive::new(&config.data_dir),
            keeps: config.archive.keep,
            fetcher,
            download: Arc::new(config.download.clone()),
            progress,
        };
        Ok(Self {
            contracts,
            runtime,
            feeding,
            run_id,
            stop,
        })
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
        let files = match &batch.content {
            BatchContent::Files(files) => files.len() as u64,
            BatchContent::Rows(_) => 1,
        };
        let progress = &self.feeding.progress;
        progress.begin(batch.batch_no.to_string(), files);
        let mut identified = match self.identify(warehouse, batch)? {
            Identification::Ready(identified) => identified,
            Identification::Refused(dataset, standing, refusal) => {
                return Ok(Some(self.refused(batch, &dataset, &standing, &refusal)));
            }
            Identification::Changed(..) if may_restart => return Ok(None),
            Identification::Changed(contract, error) => {
                let failure = Failure::of(error.into())?;
                return self
                    .failed(warehouse, batch, contract.as_ref(), failure)
                    .map(Some);
            }
            Identification::Nothing => return Ok(Some(self.nothing(batch))),
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
                self.unchanged(warehouse, batch, &identified, &judged)?
            }
            Ok(Settled::NotLoaded(judged, failure)) => {
                self.not_loaded(warehouse, batch, Some(&contract), Some(&judged), failure)?
            }
            Err(Error::Fetch(error)) if error.kind == FetchKind::Changed && may_restart => {
                return Ok(None);
            }
            Err(error) => {
                let failure = Failure::of(batch.cause_of(error))?;
                self.failed(warehouse, batch, Some(&contract), failure)?
            }
        };
        self.remove_unnamed(warehouse, batch, &identified, began);
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
            Some(_) => Ok(self.not_replayed(batch, contract, failure)),
            None => self.not_loaded(warehouse, batch, contract, None, failure),
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
            pipeline: self,
            transaction: &transaction,
            threads,
            batch,
            log: Arc::default(),
        };
        let judged = self.interruptible(handle, || insert.judged(identified));
        match judged {
            Ok(judged) => self.settle(transaction, batch, identified, judged),
            Err(error) => {
                transaction.rollback();
                Err(error)
            }
        }
    }

    /// Runs `work`, whose statements end early when the process is asked to end. What comes after it, such as
    /// a commit, does not.
    fn interruptible<T>(
        &self,
        handle: Arc<InterruptHandle>,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let stop = self.stop.clone();
        let watch = self.runtime.spawn(async move {
            stop.requested().await;
            loop {
                handle.interrupt();
                tokio::time::sleep(INTERRUPT_AGAIN).await;
            }
        });
        let result = work();
        watch.abort();
        // Until it is over it may still interrupt.
        let _ = self.runtime.block_on(watch);
        self.stop.check()?;
        result
    }

    /// What downloads files.
    #[must_use]
    pub fn fetcher(&self) -> &Fetcher {
        &self.feeding.fetcher
    }

    /// Opens an announcement by URL.
    ///
    /// # Errors
    /// [`Error::Fetch`] when it can't be had; [`Error::Stopped`].
    pub fn fetch_announcement(&self, url: &SourceUrl) -> Result<Vec<u8>> {
        const LARGEST: u64 = 64 << 20;
        let read = self.feeding.fetcher.read_all(url, LARGEST);
        self.runtime.block_on(self.stop.unless(read))
    }
}
