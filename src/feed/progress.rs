//! How far a load has come.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// How far a load has come, for whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes received of the current batch.
    pub bytes: AtomicU64,
    /// Bytes expected; 0 when not known.
    pub expected_bytes: AtomicU64,
    /// Records read of the current batch.
    pub rows: AtomicU64,
    /// Files read to their end, and files in all.
    pub files: (AtomicU64, AtomicU64),
    /// Batches done, and batches in all.
    pub batches: (AtomicU64, AtomicU64),
    /// What is being loaded.
    pub label: Mutex<String>,
}

impl Progress {
    /// Takes note of how many batches are to be loaded.
    pub fn expect_batches(&self, count: u64) {
        self.batches.0.store(0, Ordering::Relaxed);
        self.batches.1.store(count, Ordering::Relaxed);
    }

    /// Takes note of a batch that is over.
    pub fn batch_done(&self) {
        self.batches.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Starts over for another batch.
    pub fn begin(&self, label: String, files: u64) {
        for counter in [&self.bytes, &self.expected_bytes, &self.rows, &self.files.0] {
            counter.store(0, Ordering::Relaxed);
        }
        self.files.1.store(files, Ordering::Relaxed);
        *self.label.lock().unwrap_or_else(PoisonError::into_inner) = label;
    }
}
