//! A run: what every command that loads does. Claim, copy, load batch after batch, publish once, report.

mod backlog;
mod cadence;
mod decisions;
mod intake;
mod plan;
mod put_aside;
mod queue;
mod report;
mod retention;
mod survived;
mod waiting;

use std::{
    any::Any,
    collections::{HashSet, VecDeque},
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use duckdb::Connection;

pub(crate) use self::{
    backlog::Backlog,
    cadence::{Late, check as check_cadence, late},
    intake::Intake,
    plan::{Asked, Origin, Plan, Planned, make as make_plan},
    put_aside::clear as clear_put_aside,
    queue::{Limits, Queue},
    report::Report,
    retention::{limits as retention, loaded as loaded_anywhere},
    survived::{Contents, look_at, survived},
    waiting::{Index, NotTaken, Waiting},
};
use crate::{
    archive::{Archive, DismissedBatch, Removed},
    batch::Batch,
    clock,
    config::Config,
    contract::Contracts,
    data_dir,
    error::{Error, ExitStatus, Result},
    feed::Progress,
    inbox::Inbox,
    ledger::{self, RunEntry},
    pipeline::{Ending, Outcome, Pipeline},
    stop::Stop,
    views,
    warehouse::{self, Claim, Warehouse, Writer},
};

/// What still runs on the blocking threads when a command is stopped gets so long to end.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// What a run is made with.
pub(crate) struct Equipment<'a> {
    pub(crate) config: &'a Config,
    pub(crate) contracts: &'a Contracts,
    /// Shows how far a load has come, until what it returns is dropped.
    pub(crate) show: Box<dyn Fn(Arc<Progress>) -> Box<dyn Any> + 'a>,
}

/// A run under way.
pub(crate) struct Run<'a> {
    equipment: Equipment<'a>,
    command: &'static str,
    /// How long another run is waited for.
    lock_wait: Duration,
    pipeline: Pipeline<'a>,
    progress: Arc<Progress>,
    // Dropped after the pipeline, whose tasks run on it.
    runtime: tokio::runtime::Runtime,
    run_id: String,
    started_at: i64,
    claim: Option<Claim>,
    /// Known once it was looked for them.
    late: Option<Vec<Late>>,
    outcomes: Vec<Outcome>,
    errors: Vec<Error>,
    /// Batches that a limit or a signal has kept from being loaded.
    left: Vec<String>,
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

impl<'a> Run<'a> {
    pub(crate) fn begin(
        equipment: Equipment<'a>,
        command: &'static str,
        lock_wait: Duration,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("redledger-io")
            .build()
            .map_err(|error| Error::Internal(format!("the runtime does not start: {error}")))?;
        let started_at = clock::now();
        let started = jiff::Timestamp::from_microsecond(started_at).unwrap_or_default();
        let run_id = format!(
            "{}-{}",
            started.strftime("%Y%m%dT%H%M%S%3fZ"),
            std::process::id()
        );
        let progress = Arc::new(Progress::default());
        let stop = Stop::on_signals(runtime.handle())?;
        let pipeline = Pipeline::new(
            equipment.config,
            equipment.contracts,
            runtime.handle().clone(),
            run_id.clone(),
            Arc::clone(&progress),
            stop.clone(),
        )?;
        Ok(Self {
            equipment,
            command,
            lock_wait,
            pipeline,
            progress,
            runtime,
            run_id,
            started_at,
            claim: None,
            late: None,
            outcomes: Vec::new(),
            errors: Vec::new(),
            left: Vec::new(),
            stop,
            stopped: None,
            fault: None,
            cadence: Cadence::Unwatched,
        })
    }

