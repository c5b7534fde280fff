//! `redledger run --metrics FILE`: what a run has done and what stands after it, for Prometheus' textfile collector.
//!
//! Every figure is a gauge: the file is the state after the last run, and no process lives on that could count. Every
//! dataset that is announced has all of its samples each time, so that rules need not tell "none" from "no such series".
//! There are no amounts, account ids or batch numbers in it.

mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use duckdb::Connection;

use self::text::Exposition;
use super::{
    context::Context,
    output::{in_view_of_output, remark},
};
use crate::{
    archive::Archive,
    clock,
    error::{ExitStatus, Result},
    history,
    ledger::{self, State, UNKNOWN_DATASET},
    pipeline::{Ending, Outcome},
    run::{self, Report},
    warehouse,
};

/// The label of what never showed its dataset: no dataset can have such a name.
const UNKNOWN: &str = "(unknown)";

/// What stands: the states of a batch's latest attempt that ask for something, and the one that does not.
const STANDING: [State; 5] = [
    State::Loaded,
    State::Failed,
    State::Waiting,
    State::Expired,
    State::Dismissed,
];

/// A metric's name, its help, and how it is taken from `T`.
type Figure<T> = (&'static str, &'static str, fn(&T) -> u64);

/// A run, as far as its figures go.
pub(super) struct Night {
    /// Epoch microseconds.
    started_at: i64,
    ended_at: i64,
    exit: ExitStatus,
    /// By dataset; empty when nothing was published.
    done: BTreeMap<String, Done>,
}

/// What a run has done with batches of a dataset.
#[derive(Default)]
struct Done {
    outcomes: BTreeMap<&'static str, u64>,
    rows_read: u64,
    rows_loaded: u64,
    rows_rejected: u64,
}

impl Done {
    fn add(&mut self, outcome: &Outcome) {
        *self.outcomes.entry(outcome.outcome.as_str()).or_default() += 1;
        // Of what is unchanged they are the rows of an earlier run; of what is not loaded, none are.
        if outcome.outcome != Ending::Unchanged {
            self.rows_read += outcome.rows_read;
            self.rows_rejected += outcome.rows_rejected;
        }
        if outcome.outcome == Ending::Loaded {
            self.rows_loaded += outcome.rows_loaded;
        }
    }
}

impl Night {
    pub(super) fn begin() -> Self {
        Self {
            started_at: clock::now(),
            ended_at: 0,
            exit: ExitStatus::Success,
            done: BTreeMap::new(),
        }
    }

    /// Takes note of what a run has done; nothing, when a fault has undone it.
    pub(super) fn note(&mut self, report: &Report<'_>) {
        for outcome in report.outcomes.iter().filter(|_| report.published) {
            let dataset = labelled(outcome.dataset.as_deref().unwrap_or_default());
            self.done.entry(dataset).or_default().add(outcome);
        }
    }

    /// Takes note of how it has ended.
    pub(super) fn end(&mut self, ended: &Result<ExitStatus>) {
        self.ended_at = clock::now();
        let exit = match ended {
            Ok(exit) => *exit,
            Err(error) => error.exit_status(),
        };
        self.exit = in_view_of_output(exit);
    }

    /// Writes the file. What keeps it from being written is said on stderr, and changes nothing else.
    pub(super) fn write(&self, context: &Context, path: &Path) {
        let mut out = Exposition::default();
        self.of_the_run(context, &mut out);
        let standing = of_the_warehouse(context, &mut out);
        if let Err(error) = standing {
            warn(
                path,
                "what the warehouse holds is not in it",
                &error.chain(),
            );
        }
        if let Err(error) = replace(path, out.as_str()) {
            warn(path, "not written", &error.to_string());
        }
    }

    fn of_the_run(&self, context: &Context, out: &mut Exposition) {
        out.gauge("build_info", "The program that wrote this.");
        out.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        out.gauge("run_start_timestamp_seconds", "When the last run began.");
        out.seconds(&[], self.started_at);
        out.gauge("run_end_timestamp_seconds", "When the last run ended.");
        out.seconds(&[], self.ended_at);
        out.gauge(
            "run_exit_status",
            "The last run's exit status: 0 well, 1 needs a person, 2 fault, 3 run again.",
        );
        out.sample(&[], self.exit.code());

        let mut datasets = announced(context);
        datasets.extend(self.done.keys().cloned());
        let none = Done::default();
        let done = |dataset: &str| self.done.get(dataset).unwrap_or(&none);
        out.gauge(
            "run_batches",
            "Batches that the last run met, by what became of them.",
        );
        for dataset in &datasets {
            for ending in Ending::ALL.map(Ending::as_str) {
                let count = done(dataset).outcomes.get(ending).copied();
                let labels = [("dataset", dataset.as_str()), ("outcome", ending)];
                out.sample(&labels, count.unwrap_or_default());
            }
        }
        let figures: [Figure<Done>; 3] = [
            (
                "run_rows_read",
                "Rows delivered to the last run, lines of bills included.",
                |of| of.rows_read,
            ),
            (
                "run_rows_loaded",
                "Rows that the last run has loaded.",
                |of| of.rows_loaded,
            ),
            (
                "run_rows_rejected",
                "Rows that the last run has rejected.",
                |of| of.rows_rejected,
            ),
        ];
        for (name, help, figure) in figures {
            out.gauge(name, help);
            for dataset in &datasets {
                out.sample(&[("dataset", dataset)], figure(done(dataset)));
            }
        }
    }
}

