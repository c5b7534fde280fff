//! `redledger run --lineage FILE|URL`: a run and its batches as OpenLineage events.
//!
//! The run is a job of its own, and so is every dataset: a batch that was loaded, or that failed or expired, is a run of
//! its dataset's job. Of what waits, is unchanged or dismissed nothing was read or written, and nothing is told.
//! What can't be told is said on stderr, and changes nothing else.

mod event;

use std::{
    env,
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::Duration,
};

use duckdb::Connection;
use reqwest::{Client, Url, header, redirect};
use serde_json::Value;

use self::event::{Output, Told, Transition, inputs};
use super::{context::Context, output::remark};
use crate::{
    cli::LineageTarget,
    clock,
    error::{ExitStatus, Result},
    ledger::{self, FileEntry},
    load,
    pipeline::{Ending, Outcome},
    run::Report,
    source, warehouse,
};

/// Longest that one event may take, and all of a run: it has ended by then, and its scheduler waits.
const LONGEST: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// A run whose events are told.
pub(super) struct Lineage<'a> {
    context: &'a Context,
    to: &'a LineageTarget,
    night: Told,
    started_at: i64,
    run_id: String,
    /// Empty when nothing was published.
    outcomes: Vec<Outcome>,
    is_stopped: bool,
    /// What has ended the run.
    fault: Option<String>,
}

impl<'a> Lineage<'a> {
    /// Tells that a run has begun.
    pub(super) fn begin(context: &'a Context, to: &'a LineageTarget) -> Self {
        let namespace = env::var("OPENLINEAGE_NAMESPACE").ok();
        let namespace = namespace.filter(|name| !name.trim().is_empty());
        let namespace = namespace.as_deref().unwrap_or("redledger");
        let lineage = Self {
            context,
            to,
            night: Told::new(namespace, "redledger-run".into()),
            started_at: clock::now(),
            run_id: String::new(),
            outcomes: Vec::new(),
            is_stopped: false,
            fault: None,
        };
        let event = lineage
            .night
            .event(Transition::Start, lineage.started_at, &[], &[]);
        lineage.tell(&[event]);
        lineage
    }

    /// Takes note of what the run has done.
    pub(super) fn note(&mut self, report: &Report<'_>) {
        self.run_id = report.run_id.to_owned();
        self.is_stopped = report.stopped.is_some();
        match report.published {
            true => self.outcomes = report.outcomes.to_vec(),
            false => self.fault = report.errors.last().map(|error| error.chain()),
        }
    }

    /// Tells what has become of the batches, and how the run has ended.
    pub(super) fn end(mut self, ended: &Result<ExitStatus>) {
        let ended_at = clock::now();
        let mut events = Vec::new();
        if let Err(error) = self.batches(ended_at, &mut events) {
            self.warn(&format!("what was loaded is not told: {}", error.chain()));
        }
        let exit = match ended {
            Ok(exit) => *exit,
            Err(error) => {
                self.fault = Some(error.chain());
                error.exit_status()
            }
        };
        if let Some(fault) = &self.fault {
            self.night.message(fault);
        }
        let transition = match exit {
            ExitStatus::Fault => Transition::Fail,
            // Another run has the lock, say: nothing is wrong, and nothing was done.
            _ if self.is_stopped || self.fault.is_some() => Transition::Abort,
            _ => Transition::Complete,
        };
        if !self.run_id.is_empty() {
            self.night.parameters(&[("run_id", self.run_id.clone())]);
        }
        events.push(self.night.event(transition, ended_at, &[], &[]));
        self.tell(&events);
    }

    fn batches(&self, ended_at: i64, events: &mut Vec<Value>) -> Result<()> {
        let told = |of: &&Outcome| {
            matches!(
                of.outcome,
                Ending::Loaded | Ending::Failed | Ending::Expired
            )
        };
        let outcomes: Vec<&Outcome> = self.outcomes.iter().filter(told).collect();
        if outcomes.is_empty() {
            return Ok(());
        }
        let Some(connection) = warehouse::open_reading(&self.context.config.warehouse_path())?
        else {
            return Ok(());
        };
        for outcome in outcomes {
            self.batch(&connection, outcome, ended_at, events)?;
        }
        Ok(())
    }

