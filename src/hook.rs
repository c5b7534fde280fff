//! From the bytes of an announcement to the batches to be loaded.
//!
//! ```text
//! bytes ── parse ──► Announcements (a Batch Hook each) ── assemble ──► Batches (all pages of a number)
//! ```
//!
//! Many documents are read as an index first, which keeps no rows ([`index`]); those of a batch are read when its turn
//! comes ([`rows_of`]).
//!
//! Nothing here touches a file or the network. A number is its text from end to end: an amount in an
//! inline list never becomes a float.

mod assemble;
mod batch;
mod fields;
mod identity;
#[cfg(test)]
mod issues;
mod json;
mod page;
mod page_set;
mod parse;

use std::fmt;

use crate::{batch_no::BatchNo, error::Error, source_url::SourceUrl};

pub use assemble::assemble;
pub use batch::{Assembled, Batch, Content, Part};
pub use identity::{is_same_row, list_identity};
pub use parse::{Wrapping, index, parse, parse_at, rows_of, stored_rows, wrapping};

/// What an announcement may be, as a hint.
const FORMS: &str =
    "an announcement is a Batch Hook, an array of them, or the webhook's envelope with `resource`";

/// One Batch Hook as announced, with what its envelope said.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// The file or URL it came from, without secrets; `[2]` is appended for the second element of an
    /// array.
    pub origin: String,
    /// The envelope's `eventType`.
    pub event_type: Option<String>,
    /// The envelope's `id`.
    pub id: Option<String>,
    /// The envelope's `createTime`, in epoch milliseconds.
    pub announced_at: Option<i64>,
    /// When it was received, in epoch microseconds; whoever has read it knows.
    pub received_at: Option<i64>,
    /// Whether of its envelope only the `resource` was signed; whoever has read it knows.
    pub only_resource_signed: bool,
    /// Which of the documents given it is from; whoever has read them knows.
    pub document: usize,
    /// Which of the document's hooks it is, from 0.
    pub element: usize,
    /// The hook itself.
    pub hook: BatchHook,
    /// How many keys of the hook and its envelope are not known and were ignored. An envelope around
    /// several hooks counts with the first of them.
    pub unknown_keys: u64,
}

impl Announcement {
    /// When it was made, but never later than it was received; in epoch microseconds.
    fn order(&self) -> Option<i64> {
        let announced = self.announced_at.map(|at| at.saturating_mul(1000));
        match (announced, self.received_at) {
            (Some(announced), Some(received)) => Some(announced.min(received)),
            (announced, received) => announced.or(received),
        }
    }
}

/// The Batch Hook: a batch's number, and its rows or where they are.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchHook {
    /// The batch's number.
    pub batch_no: BatchNo,
    /// Which page this is, from 1.
    pub page: Option<u64>,
    /// Rows of a page.
    pub size: Option<u64>,
    /// Rows of the batch.
    pub total: Option<u64>,
    /// Whether no page follows.
    pub last_page: Option<bool>,
    /// The CSV export.
    pub file_url: Option<SourceUrl>,
    /// The rows themselves; an empty list is not an absent one. In an index there are none, see
    /// [`summary`](Self::summary).
    pub list: Option<Vec<ListRow>>,
    /// In an index, what is known of the rows.
    pub summary: Option<ListSummary>,
}

impl BatchHook {
    /// Rows of the inline list.
    #[must_use]
    pub fn rows(&self) -> u64 {
        match &self.summary {
            Some(summary) => summary.rows,
            None => self.list.as_ref().map_or(0, |list| list.len() as u64),
        }
    }

    /// What the inline list is known by.
    fn list_identity(&self) -> Option<String> {
        match &self.summary {
            Some(summary) => Some(summary.identity.clone()),
            None => self.list.as_deref().map(list_identity),
        }
    }
}

/// What an index keeps of an inline list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSummary {
    /// Its rows.
    pub rows: u64,
    /// What it is known by, see [`list_identity`].
    pub identity: String,
}

/// A row of an inline list: cells as text, and its own JSON text.
///
/// `Debug` shows the keys only, because cell values must not reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct ListRow {
    /// Key and text, in the row's order; `None` for JSON null. A number is its own text, a nested
    /// object or array is its JSON text.
    pub cells: Vec<(String, Option<String>)>,
    /// The row as delivered.
    pub json: String,
    /// Why the row can't be taken, if so; the others can.
    pub fault: Option<RowFault>,
}

/// Why a row can't be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// Whether a key stands more than once; else something is no text.
    pub is_repeated_key: bool,
    /// The key of the cell at fault; `None` where a key itself is no text.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Debug for ListRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.cells.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("ListRow")
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

/// What is wrong, before it is known where.
#[derive(Debug)]
struct Fault {
    message: String,
    hint: Option<&'static str>,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Puts `prefix` before the message.
    fn within(mut self, prefix: impl fmt::Display) -> Self {
        self.message = format!("{prefix}{}", self.message);
        self
    }

    fn at(self, origin: &str) -> Error {
        Error::Announcement {
            origin: origin.into(),
            message: self.message,
            hint: self.hint.map(Into::into),
        }
    }
}
