//! The ledger: what was announced, fetched, loaded, rejected and checked. Schema `redledger`.

mod acceptance;
mod books;
mod known;
mod queries;
mod tables;
mod upgrade;

use std::collections::HashMap;

use duckdb::{
    Connection, params,
    types::{TimeUnit, Value},
};

pub(crate) use self::queries::later;
pub use self::{
    acceptance::{StandingBatch, standing},
    books::{kept_files, loaded_among, loaded_files},
    known::{Attempt, Entries, Known, LoadedRevision, advance},
    queries::{
        AcceptedRevision, BatchRecord, LoadedBatch, NewestBatch, PublishedRun, RejectionFilter,
        RejectionRecord, accepted_revisions, batches, controls, files, last_run, loaded_batches,
        newest_loaded, open_attempts, rejections, rejections_by_code, revisions, rows_rejected,
    },
    upgrade::{Condition, check, condition, prepare},
};
use crate::{
    clock,
    error::{Error, Result},
    rejection::Rejection,
};

/// The dataset of a batch of which nothing has arrived that shows it.
pub const UNKNOWN_DATASET: &str = "";

/// What the ledger calls a batch's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its rows are in the table.
    Loaded,
    /// A later revision replaced its rows.
    Superseded,
    /// Nothing of it is loaded.
    Failed,
    /// Pages or files are still missing.
    Waiting,
    /// The link is dead.
    Expired,
    /// A person has decided that it is not to be loaded.
    Dismissed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Loaded,
        Self::Superseded,
        Self::Failed,
        Self::Waiting,
        Self::Expired,
        Self::Dismissed,
    ];

    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Expired => "expired",
            Self::Dismissed => "dismissed",
        }
    }
}

/// A row of `redledger.batch`.
#[derive(Debug, Clone)]
pub struct BatchEntry {
    /// Dataset.
    pub dataset: String,
    /// Batch.
    pub batch_no: String,
    /// 1, 2, ….
    pub revision: i32,
    /// Its condition.
    pub state: State,
    /// Rows announced.
    pub rows_expected: Option<u64>,
    /// Rows delivered.
    pub rows_read: u64,
    /// Rows in the table.
    pub rows_loaded: u64,
    /// Rows not loaded.
    pub rows_rejected: u64,
    /// Against the revision before: new keys, gone keys, other content.
    pub difference: Difference,
    /// Files delivered.
    pub files: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// SHA-256 of the content, when it was read to its end.
    pub content_hash: Option<String>,
    /// When it says that it was announced, in epoch microseconds.
    pub announced_at: Option<i64>,
    /// When it was accepted, in epoch microseconds; `None` in a ledger of an earlier release.
    pub accepted_at: Option<i64>,
    /// The newest announcement accepted while it stood, in epoch microseconds.
    pub watermark: Option<i64>,
    /// The run.
    pub run_id: String,
    /// For people.
    pub message: Option<String>,
}

/// How a revision differs from the one before, in rows by primary key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// New keys.
    #[serde(rename = "rows_added")]
    pub added: u64,
    /// Keys that are gone.
    #[serde(rename = "rows_removed")]
    pub removed: u64,
    /// Same key, other content.
    #[serde(rename = "rows_changed")]
    pub changed: u64,
}

/// A row of `redledger.file`.
#[derive(Debug, Clone)]
pub struct FileEntry {
    /// Its id.
    pub file_id: i64,
    /// Dataset of its rows.
    pub dataset: String,
    /// Without secrets.
    pub url: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256.
    pub content_hash: Option<String>,
    /// The store's version.
    pub etag: Option<String>,
    /// WHATWG name.
    pub encoding: Option<String>,
    /// As delivered.
    pub header: Option<String>,
    /// Rows delivered.
    pub rows_read: u64,
    /// Rows in the table.
    pub rows_loaded: u64,
    /// Rows not loaded.
    pub rows_rejected: u64,
    /// Below `data_dir`.
    pub archive_path: Option<String>,
    /// Epoch microseconds.
    pub fetched_at: i64,
    /// How many of its rejected rows the ledger keeps; `None` where an earlier release wrote this.
    pub rejections_kept: Option<u64>,
    /// SHA-256 of what its URL's query says beside a signature.
    pub query_hash: Option<String>,
    /// What an inline list is known by; `None` for a file, which is known by its bytes.
    pub identity: Option<String>,
}

