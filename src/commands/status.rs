//! `redledger status [BATCH]`

use duckdb::Connection;
use serde_json::{Value, json};

use super::{
    Context,
    cadence::{self, Late},
    output::{self, Table, age, counted, iso, say, shortened},
};
use crate::{
    cli::{ReadingFormat, Status},
    error::{Error, ExitStatus, Result},
    inbox::Inbox,
    ledger::{self, BatchRecord, Control, FileEntry, State},
    toml_file,
};

/// Most files of a batch in a table.
const FILES_SHOWN: usize = 20;
/// Digits of a hash in a table.
const HASH_SHOWN: usize = 12;

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
    let waiting = inbox.waiting()?.len() as u64;
    if waiting > 0 {
        let waiting = counted(waiting, "announcement");
        say!("inbox: {waiting} for the next run");
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

/// What belongs to one revision.
struct Details {
    files: Vec<FileEntry>,
    controls: Vec<Control>,
}

impl Details {
    fn read(context: &Context, connection: &Connection, batch: &BatchRecord) -> Result<Self> {
        let entry = &batch.entry;
        let child = context.contracts.child_of(&entry.dataset);
        let datasets: Vec<&str> = std::iter::once(entry.dataset.as_str())
            .chain(child.map(|child| child.name.as_str()))
            .collect();
        Ok(Self {
            files: ledger::files(connection, &datasets, &entry.batch_no, entry.revision)?,
            controls: ledger::controls(
                connection,
                &entry.dataset,
                &entry.batch_no,
                entry.revision,
            )?,
        })
    }

    fn json(&self) -> Value {
        let files: Vec<Value> = self
            .files
            .iter()
            .map(|file| {
                json!({
                    "file_id": file.file_id,
                    "dataset": file.dataset,
                    "url": file.url,
                    "bytes": file.bytes,
                    "content_hash": file.content_hash,
                    "etag": file.etag,
                    "encoding": file.encoding,
                    "header": file.header,
                    "rows_read": file.rows_read,
                    "rows_loaded": file.rows_loaded,
                    "rows_rejected": file.rows_rejected,
                    "archive_path": file.archive_path,
                    "fetched_at": iso(file.fetched_at),
                })
            })
            .collect();
        json!({"files": files, "controls": self.controls})
    }
}

/// A batch in words and tables; `revisions` has the newest first.
fn describe(revisions: &[BatchRecord], details: &Details) -> Result<()> {
    let now = ledger::now();
    let latest = &revisions[0];
    let entry = &latest.entry;
    let expected = match entry.rows_expected {
        Some(rows) => format!(", {rows} announced"),
        None => String::new(),
    };
    say!(
        "{}  {}  {}, {}",
        entry.batch_no,
        dataset_shown(&entry.dataset),
        entry.state.as_str(),
        age(latest.written_at, now)
    );
    say!(
        "{} loaded, {} rejected of {} read{expected}",
        counted(entry.rows_loaded, "row"),
        entry.rows_rejected,
        entry.rows_read
    );
    if is_open(latest) {
        say!("{}", explained(latest));
    } else if let Some(message) = &entry.message {
        say!("{}", shortened(message, 400));
    }
    say!("");

    let mut history = Table::new(&[
        "rev", "state", "rows", "rejected", "+/-/~", "written", "age",
    ]);
    for BatchRecord {
        entry, written_at, ..
    } in revisions
    {
        let difference = entry.difference;
        let difference = if matches!(entry.state, State::Loaded | State::Superseded) {
            format!(
                "+{} -{} ~{}",
                difference.added, difference.removed, difference.changed
            )
        } else {
            String::new()
        };
        history.push([
            entry.revision.into(),
            entry.state.as_str().into(),
            entry.rows_loaded.into(),
            entry.rows_rejected.into(),
            difference.into(),
            to_the_second(*written_at),
            age(*written_at, now).into(),
        ]);
    }
    history.print(ReadingFormat::Table)?;

    if !details.files.is_empty() {
        say!("");
        files_table(&details.files).print(ReadingFormat::Table)?;
        if details.files.len() > FILES_SHOWN {
            say!(
                "… and {} more files; --format json has them all",
                details.files.len() - FILES_SHOWN
            );
        }
    }
    if !details.controls.is_empty() {
        say!("");
        controls_table(&details.controls).print(ReadingFormat::Table)?;
    }
    Ok(())
}

fn files_table(files: &[FileEntry]) -> Table {
    let mut table = Table::new(&["file", "rows", "rejected", "bytes", "sha-256", "encoding"]);
    for file in files.iter().take(FILES_SHOWN) {
        let hash: String = file
            .content_hash
            .iter()
            .flat_map(|hash| hash.chars().take(HASH_SHOWN))
            .collect();
        table.push([
            shortened(&file.url, 100).into(),
            file.rows_loaded.into(),
            file.rows_rejected.into(),
            file.bytes.into(),
            hash.into(),
            file.encoding.clone().into(),
        ]);
    }
    table
}

fn controls_table(controls: &[Control]) -> Table {
    let mut table = Table::new(&["control", "expected", "actual", "result"]);
    for control in controls {
        let result = match (&control.expected, control.passed) {
            (_, false) => "FAILED",
            (None, true) => "noted",
            (Some(_), true) => "ok",
        };
        table.push([
            control.name.clone().into(),
            control.expected.clone().into(),
            control.actual.clone().into(),
            result.into(),
        ]);
    }
    table
}

fn to_the_second(micros: i64) -> Value {
    output::iso(micros - micros.rem_euclid(1_000_000))
}
