//! The order of the stages: the only file that knows it.
//!
//! One batch is one transaction. The async half (see `feed`) opens files and sends chunks; this thread
//! runs the `INSERT` that takes them off the channel, then checks keys and controls, writes the ledger and
//! commits. Whatever fails rolls everything back; why it failed is then written in a second transaction.

mod attempt;
mod feed;

use std::sync::Arc;

use tokio::sync::mpsc;

pub use self::feed::{FileSource, Progress};
use self::{
    attempt::{Attempt, Verdict},
    feed::{FedFile, Feeding, HeadedFile, Job},
};
use crate::{
    archive::Archive,
    batch_no::BatchNo,
    config::Config,
    contract::{Contract, Contracts, Field},
    error::{Error, ExitStatus, FailedState, FetchKind, Result},
    hook::{self, ListRow},
    ledger::{self, Difference, State},
    load::{BatchTransaction, Warehouse},
    rejection::Rejection,
    scan::{Counts, FollowUp, Scan, ScanFile, ScanParts},
    source::Fetcher,
    source_url::{SourceUrl, redacted},
};

/// Chunks on their way; a few let reader and scan run evenly, more only hold memory.
const CHUNKS_ON_THE_WAY: usize = 8;

/// What is to be loaded.
#[derive(Debug, Clone)]
pub struct BatchSource {
    /// Its number.
    pub batch_no: BatchNo,
    /// Its dataset, if the command line or the configuration says; else the columns decide.
    pub dataset: Option<Arc<Contract>>,
    /// Where it was announced.
    pub origin: String,
    /// Epoch milliseconds.
    pub announced_at: Option<i64>,
    /// Rows announced.
    pub total: Option<u64>,
    /// The rows or where they are.
    pub content: BatchContent,
    /// Pages not announced yet, in words.
    pub missing: Option<String>,
    /// Fewer rows than `total` mean waiting.
    pub pages_incomplete: bool,
    /// For the ledger.
    pub notes: Vec<String>,
    /// Ignored keys of the announcement.
    pub unknown_keys: u64,
}

/// Rows, or where they are.
#[derive(Debug, Clone)]
pub enum BatchContent {
    /// Files, in order.
    Files(Vec<FileSource>),
    /// An inline list.
    Rows(Arc<Vec<ListRow>>),
}

impl BatchSource {
    /// An announced batch of `dataset` (or of the one its columns fit).
    #[must_use]
    pub fn announced(batch: hook::Batch, dataset: Option<Arc<Contract>>) -> (Self, Vec<String>) {
        let columns = batch.columns();
        let content = match batch.content {
            hook::Content::Files(urls) => {
                BatchContent::Files(urls.into_iter().map(FileSource::Url).collect())
            }
            hook::Content::Rows(rows) => BatchContent::Rows(Arc::new(rows)),
        };
        let source = Self {
            batch_no: batch.batch_no,
            dataset,
            origin: batch.origin,
            announced_at: batch.announced_at,
            total: batch.total,
            content,
            missing: batch.missing,
            pages_incomplete: batch.pages_incomplete,
            notes: batch.notes,
            unknown_keys: batch.unknown_keys,
        };
        (source, columns)
    }
}

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
        })
    }

    /// Loads one batch.
    ///
    /// # Errors
    /// Only for what would hit any other batch too: the warehouse or the machine. Everything else is an
    /// [`Outcome`].
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
            let file = self
                .runtime
                .block_on(self.feeding.head(first, attempt.dataset.as_deref()))?;
            if attempt.dataset.is_none() {
                let header = file.header();
                let contract =
                    self.contracts
                        .detect_split(file.origin(), &header.cells, |delimiter| {
                            header.split(delimiter)
                        })?;
                attempt.dataset = Some(Arc::clone(contract));
                // Another delimiter or encoding than the defaults: read the header again as it says.
                if contract.csv.delimiter == b',' && contract.csv.encoding.is_none() {
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

        let threads = warehouse.threads();
        let transaction = warehouse.begin()?;
        let loading = Loading {
            pipeline: self,
            transaction: &transaction,
            threads,
            source,
        };
        let result = loading.run(&contract, child.as_ref(), columns, headed, attempt);
        match result {
            Ok(Verdict::Loaded) => transaction.commit()?,
            _ => transaction.rollback(),
        }
        result
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

    /// Opens an announcement by URL.
    ///
    /// # Errors
    /// [`Error::Fetch`] when it can't be had.
    pub fn fetch_announcement(&self, url: &SourceUrl) -> Result<Vec<u8>> {
        const LARGEST: u64 = 64 << 20;
        Ok(self
            .runtime
            .block_on(self.feeding.fetcher.read_all(url, LARGEST))?)
    }

    /// The settings it runs with.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.config
    }
}

/// A batch's transaction under way.
struct Loading<'l> {
    pipeline: &'l Pipeline<'l>,
    transaction: &'l BatchTransaction<'l>,
    threads: usize,
    source: &'l BatchSource,
}

