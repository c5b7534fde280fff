//! Looking at the ledger.

use std::collections::{BTreeSet, HashMap};

use duckdb::Connection;

use super::{
    entry::{BatchEntry, Control, Difference, FileEntry},
    row::TableRow as _,
    sql::{columns, later, quoted, read, text},
    tables::{BatchRow, ControlRow, FileRow},
};
use crate::error::Result;

/// A row of `redledger.batch` as it stands.
#[derive(Debug, Clone)]
pub struct BatchRecord {
    /// What was written.
    pub entry: BatchEntry,
    /// When, in epoch microseconds.
    pub written_at: i64,
    /// The revision of the batch whose rows are in the table, whichever revision this is.
    pub loaded_revision: Option<i32>,
}

/// A dataset's newest batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestBatch {
    /// Its number.
    pub batch_no: String,
    /// When it was announced, or else loaded, in epoch microseconds.
    pub at: i64,
}

/// The latest attempt at every batch, of `dataset` if given: failed ones first, then expired, waiting and
/// those with rejected rows, each from the newest to the oldest.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn batches(connection: &Connection, dataset: Option<&str>) -> Result<Vec<BatchRecord>> {
    read_batches(
        connection,
        "?::VARCHAR IS NULL OR dataset = ?",
        "QUALIFY row_number() OVER (PARTITION BY dataset, batch_no ORDER BY revision DESC, loaded_at DESC) = 1 \
         ORDER BY dataset, batch_no DESC",
        &[dataset, dataset],
    )
}

/// The attempts at batches with these numbers that are neither loaded nor dismissed.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn open_attempts(connection: &Connection, numbers: &[&str]) -> Result<Vec<BatchRecord>> {
    let numbers: Vec<String> = numbers.iter().map(|number| quoted(number)).collect();
    read_batches(
        connection,
        &format!("batch_no IN ({})", numbers.join(", ")),
        "QUALIFY state IN ('failed', 'waiting', 'expired') ORDER BY dataset, batch_no, revision",
        &[],
    )
}

/// Numbers of batches that begin so, the last first and at most so many, each with its datasets.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn numbers(
    connection: &Connection,
    beginning: &str,
    most: usize,
) -> Result<Vec<(String, String)>> {
    let sql = format!(
        "SELECT batch_no, string_agg(DISTINCT dataset, ', ' ORDER BY dataset) FROM redledger.batch \
         WHERE starts_with(batch_no, ?) GROUP BY batch_no ORDER BY batch_no DESC LIMIT {most}"
    );
    read(connection, &sql, &[Some(beginning)], |row| {
        Ok((text(row, 0)?, text(row, 1)?))
    })
}

/// A batch whose rows are in the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct LoadedBatch {
    /// Dataset.
    pub dataset: String,
    /// Batch.
    pub batch_no: String,
    /// The loaded revision.
    pub revision: i32,
    /// The run that loaded it.
    pub run_id: String,
}

/// The batches whose rows are in the tables.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn loaded_batches(connection: &Connection) -> Result<BTreeSet<LoadedBatch>> {
    let sql =
        "SELECT dataset, batch_no, revision, run_id FROM redledger.batch WHERE state = 'loaded'";
    let batches = read(connection, sql, &[], |row| {
        Ok(LoadedBatch {
            dataset: text(row, 0)?,
            batch_no: text(row, 1)?,
            revision: row.get(2)?,
            run_id: text(row, 3)?,
        })
    })?;
    Ok(batches.into_iter().collect())
}

/// A revision that was loaded, whether or not a later one has replaced it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedRevision {
    /// Dataset.
    pub dataset: String,
    /// Batch.
    pub batch_no: String,
    /// 1, 2, ….
    pub revision: i32,
    /// When its content was accepted, in epoch microseconds. A ledger that does not say so tells when it was
    /// announced, but never a time after it was loaded; `None` where it does not know.
    pub accepted_at: Option<i64>,
}

/// Every revision that was loaded.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn accepted_revisions(connection: &Connection) -> Result<Vec<AcceptedRevision>> {
    let accepted_at = later(connection, "batch", "accepted_at")?;
    let sql = format!(
        "SELECT dataset, batch_no, revision, \
         epoch_us(coalesce({accepted_at}, least(coalesce(announced_at, loaded_at), loaded_at))) \
         FROM redledger.batch WHERE state IN ('loaded', 'superseded')"
    );
    read(connection, &sql, &[], |row| {
        Ok(AcceptedRevision {
            dataset: text(row, 0)?,
            batch_no: text(row, 1)?,
            revision: row.get(2)?,
            accepted_at: row.get(3)?,
        })
    })
}

/// The run that made a warehouse what it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PublishedRun {
    /// Its id.
    pub run_id: String,
    /// The subcommand.
    pub command: String,
    /// UTC.
    pub finished_at: String,
    /// In words.
    pub outcome: String,
}

/// The last run that wrote to the warehouse.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn last_run(connection: &Connection) -> Result<Option<PublishedRun>> {
    let sql = "SELECT run_id, command, strftime(finished_at, '%Y-%m-%dT%H:%M:%SZ'), outcome FROM redledger.run \
               ORDER BY finished_at DESC, run_id DESC LIMIT 1";
    let runs = read(connection, sql, &[], |row| {
        Ok(PublishedRun {
            run_id: text(row, 0)?,
            command: text(row, 1)?,
            finished_at: text(row, 2)?,
            outcome: text(row, 3)?,
        })
    })?;
    Ok(runs.into_iter().next())
}

