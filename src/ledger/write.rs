//! Writing the ledger.

use std::collections::HashMap;

use duckdb::{Connection, appender_params_from_iter, params};

use super::{
    entry::{BatchEntry, Control, FileEntry, RunEntry, UNKNOWN_DATASET},
    queries::BatchRecord,
    row::{Moment, TableRow},
    sql::timestamp,
    tables::{BatchRow, ControlRow, FileRow, RejectionRow, RunRow},
};
use crate::{
    clock,
    error::{Error, Result},
    rejection::Rejection,
};

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
    let batch = BatchRow {
        dataset: entry.dataset.clone(),
        batch_no: entry.batch_no.clone(),
        revision: entry.revision,
        state: entry.state,
        rows_expected: entry.rows_expected,
        rows_read: entry.rows_read,
        rows_loaded: entry.rows_loaded,
        rows_rejected: entry.rows_rejected,
        rows_added: entry.difference.added,
        rows_removed: entry.difference.removed,
        rows_changed: entry.difference.changed,
        files: entry.files,
        bytes: entry.bytes,
        content_hash: entry.content_hash.clone(),
        announced_at: entry.announced_at.map(Moment),
        loaded_at: Moment(clock::now()),
        run_id: entry.run_id.clone(),
        message: entry.message.clone(),
        accepted_at: entry.accepted_at.map(Moment),
        watermark: entry.watermark.max(entry.accepted_at).map(Moment),
    };
    let datasets: HashMap<i64, &str> = files
        .iter()
        .map(|file| (file.file_id, file.dataset.as_str()))
        .collect();
    let rejections = rejections.iter().map(|of| RejectionRow {
        dataset: (*datasets.get(&of.file_id).unwrap_or(&&*entry.dataset)).to_owned(),
        batch_no: entry.batch_no.clone(),
        revision: entry.revision,
        file_id: of.file_id,
        line: of.line,
        byte_offset: of.byte_offset,
        field: of.field.as_deref().map(str::to_owned),
        code: of.code.as_str().to_owned(),
        message: of.message.to_string(),
        record: of.record.clone(),
    });
    let controls = controls.iter().map(|of| ControlRow {
        dataset: entry.dataset.clone(),
        batch_no: entry.batch_no.clone(),
        revision: entry.revision,
        name: of.name.clone(),
        expected: of.expected.clone(),
        actual: of.actual.clone(),
        passed: of.passed,
    });
    append(connection, [batch])?;
    append(connection, files.iter().map(|of| file_row(entry, of)))?;
    append(connection, rejections)?;
    append(connection, controls)
}

fn file_row(entry: &BatchEntry, of: &FileEntry) -> FileRow {
    FileRow {
        file_id: of.file_id,
        dataset: of.dataset.clone(),
        batch_no: entry.batch_no.clone(),
        revision: entry.revision,
        url: of.url.clone(),
        bytes: of.bytes,
        content_hash: of.content_hash.clone(),
        etag: of.etag.clone(),
        encoding: of.encoding.clone(),
        header: of.header.clone(),
        rows_read: of.rows_read,
        rows_loaded: of.rows_loaded,
        rows_rejected: of.rows_rejected,
        archive_path: of.archive_path.clone(),
        fetched_at: Moment(of.fetched_at),
        rejections_kept: of.rejections_kept,
        query_hash: of.query_hash.clone(),
        identity: of.identity.clone(),
    }
}

/// Appends rows to their table.
fn append<R: TableRow>(connection: &Connection, rows: impl IntoIterator<Item = R>) -> Result<()> {
    let write = || -> duckdb::Result<()> {
        let mut appender = connection.appender_to_db(R::TABLE.name, "redledger")?;
        for row in rows {
            appender.append_row(appender_params_from_iter(row.cells()))?;
        }
        appender.flush()
    };
    write().map_err(Error::database("write the ledger"))
}

/// Writes a run's entry.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn record_run(connection: &Connection, run: &RunEntry) -> Result<()> {
    let run = RunRow {
        run_id: run.run_id.clone(),
        command: run.command.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: Moment(run.started_at),
        finished_at: Moment(clock::now()),
        outcome: run.outcome.clone(),
        exit_code: i32::from(run.exit_code),
    };
    append(connection, [run])
}