impl FileEntry {
    /// What its content is known by.
    #[must_use]
    pub fn known_by(&self) -> Option<&str> {
        self.identity.as_deref().or(self.content_hash.as_deref())
    }
}

/// The ids of files that were entered one after the other, both ends included; none where the last is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIds {
    /// The first one's.
    pub first: i64,
    /// The last one's.
    pub last: i64,
}

impl FileIds {
    /// Of so many files from `first` on.
    #[must_use]
    pub fn from(first: i64, files: usize) -> Self {
        Self {
            first,
            last: first + files as i64 - 1,
        }
    }

    /// Rows of these files, as an SQL condition that row groups are skipped by.
    #[must_use]
    pub fn condition(self) -> String {
        format!("file_id BETWEEN {} AND {}", self.first, self.last)
    }
}

/// A row of `redledger.control`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Control {
    /// What is checked.
    pub name: String,
    /// What it should be; `None` for a figure that is only noted.
    pub expected: Option<String>,
    /// What it is.
    pub actual: String,
    /// Whether they agree.
    pub passed: bool,
}

/// A row of `redledger.run`.
#[derive(Debug, Clone)]
pub struct RunEntry {
    /// Its id.
    pub run_id: String,
    /// The subcommand.
    pub command: String,
    /// Epoch microseconds.
    pub started_at: i64,
    /// In words.
    pub outcome: String,
    /// The process's exit status.
    pub exit_code: u8,
}

/// `text` as an SQL literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Epoch microseconds as a TIMESTAMP parameter.
fn timestamp(micros: Option<i64>) -> Value {
    micros.map_or(Value::Null, |micros| {
        Value::Timestamp(TimeUnit::Microsecond, micros)
    })
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// The first file id that no file has.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn next_file_id(connection: &Connection) -> Result<i64> {
    connection
        .query_row(
            "SELECT coalesce(max(file_id), 0) + 1 FROM redledger.file",
            [],
            |row| row.get(0),
        )
        .map_err(Error::database("read the ledger"))
}

/// Removes what attempts at `revision` and beyond have left, and those that never learned the
/// dataset. `datasets` are the batch's own and, where its rows name further files, those files' dataset.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn forget_attempts(
    connection: &Connection,
    datasets: &[&str],
    batch_no: &str,
    revision: i32,
) -> Result<()> {
    for dataset in datasets {
        for table in ["batch", "rejection", "control", "file"] {
            connection
                .execute(
                    &format!("DELETE FROM redledger.{table} WHERE dataset = ? AND batch_no = ? AND revision >= ?"),
                    params![dataset, batch_no, revision],
                )
                .map_err(Error::database("write the ledger"))?;
        }
    }
    connection
        .execute(
            "DELETE FROM redledger.batch WHERE dataset = ? AND batch_no = ?",
            [UNKNOWN_DATASET, batch_no],
        )
        .map_err(Error::database("write the ledger"))?;
    Ok(())
}

/// Marks the loaded revision as replaced.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn supersede(connection: &Connection, dataset: &str, batch_no: &str) -> Result<()> {
    connection
        .execute(
            "UPDATE redledger.batch SET state = 'superseded' WHERE dataset = ? AND batch_no = ? AND state = 'loaded'",
            [dataset, batch_no],
        )
        .map_err(Error::database("write the ledger"))?;
    Ok(())
}

