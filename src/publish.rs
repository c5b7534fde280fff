//! The file that analysts open is only ever replaced: copy, load into the copy, fsync, rename.
//!
//! ```text
//! warehouse.duckdb ──copy──► warehouse.duckdb.next ──load, checkpoint, fsync──► rename over ──► fsync folder
//! ```
//!
//! Readers never meet a lock or a half-written file, and a crash leaves the last good file in place.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    config::WarehouseMode,
    durable::sync_folder,
    error::{Error, Result},
    warehouse_file::{beside, check_magic, check_no_wal},
};

/// How often a held lock is tried again.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// The right to write, held until dropped; the operating system takes it back from a dead process.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock file, waiting up to `wait` for another holder to end.
    ///
    /// # Errors
    /// [`Error::Locked`] names the holder; [`Error::Io`] when the file can't be made.
    pub fn acquire(path: &Path, wait: Duration, command: &str) -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(Error::io("open the lock file", path))?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if started.elapsed() < wait => {
                    tracing::debug!(path = %path.display(), "waiting for the lock");
                    std::thread::sleep(LOCK_POLL.min(wait.saturating_sub(started.elapsed())));
                }
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let _ = file.read_to_string(&mut holder);
                    let holder = holder
                        .lines()
                        .next()
                        .filter(|line| !line.is_empty())
                        .unwrap_or("another process");
                    return Err(Error::Locked {
                        path: path.to_path_buf(),
                        holder: holder.to_owned(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(Error::io("lock", path)(source)),
            }
        }
        let holder = format!(
            "`redledger {command}`, process {}, since {}\n",
            std::process::id(),
            jiff::Timestamp::now()
        );
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(Error::io("write the lock file", path))?;
        Ok(Self { _file: file })
    }
}

/// A warehouse being written, beside the one that is read.
#[derive(Debug)]
pub struct Staging {
    live: PathBuf,
    /// `None` in in-place mode.
    next: Option<PathBuf>,
}

impl Staging {
    /// Copies the live file (by reference where the filesystem can) and removes what a crash left.
    ///
    /// A first run always works beside: DuckDB's creation of a file is not crash-safe.
    ///
    /// # Errors
    /// [`Error::Warehouse`] when the live file is no warehouse or has a `.wal` beside it, which is
    /// somebody's unfinished work; [`Error::Io`] when it can't be copied.
    pub fn prepare(live: &Path, mode: WarehouseMode) -> Result<Self> {
        let exists = live.try_exists().map_err(Error::io("look for", live))?;
        if exists {
            check_magic(live)?;
        }
        check_no_wal(live)?;
        match mode {
            WarehouseMode::InPlace if exists => {
                return Ok(Self {
                    live: live.to_path_buf(),
                    next: None,
                });
            }
            _ => {}
        }
        let next = beside(live, ".next");
        for leftover in [next.clone(), beside(&next, ".wal")] {
            if leftover.exists() {
                tracing::warn!(path = %leftover.display(), "removing what an earlier run left");
                fs::remove_file(&leftover).map_err(Error::io("remove", &leftover))?;
            }
        }
        if exists {
            fs::copy(live, &next).map_err(Error::io("copy the warehouse to", &next))?;
        }
        Ok(Self {
            live: live.to_path_buf(),
            next: Some(next),
        })
    }

    /// The file to write to.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.next.as_deref().unwrap_or(&self.live)
    }

    /// Whether nobody else knows that file.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.next.is_some()
    }

    /// Puts the closed file in the live one's place, durably.
    ///
    /// # Errors
    /// [`Error::Io`]; the live file is then still the old one.
    pub fn publish(self) -> Result<()> {
        let Some(next) = &self.next else {
            return Ok(());
        };
        let wal = beside(next, ".wal");
        if wal.exists() {
            return Err(Error::Internal(format!(
                "{} is left after closing",
                wal.display()
            )));
        }
        File::open(next)
            .and_then(|file| file.sync_all())
            .map_err(Error::io("fsync", next))?;
        fs::rename(next, &self.live).map_err(Error::io("rename over", &self.live))?;
        sync_folder_of(&self.live)
    }

    /// Leaves the live file as it is.
    pub fn discard(self) {
        if let Some(next) = &self.next {
            let _ = fs::remove_file(next);
            let _ = fs::remove_file(beside(next, ".wal"));
        }
    }
}

/// Makes a rename or a new file in `path`'s folder durable.
///
/// # Errors
/// [`Error::Io`] when the folder can't be opened or synced.
fn sync_folder_of(path: &Path) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    sync_folder(folder).map_err(Error::io("fsync the folder", folder))
}
