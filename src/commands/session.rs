//! What every command that loads does: lock, copy, load batch after batch, publish once, report.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use duckdb::Connection;

use super::{
    Context,
    archive::clear,
    cadence::{self, Late},
    load_report::Report,
    progress::ProgressDisplay,
};
use crate::{
    archive::{Archive, Removed},
    batch_no::BatchNo,
    cli::{Doing, Format},
    error::{Error, ExitStatus, Result},
    hook::Announcement,
    inbox::Inbox,
    ledger::{self, RunEntry},
    load::Warehouse,
    pipeline::{Batch, Ending, Outcome, Pipeline, Progress},
    provider::Provider,
    publish::{Lock, Staging},
    source_url::SourceUrl,
    stop::Stop,
};

/// What still runs on the blocking threads when a command is stopped gets so long to end.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// A command that loads, under way.
pub(super) struct LoadSession<'a> {
    context: &'a Context,
    command: &'static str,
    doing: Doing,
    pipeline: Pipeline<'a>,
    progress: Arc<Progress>,
    // Dropped after the pipeline, whose tasks run on it.
    runtime: tokio::runtime::Runtime,
    run_id: String,
    started_at: i64,
    lock: Option<Lock>,
    /// Known once it was looked for them.
    late: Option<Vec<Late>>,
    outcomes: Vec<Outcome>,
    errors: Vec<Error>,
    /// Batches that a limit or a signal has kept from being loaded.
    left: Vec<String>,
    /// Batches of the queue whose turn has come.
    tried: usize,
    stop: Stop,
    /// The signal's error, once it has ended something.
    stopped: Option<Error>,
    /// What has ended the run: nothing of it is published.
    fault: Option<Error>,
    cadence: Cadence,
}

/// Whether this command looks for late datasets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cadence {
    /// It does not.
    Unwatched,
    /// It reports them.
    Reported,
    /// They need a person.
    Strict,
}

/// Batches to be loaded, made one by one when their turn comes: each may hold a long list.
pub(super) trait Queue {
    /// The batches' numbers.
    fn names(&self) -> Vec<String>;

    /// The batch at `index`.
    fn take(&mut self, session: &LoadSession<'_>, index: usize) -> Result<Batch>;

    /// What to load in place of a batch whose link is dead.
    fn instead(&mut self, _: &LoadSession<'_>, _index: usize) -> Result<Option<Batch>> {
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

    fn take(&mut self, _: &LoadSession<'_>, index: usize) -> Result<Batch> {
        Ok(self[index].clone())
    }
}

/// When to stop before all batches are done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Batches to try.
    pub(super) batches: usize,
    /// No batch is begun after this.
    pub(super) until: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batches: usize::MAX,
            until: None,
        }
    }
}

