//! What the ledger knows of the batches that are to be loaded.

use std::collections::{BTreeSet, HashMap};

use duckdb::{Connection, params};

use super::{
    State, UNKNOWN_DATASET,
    queries::{count, read, text},
    quoted, timestamp,
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
    /// Failed, waiting, expired or dismissed.
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

/// What the ledger says of some batches, read at once: the ledger is looked through as often, however many they are.
#[derive(Debug, Default)]
pub struct Entries(HashMap<String, Vec<Entry>>);

/// A row of `redledger.batch`, as far as it matters for what may follow.
#[derive(Debug)]
struct Entry {
    dataset: String,
    revision: i32,
    state: State,
    content_hash: String,
    rows_loaded: u64,
    rows_rejected: u64,
    watermark: Option<i64>,
    /// Rows read, files, bytes.
    others: [u64; 3],
    announced_at: Option<i64>,
    message: Option<String>,
}

/// Numbers in one query.
const AT_ONCE: usize = 1_000;

impl Entries {
    /// Reads what there is of batches with these numbers.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn read(connection: &Connection, numbers: &[String]) -> Result<Self> {
        let mut entries = Self::default();
        for numbers in numbers.chunks(AT_ONCE) {
            let literals: Vec<String> = numbers.iter().map(|number| quoted(number)).collect();
            let sql = format!(
                "SELECT batch_no, dataset, revision, state, content_hash, rows_loaded, rows_rejected, \
                 epoch_us(watermark), rows_read, files, bytes, epoch_us(announced_at), message \
                 FROM redledger.batch WHERE batch_no IN ({}) ORDER BY revision",
                literals.join(", ")
            );
            let found = read(connection, &sql, &[], |row| {
                let figure =
                    |index| -> duckdb::Result<u64> { Ok(count(row, index)?.unwrap_or_default()) };
                let entry = Entry {
                    dataset: text(row, 1)?,
                    revision: row.get(2)?,
                    state: row.get(3)?,
                    content_hash: text(row, 4)?,
                    rows_loaded: figure(5)?,
                    rows_rejected: figure(6)?,
                    watermark: row.get(7)?,
                    others: [figure(8)?, figure(9)?, figure(10)?],
                    announced_at: row.get(11)?,
                    message: row.get(12)?,
                };
                Ok((text(row, 0)?, entry))
            })?;
            for number in numbers {
                entries.0.entry(number.clone()).or_default();
            }
            for (number, entry) in found {
                entries.0.entry(number).or_default().push(entry);
            }
        }
        Ok(entries)
    }

    /// Takes in what was read later.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether a number was read.
    #[must_use]
    pub fn has(&self, batch_no: &str) -> bool {
        self.0.contains_key(batch_no)
    }

    /// The ledger was written to: what was read of a number holds no longer.
    pub fn forget(&mut self, batch_no: &str) {
        self.0.remove(batch_no);
    }

    /// What is known of a batch of `dataset`, what was written while its dataset was not known included.
    #[must_use]
    pub fn known(&self, dataset: &str, batch_no: &str) -> Known {
        let mut known = Known::default();
        let entries = self.0.get(batch_no).into_iter().flatten();
        for entry in entries.filter(|of| of.dataset == dataset || of.dataset == UNKNOWN_DATASET) {
            let revision = entry.revision;
            match entry.state {
                State::Loaded => {
                    known.loaded = Some(LoadedRevision {
                        revision,
                        content_hash: entry.content_hash.clone(),
                        rows_loaded: entry.rows_loaded,
                        rows_rejected: entry.rows_rejected,
                        watermark: entry.watermark,
                    });
                    known.highest = known.highest.max(revision);
                }
                State::Superseded => known.highest = known.highest.max(revision),
                state @ (State::Failed | State::Waiting | State::Expired | State::Dismissed) => {
                    let [rows_read, files, bytes] = entry.others;
                    known.attempt = Some(Attempt {
                        revision,
                        state,
                        has_dataset: entry.dataset != UNKNOWN_DATASET,
                        figures: [rows_read, entry.rows_rejected, files, bytes],
                        announced_at: entry.announced_at,
                        message: entry.message.clone(),
                    });
                }
            }
        }
        known
    }

    /// Whether something of this number waits for a later run.
    #[must_use]
    pub fn is_waiting(&self, batch_no: &str) -> bool {
        let mut entries = self.0.get(batch_no).into_iter().flatten();
        entries.any(|entry| entry.state == State::Waiting)
    }

    /// The datasets under which a batch of this number is loaded.
    #[must_use]
    pub fn datasets_of(&self, batch_no: &str) -> BTreeSet<&str> {
        self.datasets_with(batch_no, |state| state == State::Loaded)
    }

    /// The datasets under which a batch of this number is settled: loaded, or dismissed.
    #[must_use]
    pub fn datasets_settled(&self, batch_no: &str) -> BTreeSet<&str> {
        self.datasets_with(batch_no, |state| {
            matches!(state, State::Loaded | State::Dismissed)
        })
    }

    fn datasets_with(&self, batch_no: &str, matches: impl Fn(State) -> bool) -> BTreeSet<&str> {
        let entries = self.0.get(batch_no).into_iter().flatten();
        let entries = entries.filter(|entry| matches(entry.state));
        entries.map(|entry| entry.dataset.as_str()).collect()
    }
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
