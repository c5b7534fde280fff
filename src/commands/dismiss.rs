//! `redledger dismiss`: closes what a person has decided not to load.

use super::{context::Context, load_report::finish, status};
use crate::{
    archive::DismissedBatch,
    batch_no::BatchNo,
    cli::Dismiss,
    clock,
    error::{Error, ExitStatus, Result},
    history::{self, is_open},
    inbox::Inbox,
    ledger::{self, BatchRecord},
    pipeline::{Ending, Outcome},
    run, warehouse,
};

pub(super) fn run(context: &Context, arguments: &Dismiss) -> Result<ExitStatus> {
    let why = arguments.why.trim();
    if why.is_empty() || why.chars().any(char::is_control) {
        return Err(Error::usage("--why wants a reason, on one line"));
    }
    let mut run = context.begin("dismiss", &arguments.load)?;
    match run.claim() {
        Err(error @ Error::Stopped { .. }) => {
            run.note_error(error);
            return finish(context, run, arguments.load.format);
        }
        other => other?,
    }
    let dataset = arguments.dataset.as_deref();
    let mut attempts = Vec::new();
    for number in &arguments.batches {
        attempts.extend(open_attempts(context, number, dataset)?);
    }
    let mut dismissed = Vec::new();
    let mut outcomes = Vec::new();
    for attempt in &attempts {
        let of = DismissedBatch {
            dataset: attempt.entry.dataset.clone(),
            batch_no: BatchNo::new(&attempt.entry.batch_no)
                .map_err(|error| Error::usage(error.to_string()))?,
            accepted_at_us: attempt.entry.accepted_at.unwrap_or(attempt.written_at),
            dismissed_at_us: clock::now(),
            why: why.to_owned(),
        };
        outcomes.push(outcome(attempt, &of));
        dismissed.push(of);
    }
    run.dismiss(&dismissed, outcomes);
    if run.is_published() {
        let closed = dismissed.iter().map(|of| of.batch_no.to_string());
        let inbox = Inbox::new(&context.config.data_dir);
        if let Err(error) = run::clear_put_aside(&inbox, &closed.collect()) {
            run.note_error(error);
        }
    }
    finish(context, run, arguments.load.format)
}

/// What there is to dismiss of a number; an error where there is nothing.
fn open_attempts(
    context: &Context,
    number: &str,
    dataset: Option<&str>,
) -> Result<Vec<BatchRecord>> {
    let Some(connection) = warehouse::open_reading(&context.config.warehouse_path())? else {
        return Err(status::unknown(number, &[]));
    };
    let mut records = ledger::revisions(&connection, number, dataset)?;
    if records.is_empty() {
        return Err(status::unknown(
            number,
            &ledger::batches(&connection, dataset)?,
        ));
    }
    let archive = crate::archive::Archive::new(&context.config.data_dir);
    history::mark_dismissed(&mut records, &archive.dismissed()?);
    let newest = records.first().map(|of| of.entry.state.as_str());
    let newest = newest.unwrap_or_default();
    let open: Vec<BatchRecord> = records
        .into_iter()
        .filter(|of| is_open(of.entry.state))
        .collect();
    match open.is_empty() {
        false => Ok(open),
        true => Err(Error::Usage {
            message: format!("batch `{number}` is {newest}: there is nothing to dismiss"),
            hint: Some(format!(
                "`redledger status {number}{}` shows what it is; only what failed, expired or waits can be dismissed",
                context.given
            )),
        }),
    }
}

fn outcome(attempt: &BatchRecord, of: &DismissedBatch) -> Outcome {
    let entry = &attempt.entry;
    Outcome {
        dataset: (!entry.dataset.is_empty()).then(|| entry.dataset.clone()),
        batch_no: entry.batch_no.clone(),
        revision: Some(entry.revision),
        outcome: Ending::Dismissed,
        rows_read: entry.rows_read,
        rows_loaded: 0,
        rows_rejected: entry.rows_rejected,
        difference: ledger::Difference::default(),
        files: entry.files,
        bytes: entry.bytes,
        message: Some(history::dismissal(
            of,
            entry.state,
            entry.message.as_deref(),
        )),
        hint: None,
        exit: ExitStatus::Success,
        is_over: true,
        written: false,
    }
}
