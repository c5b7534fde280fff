//! A file whose rows are scanned, and what is counted of them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{contract::Layout, reader::Chunk};

/// A file of which chunks are scanned.
#[derive(Debug)]
pub struct ScanFile {
    /// Its id in the ledger.
    pub file_id: i64,
    /// How its header lies on the contract; files with the same header share it.
    pub layout: Arc<Layout>,
    /// Cells that every row takes over from the row that named the file.
    pub inherited: Vec<Vec<u8>>,
    /// What has become of its rows so far.
    pub counts: Counts,
}

/// What has become of rows. The reader counts rows read; these are the scan's.
#[derive(Debug, Default)]
pub struct Counts {
    pub(super) loaded: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) unwrapped: AtomicU64,
}

impl Counts {
    /// Rows handed to DuckDB.
    #[must_use]
    pub fn loaded(&self) -> u64 {
        self.loaded.load(Ordering::Relaxed)
    }

    /// Rows rejected.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Cells freed of a spreadsheet's wrapping.
    #[must_use]
    pub fn unwrapped(&self) -> u64 {
        self.unwrapped.load(Ordering::Relaxed)
    }
}

/// A chunk and the file it comes from.
#[derive(Debug)]
pub struct FileChunk {
    /// Whose.
    pub file: Arc<ScanFile>,
    /// The records.
    pub chunk: Chunk,
}

/// What is sent to the scan; an error makes the statement fail.
pub type ScanMessage = Result<FileChunk, SourceFailed>;

/// The sender has failed and keeps the reason.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the source failed")]
pub struct SourceFailed;