impl Loading<'_> {
    /// Everything between BEGIN and COMMIT.
    fn run(
        &self,
        contract: &Arc<Contract>,
        child: Option<&Arc<Contract>>,
        columns: &[String],
        headed: Option<HeadedFile>,
        attempt: &mut Attempt,
    ) -> Result<Verdict> {
        let source = self.source;
        let batch_no = source.batch_no.as_str();
        let (scan, fed) = self.insert_batch(contract, child, columns, headed, attempt)?;
        let lines_from = attempt.first_file + fed.len() as i64;
        let mut repeated = self
            .transaction
            .reject_repeated_keys(contract, attempt.first_file)?;
        self.restore_records(contract, &fed, &mut repeated.kept)?;
        let any_repeated = !repeated.by_file.is_empty();
        attempt.add(contract, fed, repeated);

        if let Some(total) = source.total {
            attempt.controls.push(crate::load::control(
                "hook total = rows read",
                total,
                attempt.own_read(),
            ));
            if attempt.own_read() != total {
                return Ok(attempt.wrong_total(total, source.pages_incomplete));
            }
        }
        if let Some(verdict) = attempt.too_many_rejected(contract) {
            return Ok(verdict);
        }
        let totals = self.transaction.totals(contract, attempt.first_file)?;
        if let Some(verdict) = attempt.check_totals(contract, totals)? {
            return Ok(verdict);
        }

        if let Some(child) = child {
            let mut follow_ups = scan.take_follow_ups();
            if any_repeated {
                let standing = self
                    .transaction
                    .rows_standing(contract, attempt.first_file)?;
                follow_ups
                    .retain(|follow_up| standing.contains(&(follow_up.file_id, follow_up.line)));
            }
            follow_ups.sort_by_key(|follow_up| (follow_up.file_id, follow_up.line));
            let fed = self.insert_lines(child, contract, follow_ups, lines_from, attempt)?;
            if let Some(verdict) = attempt.wrong_line_totals(&fed) {
                attempt.add(child, fed, Default::default());
                return Ok(verdict);
            }
            let mut repeated = self.transaction.reject_repeated_keys(child, lines_from)?;
            self.restore_records(child, &fed, &mut repeated.kept)?;
            attempt.add(child, fed, repeated);
            if let Some(verdict) = attempt.too_many_rejected(child) {
                return Ok(verdict);
            }
            let totals = self.transaction.totals(child, lines_from)?;
            if let Some(verdict) = attempt.check_totals(child, totals)? {
                return Ok(verdict);
            }
        }
        attempt.note_figures();

        let hash = attempt.content_hash();
        if attempt
            .standing
            .loaded
            .as_ref()
            .is_some_and(|(_, loaded)| *loaded == hash)
        {
            return Ok(Verdict::Unchanged);
        }
        for contract in std::iter::once(contract).chain(child) {
            if attempt.standing.loaded.is_some() {
                attempt.add_difference(self.transaction.difference(
                    contract,
                    batch_no,
                    attempt.first_file,
                )?);
                self.transaction
                    .delete_before(contract, batch_no, attempt.first_file)?;
            }
        }
        let datasets: Vec<&str> = std::iter::once(contract)
            .chain(child)
            .map(|contract| contract.name.as_str())
            .collect();
        let connection = self.transaction.connection();
        ledger::forget_attempts(
            connection,
            &datasets,
            batch_no,
            attempt.standing.next_revision,
        )?;
        ledger::supersede(connection, contract.name.as_str(), batch_no)?;
        let entry = attempt.entry(source, &Verdict::Loaded, &self.pipeline.run_id);
        ledger::record(
            connection,
            &entry,
            &attempt.files,
            &attempt.rejections,
            &attempt.controls,
        )?;
        Ok(Verdict::Loaded)
    }

    fn insert_batch(
        &self,
        contract: &Arc<Contract>,
        child: Option<&Arc<Contract>>,
        columns: &[String],
        mut headed: Option<HeadedFile>,
        attempt: &Attempt,
    ) -> Result<(Arc<Scan>, Vec<FedFile>)> {
        let (sender, receiver) = mpsc::channel(CHUNKS_ON_THE_WAY);
        let scan = Arc::new(Scan::new(ScanParts {
            contract,
            inherited: Vec::new(),
            child: child.map(Arc::as_ref),
            receiver,
            rejections: Arc::clone(&attempt.log),
            threads: self.threads,
            expected_rows: self.source.total,
        }));
        let feeding = self.pipeline.feeding.clone();
        let fed = match &self.source.content {
            BatchContent::Files(files) => {
                let jobs = files
                    .iter()
                    .zip(attempt.first_file..)
                    .map(|(file, file_id)| Job {
                        file_id,
                        source: file.clone(),
                        headed: headed.take(),
                        expected_rows: self.source.total,
                        inherited: Vec::new(),
                    })
                    .collect();
                self.insert(
                    contract,
                    &scan,
                    feeding.feed(
                        jobs,
                        self.source.batch_no.clone(),
                        Arc::clone(contract),
                        Arc::clone(&scan),
                        sender,
                    ),
                )?
            }
            BatchContent::Rows(rows) => {
                let layout = if rows.is_empty() {
                    // Nothing to lay out: an announced batch of no rows.
                    crate::contract::Layout {
                        fields: vec![None; contract.fields.len()],
                        rest: vec![],
                        header: vec![],
                    }
                } else {
                    contract.layout(&self.source.origin, columns)?
                };
                let scanned = Arc::new(ScanFile {
                    file_id: attempt.first_file,
                    layout,
                    inherited: Vec::new(),
                    counts: Counts::default(),
                });
                let feed = feeding.feed_rows(
                    Arc::clone(rows),
                    columns.to_vec(),
                    scanned,
                    self.source.origin.clone(),
                    self.source.batch_no.clone(),
                    Arc::clone(contract),
                    Arc::clone(&scan),
                    sender,
                );
                self.insert(contract, &scan, feed)?
            }
        };
        Ok((scan, fed))
    }

    fn insert_lines(
        &self,
        child: &Arc<Contract>,
        parent: &Contract,
        follow_ups: Vec<FollowUp>,
        first_file: i64,
        attempt: &Attempt,
    ) -> Result<Vec<FedFile>> {
        let of = child
            .parent
            .as_ref()
            .ok_or_else(|| Error::Internal("a child without a parent".into()))?;
        let inherited: Vec<(Field, String)> = of
            .inherit
            .iter()
            .filter_map(|inherit| {
                let field = parent
                    .field_index(&inherit.field)
                    .map(|index| parent.fields[index].clone())?;
                Some((field, inherit.column.to_string()))
            })
            .collect();
        self.pipeline.feeding.progress.files.1.fetch_add(
            follow_ups.len() as u64,
            std::sync::atomic::Ordering::Relaxed,
        );
        let (sender, receiver) = mpsc::channel(CHUNKS_ON_THE_WAY);
        let scan = Arc::new(Scan::new(ScanParts {
            contract: child,
            inherited,
            child: None,
            receiver,
            rejections: Arc::clone(&attempt.log),
            threads: self.threads,
            expected_rows: follow_ups.iter().map(|follow_up| follow_up.rows).sum(),
        }));
        let jobs = follow_ups
            .into_iter()
            .zip(first_file..)
            .map(|(follow_up, file_id)| {
                let url = SourceUrl::parse(&follow_up.url).map_err(|message| Error::File {
                    origin: self.source.origin.clone(),
                    message: format!("line {}: `{}`: {message}", follow_up.line, of.url_field),
                    hint: None,
                })?;
                Ok(Job {
                    file_id,
                    source: FileSource::Url(url),
                    headed: None,
                    expected_rows: follow_up.rows,
                    inherited: follow_up.inherited,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let feeding = self.pipeline.feeding.clone();
        self.insert(
            child,
            &scan,
            feeding.feed(
                jobs,
                self.source.batch_no.clone(),
                Arc::clone(child),
                Arc::clone(&scan),
                sender,
            ),
        )
    }

    /// Gives rows that were taken out after they were loaded their delivered text back.
    fn restore_records(
        &self,
        contract: &Contract,
        fed: &[FedFile],
        rejections: &mut [Rejection],
    ) -> Result<()> {
        if let BatchContent::Rows(rows) = &self.source.content {
            for rejection in rejections {
                let position = usize::try_from(rejection.line).unwrap_or_default();
                if let Some(row) = position.checked_sub(1).and_then(|index| rows.get(index)) {
                    rejection.record = redacted(&row.json).into_owned();
                }
            }
            return Ok(());
        }
        for file in fed {
            let of_file: Vec<&mut Rejection> = rejections
                .iter_mut()
                .filter(|rejection| rejection.file_id == file.scanned.file_id)
                .collect();
            if let Some(path) = file.archive_path.as_ref().filter(|_| !of_file.is_empty()) {
                let path = self.pipeline.config.data_dir.join(path);
                let read = self
                    .pipeline
                    .feeding
                    .reread(&path, contract, file.encoding, of_file);
                self.pipeline.runtime.block_on(read)?;
            }
        }
        Ok(())
    }

    /// Runs the insert on this thread while `feed` runs on the runtime's.
    fn insert(
        &self,
        contract: &Contract,
        scan: &Arc<Scan>,
        feed: impl Future<Output = Result<Vec<FedFile>>> + Send + 'static,
    ) -> Result<Vec<FedFile>> {
        let feed = self.pipeline.runtime.spawn(feed);
        let inserted = self
            .transaction
            .insert(contract, scan, self.source.batch_no.as_str());
        let fed = self
            .pipeline
            .runtime
            .block_on(feed)
            .map_err(|error| Error::Internal(format!("a reading task: {error}")))?;
        match (fed, inserted) {
            // The insert failed by itself; the feed only noticed that nobody listens any more.
            (Err(Error::Internal(_)), Err(error)) => Err(error),
            (Err(error), _) => Err(error),
            (Ok(_), Err(error)) => Err(error),
            (Ok(fed), Ok(_)) => Ok(fed),
        }
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
