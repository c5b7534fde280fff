//! Looking at the ledger.

use std::collections::{BTreeSet, HashMap};

use duckdb::{
    Connection, Row, params_from_iter,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};

use super::{BatchEntry, Control, Difference, FileEntry, State, quoted, tables::kind_of};
use crate::error::{Error, Result};

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

/// Which rejections to look at: those that match everything given.
#[derive(Debug, Clone, Default)]
pub struct RejectionFilter {
    /// Batch number.
    pub batch_no: Option<String>,
    /// Dataset of the rejected rows.
    pub dataset: Option<String>,
    /// Code.
    pub code: Option<String>,
}

/// A row of `redledger.rejection` as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionRecord {
    /// Dataset.
    pub dataset: String,
    /// Batch.
    pub batch_no: String,
    /// Revision of the batch.
    pub revision: i32,
    /// File.
    pub file_id: i64,
    /// Where the file came from, without secrets.
    pub url: Option<String>,
    /// 1-based line.
    pub line: u64,
    /// Offset in the decoded text.
    pub byte_offset: Option<u64>,
    /// Field at fault.
    pub field: Option<String>,
    /// Code.
    pub code: String,
    /// What was expected and found.
    pub message: String,
    /// The record as delivered.
    pub record: String,
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| FromSqlError::Other(format!("`{text}` is no state of a batch").into()))
    }
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

pub(super) fn read_batches(
    connection: &Connection,
    condition: &str,
    order: &str,
    parameters: &[Option<&str>],
) -> Result<Vec<BatchRecord>> {
    let [accepted_at, watermark] =
        ["accepted_at", "watermark"].map(|column| later(connection, "batch", column));
    let sql = format!(
        "SELECT dataset, batch_no, revision, state, rows_expected, rows_read, rows_loaded, rows_rejected, \
         rows_added, rows_removed, rows_changed, files, bytes, content_hash, epoch_us(announced_at), \
         epoch_us(loaded_at), run_id, message, \
         max(revision) FILTER (WHERE state = 'loaded') OVER (PARTITION BY dataset, batch_no), \
         epoch_us({}), epoch_us({}) \
         FROM redledger.batch WHERE {condition} {order}",
        accepted_at?, watermark?
    );
    read(connection, &sql, parameters, |row| {
        let known = |index| -> duckdb::Result<u64> { Ok(count(row, index)?.unwrap_or_default()) };
        Ok(BatchRecord {
            entry: BatchEntry {
                dataset: row.get(0)?,
                batch_no: row.get(1)?,
                revision: row.get(2)?,
                state: row.get(3)?,
                rows_expected: count(row, 4)?,
                rows_read: known(5)?,
                rows_loaded: known(6)?,
                rows_rejected: known(7)?,
                difference: Difference {
                    added: known(8)?,
                    removed: known(9)?,
                    changed: known(10)?,
                },
                files: known(11)?,
                bytes: known(12)?,
                content_hash: row.get(13)?,
                announced_at: row.get(14)?,
                accepted_at: row.get(19)?,
                watermark: row.get(20)?,
                run_id: text(row, 16)?,
                message: row.get(17)?,
            },
            written_at: row.get::<_, Option<i64>>(15)?.unwrap_or_default(),
            loaded_revision: row.get(18)?,
        })
    })
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
    let [kept, query_hash, identity] = ["rejections_kept", "query_hash", "identity"]
        .map(|column| later(connection, "file", column));
    let sql = format!(
        "SELECT file_id, dataset, url, bytes, content_hash, etag, encoding, header, rows_read, rows_loaded, \
         rows_rejected, archive_path, epoch_us(fetched_at), {}, {}, {} FROM redledger.file \
         WHERE revision = {revision} AND batch_no = ? AND dataset IN ({marks}) ORDER BY file_id",
        kept?, query_hash?, identity?
    );
    let parameters: Vec<Option<&str>> = std::iter::once(batch_no)
        .chain(datasets.iter().copied())
        .map(Some)
        .collect();
    read(connection, &sql, &parameters, |row| {
        let known = |index| -> duckdb::Result<u64> { Ok(count(row, index)?.unwrap_or_default()) };
        Ok(FileEntry {
            file_id: row.get(0)?,
            dataset: row.get(1)?,
            url: text(row, 2)?,
            bytes: known(3)?,
            content_hash: row.get(4)?,
            etag: row.get(5)?,
            encoding: row.get(6)?,
            header: row.get(7)?,
            rows_read: known(8)?,
            rows_loaded: known(9)?,
            rows_rejected: known(10)?,
            archive_path: row.get(11)?,
            fetched_at: row.get::<_, Option<i64>>(12)?.unwrap_or_default(),
            rejections_kept: count(row, 13)?,
            query_hash: row.get(14)?,
            identity: row.get(15)?,
        })
    })
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
        "SELECT name, expected, actual, passed FROM redledger.control \
         WHERE revision = {revision} AND dataset = ? AND batch_no = ? ORDER BY passed, name"
    );
    read(connection, &sql, &[Some(dataset), Some(batch_no)], |row| {
        Ok(Control {
            name: row.get(0)?,
            expected: row.get(1)?,
            actual: text(row, 2)?,
            passed: row.get(3)?,
        })
    })
}

