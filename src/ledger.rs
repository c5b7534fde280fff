//! The ledger: what was announced, fetched, loaded, rejected and checked. Schema `redledger`.

mod books;
mod queries;

use std::collections::HashMap;

use duckdb::{
    Connection, OptionalExt as _, params,
    types::{TimeUnit, Value},
};

pub use self::{
    books::{Books, FileFigures, KeptRejections, books},
    queries::{
        BatchRecord, LoadedBatch, NewestBatch, PublishedRun, RejectionFilter, RejectionRecord,
        batches, controls, files, last_run, loaded_batches, newest_loaded, open_reading,
        rejections, rejections_by_code, revisions, rows_rejected,
    },
};
use crate::{
    error::{Error, Result},
    rejection::Rejection,
};

/// The dataset of a batch of which nothing has arrived that shows it.
pub const UNKNOWN_DATASET: &str = "";

/// A table's name, comment and columns: name, type, comment.
type TableText = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str, &'static str)],
);

/// Tables with their columns, types and comments.
const TABLES: &[TableText] = &[
    (
        "batch",
        "One row a revision of a batch. For bills it covers the bill lines too",
        &[
            (
                "dataset",
                "VARCHAR",
                "Dataset, which is also the table's name; empty while nothing delivered shows which it is",
            ),
            ("batch_no", "VARCHAR", "Batch number as announced"),
            (
                "revision",
                "INTEGER",
                "1 for the first content delivered under the number, 2 for the next, …",
            ),
            (
                "state",
                "VARCHAR",
                "loaded: its rows are in the table; superseded: a later revision replaced them; failed: nothing of it is loaded, see message; waiting: pages or files are still missing; expired: the link is dead, a new announcement is needed",
            ),
            (
                "rows_expected",
                "BIGINT",
                "Rows announced (the hook's total); NULL when it did not say",
            ),
            (
                "rows_read",
                "BIGINT",
                "Rows delivered; of a loaded batch always rows_loaded + rows_rejected",
            ),
            ("rows_loaded", "BIGINT", "Rows in the table"),
            (
                "rows_rejected",
                "BIGINT",
                "Rows not loaded, see redledger.rejection",
            ),
            (
                "rows_added",
                "BIGINT",
                "Rows whose key the revision before did not have",
            ),
            (
                "rows_removed",
                "BIGINT",
                "Rows of the revision before whose key is gone",
            ),
            (
                "rows_changed",
                "BIGINT",
                "Rows with the key of a row of the revision before and other content",
            ),
            ("files", "BIGINT", "Files the batch was delivered in"),
            ("bytes", "BIGINT", "Bytes delivered"),
            (
                "content_hash",
                "VARCHAR",
                "SHA-256 of what was delivered; of the files' hashes where there are several",
            ),
            (
                "announced_at",
                "TIMESTAMP",
                "When the platform announced it, UTC",
            ),
            ("loaded_at", "TIMESTAMP", "When this was written, UTC"),
            ("run_id", "VARCHAR", "The run that wrote this"),
            (
                "message",
                "VARCHAR",
                "Why it is not loaded, or what is worth knowing",
            ),
        ],
    ),
    (
        "file",
        "Files that batches were delivered in; an inline list counts as one",
        &[
            (
                "file_id",
                "BIGINT",
                "Referred to by the file_id of every row",
            ),
            ("dataset", "VARCHAR", "Dataset of its rows"),
            ("batch_no", "VARCHAR", "Batch"),
            ("revision", "INTEGER", "Revision of the batch"),
            (
                "url",
                "VARCHAR",
                "Where it came from, without query string and credentials",
            ),
            ("bytes", "BIGINT", "Size as delivered"),
            ("content_hash", "VARCHAR", "SHA-256 of the bytes delivered"),
            ("etag", "VARCHAR", "The store's version of it"),
            ("encoding", "VARCHAR", "The encoding it was read in"),
            ("header", "VARCHAR", "Its header row as delivered"),
            ("rows_read", "BIGINT", "Rows delivered"),
            ("rows_loaded", "BIGINT", "Rows in the table"),
            ("rows_rejected", "BIGINT", "Rows not loaded"),
            (
                "archive_path",
                "VARCHAR",
                "Where its bytes are kept, below data_dir",
            ),
            (
                "fetched_at",
                "TIMESTAMP",
                "When it was read to its end, UTC",
            ),
        ],
    ),
    (
        "rejection",
        "Rows that were not loaded; at most 10,000 a file are kept, the counts in batch and file are exact",
        &[
            ("dataset", "VARCHAR", "Dataset"),
            ("batch_no", "VARCHAR", "Batch"),
            ("revision", "INTEGER", "Revision of the batch"),
            ("file_id", "BIGINT", "File, see redledger.file"),
            (
                "line",
                "BIGINT",
                "1-based physical line on which the record starts; in an inline list the position",
            ),
            (
                "byte_offset",
                "BIGINT",
                "Offset of its first byte in the decoded text (in a UTF-8 file: in the file)",
            ),
            ("field", "VARCHAR", "Field at fault, where there is one"),
            ("code", "VARCHAR", "Kind of fault, such as excess-scale"),
            ("message", "VARCHAR", "What was expected and found"),
            (
                "record",
                "VARCHAR",
                "The record as delivered, URLs without their query",
            ),
        ],
    ),
    (
        "control",
        "Checks of a batch: announced against counted, sums that must hold in every row",
        &[
            ("dataset", "VARCHAR", "Dataset"),
            ("batch_no", "VARCHAR", "Batch"),
            ("revision", "INTEGER", "Revision of the batch"),
            ("name", "VARCHAR", "What is checked"),
            (
                "expected",
                "VARCHAR",
                "The figure it should be; NULL: the control only notes a figure",
            ),
            ("actual", "VARCHAR", "The figure found"),
            ("passed", "BOOLEAN", "Whether they agree"),
        ],
    ),
    (
        "run",
        "One row a command that wrote to the warehouse",
        &[
            ("run_id", "VARCHAR", "Its id"),
            ("command", "VARCHAR", "The subcommand"),
            ("version", "VARCHAR", "redledger's version"),
            ("started_at", "TIMESTAMP", "UTC"),
            ("finished_at", "TIMESTAMP", "UTC"),
            ("outcome", "VARCHAR", "In words"),
            (
                "exit_code",
                "INTEGER",
                "0 well, 1 needs a person, 2 fault, 3 run again",
            ),
        ],
    ),
];

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
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Loaded,
        Self::Superseded,
        Self::Failed,
        Self::Waiting,
        Self::Expired,
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
    /// Epoch microseconds.
    pub announced_at: Option<i64>,
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

