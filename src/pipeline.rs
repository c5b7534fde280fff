//! The order of the stages: the only room that knows it.
//!
//! One batch is one transaction. The async half (see `headed_file` and `feed`) opens files and sends chunks; this thread
//! runs the `INSERT` that takes them off the channel, then checks keys and controls, writes the ledger and
//! commits (see `loading`). Whatever fails rolls everything back; why it failed is then written in a second
//! transaction.

mod attempt;
mod batch_source;
mod feed;
mod headed_file;
mod loading;
mod progress;
mod tally;
mod verdict;

use std::{sync::Arc, time::Duration};

use duckdb::InterruptHandle;

use self::{attempt::Attempt, feed::Feeding, loading::Loading, verdict::Verdict};
pub use self::{
    batch_source::{ArchivedFile, BatchContent, BatchSource, FileSource, Replay},
    progress::Progress,
};
use crate::{
    archive::{Archive, DeliveryOutcome},
    config::Config,
    contract::Contracts,
    error::{Error, ExitStatus, FailedState, FetchKind, Result},
    ledger::{self, Difference, State},
    load::Warehouse,
    source::Fetcher,
    source_url::SourceUrl,
    stop::Stop,
};

/// How often a statement that is to end is told again: between two statements nobody hears it.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(20);

/// What has become of a batch.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Outcome {
    /// Its dataset, unless that never became known.
    pub dataset: Option<String>,
    /// Its number.
    pub batch_no: String,
    /// The revision loaded or attempted.
    pub revision: Option<i32>,
    /// loaded, unchanged, failed, waiting or expired.
    pub outcome: &'static str,
    /// Rows delivered.
    pub rows_read: u64,
    /// Rows in the table.
    pub rows_loaded: u64,
    /// Rows not loaded.
    pub rows_rejected: u64,
    /// Against the revision before.
    #[serde(flatten)]
    pub difference: Difference,
    /// Files delivered.
    pub files: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// Why, or what is worth knowing.
    pub message: Option<String>,
    /// What can be done.
    pub hint: Option<String>,
    /// What the process returns because of it.
    #[serde(skip)]
    pub exit: ExitStatus,
    /// Whether the warehouse was written.
    #[serde(skip)]
    pub written: bool,
}

