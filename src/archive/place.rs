//! Where an archive is.

use std::path::{Path, PathBuf};

use super::delivery::DeliveredFile;

use crate::data_dir;

/// The archive below `data_dir`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    pub(super) data_dir: PathBuf,
    pub(super) folder: PathBuf,
}

impl Archive {
    /// The archive of a data directory.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_path_buf(),
            folder: data_dir::archive(data_dir),
        }
    }

    /// Whether both are the same folder, however it is spelt. Equal archives are spelt the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        real(&self.folder) == real(&other.folder)
    }

    /// Where a kept file is.
    #[must_use]
    pub fn path_of(&self, file: &DeliveredFile) -> PathBuf {
        self.data_dir.join(&file.path)
    }

    /// The same for a path as documents and the ledger name it.
    #[must_use]
    pub fn place(&self, path: &str) -> PathBuf {
        self.data_dir.join(path)
    }

    /// A kept file's path as documents name it.
    pub(super) fn below(&self, path: &Path) -> String {
        path.strip_prefix(&self.data_dir)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// A kept file: its archive, and its path as documents name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// Whose.
    pub archive: Archive,
    /// Below the archive's data directory.
    pub path: String,
}

impl KeptFile {
    /// Where it is.
    #[must_use]
    pub fn place(&self) -> PathBuf {
        self.archive.data_dir.join(&self.path)
    }
}
