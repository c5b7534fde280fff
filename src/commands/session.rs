//! What every command that loads does: lock, copy, load batch after batch, publish once, report.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Context, load_report::Report, progress::ProgressDisplay};
use crate::{
    archive::Archive,
    cli::Doing,
    error::{Error, ExitStatus, Result},
    inbox::Inbox,
    ledger::{self, RunEntry},
    load::Warehouse,
    pipeline::{BatchSource, Outcome, Pipeline, Progress},
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
    outcomes: Vec<Outcome>,
    errors: Vec<Error>,
    /// Batches that a limit or a signal has kept from being loaded.
    left: Vec<String>,
    stop: Stop,
    /// The signal's error, once it has ended something.
    stopped: Option<Error>,
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
            outcomes: Vec::new(),
            errors: Vec::new(),
            left: Vec::new(),
            stop,
            stopped: None,
        })
    }

    pub(super) fn fetch_announcement(&self, url: &SourceUrl) -> Result<Vec<u8>> {
        self.pipeline.fetch_announcement(url)
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

    pub(super) fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Loads the batches in order and publishes what they have changed, once.
    pub(super) fn load_all(&mut self, batches: &[(BatchSource, Vec<String>)]) -> Result<()> {
        self.load_some(batches, Limits::default())
    }

    /// Like [`Self::load_all`], but stops between batches when `limits` say so.
    ///
    /// A signal ends the batch under way, of which nothing is loaded; those before it are published.
    pub(super) fn load_some(
        &mut self,
        batches: &[(BatchSource, Vec<String>)],
        limits: Limits,
    ) -> Result<()> {
        if batches.is_empty() {
            return Ok(());
        }
        match self.load_locked(batches, limits) {
            Err(error @ Error::Stopped { .. }) => self.note_error(error),
            other => other?,
        }
        let left = batches.iter().skip(self.outcomes.len());
        self.left
            .extend(left.map(|(batch, _)| batch.batch_no.to_string()));
        Ok(())
    }

    fn load_locked(
        &mut self,
        batches: &[(BatchSource, Vec<String>)],
        limits: Limits,
    ) -> Result<()> {
        let config = &self.context.config;
        fs::create_dir_all(&config.data_dir)
            .map_err(Error::io("make the data directory", &config.data_dir))?;
        let _lock = Lock::acquire(
            &config.data_dir.join("lock"),
            self.doing.lock_wait,
            self.command,
            &self.stop,
        )?;
        // Nobody else writes now: whatever is half-written there, a dead process has left.
        Inbox::new(&config.data_dir).remove_leftovers()?;
        Archive::new(&config.data_dir).remove_leftovers()?;
        let staging = Staging::prepare(&config.warehouse_path(), &config.warehouse, &self.stop)?;
        let display =
            ProgressDisplay::start(self.context.show_progress, Arc::clone(&self.progress));
        let loaded = self.load_into(&staging, batches, limits);
        drop(display);
        match loaded {
            Ok(true) => staging.publish(),
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

    fn load_into(
        &mut self,
        staging: &Staging,
        batches: &[(BatchSource, Vec<String>)],
        limits: Limits,
    ) -> Result<bool> {
        let mut warehouse = Warehouse::open(staging.path(), &self.context.config.load)
            .map_err(|error| staging.told_of_live(error))?;
        for (batch, columns) in batches {
            let late = limits.until.is_some_and(|until| Instant::now() >= until);
            if late || self.outcomes.len() >= limits.batches {
                break;
            }
            tracing::info!(batch_no = %batch.batch_no, origin = batch.origin, "loading");
            let loaded = self
                .stop
                .check()
                .and_then(|()| self.pipeline.load(&mut warehouse, batch, columns));
            let outcome = match loaded {
                // Batches before it are whole: what they took is not thrown away.
                Err(error @ Error::Stopped { .. }) => {
                    self.note_error(error);
                    break;
                }
                loaded => loaded?,
            };
            tracing::info!(
                batch_no = outcome.batch_no,
                outcome = outcome.outcome,
                rows = outcome.rows_loaded,
                rejected = outcome.rows_rejected,
                "done"
            );
            self.outcomes.push(outcome);
        }
        if !self.outcomes.iter().any(|outcome| outcome.written) {
            return Ok(false);
        }
        let exit = self.exit_status();
        let left = batches.len() - self.outcomes.len();
        ledger::record_run(
            warehouse.connection(),
            &RunEntry {
                run_id: self.run_id.clone(),
                command: self.command.to_owned(),
                started_at: self.started_at,
                outcome: self.report().summary(left),
                exit_code: exit.code(),
            },
        )?;
        warehouse.close()?;
        Ok(true)
    }

    fn exit_status(&self) -> ExitStatus {
        let outcomes = self.outcomes.iter().map(|outcome| outcome.exit);
        let errors = self.errors.iter().chain(&self.stopped);
        let errors = errors.map(Error::exit_status);
        outcomes.chain(errors).max().unwrap_or(ExitStatus::Success)
    }

    pub(super) fn report(&self) -> Report<'_> {
        Report {
            run_id: &self.run_id,
            warehouse: self.context.config.warehouse_path(),
            exit: self.exit_status(),
            outcomes: &self.outcomes,
            errors: &self.errors,
            left: &self.left,
            stopped: self.stopped.as_ref(),
        }
    }

    /// Prints the result; returns how the process should exit.
    pub(super) fn finish(self) -> Result<ExitStatus> {
        self.report().print(self.doing.format)?;
        let exit = self.exit_status();
        if self.is_stopped() {
            // A name that is being looked up, for one, can't be waited for.
            self.runtime.shutdown_timeout(LAST_WAIT);
        }
        Ok(exit)
    }
}