/// Every revision of the batches with this number, of `dataset` if given: by dataset, the newest first.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn revisions(
    connection: &Connection,
    batch_no: &str,
    dataset: Option<&str>,
) -> Result<Vec<BatchRecord>> {
    read_batches(
        connection,
        "batch_no = ? AND (?::VARCHAR IS NULL OR dataset = ?)",
        "ORDER BY dataset, revision DESC, loaded_at DESC",
        &[Some(batch_no), dataset, dataset],
    )
}

fn read_batches(
    connection: &Connection,
    condition: &str,
    order: &str,
    parameters: &[Option<&str>],
) -> Result<Vec<BatchRecord>> {
    let sql = format!(
        "SELECT {}, max(revision) FILTER (WHERE state = 'loaded') OVER (PARTITION BY dataset, batch_no) AS stands \
         FROM redledger.batch WHERE {condition} {order}",
        columns::<BatchRow>(connection)?
    );
    read(connection, &sql, parameters, |row| {
        let of = BatchRow::read(row)?;
        Ok(BatchRecord {
            written_at: of.loaded_at.0,
            loaded_revision: row.get("stands")?,
            entry: BatchEntry::from(of),
        })
    })
}

impl From<BatchRow> for BatchEntry {
    fn from(of: BatchRow) -> Self {
        Self {
            dataset: of.dataset,
            batch_no: of.batch_no,
            revision: of.revision,
            state: of.state,
            rows_expected: of.rows_expected,
            rows_read: of.rows_read,
            rows_loaded: of.rows_loaded,
            rows_rejected: of.rows_rejected,
            difference: Difference {
                added: of.rows_added,
                removed: of.rows_removed,
                changed: of.rows_changed,
            },
            files: of.files,
            bytes: of.bytes,
            content_hash: of.content_hash,
            announced_at: of.announced_at.map(|at| at.0),
            accepted_at: of.accepted_at.map(|at| at.0),
            watermark: of.watermark.map(|at| at.0),
            run_id: of.run_id,
            message: of.message,
        }
    }
}

/// By dataset, the loaded batch that was announced last. One that does not say when it was announced, or
/// says a time after it was loaded, counts from when it was loaded.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn newest_loaded(connection: &Connection) -> Result<HashMap<String, NewestBatch>> {
    let sql = "SELECT dataset, arg_max(batch_no, announced), epoch_us(max(announced)) \
         FROM (SELECT dataset, batch_no, least(coalesce(announced_at, loaded_at), loaded_at) AS announced \
         FROM redledger.batch WHERE state = 'loaded') WHERE announced IS NOT NULL GROUP BY dataset";
    let newest = read(connection, sql, &[], |row| {
        let newest = NewestBatch {
            batch_no: row.get(1)?,
            at: row.get(2)?,
        };
        Ok((row.get(0)?, newest))
    })?;
    Ok(newest.into_iter().collect())
}

/// The files of a revision. `datasets` are the batch's own and, where its rows name further files, those
/// files' dataset.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn files(
    connection: &Connection,
    datasets: &[&str],
    batch_no: &str,
    revision: i32,
) -> Result<Vec<FileEntry>> {
    let marks = vec!["?"; datasets.len()].join(", ");
    let sql = format!(
        "SELECT {} FROM redledger.file \
         WHERE revision = {revision} AND batch_no = ? AND dataset IN ({marks}) ORDER BY file_id",
        columns::<FileRow>(connection)?
    );
    let parameters: Vec<Option<&str>> = std::iter::once(batch_no)
        .chain(datasets.iter().copied())
        .map(Some)
        .collect();
    read(connection, &sql, &parameters, |row| {
        Ok(FileEntry::from(FileRow::read(row)?))
    })
}

/// A file by its id, with the batch and the revision that it was delivered for.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn file(connection: &Connection, file_id: i64) -> Result<Option<(FileEntry, String, i32)>> {
    let sql = format!(
        "SELECT {} FROM redledger.file WHERE file_id = {file_id} LIMIT 1",
        columns::<FileRow>(connection)?
    );
    let files = read(connection, &sql, &[], |row| {
        let of = FileRow::read(row)?;
        let (batch_no, revision) = (of.batch_no.clone(), of.revision);
        Ok((FileEntry::from(of), batch_no, revision))
    })?;
    Ok(files.into_iter().next())
}

impl From<FileRow> for FileEntry {
    fn from(of: FileRow) -> Self {
        Self {
            file_id: of.file_id,
            dataset: of.dataset,
            url: of.url,
            bytes: of.bytes,
            content_hash: of.content_hash,
            etag: of.etag,
            encoding: of.encoding,
            header: of.header,
            rows_read: of.rows_read,
            rows_loaded: of.rows_loaded,
            rows_rejected: of.rows_rejected,
            archive_path: of.archive_path,
            fetched_at: of.fetched_at.0,
            rejections_kept: of.rejections_kept,
            query_hash: of.query_hash,
            identity: of.identity,
        }
    }
}

/// The controls of a revision, failed ones first.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn controls(
    connection: &Connection,
    dataset: &str,
    batch_no: &str,
    revision: i32,
) -> Result<Vec<Control>> {
    let sql = format!(
        "SELECT {} FROM redledger.control \
         WHERE revision = {revision} AND dataset = ? AND batch_no = ? ORDER BY passed, name",
        columns::<ControlRow>(connection)?
    );
    read(connection, &sql, &[Some(dataset), Some(batch_no)], |row| {
        let of = ControlRow::read(row)?;
        Ok(Control {
            name: of.name,
            expected: of.expected,
            actual: of.actual,
            passed: of.passed,
        })
    })
}