fn labelled(dataset: &str) -> String {
    match dataset {
        UNKNOWN_DATASET => UNKNOWN.to_owned(),
        dataset => dataset.to_owned(),
    }
}

/// The datasets that have batches of their own, and the one of batches that never showed theirs.
fn announced(context: &Context) -> BTreeSet<String> {
    let of_their_own = context.contracts.iter().filter(|of| of.parent.is_none());
    let names = of_their_own.map(|contract| contract.name.to_string());
    names.chain([UNKNOWN.to_owned()]).collect()
}

/// What stands after the run, whoever has loaded it.
fn of_the_warehouse(context: &Context, out: &mut Exposition) -> Result<()> {
    let config = &context.config;
    let path = config.warehouse_path();
    let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    out.gauge(
        "warehouse_bytes",
        "Size of the warehouse; 0 where there is none.",
    );
    out.sample(&[], bytes);
    if let Ok(space) = rustix::fs::statvfs(&config.data_dir) {
        out.gauge(
            "filesystem_free_bytes",
            "What is free for this user where the data directory is.",
        );
        out.sample(&[], space.f_bavail.saturating_mul(space.f_frsize));
    }
    let connection = warehouse::open_reading(&path)?;
    let late = run::late(
        config,
        &context.contracts,
        connection.as_ref(),
        clock::now(),
    )?;
    out.gauge(
        "dataset_late",
        "1 when the next batch is overdue by expected_every, as of the last run; only datasets that have one.",
    );
    for dataset in config.expected_every.keys() {
        let is_late = late.iter().any(|late| late.dataset == *dataset);
        out.sample(&[("dataset", dataset)], u8::from(is_late));
    }
    match connection {
        Some(connection) => of_the_ledger(context, &connection, out),
        None => Ok(()),
    }
}

fn of_the_ledger(context: &Context, connection: &Connection, out: &mut Exposition) -> Result<()> {
    let mut batches = ledger::batches(connection, None)?;
    let dismissed = Archive::new(&context.config.data_dir).dismissed()?;
    history::mark_dismissed(&mut batches, &dismissed);
    let standing = ledger::standing(connection, None)?;
    let mut counts: BTreeMap<(String, &str), u64> = BTreeMap::new();
    let mut datasets = announced(context);
    for batch in &batches {
        let dataset = labelled(&batch.entry.dataset);
        datasets.insert(dataset.clone());
        *counts
            .entry((dataset, batch.entry.state.as_str()))
            .or_default() += 1;
    }
    out.gauge(
        "batches",
        "Batches by the state of their latest attempt, as `redledger status` has them.",
    );
    for dataset in datasets {
        for state in STANDING.map(State::as_str) {
            let labels = [("dataset", dataset.as_str()), ("state", state)];
            let count = counts.get(&(dataset.clone(), state)).copied();
            out.sample(&labels, count.unwrap_or_default());
        }
    }
    // In the order of acceptance: the last one of a dataset is the newest.
    let newest: BTreeMap<&str, _> = standing
        .iter()
        .map(|of| (of.dataset.as_str(), of))
        .collect();
    out.gauge(
        "newest_batch_accepted_timestamp_seconds",
        "When the newest loaded batch was accepted.",
    );
    for (dataset, batch) in &newest {
        out.seconds(&[("dataset", dataset)], batch.accepted_at);
    }
    let figures: [Figure<ledger::StandingBatch>; 3] = [
        (
            "newest_batch_rows_read",
            "Rows delivered of the newest loaded batch.",
            |of| of.rows_read,
        ),
        (
            "newest_batch_rows_loaded",
            "Rows of the newest loaded batch in the tables.",
            |of| of.rows_loaded,
        ),
        (
            "newest_batch_rows_rejected",
            "Rows of the newest loaded batch that were rejected.",
            |of| of.rows_rejected,
        ),
    ];
    for (name, help, figure) in figures {
        out.gauge(name, help);
        for (dataset, batch) in &newest {
            out.sample(&[("dataset", dataset)], figure(batch));
        }
    }
    Ok(())
}

fn warn(path: &Path, what: &str, why: &str) {
    remark!("warning: --metrics {}: {what}: {why}", path.display());
}

/// Puts a new file in the place of the one before: whoever reads it meets one of them, whole.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // The collector reads names that end in .prom only.
    let mut file = tempfile::Builder::new()
        .prefix(".redledger-")
        .suffix(".tmp")
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    // Whatever the umask: the collector is another user, and there is nothing private in it.
    let readable = fs::Permissions::from_mode(0o644);
    file.as_file().set_permissions(readable)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}
