//! What was announced under one number.

use std::collections::{BTreeSet, HashSet};

use super::ListRow;
use crate::{batch_no::BatchNo, error::Result, source_url::SourceUrl};

/// What is to be loaded under one number.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The batch's number.
    pub batch_no: BatchNo,
    /// Where its first page was announced, without secrets.
    pub origin: String,
    /// The `eventType` of its first page that has one.
    pub event_type: Option<String>,
    /// Whether of the envelopes only the `resource` was signed: anybody may have written the `eventType`.
    pub only_resource_signed: bool,
    /// When its first page was announced, in epoch milliseconds.
    pub announced_at: Option<i64>,
    /// When its first page was received, in epoch microseconds.
    pub received_at: Option<i64>,
    /// When its latest one was.
    pub newest_at: Option<i64>,
    /// Rows the batch should have.
    pub total: Option<u64>,
    /// The rows, or where they are; of an index no rows.
    pub content: Content,
    /// Where the inline rows are, in their order.
    pub parts: Vec<Part>,
    /// What has not been announced yet, such as "pages 2 and 3 of 3"; `None` when nothing is missing.
    pub missing: Option<String>,
    /// Pages are missing, but [`total`](Self::total) is known and the files named so far may well hold
    /// every row: fewer rows than `total` mean waiting for pages, not a failed batch.
    ///
    /// Only with [`Content::Files`]; [`missing`](Self::missing) is `None` then.
    pub pages_incomplete: bool,
    /// What a reader of the ledger should know.
    pub notes: Vec<String>,
    /// Ignored keys of all its hooks and envelopes.
    pub unknown_keys: u64,
}

/// A page's inline rows, and where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which of the documents given.
    pub document: usize,
    /// Which of its hooks, from 0.
    pub element: usize,
    /// The page, from 1.
    pub page: Option<u64>,
    /// Rows a page, as the page says.
    pub size: Option<u64>,
    /// Its rows.
    pub rows: u64,
}

/// A batch, or why its pages make none, and the announcements that it was put together from.
#[derive(Debug)]
pub struct Assembled {
    /// The origins of all its announcements, repeated and replaced ones included.
    pub origins: Vec<String>,
    /// The documents that these came in.
    pub documents: BTreeSet<usize>,
    /// The batch.
    pub batch: Result<Batch>,
}

/// The rows of a [`Batch`], or where they are.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Files, each once (by its [identity](SourceUrl::identity)), in page order.
    Files(Vec<SourceUrl>),
    /// Inline rows, in page order.
    Rows(Vec<ListRow>),
}

impl Batch {
    /// Whether some of its pages are missing, and may still come: then it is an hour, or less, since the last came.
    /// `now` is in epoch microseconds.
    #[must_use]
    pub fn may_grow(&self, now: i64) -> bool {
        let is_incomplete = self.missing.is_some() || self.pages_incomplete;
        let is_recent = |at: i64| now.saturating_sub(at) <= CLOSE;
        is_incomplete && self.newest_at.is_some_and(is_recent)
    }

    /// The keys of all inline rows, in order of first appearance; empty for files.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        let Content::Rows(rows) = &self.content else {
            return Vec::new();
        };
        let mut seen = HashSet::new();
        rows.iter()
            .flat_map(|row| &row.cells)
            .filter(|(key, _)| seen.insert(key.as_str()))
            .map(|(key, _)| key.clone())
            .collect()
    }
}

/// Pages of one issue are made, or else received, within this of each other; in microseconds.
pub(super) const CLOSE: i64 = 3_600_000_000;
