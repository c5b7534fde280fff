//! The file that analysts open is only ever replaced: copy, load into the copy, fsync, rename.
//!
//! ```text
//! warehouse.duckdb ──copy──► warehouse.duckdb.next ──load, checkpoint, fsync──► rename over ──► fsync folder
//! ```
//!
//! Readers never meet a lock or a half-written file, and a crash leaves the last good file in place. The file
//! that was replaced stays as `warehouse.duckdb.previous`, the same bytes under another name.

mod lock;
mod previous;

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

pub use self::{
    lock::Lock,
    previous::{finish_interrupted, previous_of, put_back},
};
use crate::{
    config::{WarehouseConfig, WarehouseMode},
    error::{Error, Result},
    stop::Stop,
    warehouse_file::{self, beside, check_magic, check_no_wal},
};

/// A warehouse being written, beside the one that is read.
#[derive(Debug)]
pub struct Staging {
    live: PathBuf,
    /// `None` in in-place mode.
    next: Option<PathBuf>,
    keep_previous: bool,
}

impl Staging {
    /// Copies the live file (by reference where the filesystem can) and removes what a crash left.
    ///
    /// A first run always works beside: DuckDB's creation of a file is not crash-safe.
    ///
    /// # Errors
    /// [`Error::Warehouse`] when the live file is no warehouse or has a `.wal` beside it, which is
    /// somebody's unfinished work; [`Error::Io`] when it can't be copied; [`Error::Stopped`].
    pub fn prepare(live: &Path, config: &WarehouseConfig, stop: &Stop) -> Result<Self> {
        finish_interrupted(live)?;
        let exists = warehouse_file::exists(live)?;
        if exists {
            check_magic(live)?;
        }
        check_no_wal(live)?;
        let next = beside(live, ".next");
        // The last one is the folder that the engine spills to.
        for leftover in [next.clone(), beside(&next, ".wal"), beside(&next, ".tmp")] {
            remove_leftover(&leftover)?;
        }
        let mut staging = Self {
            live: live.to_path_buf(),
            next: None,
            keep_previous: config.keep_previous > 0,
        };
        if exists && config.mode == WarehouseMode::InPlace {
            return Ok(staging);
        }
        staging.next = Some(next.clone());
        if exists && let Err(error) = copy(live, &next, stop) {
            staging.discard();
            return Err(error);
        }
        Ok(staging)
    }

    /// The file to write to.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.next.as_deref().unwrap_or(&self.live)
    }

    /// An error of the copy, told of the file that it is a copy of.
    #[must_use]
    pub fn told_of_live(&self, error: Error) -> Error {
        match error {
            Error::Warehouse { message, hint, .. } if self.live.exists() => Error::Warehouse {
                path: self.live.clone(),
                message,
                hint,
            },
            error => error,
        }
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
        let replaced = File::open(next)
            .and_then(|file| file.sync_all())
            .map_err(Error::io("fsync", next))
            .and_then(|()| previous::replace(&self.live, next, self.keep_previous));
        if replaced.is_err() {
            self.discard();
        }
        replaced
    }

    /// Leaves the live file as it is.
    pub fn discard(self) {
        if let Some(next) = &self.next {
            let _ = fs::remove_file(next);
            let _ = fs::remove_file(beside(next, ".wal"));
            let _ = fs::remove_dir_all(beside(next, ".tmp"));
        }
    }
}

/// Copies by reference where the filesystem can, else piece by piece if there is room.
fn copy(from: &Path, to: &Path, stop: &Stop) -> Result<()> {
    const PIECE: u64 = 64 << 20;
    let open = || Ok((File::open(from)?, File::create_new(to)?));
    let failed = |error| Error::io("copy the warehouse to", to)(error);
    let (from, mut to_file) = open().map_err(failed)?;
    #[cfg(target_os = "linux")]
    if rustix::fs::ioctl_ficlone(&to_file, &from).is_ok() {
        return Ok(());
    }
    let needed = from.metadata().map_err(failed)?.len();
    let space = rustix::fs::fstatvfs(&to_file).map_err(|error| failed(error.into()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < needed {
        return Err(Error::NoSpace {
            path: to.to_path_buf(),
            needed,
            free,
        });
    }
    loop {
        stop.check()?;
        let copied = io::copy(&mut (&from).take(PIECE), &mut to_file).map_err(failed)?;
        if copied < PIECE {
            return Ok(());
        }
    }
}

/// Removes a file or folder that only a dead run can have left; the lock is held.
fn remove_leftover(path: &Path) -> Result<()> {
    let kind = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        kind => kind.map_err(Error::io("look at", path))?,
    };
    tracing::warn!(path = %path.display(), "removing what an earlier run left");
    let removed = if kind.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(Error::io("remove", path))
}