/// The rejections of every batch's latest attempt, or those that match: by batch, file and line, at most
/// `limit`. `children` pairs each dataset whose files rows of another name with that other.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn rejections(
    connection: &Connection,
    filter: &RejectionFilter,
    children: &[(&str, &str)],
    limit: u64,
) -> Result<Vec<RejectionRecord>> {
    let (matching, parameters) = matching("rejection", filter, children);
    let sql = format!(
        "SELECT dataset, batch_no, revision, file_id, url, line, byte_offset, field, code, message, record \
         FROM ({matching}) ORDER BY batch_no, dataset, file_id, line, byte_offset, code, field LIMIT {limit}"
    );
    read(connection, &sql, &parameters, |row| {
        Ok(RejectionRecord {
            dataset: text(row, 0)?,
            batch_no: text(row, 1)?,
            revision: row.get(2)?,
            file_id: row.get::<_, Option<i64>>(3)?.unwrap_or_default(),
            url: row.get(4)?,
            line: count(row, 5)?.unwrap_or_default(),
            byte_offset: count(row, 6)?,
            field: row.get(7)?,
            code: text(row, 8)?,
            message: text(row, 9)?,
            record: text(row, 10)?,
        })
    })
}

/// How many rejections [`rejections`] would return without a limit, by code; the most frequent first.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn rejections_by_code(
    connection: &Connection,
    filter: &RejectionFilter,
    children: &[(&str, &str)],
) -> Result<Vec<(String, u64)>> {
    let (matching, parameters) = matching("rejection", filter, children);
    let sql = format!(
        "SELECT code, count(*) FROM ({matching}) GROUP BY code ORDER BY count(*) DESC, code"
    );
    read(connection, &sql, &parameters, |row| {
        Ok((row.get(0)?, count(row, 1)?.unwrap_or_default()))
    })
}

/// How many rows latest attempts have rejected, kept or not, of the batch and dataset in `filter`.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn rows_rejected(
    connection: &Connection,
    filter: &RejectionFilter,
    children: &[(&str, &str)],
) -> Result<u64> {
    let filter = RejectionFilter {
        code: None,
        ..filter.clone()
    };
    let (matching, parameters) = matching("file", &filter, children);
    let sql = format!("SELECT coalesce(sum(rows_rejected), 0)::BIGINT FROM ({matching})");
    let rows = read(connection, &sql, &parameters, |row| count(row, 0))?;
    Ok(rows.into_iter().flatten().sum())
}

/// The entries of latest attempts in `table` that `filter` lets through, as SQL, and its parameters.
fn matching<'a>(
    table: &str,
    filter: &'a RejectionFilter,
    children: &[(&'a str, &'a str)],
) -> (String, Vec<Option<&'a str>>) {
    let mut parameters: Vec<Option<&str>> = Vec::new();
    // The ledger enters a batch under its own dataset only; rejections bear the dataset of their file.
    let mut owner = String::from("r.dataset");
    if !children.is_empty() {
        let cases = " WHEN ? THEN ?".repeat(children.len());
        owner = format!("CASE r.dataset{cases} ELSE r.dataset END");
        for (child, parent) in children {
            parameters.extend([Some(*child), Some(*parent)]);
        }
    }
    let mut conditions = String::new();
    let given = [
        ("batch_no", &filter.batch_no),
        ("dataset", &filter.dataset),
        ("code", &filter.code),
    ];
    for (column, value) in given {
        if let Some(value) = value {
            conditions += &format!(" AND r.{column} = ?");
            parameters.push(Some(value));
        }
    }
    let sql = format!(
        "SELECT r.*, f.url FROM (SELECT *, {owner} AS owner FROM redledger.{table} r WHERE true{conditions}) r \
         JOIN (SELECT dataset AS owner, batch_no, max(revision) AS revision FROM redledger.batch GROUP BY ALL) b \
         USING (owner, batch_no, revision) \
         LEFT JOIN redledger.file f ON f.file_id = r.file_id"
    );
    (sql, parameters)
}

/// A column that a ledger of an earlier release lacks, as SQL: NULL in such a one.
pub(crate) fn later(connection: &Connection, table: &str, column: &str) -> Result<String> {
    let sql = "SELECT count(*) FROM duckdb_columns() WHERE schema_name = 'redledger' \
               AND table_name = ? AND column_name = ? AND database_name = current_database()";
    let there = read(connection, sql, &[Some(table), Some(column)], |row| {
        row.get::<_, i64>(0)
    })?;
    Ok(match there.first() {
        Some(0) | None => format!("NULL::{}", kind_of(table, column)),
        Some(_) => column.to_owned(),
    })
}

/// A negative count, which nobody writes here, is as many as can be: it must not pass for a right one.
pub(super) fn count(row: &Row<'_>, index: usize) -> duckdb::Result<Option<u64>> {
    let count = row.get::<_, Option<i64>>(index)?;
    Ok(count.map(|count| u64::try_from(count).unwrap_or(u64::MAX)))
}

pub(super) fn text(row: &Row<'_>, index: usize) -> duckdb::Result<String> {
    Ok(row.get::<_, Option<String>>(index)?.unwrap_or_default())
}

pub(super) fn read<T>(
    connection: &Connection,
    sql: &str,
    parameters: &[Option<&str>],
    of: impl FnMut(&Row<'_>) -> duckdb::Result<T>,
) -> Result<Vec<T>> {
    let all = || -> duckdb::Result<Vec<T>> {
        let mut statement = connection.prepare(sql)?;
        statement
            .query_map(params_from_iter(parameters), of)?
            .collect()
    };
    all().map_err(Error::database("read the ledger"))
}