/// The revision of a batch whose rows are in the table, and its place in the history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The loaded revision and its content hash.
    pub loaded: Option<(i32, String)>,
    /// Rows that it rejected.
    pub loaded_rejected: u64,
    /// When it was announced, in epoch microseconds, where that is known.
    pub loaded_announced_at: Option<i64>,
    /// The revision that the next content gets.
    pub next_revision: i32,
    /// Whether an attempt that is not loaded stands in the ledger.
    pub pending: bool,
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

/// The current time in epoch microseconds.
#[must_use]
pub fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// Creates what is missing of the ledger.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn create(connection: &Connection) -> Result<()> {
    let there: i64 = connection
        .query_row(
            "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'redledger'",
            [],
            |row| row.get(0),
        )
        .map_err(Error::database("look at the ledger"))?;
    if there as usize == TABLES.len() {
        return Ok(());
    }
    let mut sql = String::from("BEGIN; CREATE SCHEMA IF NOT EXISTS redledger;");
    for (table, comment, columns) in TABLES {
        let list: Vec<String> = columns
            .iter()
            .map(|(name, kind, _)| format!("{name} {kind}"))
            .collect();
        sql += &format!(
            "CREATE TABLE IF NOT EXISTS redledger.{table}({});",
            list.join(", ")
        );
        sql += &format!("COMMENT ON TABLE redledger.{table} IS {};", quoted(comment));
        for (name, _, comment) in *columns {
            sql += &format!(
                "COMMENT ON COLUMN redledger.{table}.{name} IS {};",
                quoted(comment)
            );
        }
    }
    sql += "COMMIT;";
    connection
        .execute_batch(&sql)
        .map_err(Error::database("create the ledger"))
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

/// Where a batch stands.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn standing(connection: &Connection, dataset: &str, batch_no: &str) -> Result<Standing> {
    let loaded = connection
        .query_row(
            "SELECT revision, content_hash, rows_rejected, epoch_us(announced_at) FROM redledger.batch \
             WHERE dataset = ? AND batch_no = ? AND state = 'loaded'",
            [dataset, batch_no],
            |row| {
                let loaded = (row.get(0)?, row.get(1)?);
                Ok((loaded, (row.get::<_, i64>(2)?, row.get(3)?)))
            },
        )
        .optional()
        .map_err(Error::database("read the ledger"))?;
    let (last, pending): (i32, bool) = connection
        .query_row(
            "SELECT coalesce(max(revision) FILTER (WHERE state IN ('loaded', 'superseded')), 0), \
             coalesce(bool_or(state NOT IN ('loaded', 'superseded')), false) \
             FROM redledger.batch WHERE dataset IN (?, ?) AND batch_no = ?",
            [dataset, UNKNOWN_DATASET, batch_no],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(Error::database("read the ledger"))?;
    let (loaded, figures) = loaded.unzip();
    let (rejected, loaded_announced_at): (i64, Option<i64>) = figures.unwrap_or_default();
    Ok(Standing {
        loaded,
        loaded_rejected: rejected.unsigned_abs(),
        loaded_announced_at,
        next_revision: last + 1,
        pending,
    })
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

/// Removes what earlier attempts at `revision` and beyond have left, and those that never learned the
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

/// Writes a batch's entry with its files, rejections and controls.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn record(
    connection: &Connection,
    entry: &BatchEntry,
    files: &[FileEntry],
    rejections: &[Rejection],
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
            timestamp(Some(now())),
            entry.run_id,
            entry.message,
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
                timestamp(Some(now())),
                run.outcome,
                i32::from(run.exit_code)
            ],
        )
        .map_err(Error::database("write the ledger"))?;
    Ok(())
}
