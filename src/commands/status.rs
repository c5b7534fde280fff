//! `redledger status [BATCH]`

mod details;

use std::io::Read as _;

use duckdb::Connection;
use serde_json::Value;

use self::details::{Details, describe};
use super::{
    Context,
    cadence::{self, Late},
    output::{Table, age, counted, iso, say, shortened},
};
use crate::{
    cli::{ReadingFormat, Status},
    error::{Error, ExitStatus, Result},
    inbox::Inbox,
    ledger::{self, BatchRecord, State},
    toml_file,
};

const COLUMNS: [&str; 20] = [
    "dataset",
    "batch_no",
    "revision",
    "state",
    "loaded_revision",
    "rows_expected",
    "rows_read",
    "rows_loaded",
    "rows_rejected",
    "rows_added",
    "rows_removed",
    "rows_changed",
    "files",
    "bytes",
    "content_hash",
    "announced_at",
    "loaded_at",
    "run_id",
    "message",
    "details",
];

pub(super) fn run(context: &Context, arguments: &Status) -> Result<ExitStatus> {
    let format = arguments.reading.format;
    let dataset = arguments.dataset.as_deref();
    let connection = ledger::open_reading(&context.config.warehouse_path())?;
    match (&connection, &arguments.batch) {
        (Some(connection), Some(batch)) => one(context, connection, batch, dataset, format)?,
        (None, Some(batch)) => return Err(unknown(batch, &[])),
        (_, None) => {
            let mut late = cadence::late(context, connection.as_ref(), ledger::now())?;
            late.retain(|late| dataset.is_none_or(|dataset| late.dataset == dataset));
            all(context, connection.as_ref(), dataset, &late, format)?;
            if dataset.is_none() && format == ReadingFormat::Table {
                say_inbox(&Inbox::new(&context.config.data_dir))?;
            }
            if arguments.strict && !late.is_empty() {
                return Ok(ExitStatus::Attention);
            }
        }
    }
    Ok(ExitStatus::Success)
}

fn all(
    context: &Context,
    connection: Option<&Connection>,
    dataset: Option<&str>,
    late: &[Late],
    format: ReadingFormat,
) -> Result<()> {
    let batches = match connection {
        Some(connection) => ledger::batches(connection, dataset)?,
        None => Vec::new(),
    };
    if let Some(dataset) = dataset
        && batches.is_empty()
    {
        context.contracts.require(dataset)?;
    }
    if batches.is_empty() {
        super::say_nothing_loaded(context);
    }
    if format != ReadingFormat::Table {
        let mut table = full(&batches);
        late.iter().for_each(|late| table.push(late_row(late)));
        return table.without(&["details"]).print(format);
    }
    if batches.is_empty() {
        late.iter().for_each(|late| say!("{}", late.in_words()));
        return Ok(());
    }
    let now = ledger::now();
    let mut table = Table::new(&[
        "batch", "dataset", "state", "rev", "rows", "rejected", "age",
    ]);
    for BatchRecord {
        entry, written_at, ..
    } in &batches
    {
        table.push([
            entry.batch_no.clone().into(),
            dataset_shown(&entry.dataset).into(),
            entry.state.as_str().into(),
            entry.revision.into(),
            entry.rows_loaded.into(),
            entry.rows_rejected.into(),
            age(*written_at, now).into(),
        ]);
    }
    table.print(format)?;
    say!("");
    for batch in batches.iter().filter(|batch| is_open(batch)) {
        say!("{}: {}", batch.entry.batch_no, explained(batch));
    }
    late.iter().for_each(|late| say!("{}", late.in_words()));
    say!("{}", summary(&batches));
    Ok(())
}

/// Announcements that the next run takes up, and those that wait for a person.
fn say_inbox(inbox: &Inbox) -> Result<()> {
    let waiting = inbox.waiting()?;
    if !waiting.is_empty() {
        let waiting = counted(waiting.len() as u64, "announcement");
        say!("inbox: {waiting} for the next run");
    }
    for path in waiting {
        let read = Inbox::open(&path).and_then(|mut file| file.read(&mut [0]));
        if let Err(error) = read {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            say!("inbox: {name} can't be read: {error}");
        }
    }
    for path in inbox.passed_over()? {
        let name = path.file_name().unwrap_or_default().display();
        say!("inbox: {name} is not read: an announcement's name ends in .json");
    }
    let bad = inbox.put_aside()? as u64;
    if bad > 0 {
        let bad = counted(bad, "announcement");
        say!("inbox/bad: {bad} put aside, each with a note");
    }
    Ok(())
}

/// The dataset, or a mark for a batch of which nothing has arrived that shows it.
fn dataset_shown(dataset: &str) -> &str {
    if dataset == ledger::UNKNOWN_DATASET {
        "?"
    } else {
        dataset
    }
}

