//! Folders that only this user reads, and renames that survive a power cut.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
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

/// Locks a file that was opened for writing until it is closed or its process ends: `flock`, or where the file
/// system has none (some network ones) a POSIX record lock, which DuckDB needs anyway.
pub(crate) fn try_lock(file: &File) -> Result<(), TryLockError> {
    match file.try_lock() {
        #[cfg(unix)]
        Err(TryLockError::Error(error)) if has_no_locks(&error) => {
            use rustix::{fs::FlockOperation, io::Errno};
            match rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(()),
                Err(Errno::ACCESS | Errno::AGAIN) => Err(TryLockError::WouldBlock),
                Err(error) => Err(TryLockError::Error(error.into())),
            }
        }
        tried => tried,
    }
}

/// The same, but waits for whoever holds the lock.
pub(crate) fn lock(file: &File) -> io::Result<()> {
    match file.lock() {
        #[cfg(unix)]
        Err(error) if has_no_locks(&error) => {
            use rustix::fs::FlockOperation;
            Ok(rustix::fs::fcntl_lock(file, FlockOperation::LockExclusive)?)
        }
        locked => locked,
    }
}

/// Whether the file system said so (flock(2), fcntl(2)), and not that somebody else holds the lock.
pub(crate) fn has_no_locks(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let errno = Errno::from_io_error(error);
        [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP]
            .into_iter()
            .any(|none| errno == Some(none))
    }
    #[cfg(not(unix))]
    {
        error.kind() == io::ErrorKind::Unsupported
    }
}
