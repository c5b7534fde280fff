//! The file that analysts open is only ever replaced: copy, load into the copy, fsync, rename.
//!
//! ```text
//! warehouse.duckdb ──copy──► warehouse.duckdb.next ──load, checkpoint, fsync──► rename over ──► fsync folder
//! ```
//!
//! Readers never meet a lock or a half-written file, and a crash leaves the last good file in place. The file
//! that was replaced stays as `warehouse.duckdb.previous`, the same bytes under another name.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    Warehouse,
    clients::{WritersOut, keep_writers_out},
    file::{self, beside, check_magic},
    previous::{self, finish_interrupted, previous_of},
    published::{self, refuse_to_begin_anew},
    rights,
};
use crate::{
    config::{Config, WarehouseMode},
    error::{Error, Result},
    stop::Stop,
};

/// The warehouse, open to be written. Dropped, it leaves the live file as it is.
pub struct Writer {
    // Closed before the file goes.
    warehouse: Warehouse,
    staging: Staging,
}

impl Writer {
    /// Copies the live file (by reference where the filesystem can), removes what a crash left, and opens the copy.
    ///
    /// A first run always works beside: DuckDB's creation of a file is not crash-safe. Where a warehouse was
    /// published before and is gone, only a command that `may_begin_anew` makes another one. The caller has the
    /// [`Claim`](super::Claim).
    ///
    /// # Errors
    /// [`Error::Warehouse`] when the live file is no warehouse, is gone (see [`refuse_to_begin_anew`]) or has a
    /// `.wal` beside it; [`Error::Locked`] while a client has it open to write; [`Error::Io`] when it can't be
    /// copied; [`Error::Stopped`].
    pub fn open(config: &Config, may_begin_anew: bool, stop: &Stop) -> Result<Self> {
        let staging = Staging::prepare(config, may_begin_anew, stop)?;
        let (path, load) = (staging.path(), &config.load);
        let opened = match staging.next {
            Some(_) => Warehouse::open_private(path, load),
            None => Warehouse::open(path, load),
        };
        Ok(Self {
            warehouse: opened.map_err(|error| staging.told_of_live(error))?,
            staging,
        })
    }

    /// What is written.
    pub fn warehouse(&mut self) -> &mut Warehouse {
        &mut self.warehouse
    }

    /// Writes everything into the file and puts it in the live one's place, durably, with the rights that the live one
    /// has.
    ///
    /// # Errors
    /// [`Error::Locked`] while a client has the live file open to write, [`Error::Warehouse`] when one has left a
    /// `.wal` beside it, [`Error::Changed`] when one has come and gone: what it did would be lost, or be replayed
    /// on the new file. [`Error::Io`], [`Error::Database`]. The live file is then still the old one.
    pub fn publish(self) -> Result<()> {
        self.warehouse.close()?;
        self.staging.publish()
    }
}

/// A file being written, beside the one that is read. Dropped, it is removed.
struct Staging {
    live: PathBuf,
    data_dir: PathBuf,
    /// `None` in in-place mode.
    next: Option<PathBuf>,
    /// The live file that was copied; `None` where there was none.
    copied: Option<Version>,
    keep_previous: bool,
}

/// A file as it was at some time: device, inode, size, and when it was last written to.
type Version = (u64, u64, u64, i64, i64);

impl Staging {
    fn prepare(config: &Config, may_begin_anew: bool, stop: &Stop) -> Result<Self> {
        let live = config.warehouse_path();
        finish_interrupted(&live)?;
        if file::exists(&live)? {
            check_magic(&live)?;
        } else if !may_begin_anew {
            refuse_to_begin_anew(config)?;
        }
        let held = keep_writers_out(&live)?;
        if held.is_some() {
            published::remember(&config.data_dir)?;
        }
        let next = beside(&live, ".next");
        // The last one is the folder that the engine spills to.
        for leftover in [next.clone(), beside(&next, ".wal"), beside(&next, ".tmp")] {
            remove_leftover(&leftover)?;
        }
        let mut staging = Self {
            live,
            data_dir: config.data_dir.clone(),
            next: None,
            copied: None,
            keep_previous: config.warehouse.keep_previous > 0,
        };
        if held.is_some() && config.warehouse.mode == WarehouseMode::InPlace {
            // From here on the engine keeps others out.
            return Ok(staging);
        }
        staging.next = Some(next.clone());
        if let Some(held) = held {
            staging.copied = Some(staging.version(&held)?);
            copy(held.file(), &next, stop)?;
        }
        Ok(staging)
    }

    /// The file to write to.
    fn path(&self) -> &Path {
        self.next.as_deref().unwrap_or(&self.live)
    }

    /// An error of the copy, told of the file that it is a copy of.
    fn told_of_live(&self, error: Error) -> Error {
        match error {
            Error::Warehouse { message, hint, .. } if self.copied.is_some() => Error::Warehouse {
                path: self.live.clone(),
                message,
                hint,
            },
            error => error,
        }
    }

    /// Puts the closed file in the live one's place.
    fn publish(mut self) -> Result<()> {
        match &self.next {
            Some(next) => self.replace(next)?,
            // What is kept is older than the warehouse before this run.
            None => previous::forget(&self.live)?,
        }
        self.next = None;
        published::remember(&self.data_dir)
    }

    fn replace(&self, next: &Path) -> Result<()> {
        let wal = beside(next, ".wal");
        if wal.try_exists().map_err(Error::io("look for", &wal))? {
            return Err(Error::Internal(format!(
                "{} is left after closing",
                wal.display()
            )));
        }
        // Held until the file has its new name: nobody begins to write to one that is about to be replaced.
        let held = keep_writers_out(&self.live)?;
        let version = held.as_ref().map(|held| self.version(held)).transpose()?;
        if version != self.copied {
            return Err(Error::Changed {
                path: self.live.clone(),
            });
        }
        let file = File::open(next).map_err(Error::io("open", next))?;
        match &held {
            Some(held) => rights::give(&file, held.file(), &self.live)?,
            None => self.give_rights_of_previous(&file)?,
        }
        file.sync_all().map_err(Error::io("fsync", next))?;
        previous::replace(&self.live, next, self.keep_previous)
    }

    /// A warehouse that is made anew is not open to more people than the one that is gone.
    fn give_rights_of_previous(&self, file: &File) -> Result<()> {
        let previous = previous_of(&self.live);
        match File::open(&previous) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("open", &previous)(error)),
            Ok(previous) => rights::give(file, &previous, &self.live),
        }
    }

    fn version(&self, held: &WritersOut) -> Result<Version> {
        let of = held.file().metadata();
        let of = of.map_err(Error::io("look at", &self.live))?;
        Ok((of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Some(next) = &self.next {
            let _ = fs::remove_file(next);
            let _ = fs::remove_file(beside(next, ".wal"));
            let _ = fs::remove_dir_all(beside(next, ".tmp"));
        }
    }
}

/// Copies by reference where the filesystem can, else piece by piece if there is room. Only this user reads the
/// copy until it is published.
fn copy(mut from: &File, to: &Path, stop: &Stop) -> Result<()> {
    const PIECE: u64 = 64 << 20;
    let failed = |error| Error::io("copy the warehouse to", to)(error);
    let mut to_file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(failed)?;
    #[cfg(target_os = "linux")]
    if rustix::fs::ioctl_ficlone(&to_file, from).is_ok() {
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
        let copied = io::copy(&mut (&mut from).take(PIECE), &mut to_file).map_err(failed)?;
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