/// Whether somebody or a later run has something to do about it.
fn is_open(batch: &BatchRecord) -> bool {
    !matches!(batch.entry.state, State::Loaded | State::Superseded)
}

/// The message of a batch that is not loaded, and what of it is in the table all the same.
fn explained(batch: &BatchRecord) -> String {
    let said = batch.entry.message.as_deref();
    let mut text = shortened(said.unwrap_or(batch.entry.state.as_str()), 400);
    if let Some(revision) = batch.loaded_revision {
        text += &format!(" (the rows of revision {revision} are still in the table)");
    }
    text
}

/// `7 batches: 1 failed, 6 loaded (2 with rejected rows)`.
fn summary(batches: &[BatchRecord]) -> String {
    let count = |state| {
        batches
            .iter()
            .filter(|batch| batch.entry.state == state)
            .count()
    };
    let rejecting = batches
        .iter()
        .filter(|batch| batch.entry.state == State::Loaded && batch.entry.rows_rejected > 0)
        .count();
    let parts: Vec<String> = [
        State::Failed,
        State::Expired,
        State::Waiting,
        State::Loaded,
        State::Superseded,
    ]
    .into_iter()
    .filter(|state| count(*state) > 0)
    .map(|state| {
        let said = format!("{} {}", count(state), state.as_str());
        if state == State::Loaded && rejecting > 0 {
            format!("{said} ({rejecting} with rejected rows)")
        } else {
            said
        }
    })
    .collect();
    let batches = match batches.len() {
        1 => "1 batch".to_owned(),
        many => format!("{many} batches"),
    };
    format!("{batches}: {}", parts.join(", "))
}

/// Revisions with everything the ledger says; `details` is left to the caller.
fn full(batches: &[BatchRecord]) -> Table {
    let mut table = Table::new(&COLUMNS);
    for batch in batches {
        table.push(full_row(batch, Value::Null));
    }
    table
}

/// A dataset that is late, among the batches: it has no number yet, and its state is `late`.
fn late_row(late: &Late) -> Vec<Value> {
    COLUMNS
        .iter()
        .map(|column| match *column {
            "dataset" => late.dataset.as_str().into(),
            "state" => "late".into(),
            "message" => late.in_words().into(),
            _ => Value::Null,
        })
        .collect()
}

fn full_row(batch: &BatchRecord, details: Value) -> Vec<Value> {
    let entry = &batch.entry;
    vec![
        entry.dataset.clone().into(),
        entry.batch_no.clone().into(),
        entry.revision.into(),
        entry.state.as_str().into(),
        batch.loaded_revision.into(),
        entry.rows_expected.into(),
        entry.rows_read.into(),
        entry.rows_loaded.into(),
        entry.rows_rejected.into(),
        entry.difference.added.into(),
        entry.difference.removed.into(),
        entry.difference.changed.into(),
        entry.files.into(),
        entry.bytes.into(),
        entry.content_hash.clone().into(),
        entry.announced_at.map_or(Value::Null, iso),
        iso(batch.written_at),
        entry.run_id.clone().into(),
        entry.message.clone().into(),
        details,
    ]
}

fn one(
    context: &Context,
    connection: &Connection,
    batch_no: &str,
    dataset: Option<&str>,
    format: ReadingFormat,
) -> Result<()> {
    let revisions = ledger::revisions(connection, batch_no, dataset)?;
    if revisions.is_empty() {
        return Err(unknown(batch_no, &ledger::batches(connection, dataset)?));
    }
    match format {
        ReadingFormat::Csv => full(&revisions).without(&["details"]).print(format),
        ReadingFormat::Json => {
            let mut table = Table::new(&COLUMNS);
            for revision in &revisions {
                table.push(full_row(
                    revision,
                    Details::read(context, connection, revision)?.json(),
                ));
            }
            table.print(format)
        }
        ReadingFormat::Table => {
            for (index, batch) in revisions
                .chunk_by(|a, b| a.entry.dataset == b.entry.dataset)
                .enumerate()
            {
                if index > 0 {
                    say!("");
                }
                let details = Details::read(context, connection, &batch[0])?;
                describe(batch, &details)?;
            }
            Ok(())
        }
    }
}

pub(super) fn unknown(batch_no: &str, known: &[BatchRecord]) -> Error {
    let nearest = toml_file::nearest(
        batch_no,
        known.iter().map(|batch| batch.entry.batch_no.as_str()),
    );
    let (message, hint) = if known.is_empty() {
        ("nothing is loaded yet".to_owned(), None)
    } else {
        (
            "the ledger has no such batch".to_owned(),
            Some(match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "`redledger status` lists the batches".into(),
            }),
        )
    };
    Error::Usage {
        message: format!("batch `{batch_no}`: {message}"),
        hint,
    }
}
