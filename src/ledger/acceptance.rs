//! Which content stands, and since when: what a consumer of the tables goes by.

use duckdb::Connection;

use super::sql::{later, read, text};
use crate::error::Result;

/// A batch whose rows are in the tables, with when its content was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingBatch {
    /// Dataset that it is entered under.
    pub dataset: String,
    /// Batch.
    pub batch_no: String,
    /// The loaded revision.
    pub revision: i32,
    /// In epoch microseconds; where an earlier release wrote this, when it was announced, but never a time after it was
    /// loaded.
    pub accepted_at: i64,
    /// In epoch microseconds.
    pub loaded_at: i64,
    /// Rows delivered.
    pub rows_read: u64,
    /// Rows in the tables.
    pub rows_loaded: u64,
    /// Rows not loaded.
    pub rows_rejected: u64,
}

/// The batches whose rows are in the tables, of `dataset` if given: by dataset, in the order of their acceptance.
///
/// # Errors
/// [`Error::Database`](crate::error::Error::Database) if the engine fails.
pub fn standing(connection: &Connection, dataset: Option<&str>) -> Result<Vec<StandingBatch>> {
    let accepted_at = later(connection, "batch", "accepted_at")?;
    let sql = format!(
        "SELECT dataset, batch_no, revision, \
         coalesce(epoch_us(coalesce({accepted_at}, least(coalesce(announced_at, loaded_at), loaded_at))), 0) AS accepted, \
         coalesce(epoch_us(loaded_at), 0), rows_read, rows_loaded, rows_rejected \
         FROM redledger.batch WHERE state = 'loaded' AND (?::VARCHAR IS NULL OR dataset = ?) \
         ORDER BY dataset, accepted, loaded_at, batch_no"
    );
    read(connection, &sql, &[dataset, dataset], |row| {
        let count = |index| -> duckdb::Result<u64> {
            let count = row.get::<_, Option<i64>>(index)?.unwrap_or_default();
            Ok(u64::try_from(count).unwrap_or(u64::MAX))
        };
        Ok(StandingBatch {
            dataset: text(row, 0)?,
            batch_no: text(row, 1)?,
            revision: row.get(2)?,
            accepted_at: row.get(3)?,
            loaded_at: row.get(4)?,
            rows_read: count(5)?,
            rows_loaded: count(6)?,
            rows_rejected: count(7)?,
        })
    })
}
