//! What is where below `data_dir`.

use std::path::{Path, PathBuf};

/// The file that analysts open.
#[must_use]
pub fn warehouse(data_dir: &Path) -> PathBuf {
    data_dir.join("warehouse.duckdb")
}

/// Held by the one run that is under way.
#[must_use]
pub fn lock(data_dir: &Path) -> PathBuf {
    data_dir.join("lock")
}

/// Announcements that wait; below it those that are done with, bad, known.
#[must_use]
pub fn inbox(data_dir: &Path) -> PathBuf {
    data_dir.join("inbox")
}

/// Announcements that are done with.
#[must_use]
pub fn done(data_dir: &Path) -> PathBuf {
    inbox(data_dir).join("done")
}

/// Delivered bytes.
#[must_use]
pub fn archive(data_dir: &Path) -> PathBuf {
    data_dir.join("archive")
}

/// Says that a warehouse was published here.
#[must_use]
pub fn published(data_dir: &Path) -> PathBuf {
    data_dir.join("published.json")
}