impl<'a> LoadSession<'a> {
    pub(super) fn begin(context: &'a Context, command: &'static str, doing: Doing) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("redledger-io")
            .build()
            .map_err(|error| Error::Internal(format!("the runtime does not start: {error}")))?;
        let started = jiff::Timestamp::now();
        let run_id = format!(
            "{}-{}",
            started.strftime("%Y%m%dT%H%M%S%3fZ"),
            std::process::id()
        );
        let progress = Arc::new(Progress::default());
        let stop = Stop::on_signals(runtime.handle())?;
        let pipeline = Pipeline::new(
            &context.config,
            &context.contracts,
            runtime.handle().clone(),
            run_id.clone(),
            Arc::clone(&progress),
            stop.clone(),
        )?;
        Ok(Self {
            context,
            command,
            doing,
            pipeline,
            progress,
            runtime,
            run_id,
            started_at: started.as_microsecond(),
            lock: None,
            late: None,
            outcomes: Vec::new(),
            errors: Vec::new(),
            left: Vec::new(),
            tried: 0,
            stop,
            stopped: None,
            fault: None,
            cadence: Cadence::Unwatched,
        })
    }

    pub(super) fn fetch_announcement(&self, url: &SourceUrl) -> Result<Vec<u8>> {
        self.pipeline.fetch_announcement(url)
    }

    /// All that the configured provider has of a batch.
    pub(super) fn ask_provider(&self, batch_no: &BatchNo) -> Result<Vec<Announcement>> {
        let provider = Provider::new(&self.context.config.provider, |name| {
            std::env::var(name).ok()
        })?;
        let provider = provider.ok_or_else(|| Error::Usage {
            message: format!("{batch_no}: no provider is configured to ask for it"),
            hint: Some("set [provider] url, or give the announcement to `redledger ingest`".into()),
        })?;
        let asked = provider.ask(self.pipeline.fetcher(), batch_no);
        self.runtime.block_on(self.stop.unless(asked))
    }

    /// Runs `future` on the runtime that the downloads run on.
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Runs `work`, which can't be dropped half-way, on a thread of its own; a signal ends only the wait for it.
    pub(super) fn wait_for<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || sender.send(work()));
        let answer = async {
            receiver
                .await
                .unwrap_or_else(|_| Err(Error::Internal("a reading thread has panicked".into())))
        };
        self.runtime.block_on(self.stop.unless(answer))
    }

    /// Reports datasets that are late at the end; when `strict`, they need a person.
    pub(super) fn watch_cadence(&mut self, strict: bool) -> Result<()> {
        cadence::check(self.context)?;
        self.cadence = if strict {
            Cadence::Strict
        } else {
            Cadence::Reported
        };
        Ok(())
    }

    fn look_for_late(&self, connection: Option<&Connection>) -> Result<Option<Vec<Late>>> {
        if self.cadence == Cadence::Unwatched {
            return Ok(None);
        }
        cadence::late(self.context, connection, ledger::now()).map(Some)
    }

    /// Takes note of something that concerns one source only.
    pub(super) fn note_error(&mut self, error: Error) {
        match error {
            Error::Stopped { .. } => self.stopped = Some(error),
            error => self.errors.push(error),
        }
    }

    /// Takes note of a source that was not looked at.
    pub(super) fn note_left(&mut self, source: String) {
        self.left.push(source);
    }

    /// Whether a signal has ended something.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Whether what was loaded is published: a fault undoes it.
    pub(super) fn is_published(&self) -> bool {
        self.fault.is_none()
    }

    /// Waits until no other run is under way; from then on none begins before this session ends.
    pub(super) fn lock(&mut self) -> Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        let data_dir = &self.context.config.data_dir;
        fs::create_dir_all(data_dir).map_err(Error::io("make the data directory", data_dir))?;
        let path = data_dir.join("lock");
        let wait = self.doing.lock_wait;
        self.lock = Some(Lock::acquire(&path, wait, self.command, &self.stop)?);
        Ok(())
    }

    /// Loads the batches in order and publishes what they have changed, once.
    pub(super) fn load_all(&mut self, batches: &[Batch]) {
        self.load_some(&mut &*batches, Limits::default());
    }

    /// Like [`Self::load_all`], but stops between batches when `limits` say so.
    ///
    /// A signal ends the batch under way, of which nothing is loaded; those before it are published. A fault of the
    /// machine or the warehouse ends everything; the report has it.
    pub(super) fn load_some(&mut self, batches: &mut impl Queue, limits: Limits) {
        let names = batches.names();
        if names.is_empty() {
            return;
        }
        match self.load_locked(batches, names.len(), limits) {
            Err(error @ Error::Stopped { .. }) => self.note_error(error),
            Err(error) => self.fault = Some(error),
            Ok(()) => {}
        }
        self.left.extend(names.into_iter().skip(self.tried));
    }

    fn load_locked(
        &mut self,
        batches: &mut impl Queue,
        count: usize,
        limits: Limits,
    ) -> Result<()> {
        self.lock()?;
        let config = &self.context.config;
        // Nobody else writes now: whatever is half-written there, a dead process has left.
        Inbox::new(&config.data_dir).remove_leftovers()?;
        Archive::new(&config.data_dir).remove_leftovers()?;
        let may_begin_anew = self.command == "backfill";
        let staging = Staging::prepare(config, may_begin_anew, &self.stop)?;
        let display =
            ProgressDisplay::start(self.context.show_progress, Arc::clone(&self.progress));
        let loaded = self.load_into(&staging, batches, count, limits);
        drop(display);
        match loaded {
            Ok(true) => {
                staging.publish()?;
                self.clear_archive();
                Ok(())
            }
            Ok(false) => {
                staging.discard();
                Ok(())
            }
            Err(error) => {
                staging.discard();
                Err(error)
            }
        }
    }

    /// Removes from the archive what the settings let go; failing to is no reason to fail a load. What is loaded
    /// is asked of the files themselves, so this is for after the warehouse is closed: to open it a second time
    /// in this process would drop the engine's lock.
    fn clear_archive(&self) {
        match clear(&self.context.config) {
            Ok(removed) if removed == Removed::default() => {}
            Ok(removed) => tracing::info!(
                revisions = removed.revisions.len(),
                files = removed.files,
                bytes = removed.bytes,
                "removed old deliveries from the archive"
            ),
            Err(error) => tracing::warn!("old deliveries stay in the archive: {}", error.chain()),
        }
    }

    fn load_into(
        &mut self,
        staging: &Staging,
        batches: &mut impl Queue,
        count: usize,
        limits: Limits,
    ) -> Result<bool> {
        let open = if staging.is_private() {
            Warehouse::open_private
        } else {
            Warehouse::open
        };
        let mut warehouse = open(staging.path(), &self.context.config.load)
            .map_err(|error| staging.told_of_live(error))?;
        warehouse.expect_batches(&batches.names())?;
        self.progress.expect_batches(count as u64);
        for index in 0..count {
            let late = limits.until.is_some_and(|until| Instant::now() >= until);
            // What waits does not count, or it would keep those behind it waiting night after night.
            let tried = self
                .outcomes
                .iter()
                .filter(|outcome| outcome.outcome != Ending::Waiting);
            if late || tried.count() >= limits.batches {
                break;
            }
            match self.load_next(&mut warehouse, batches, index) {
                Ok(outcome) => {
                    batches.note(index, &outcome);
                    self.outcomes.push(outcome);
                }
                // Batches before it are whole: what they took is not thrown away.
                Err(error @ Error::Stopped { .. }) => {
                    self.note_error(error);
                    break;
                }
                Err(error) if error.concerns_one_batch() => self.note_error(error),
                Err(error) => return Err(error),
            }
            self.tried = index + 1;
            self.progress.batch_done();
        }
        let left = count - self.tried;
        if !self.outcomes.iter().any(|outcome| outcome.written) {
            return Ok(false);
        }
        self.late = self.look_for_late(Some(warehouse.connection()))?;
        let exit = self.exit_status();
        ledger::record_run(
            warehouse.connection(),
            &RunEntry {
                run_id: self.run_id.clone(),
                command: self.command.to_owned(),
                started_at: self.started_at,
                outcome: self.report().summary_with(left),
                exit_code: if left > 0 {
                    exit.max(ExitStatus::Incomplete)
                } else {
                    exit
                }
                .code(),
            },
        )?;
        warehouse.close()?;
        Ok(true)
    }

    /// Loads one batch, or what stands in for it when its link is dead.
    fn load_next(
        &self,
        warehouse: &mut Warehouse,
        batches: &mut impl Queue,
        index: usize,
    ) -> Result<Outcome> {
        self.stop.check()?;
        let outcome = self.load_one(warehouse, &batches.take(self, index)?)?;
        if outcome.outcome == Ending::Expired
            && let Some(other) = batches.instead(self, index)?
        {
            return self.load_one(warehouse, &other);
        }
        Ok(outcome)
    }

    fn load_one(&self, warehouse: &mut Warehouse, batch: &Batch) -> Result<Outcome> {
        tracing::info!(batch_no = %batch.batch_no, origin = batch.origin, "loading");
        let outcome = self.pipeline.load(warehouse, batch)?;
        tracing::info!(
            batch_no = outcome.batch_no,
            outcome = outcome.outcome.as_str(),
            rows = outcome.rows_loaded,
            rejected = outcome.rows_rejected,
            "done"
        );
        Ok(outcome)
    }

    fn exit_status(&self) -> ExitStatus {
        let outcomes = self.outcomes.iter().map(|outcome| match outcome.outcome {
            // The examples hold two bad rows on purpose: that is what they show, not something to look after.
            Ending::Loaded | Ending::Unchanged if self.command == "demo" => ExitStatus::Success,
            _ => outcome.exit,
        });
        let errors = self.errors.iter().chain(&self.stopped).chain(&self.fault);
        let errors = errors.map(Error::exit_status);
        let left = (!self.left.is_empty()).then_some(ExitStatus::Incomplete);
        let anything_late = self.late.as_ref().is_some_and(|late| !late.is_empty());
        let late =
            (anything_late && self.cadence == Cadence::Strict).then_some(ExitStatus::Attention);
        let all = outcomes.chain(errors).chain(left).chain(late);
        all.max().unwrap_or(ExitStatus::Success)
    }

    pub(super) fn report(&self) -> Report<'_> {
        Report {
            run_id: &self.run_id,
            warehouse: self.context.config.warehouse_path(),
            exit: self.exit_status(),
            outcomes: &self.outcomes,
            errors: self.errors.iter().chain(&self.fault).collect(),
            published: self.is_published(),
            given: &self.context.given,
            left: &self.left,
            stopped: self.stopped.as_ref(),
            late: self.late.as_deref().unwrap_or_default(),
        }
    }

    /// Prints the result; returns how the process should exit.
    pub(super) fn finish(mut self) -> Result<ExitStatus> {
        // Nothing was written: what is published tells.
        if self.late.is_none()
            && self.is_published()
            && !self.context.config.expected_every.is_empty()
        {
            let connection = ledger::open_reading(&self.context.config.warehouse_path())?;
            self.late = self.look_for_late(connection.as_ref())?;
        }
        self.report().print(self.doing.format)?;
        if let Some(fault) = &self.fault
            && self.doing.format == Format::Json
        {
            // Whoever reads the report may not look at stderr, and whoever is woken up may not have the report.
            super::report_error(fault);
        }
        let exit = self.exit_status();
        if self.is_stopped() {
            // A name that is being looked up, for one, can't be waited for.
            self.runtime.shutdown_timeout(LAST_WAIT);
        }
        Ok(exit)
    }
}