/// Writes down that these attempts, as they are given with when and why, are dismissed.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn dismiss(connection: &Connection, records: &[BatchRecord], run_id: &str) -> Result<()> {
    for BatchRecord {
        entry, written_at, ..
    } in records
    {
        connection
            .execute(
                "UPDATE redledger.batch SET state = 'dismissed', message = ?, loaded_at = ?, run_id = ? \
                 WHERE dataset = ? AND batch_no = ? AND revision = ? AND state IN ('failed', 'waiting', 'expired')",
                params![
                    entry.message,
                    timestamp(Some(*written_at)),
                    run_id,
                    entry.dataset,
                    entry.batch_no,
                    entry.revision
                ],
            )
            .map_err(Error::database("write the ledger"))?;
    }
    Ok(())
}

/// Writes a batch's entry with its files, rejections and controls.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn record(
    connection: &Connection,
    entry: &BatchEntry,
    files: &[FileEntry],
    rejections: &[&Rejection],
    controls: &[Control],
) -> Result<()> {
    let write = || -> duckdb::Result<()> {
        let mut batch = connection.appender_to_db("batch", "redledger")?;
        batch.append_row(params![
            entry.dataset,
            entry.batch_no,
            entry.revision,
            entry.state.as_str(),
            entry.rows_expected.map(count),
            count(entry.rows_read),
            count(entry.rows_loaded),
            count(entry.rows_rejected),
            count(entry.difference.added),
            count(entry.difference.removed),
            count(entry.difference.changed),
            count(entry.files),
            count(entry.bytes),
            entry.content_hash,
            timestamp(entry.announced_at),
            timestamp(Some(clock::now())),
            entry.run_id,
            entry.message,
            timestamp(entry.accepted_at),
            timestamp(entry.watermark.max(entry.accepted_at)),
        ])?;
        batch.flush()?;
        let mut file = connection.appender_to_db("file", "redledger")?;
        for of in files {
            file.append_row(params![
                of.file_id,
                of.dataset,
                entry.batch_no,
                entry.revision,
                of.url,
                count(of.bytes),
                of.content_hash,
                of.etag,
                of.encoding,
                of.header,
                count(of.rows_read),
                count(of.rows_loaded),
                count(of.rows_rejected),
                of.archive_path,
                timestamp(Some(of.fetched_at)),
                of.rejections_kept.map(count),
                of.query_hash,
                of.identity,
            ])?;
        }
        file.flush()?;
        let datasets: HashMap<i64, &str> = files
            .iter()
            .map(|file| (file.file_id, file.dataset.as_str()))
            .collect();
        let mut rejection = connection.appender_to_db("rejection", "redledger")?;
        for of in rejections {
            let dataset = datasets.get(&of.file_id).copied().unwrap_or(&entry.dataset);
            rejection.append_row(params![
                dataset,
                entry.batch_no,
                entry.revision,
                of.file_id,
                count(of.line),
                of.byte_offset.map(count),
                of.field.as_deref(),
                of.code.as_str(),
                of.message.as_ref(),
                of.record,
            ])?;
        }
        rejection.flush()?;
        let mut control = connection.appender_to_db("control", "redledger")?;
        for of in controls {
            control.append_row(params![
                entry.dataset,
                entry.batch_no,
                entry.revision,
                of.name,
                of.expected,
                of.actual,
                of.passed
            ])?;
        }
        control.flush()
    };
    write().map_err(Error::database("write the ledger"))
}

/// Writes a run's entry.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn record_run(connection: &Connection, run: &RunEntry) -> Result<()> {
    connection
        .execute(
            "INSERT INTO redledger.run VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                run.run_id,
                run.command,
                env!("CARGO_PKG_VERSION"),
                timestamp(Some(run.started_at)),
                timestamp(Some(clock::now())),
                run.outcome,
                i32::from(run.exit_code)
            ],
        )
        .map_err(Error::database("write the ledger"))?;
    Ok(())
}
