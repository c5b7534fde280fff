//! One batch: its revisions, files and controls.

use duckdb::Connection;
use serde_json::{Value, json};

use super::words::{dataset_shown, explained, is_open, what_to_do};
use crate::{
    cli::Format,
    clock,
    commands::{
        Context,
        output::{self, Table, age, counted, iso, say, shortened},
    },
    error::Result,
    ledger::{self, BatchRecord, Control, FileEntry, State},
    load::ControlName,
};

/// Most files of a batch in a table.
const FILES_SHOWN: usize = 20;
/// Digits of a hash in a table.
const HASH_SHOWN: usize = 12;

/// What belongs to one revision.
pub(super) struct Details {
    files: Vec<FileEntry>,
    controls: Vec<Control>,
}

impl Details {
    pub(super) fn read(
        context: &Context,
        connection: &Connection,
        batch: &BatchRecord,
    ) -> Result<Self> {
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

    pub(super) fn json(&self) -> Value {
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
pub(super) fn describe(
    context: &Context,
    revisions: &[BatchRecord],
    details: &Details,
) -> Result<()> {
    let now = clock::now();
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
        output::say_wrapped(&explained(latest));
        if let Some(what) = what_to_do(context, latest) {
            output::say_wrapped(&format!("  to do: {what}"));
        }
    } else if let Some(message) = &entry.message {
        output::say_wrapped(&shortened(message, 400));
    }
    say!("");

    let mut history = Table::new(&[
        "rev", "state", "rows", "rejected", "+/-/~", "written", "age",
    ])
    .dropping(&["age", "+/-/~"]);
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
    history.print(Format::Table)?;

    if !details.files.is_empty() {
        say!("");
        files_table(&details.files).print(Format::Table)?;
        if details.files.len() > FILES_SHOWN {
            say!(
                "… and {} more files; --format json has them all",
                details.files.len() - FILES_SHOWN
            );
        }
    }
    if !details.controls.is_empty() {
        let contract = context.contracts.get(&entry.dataset);
        let rules = contract.iter().flat_map(|contract| &contract.controls);
        let enforced: Vec<&str> = rules
            .filter(|control| control.enforce)
            .map(|control| &*control.name)
            .collect();
        say!("");
        controls_table(&details.controls, &enforced).print(Format::Table)?;
    }
    Ok(())
}

fn files_table(files: &[FileEntry]) -> Table {
    let mut table = Table::new(&["file", "rows", "rejected", "bytes", "sha-256", "encoding"])
        .shortening(&[("file", 24)])
        .dropping(&["encoding", "sha-256", "bytes"]);
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

/// `enforced` are the rules that keep a batch from being loaded; others are figures.
fn controls_table(controls: &[Control], enforced: &[&str]) -> Table {
    let mut table =
        Table::new(&["control", "expected", "actual", "result"]).shortening(&[("control", 24)]);
    for control in controls {
        let rule = match ControlName::parse(&control.name) {
            Some(ControlName::Broken(rule)) => Some(rule),
            _ => None,
        };
        let noted = rule.filter(|rule| !enforced.contains(rule));
        let rows = control.actual.parse().ok();
        let result = match (&control.expected, control.passed, noted, rows) {
            (_, false, Some(_), Some(rows)) => format!("noted: {}", counted(rows, "row")),
            (_, false, ..) => "FAILED".to_owned(),
            (None, true, ..) => "noted".to_owned(),
            (Some(_), true, ..) => "ok".to_owned(),
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