    fn batch(
        &self,
        connection: &Connection,
        outcome: &Outcome,
        ended_at: i64,
        events: &mut Vec<Value>,
    ) -> Result<()> {
        let contracts = &self.context.contracts;
        let dataset = outcome.dataset.as_deref().unwrap_or_default();
        let revision = outcome.revision.unwrap_or_default();
        let own = contracts.get(dataset);
        let child = own.and_then(|_| contracts.child_of(dataset));
        let names: Vec<&str> = std::iter::once(dataset)
            .chain(child.map(|child| child.name.as_str()))
            .collect();
        let files = ledger::files(connection, &names, &outcome.batch_no, revision)?;
        let job = match dataset {
            ledger::UNKNOWN_DATASET => "redledger-load".to_owned(),
            dataset => format!("redledger-load.{dataset}"),
        };
        let mut told = self.night.part(job);
        let mut parameters = vec![("batch_no", outcome.batch_no.clone())];
        parameters.extend(outcome.revision.map(|of| ("revision", of.to_string())));
        told.parameters(&parameters);
        let inputs = inputs(&files);
        events.push(told.event(Transition::Start, self.started_at, &inputs, &[]));
        let (transition, outputs) = match outcome.outcome {
            Ending::Loaded => {
                let controls = ledger::controls(connection, dataset, &outcome.batch_no, revision)?;
                let namespace = self.namespace();
                let mut outputs = Vec::new();
                for contract in own.into_iter().chain(child) {
                    let output = Output {
                        namespace: &namespace,
                        name: self.table(contract.name.as_str()),
                        comment: &contract.comment,
                        columns: load::columns(contract, contracts)?,
                        version: format!("{}, revision {revision}", outcome.batch_no),
                        rows: rows_loaded(&files, contract.name.as_str()),
                        controls: match contract.name.as_str() == dataset {
                            true => &controls,
                            false => &[],
                        },
                    };
                    outputs.push(output.json());
                }
                (Transition::Complete, outputs)
            }
            _ => {
                told.message(outcome.message.as_deref().unwrap_or("no reason is known"));
                (Transition::Fail, Vec::new())
            }
        };
        events.push(told.event(transition, ended_at, &inputs, &outputs));
        Ok(())
    }

    fn namespace(&self) -> String {
        let path = self.context.config.warehouse_path();
        let path = std::path::absolute(&path).unwrap_or(path);
        format!("duckdb://{}", path.display())
    }

    fn table(&self, name: &str) -> String {
        let path = self.context.config.warehouse_path();
        let database = path.file_stem().unwrap_or_default().to_string_lossy();
        format!("{database}.main.{name}")
    }

    fn tell(&self, events: &[Value]) {
        let told = match self.to {
            LineageTarget::File(path) => append(path, events).map_err(|error| error.to_string()),
            LineageTarget::Url(url) => self.post(url, events),
        };
        if let Err(why) = told {
            self.warn(&why);
        }
    }

    fn post(&self, url: &Url, events: &[Value]) -> std::result::Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let authorities = source::authorities(&self.context.config.download.ca_file)
            .map_err(|error| error.chain())?;
        runtime.block_on(async {
            match tokio::time::timeout(LONGEST.1, post(url, authorities, events)).await {
                Ok(told) => told,
                Err(_) => Err(format!("not all events were taken in {:?}", LONGEST.1)),
            }
        })
    }

    fn warn(&self, why: &str) {
        remark!("warning: --lineage {}: {why}", self.to);
    }
}

fn rows_loaded(files: &[FileEntry], dataset: &str) -> u64 {
    let of = files.iter().filter(|file| file.dataset == dataset);
    of.map(|file| file.rows_loaded).sum()
}

/// A line an event, behind those that are there.
fn append(path: &Path, events: &[Value]) -> io::Result<()> {
    let mut lines = String::new();
    for event in events {
        lines.push_str(&event.to_string());
        lines.push('\n');
    }
    // Batch numbers and places of files are nobody else's business.
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(lines.as_bytes())
}

async fn post(
    url: &Url,
    authorities: Vec<reqwest::Certificate>,
    events: &[Value],
) -> std::result::Result<(), String> {
    let said = |error: reqwest::Error| {
        // Its address may hold a password.
        let error = error.without_url();
        let mut deepest: &dyn std::error::Error = &error;
        while let Some(source) = deepest.source() {
            deepest = source;
        }
        deepest.to_string()
    };
    let client = Client::builder()
        .user_agent(concat!("redledger/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(LONGEST.0)
        .tls_certs_merge(authorities)
        .build()
        .map_err(said)?;
    let key = env::var("OPENLINEAGE_API_KEY").ok();
    let key = key.filter(|key| !key.trim().is_empty());
    for event in events {
        let mut request = client
            .post(url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(event.to_string());
        if let Some(key) = &key {
            request = request.bearer_auth(key.trim());
        }
        let status = request.send().await.map_err(said)?.status();
        if !status.is_success() {
            return Err(format!("it answered {status}"));
        }
    }
    Ok(())
}