/// Loads batches, one after the other, into one warehouse.
pub struct Pipeline<'a> {
    config: &'a Config,
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
            archive: config.archive.keep.then(|| Archive::new(&config.data_dir)),
            fetcher,
            download: Arc::new(config.download.clone()),
            progress,
        };
        Ok(Self {
            config,
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
    pub fn load(
        &self,
        warehouse: &mut Warehouse,
        source: &BatchSource,
        columns: &[String],
    ) -> Result<Outcome> {
        let files = match &source.content {
            BatchContent::Files(files) => files.len() as u64,
            BatchContent::Rows(_) => 1,
        };
        let mut restarted = false;
        loop {
            self.feeding
                .progress
                .begin(source.batch_no.to_string(), files);
            let mut attempt = Attempt::new(source);
            let verdict = match self.load_known(warehouse, source, columns, &mut attempt) {
                Ok(verdict) => verdict,
                // Nothing of the old object was committed: read the new one from its beginning, once.
                Err(Error::Fetch(error)) if error.kind == FetchKind::Changed && !restarted => {
                    tracing::warn!(batch_no = %source.batch_no, "the file changed while it was read; starting over");
                    restarted = true;
                    continue;
                }
                // What an archive could not give is no part of the batch's history.
                Err(error) if source.replay.is_some() => {
                    let error = source.damage().unwrap_or(error);
                    let verdict = Verdict::of_error(error)?;
                    return Ok(attempt.outcome(source, verdict, false));
                }
                Err(error) => Verdict::of_error(error)?,
            };
            return self.settle(warehouse, source, attempt, verdict);
        }
    }

    /// Finds out the dataset, then runs the transaction.
    fn load_known(
        &self,
        warehouse: &mut Warehouse,
        source: &BatchSource,
        columns: &[String],
        attempt: &mut Attempt,
    ) -> Result<Verdict> {
        attempt.dataset = source.dataset.clone();
        if let BatchContent::Rows(rows) = &source.content
            && rows.is_empty()
            && attempt.dataset.is_none()
            && source.missing.is_none()
            && source.total.unwrap_or_default() == 0
        {
            return Ok(attempt.has_nothing());
        }
        if attempt.dataset.is_none() && matches!(source.content, BatchContent::Rows(_)) {
            attempt.dataset = Some(Arc::clone(self.contracts.detect(&source.origin, columns)?));
        }
        if let Some(missing) = &source.missing {
            return Ok(Verdict::waiting(format!("{missing} not announced yet")));
        }
        let mut headed = None;
        if let BatchContent::Files(files) = &source.content
            && let Some(first) = files.first()
        {
            let dataset = attempt.dataset.as_deref();
            let head = self.feeding.head(first, dataset, source.total);
            let file = self.runtime.block_on(self.stop.unless(head))?;
            if attempt.dataset.is_none() {
                let header = file.header();
                if header.cells.is_empty() {
                    return Ok(attempt.has_nothing());
                }
                let detected =
                    self.contracts
                        .detect_split(file.origin(), &header.cells, |delimiter| {
                            header.split(delimiter)
                        });
                let contract = detected.map_err(|error| {
                    file.header_fault().unwrap_or_else(|| file.explained(error))
                })?;
                attempt.dataset = Some(Arc::clone(contract));
                // Another delimiter or encoding than the defaults, or quotes that speak for another: read the
                // header again as the contract says.
                let is_read = contract.csv.delimiter == b',' && contract.csv.encoding.is_none();
                if is_read && file.header_fault().is_none() {
                    headed = Some(file);
                }
            } else {
                headed = Some(file);
            }
        }
        let Some(contract) = attempt.dataset.clone() else {
            return Err(Error::Internal(
                "a batch without rows, files and dataset".into(),
            ));
        };
        let child = self.contracts.child_of(contract.name.as_str()).cloned();
        for contract in std::iter::once(&contract).chain(&child) {
            warehouse.ensure_table(contract, self.contracts)?;
        }
        attempt.standing = ledger::standing(
            warehouse.connection(),
            contract.name.as_str(),
            source.batch_no.as_str(),
        )?;
        attempt.first_file = ledger::next_file_id(warehouse.connection())?;
        if source.replay.is_none() && attempt.is_outdated(source) {
            return Ok(Verdict::Unchanged);
        }
        if let Some(replay) = &source.replay {
            if let Some((loaded, _)) = attempt.standing.loaded
                && loaded > replay.revision
            {
                return Ok(Verdict::Unchanged);
            }
            attempt.standing.next_revision = attempt.standing.next_revision.max(replay.revision);
            // Loading again what is loaded must not forget a later attempt.
            attempt.standing.pending = false;
        }

        let threads = warehouse.threads();
        let handle = warehouse.interrupt_handle();
        let transaction = warehouse.begin()?;
        let loading = Loading {
            pipeline: self,
            transaction: &transaction,
            threads,
            source,
        };
        let result = self.interruptible(handle, || {
            loading.run(&contract, child.as_ref(), columns, headed, attempt)
        });
        match &result {
            Ok(Verdict::Loaded) => {
                // Before the commit: a batch that is loaded can always be loaded again.
                let revision = attempt.standing.next_revision;
                self.keep(source, columns, attempt, revision, DeliveryOutcome::Loaded)?;
                transaction.commit()?;
            }
            Ok(Verdict::Unchanged) => {
                transaction.rollback();
                self.keep_what_is_missing(source, columns, attempt)?;
            }
            Ok(Verdict::NotLoaded {
                state: FailedState::Failed,
                ..
            }) => {
                transaction.rollback();
                let revision = attempt.standing.next_revision;
                self.keep(source, columns, attempt, revision, DeliveryOutcome::Failed)?;
            }
            _ => transaction.rollback(),
        }
        result
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

    /// Writes down in the archive what was delivered, unless it is from there.
    fn keep(
        &self,
        source: &BatchSource,
        columns: &[String],
        attempt: &mut Attempt,
        revision: i32,
        outcome: DeliveryOutcome,
    ) -> Result<()> {
        let is_there = source.replay.as_ref().is_some_and(|replay| !replay.foreign);
        let Some(archive) = self.feeding.archive.as_ref().filter(|_| !is_there) else {
            return Ok(());
        };
        match attempt.take_delivery(source, columns, revision, outcome) {
            Some(delivery) => archive.record(&delivery),
            None => Ok(()),
        }
    }

    /// What is loaded was delivered again: somebody may have lost what the archive knew of it.
    fn keep_what_is_missing(
        &self,
        source: &BatchSource,
        columns: &[String],
        attempt: &mut Attempt,
    ) -> Result<()> {
        let (Some(archive), Some(contract), Some(revision)) = (
            &self.feeding.archive,
            &attempt.dataset,
            attempt.loaded_revision_again(),
        ) else {
            return Ok(());
        };
        if archive.has_record(contract.name.as_str(), &source.batch_no, revision) {
            return Ok(());
        }
        self.keep(source, columns, attempt, revision, DeliveryOutcome::Loaded)
    }

    /// Writes down what the transaction could not, and says how it went.
    fn settle(
        &self,
        warehouse: &mut Warehouse,
        source: &BatchSource,
        mut attempt: Attempt,
        verdict: Verdict,
    ) -> Result<Outcome> {
        let mut written = matches!(verdict, Verdict::Loaded);
        let batch_no = source.batch_no.as_str();
        let own = attempt.dataset.clone();
        let own = own
            .as_ref()
            .map_or(ledger::UNKNOWN_DATASET, |contract| contract.name.as_str());
        let child = self.contracts.child_of(own);
        let datasets: Vec<&str> = std::iter::once(own)
            .chain(child.map(|child| child.name.as_str()))
            .collect();
        match &verdict {
            Verdict::Loaded => {}
            Verdict::Unchanged if !attempt.standing.pending => {}
            Verdict::Unchanged => {
                let transaction = warehouse.begin()?;
                let connection = transaction.connection();
                let revision = attempt.standing.next_revision;
                ledger::forget_attempts(connection, &datasets, batch_no, revision)?;
                transaction.commit()?;
                written = true;
            }
            // Nobody knows what to load: that is for who made the call, not for the books.
            Verdict::NotLoaded {
                exit: ExitStatus::Fault,
                ..
            } if attempt.dataset.is_none() => {}
            Verdict::NotLoaded { .. } => {
                if attempt.standing.next_revision == 0 {
                    attempt.standing = ledger::standing(warehouse.connection(), own, batch_no)?;
                }
                let transaction = warehouse.begin()?;
                let entry = attempt.entry(source, &verdict, &self.run_id);
                let connection = transaction.connection();
                ledger::forget_attempts(connection, &datasets, batch_no, entry.revision)?;
                let kept = attempt.as_not_loaded();
                ledger::record(
                    connection,
                    &entry,
                    &kept,
                    &attempt.rejections,
                    &attempt.controls,
                )?;
                transaction.commit()?;
                written = true;
            }
        }
        Ok(attempt.outcome(source, verdict, written))
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

impl FailedState {
    /// The ledger's word.
    pub(crate) fn state(self) -> State {
        match self {
            Self::Failed => State::Failed,
            Self::Waiting => State::Waiting,
            Self::Expired => State::Expired,
        }
    }
}
