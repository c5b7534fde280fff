//! What every command that loads does: lock, copy, load batch after batch, publish once, report.

use std::{fs, sync::Arc, time::Instant};

use duckdb::Connection;

use super::{
    Context,
    cadence::{self, Late},
    load_report::Report,
    progress::ProgressDisplay,
};
use crate::{
    cli::Doing,
    error::{Error, ExitStatus, Result},
    ledger::{self, RunEntry},
    load::Warehouse,
    pipeline::{BatchSource, Outcome, Pipeline, Progress},
    publish::{Lock, Staging},
    source_url::SourceUrl,
};

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
    /// Batches that a limit has kept from being tried.
    left: usize,
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
        let pipeline = Pipeline::new(
            &context.config,
            &context.contracts,
            runtime.handle().clone(),
            run_id.clone(),
            Arc::clone(&progress),
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
            left: 0,
            cadence: Cadence::Unwatched,
        })
    }

    pub(super) fn fetch_announcement(&self, url: &SourceUrl) -> Result<Vec<u8>> {
        self.pipeline.fetch_announcement(url)
    }

    /// Runs `future` on the runtime that the downloads run on.
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
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
        self.errors.push(error);
    }

    pub(super) fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Waits until no other run is under way; from then on none begins before this session ends.
    pub(super) fn lock(&mut self) -> Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        let data_dir = &self.context.config.data_dir;
        fs::create_dir_all(data_dir).map_err(Error::io("make the data directory", data_dir))?;
        let path = data_dir.join("lock");
        self.lock = Some(Lock::acquire(&path, self.doing.lock_wait, self.command)?);
        Ok(())
    }

    /// Loads the batches in order and publishes what they have changed, once.
    pub(super) fn load_all(&mut self, batches: &[(BatchSource, Vec<String>)]) -> Result<()> {
        self.load_some(batches, Limits::default())
    }

    /// Like [`Self::load_all`], but stops between batches when `limits` say so.
    pub(super) fn load_some(
        &mut self,
        batches: &[(BatchSource, Vec<String>)],
        limits: Limits,
    ) -> Result<()> {
        if batches.is_empty() {
            return Ok(());
        }
        self.lock()?;
        let config = &self.context.config;
        let staging = Staging::prepare(&config.warehouse_path(), config.warehouse.mode)?;
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
        let open = if staging.is_private() {
            Warehouse::open_private
        } else {
            Warehouse::open
        };
        let mut warehouse = open(staging.path(), &self.context.config.load)?;
        for (batch, columns) in batches {
            let late = limits.until.is_some_and(|until| Instant::now() >= until);
            // What waits does not count, or it would keep those behind it waiting night after night.
            let tried = self
                .outcomes
                .iter()
                .filter(|outcome| outcome.outcome != "waiting");
            if late || tried.count() >= limits.batches {
                self.left = batches.len() - self.outcomes.len();
                break;
            }
            tracing::info!(batch_no = %batch.batch_no, origin = batch.origin, "loading");
            let outcome = self.pipeline.load(&mut warehouse, batch, columns)?;
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
        self.late = self.look_for_late(Some(warehouse.connection()))?;
        let exit = self.exit_status();
        ledger::record_run(
            warehouse.connection(),
            &RunEntry {
                run_id: self.run_id.clone(),
                command: self.command.to_owned(),
                started_at: self.started_at,
                outcome: self.report().summary(),
                exit_code: exit.code(),
            },
        )?;
        warehouse.close()?;
        Ok(true)
    }

    fn exit_status(&self) -> ExitStatus {
        let outcomes = self.outcomes.iter().map(|outcome| outcome.exit);
        let errors = self.errors.iter().map(Error::exit_status);
        let left = (self.left > 0).then_some(ExitStatus::Incomplete);
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
            errors: &self.errors,
            left: self.left,
            late: self.late.as_deref().unwrap_or_default(),
        }
    }

    /// Prints the result; returns how the process should exit.
    pub(super) fn finish(mut self) -> Result<ExitStatus> {
        // Nothing was written: what is published tells.
        if self.late.is_none() && !self.context.config.expected_every.is_empty() {
            let connection = ledger::open_reading(&self.context.config.warehouse_path())?;
            self.late = self.look_for_late(connection.as_ref())?;
        }
        self.report().print(self.doing.format)?;
        Ok(self.exit_status())
    }
}
