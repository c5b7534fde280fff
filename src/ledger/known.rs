//! What the ledger knows of one batch.

use duckdb::{Connection, params};

use super::{
    State, UNKNOWN_DATASET,
    queries::{count, read, text},
    timestamp,
};
use crate::error::{Error, Result};

/// The revisions of a batch, and the attempt that is not loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The revision whose rows are in the table.
    pub loaded: Option<LoadedRevision>,
    /// The highest revision that is loaded or was; 0: none.
    pub highest: i32,
    /// The latest attempt that is not loaded.
    pub attempt: Option<Attempt>,
}

/// A revision whose rows are in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedRevision {
    /// Its number.
    pub revision: i32,
    /// What its content is known by.
    pub content_hash: String,
    /// Rows in the table.
    pub rows_loaded: u64,
    /// Rows that it rejected.
    pub rows_rejected: u64,
    /// The newest announcement that was accepted for the batch, in epoch microseconds.
    pub watermark: Option<i64>,
}

/// An attempt that is not loaded, as far as a person can tell it from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The revision that it would have become.
    pub revision: i32,
    /// Failed, waiting or expired.
    pub state: State,
    /// Whether its dataset is known.
    pub has_dataset: bool,
    /// Rows read, rejected, files, bytes.
    pub figures: [u64; 4],
    /// When it says that it was announced, in epoch microseconds.
    pub announced_at: Option<i64>,
    /// Why it is not loaded.
    pub message: Option<String>,
}

/// Reads what is known of a batch of `dataset`, what was written while its dataset was not known included.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn known(connection: &Connection, dataset: &str, batch_no: &str) -> Result<Known> {
    let sql = "SELECT revision, state, content_hash, rows_loaded, rows_rejected, epoch_us(watermark), dataset, \
               rows_read, files, bytes, epoch_us(announced_at), message \
               FROM redledger.batch WHERE batch_no = ? AND dataset IN (?, ?) ORDER BY revision";
    let mut known = Known::default();
    let parameters = [Some(batch_no), Some(dataset), Some(UNKNOWN_DATASET)];
    read(connection, sql, &parameters, |row| {
        let revision = row.get(0)?;
        let figure = |index| -> duckdb::Result<u64> { Ok(count(row, index)?.unwrap_or_default()) };
        match row.get(1)? {
            State::Loaded => {
                known.loaded = Some(LoadedRevision {
                    revision,
                    content_hash: text(row, 2)?,
                    rows_loaded: figure(3)?,
                    rows_rejected: figure(4)?,
                    watermark: row.get(5)?,
                });
                known.highest = known.highest.max(revision);
            }
            State::Superseded => known.highest = known.highest.max(revision),
            state @ (State::Failed | State::Waiting | State::Expired) => {
                known.attempt = Some(Attempt {
                    revision,
                    state,
                    has_dataset: text(row, 6)? != UNKNOWN_DATASET,
                    figures: [figure(7)?, figure(4)?, figure(8)?, figure(9)?],
                    announced_at: row.get(10)?,
                    message: row.get(11)?,
                });
            }
        }
        Ok(())
    })?;
    Ok(known)
}

/// The datasets under which a batch of this number is loaded.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn datasets_of(connection: &Connection, batch_no: &str) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT dataset FROM redledger.batch WHERE batch_no = ? AND state = 'loaded' ORDER BY dataset";
    read(connection, sql, &[Some(batch_no)], |row| text(row, 0))
}

/// Takes note of an announcement that was accepted and has changed nothing.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn advance(
    connection: &Connection,
    dataset: &str,
    batch_no: &str,
    watermark: i64,
) -> Result<()> {
    connection
        .execute(
            "UPDATE redledger.batch SET watermark = ? WHERE dataset = ? AND batch_no = ? AND state = 'loaded'",
            params![timestamp(Some(watermark)), dataset, batch_no],
        )
        .map_err(Error::database("write the ledger"))?;
    Ok(())
}
