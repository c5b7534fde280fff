//! What the ledger says of all files.

use std::collections::{BTreeSet, HashSet};

use duckdb::Connection;

use super::sql::{quoted, read, text};
use crate::{batch_no::BatchNo, error::Result};

/// The loaded revisions of some batches, by dataset and number.
///
/// # Errors
/// [`Error::Database`](crate::error::Error::Database) if the engine fails.
pub fn loaded_among(
    connection: &Connection,
    batches: &BTreeSet<(String, BatchNo)>,
) -> Result<HashSet<(String, BatchNo, i32)>> {
    const TOGETHER: usize = 1_000;
    let mut loaded = HashSet::new();
    let batches: Vec<&(String, BatchNo)> = batches.iter().collect();
    for some in batches.chunks(TOGETHER) {
        let numbers: Vec<String> = some
            .iter()
            .map(|(_, number)| quoted(number.as_str()))
            .collect();
        let sql = format!(
            "SELECT dataset, batch_no, revision FROM redledger.batch WHERE state = 'loaded' AND batch_no IN ({})",
            numbers.join(", ")
        );
        let found = read(connection, &sql, &[], |row| {
            Ok((text(row, 0)?, text(row, 1)?, row.get(2)?))
        })?;
        loaded.extend(found.into_iter().filter_map(|(dataset, number, revision)| {
            Some((dataset, BatchNo::new(&number).ok()?, revision))
        }));
    }
    Ok(loaded)
}

/// Where the files of a batch are kept, whatever their revision, as far as the ledger says. `datasets` are the batch's
/// own and, where its rows name further files, those files' dataset.
///
/// # Errors
/// [`Error::Database`](crate::error::Error::Database) if the engine fails.
pub fn kept_files(
    connection: &Connection,
    datasets: &[&str],
    batch_no: &BatchNo,
) -> Result<HashSet<String>> {
    let datasets: Vec<String> = datasets.iter().map(|dataset| quoted(dataset)).collect();
    let sql = format!(
        "SELECT archive_path FROM redledger.file WHERE batch_no = {} AND dataset IN ({}) AND archive_path IS NOT NULL",
        quoted(batch_no.as_str()),
        datasets.join(", ")
    );
    Ok(read(connection, &sql, &[], |row| text(row, 0))?
        .into_iter()
        .collect())
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
