//! What the ledger says of all files.

use duckdb::Connection;

use super::queries::{read, text};
use crate::error::Result;

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
