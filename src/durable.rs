//! Folders that only this user reads, and renames that survive a power cut.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// Makes a folder, and those above it, that only this user reads: what is kept below holds signed URLs.
pub(crate) fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes new and renamed files of a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
