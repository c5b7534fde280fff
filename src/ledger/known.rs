//! What the ledger knows of the batches that are to be loaded.

use std::collections::{BTreeSet, HashMap};

use duckdb::{Connection, params};

use super::{
    entry::{State, UNKNOWN_DATASET},
    row::TableRow as _,
    sql::{columns, quoted, read, timestamp},
    tables::BatchRow,
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
pub struct Entries(HashMap<String, Vec<BatchRow>>);

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
                "SELECT {} FROM redledger.batch WHERE batch_no IN ({}) ORDER BY revision",
                columns::<BatchRow>(connection)?,
                literals.join(", ")
            );
            let found = read(connection, &sql, &[], BatchRow::read)?;
            for number in numbers {
                entries.0.entry(number.clone()).or_default();
            }
            for entry in found {
                let of_number = entries.0.entry(entry.batch_no.clone());
                of_number.or_default().push(entry);
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
                        content_hash: entry.content_hash.clone().unwrap_or_default(),
                        rows_loaded: entry.rows_loaded,
                        rows_rejected: entry.rows_rejected,
                        watermark: entry.watermark.map(|at| at.0),
                    });
                    known.highest = known.highest.max(revision);
                }
                State::Superseded => known.highest = known.highest.max(revision),
                state @ (State::Failed | State::Waiting | State::Expired | State::Dismissed) => {
                    known.attempt = Some(Attempt {
                        revision,
                        state,
                        has_dataset: entry.dataset != UNKNOWN_DATASET,
                        figures: [
                            entry.rows_read,
                            entry.rows_rejected,
                            entry.files,
                            entry.bytes,
                        ],
                        announced_at: entry.announced_at.map(|at| at.0),
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
