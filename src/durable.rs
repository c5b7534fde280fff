//! Folders that only this user reads, and renames that survive a power cut.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// How the name of a file begins that is not written to its end yet.
pub(crate) const INCOMING: &str = ".incoming-";

/// What is in a folder; nothing when it is not there.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}

/// The files of a folder that are not written to their end; none when it is not there.
pub(crate) fn half_written(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(entries(folder)?
        .iter()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(INCOMING))
        .map(fs::DirEntry::path)
        .collect())
}

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

/// Up to so many files are synced one by one; for more, one sync of their file system is quicker, though it
/// also waits for what others have written there.
#[cfg(target_os = "linux")]
const SYNCED_ONE_BY_ONE: usize = 32;

/// Makes the contents of files durable, all of which are somewhere below `folder`.
pub(crate) fn sync_files(files: &BTreeSet<PathBuf>, folder: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if files.len() > SYNCED_ONE_BY_ONE {
        return Ok(rustix::fs::syncfs(File::open(folder)?)?);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = folder;
    files
        .iter()
        .try_for_each(|path| File::open(path)?.sync_all())
}