    /// What gets hold of batches.
    pub(crate) fn intake(&self) -> Intake<'a> {
        Intake {
            config: self.equipment.config,
            fetcher: self.pipeline.fetcher().clone(),
            runtime: self.runtime.handle().clone(),
            stop: self.stop.clone(),
        }
    }

    /// Reports datasets that are late at the end; when `strict`, they need a person.
    pub(crate) fn watch_cadence(&mut self, strict: bool) -> Result<()> {
        cadence::check(self.equipment.config, self.equipment.contracts)?;
        self.cadence = if strict {
            Cadence::Strict
        } else {
            Cadence::Reported
        };
        Ok(())
    }

    fn late_by(&self, connection: Option<&Connection>) -> Result<Option<Vec<Late>>> {
        if self.cadence == Cadence::Unwatched {
            return Ok(None);
        }
        let Equipment {
            config, contracts, ..
        } = self.equipment;
        cadence::late(config, contracts, connection, clock::now()).map(Some)
    }

    /// Takes note of something that concerns one source only.
    pub(crate) fn note_error(&mut self, error: Error) {
        match error {
            Error::Stopped { .. } => self.stopped = Some(error),
            error => self.errors.push(error),
        }
    }

    /// Takes note of a source that was not looked at.
    pub(crate) fn note_left(&mut self, source: String) {
        self.left.push(source);
    }

    /// Whether a signal has ended something.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Whether what was loaded is published: a fault undoes it.
    pub(crate) fn is_published(&self) -> bool {
        self.fault.is_none()
    }

    /// Waits until no other run is under way; from then on none begins before this session ends.
    pub(crate) fn claim(&mut self) -> Result<()> {
        if self.claim.is_some() {
            return Ok(());
        }
        let data_dir = &self.equipment.config.data_dir;
        fs::create_dir_all(data_dir).map_err(Error::io("make the data directory", data_dir))?;
        let path = data_dir::lock(data_dir);
        let wait = self.lock_wait;
        self.claim = Some(Claim::acquire(&path, wait, self.command, &self.stop)?);
        Ok(())
    }

    /// Loads the batches in order and publishes what they have changed, once.
    pub(crate) fn load_all(&mut self, batches: &[Batch]) {
        self.load_some(&mut &*batches, Limits::default());
    }

    /// Like [`Self::load_all`], but stops between batches when `limits` say so.
    ///
    /// A signal ends the batch under way, of which nothing is loaded; those before it are published. A fault of the
    /// machine or the warehouse ends everything; the report has it.
    pub(crate) fn load_some(&mut self, batches: &mut impl Queue, limits: Limits) {
        let names = batches.names();
        if names.is_empty() {
            return;
        }
        let mut turns = (0..names.len()).collect();
        let loaded = self.load_locked(batches, &mut turns, limits);
        self.note_end(loaded);
        self.left
            .extend(turns.into_iter().map(|index| names[index].clone()));
    }

    fn note_end(&mut self, loaded: Result<()>) {
        match loaded {
            Err(error @ Error::Stopped { .. }) => self.note_error(error),
            Err(error) => self.fault = Some(error),
            Ok(()) => {}
        }
    }

    /// Writes down what a person has dismissed, and publishes it.
    pub(crate) fn dismiss(&mut self, dismissed: &[DismissedBatch], outcomes: Vec<Outcome>) {
        let archive = Archive::new(&self.equipment.config.data_dir);
        let published = archive.dismiss(dismissed).and_then(|()| {
            self.outcomes = outcomes;
            let none: &[Batch] = &[];
            self.load_locked(&mut &*none, &mut VecDeque::new(), Limits::default())
        });
        self.note_end(published);
    }

    /// Makes the views again where that is due. Failing to is no reason to fail a load.
    fn remake_views(&self, warehouse: &Warehouse) -> bool {
        let made = views::make(warehouse.connection(), &self.equipment.config.reporting);
        made.unwrap_or_else(|error| {
            tracing::warn!("the views are not made: {}", error.chain());
            false
        })
    }

    /// Publishes views that are to be made again where nothing else is to be done.
    ///
    /// # Errors
    /// What keeps the warehouse from being read.
    pub(crate) fn refresh_views(&mut self) -> Result<()> {
        let config = self.equipment.config;
        let Some(connection) = warehouse::open_reading(&config.warehouse_path())? else {
            return Ok(());
        };
        // What keeps views from being read is said where they are made.
        let is_due = !views::are_current(&connection, &config.reporting).unwrap_or(true);
        drop(connection);
        if is_due {
            let none: &[Batch] = &[];
            let refreshed = self.load_locked(&mut &*none, &mut VecDeque::new(), Limits::default());
            self.note_end(refreshed);
        }
        Ok(())
    }

    /// The numbers of batches of which nothing is left to do.
    pub(crate) fn closed(&self) -> HashSet<String> {
        let closed = self
            .outcomes
            .iter()
            .filter(|of| matches!(of.outcome, Ending::Loaded | Ending::Unchanged));
        closed.map(|of| of.batch_no.clone()).collect()
    }

    /// Loads the batches in `turns`, of which those that had no turn are left.
    fn load_locked(
        &mut self,
        batches: &mut impl Queue,
        turns: &mut VecDeque<usize>,
        limits: Limits,
    ) -> Result<()> {
        self.claim()?;
        let config = self.equipment.config;
        // Nobody else writes now: whatever is half-written there, a dead process has left.
        Inbox::new(&config.data_dir).remove_leftovers()?;
        Archive::new(&config.data_dir).remove_leftovers()?;
        let may_begin_anew = self.command == "backfill";
        let mut writer = Writer::open(config, may_begin_anew, &self.stop)?;
        let shown = (self.equipment.show)(Arc::clone(&self.progress));
        let loaded = self.load_into(writer.warehouse(), batches, turns, limits);
        drop(shown);
        if loaded? {
            writer.publish()?;
            self.clear_archive();
        }
        Ok(())
    }

    /// Removes from the archive what the settings let go; failing to is no reason to fail a load. What is loaded
    /// is asked of the files themselves, so this is for after the warehouse is closed: to open it a second time
    /// in this process would drop the engine's lock.
    fn clear_archive(&self) {
        match retention::clear(self.equipment.config) {
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
        warehouse: &mut Warehouse,
        batches: &mut impl Queue,
        turns: &mut VecDeque<usize>,
        limits: Limits,
    ) -> Result<bool> {
        let archive = Archive::new(&self.equipment.config.data_dir);
        decisions::forget_undone_rollbacks(&archive, warehouse)?;
        let is_told = decisions::carry_out_dismissals(&archive, warehouse, &self.run_id)?;
        let names = batches.names();
        warehouse.expect_batches(&names)?;
        self.progress.expect_batches(turns.len() as u64);
        if let Some(until) = limits.until {
            // What an earlier run was cut off at would keep the others from their turn night after night.
            turns
                .make_contiguous()
                .sort_by_key(|index| warehouse.is_waiting(&names[*index]));
            self.stop.request_at(until, self.runtime.handle());
        }
        while let Some(index) = turns.front().copied() {
            let late = limits.until.is_some_and(|until| Instant::now() >= until);
            // What stays in the inbox does not count, or it would keep those behind it waiting night after night.
            let tried = self.outcomes.iter().filter(|outcome| outcome.is_over);
            if late || tried.count() >= limits.batches {
                break;
            }
            match self.load_next(warehouse, batches, index) {
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
            turns.pop_front();
            self.progress.batch_done();
        }
        let left = turns.len();
        let is_remade = self.remake_views(warehouse);
        if !is_told && !is_remade && !self.outcomes.iter().any(|outcome| outcome.written) {
            return Ok(false);
        }
        self.late = self.late_by(Some(warehouse.connection()))?;
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
        let outcome = self.load_one(warehouse, &batches.take(&self.intake(), index)?)?;
        if outcome.outcome == Ending::Expired
            && let Some(other) = batches.instead(&self.intake(), index)?
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

    pub(crate) fn report(&self) -> Report<'_> {
        Report {
            run_id: &self.run_id,
            warehouse: self.equipment.config.warehouse_path(),
            exit: self.exit_status(),
            outcomes: &self.outcomes,
            errors: self.errors.iter().chain(&self.fault).collect(),
            published: self.is_published(),
            left: &self.left,
            stopped: self.stopped.as_ref(),
            late: self.late.as_deref().unwrap_or_default(),
        }
    }

    /// Looks for late datasets where nothing was written: what is published tells.
    ///
    /// # Errors
    /// What keeps the warehouse from being read.
    pub(crate) fn look_for_late(&mut self) -> Result<()> {
        let config = self.equipment.config;
        if self.late.is_none() && self.is_published() && !config.expected_every.is_empty() {
            let connection = warehouse::open_reading(&config.warehouse_path())?;
            self.late = self.late_by(connection.as_ref())?;
        }
        Ok(())
    }

    /// Ends it.
    pub(crate) fn end(self) {
        if self.stop.is_requested() {
            // A name that is being looked up, for one, can't be waited for.
            self.runtime.shutdown_timeout(LAST_WAIT);
        }
    }
}
