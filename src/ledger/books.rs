//! Everything that the ledger says, to be compared with what is there.

use std::collections::HashMap;

use duckdb::Connection;

use super::{
    BatchRecord, Control,
    queries::{count, read, read_batches, text},
};
use crate::error::Result;

/// The ledger as it stands.
#[derive(Debug)]
pub struct Books {
    /// Every revision of every batch.
    pub batches: Vec<BatchRecord>,
    /// Every file, by its id.
    pub files: Vec<FileFigures>,
    /// Every control, and the revision it belongs to: dataset, batch, revision.
    pub controls: Vec<((String, String, i32), Control)>,
    /// What is kept of the rows that were rejected, by file.
    pub rejections: HashMap<i64, KeptRejections>,
}

/// What the ledger says of a file's rows and bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFigures {
    /// Its id.
    pub file_id: i64,
    /// Dataset of its rows.
    pub dataset: String,
    /// Its batch.
    pub batch_no: String,
    /// The batch's revision.
    pub revision: i32,
    /// Size as delivered.
    pub bytes: u64,
    /// SHA-256 of the bytes delivered.
    pub content_hash: Option<String>,
    /// Rows delivered.
    pub rows_read: u64,
    /// Rows in the table.
    pub rows_loaded: u64,
    /// Rows not loaded.
    pub rows_rejected: u64,
    /// Where its bytes are kept, below `data_dir`.
    pub archive_path: Option<String>,
}

/// Rejected rows that the ledger keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeptRejections {
    /// How many.
    pub rows: u64,
    /// Bytes of their text.
    pub bytes: u64,
}

/// Reads the whole ledger.
///
/// # Errors
/// [`Error::Database`](crate::error::Error::Database) if the engine fails or a column holds what it can't.
pub fn books(connection: &Connection) -> Result<Books> {
    let batches = read_batches(
        connection,
        "true",
        "ORDER BY batch_no, dataset, revision, loaded_at",
        &[],
    )?;
    let sql = "SELECT file_id, dataset, batch_no, revision, bytes, content_hash, rows_read, rows_loaded, \
               rows_rejected, archive_path FROM redledger.file ORDER BY file_id";
    let files = read(connection, sql, &[], |row| {
        let known = |index| -> duckdb::Result<u64> { Ok(count(row, index)?.unwrap_or_default()) };
        Ok(FileFigures {
            file_id: row.get(0)?,
            dataset: row.get(1)?,
            batch_no: row.get(2)?,
            revision: row.get(3)?,
            bytes: known(4)?,
            content_hash: row.get(5)?,
            rows_read: known(6)?,
            rows_loaded: known(7)?,
            rows_rejected: known(8)?,
            archive_path: row.get(9)?,
        })
    })?;
    let sql = "SELECT dataset, batch_no, revision, name, expected, actual, passed FROM redledger.control ORDER BY ALL";
    let controls = read(connection, sql, &[], |row| {
        let control = Control {
            name: row.get(3)?,
            expected: row.get(4)?,
            actual: text(row, 5)?,
            passed: row.get(6)?,
        };
        Ok(((row.get(0)?, row.get(1)?, row.get(2)?), control))
    })?;
    let sql = "SELECT file_id, count(*), coalesce(sum(strlen(record)), 0)::BIGINT FROM redledger.rejection \
               WHERE file_id IS NOT NULL GROUP BY file_id";
    let rejections = read(connection, sql, &[], |row| {
        let kept = KeptRejections {
            rows: count(row, 1)?.unwrap_or_default(),
            bytes: count(row, 2)?.unwrap_or_default(),
        };
        Ok((row.get(0)?, kept))
    })?;
    Ok(Books {
        batches,
        files,
        controls,
        rejections: rejections.into_iter().collect(),
    })
}

/// Where files of loaded revisions are kept, below the data directory; also those of revisions of the same
/// batch and number in other datasets, since a file's dataset may be another than its batch's.
///
/// # Errors
/// [`Error::Database`](crate::error::Error::Database) if the engine fails.
pub fn loaded_files(connection: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT archive_path FROM redledger.file SEMI JOIN \
               (SELECT batch_no, revision FROM redledger.batch WHERE state = 'loaded') USING (batch_no, revision) \
               WHERE archive_path IS NOT NULL";
    read(connection, sql, &[], |row| text(row, 0))
}
