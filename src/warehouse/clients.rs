//! Who else has the file open.
//!
//! DuckDB takes a record lock (fcntl(2)) on the whole file that it opens, exclusive to write and shared to read
//! (`OpenFile` in its `local_file_system.cpp`), and writes a `.wal` beside the file that it writes.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use rustix::{
    fs::FlockOperation,
    io::Errno,
    process::{Flock, FlockType},
};

use super::file::check_no_wal;
use crate::{
    durable::has_no_locks,
    error::{Error, Result},
};

/// While it is there, nobody begins to write to the file: it is locked as a reader locks it, so readers come and
/// go as they like.
///
/// Letting go of it closes the file, and with that this process loses every record lock that it has on the file,
/// the engine's too: nothing else here may have it open meanwhile.
#[derive(Debug)]
pub(crate) struct WritersOut {
    file: File,
}

impl WritersOut {
    /// The file, to read.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// Keeps writers out of a file that nobody writes to; `None` when there is no file.
///
/// # Errors
/// [`Error::Locked`] while somebody has it open to write; [`Error::Warehouse`] when a `.wal` is beside it that
/// nobody writes; [`Error::Io`] when it can't be opened.
pub(crate) fn keep_writers_out(path: &Path) -> Result<Option<WritersOut>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        file => Some(file.map_err(Error::io("open", path))?),
    };
    if let Some(file) = &file {
        match rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            Err(Errno::ACCESS | Errno::AGAIN) => return Err(locked(path, file)),
            // DuckDB can't write there either.
            Err(error) if has_no_locks(&error.into()) => {}
            Err(error) => return Err(Error::io("lock", path)(error.into())),
        }
    }
    check_no_wal(path)?;
    Ok(file.map(|file| WritersOut { file }))
}

/// Why the engine could not lock a file, which this process does not have open.
pub(super) fn held(path: &Path) -> Error {
    match File::open(path) {
        Ok(file) => locked(path, &file),
        Err(error) => Error::io("open", path)(error),
    }
}

/// Somebody holds a lock on the file, or did a moment ago.
fn locked(path: &Path, file: &File) -> Error {
    let path = path.to_path_buf();
    match holder(file) {
        Ok(holder) => Error::Locked { path, holder },
        Err(source) if has_no_locks(&source) => Error::NoLocks { path, source },
        Err(source) => Error::io("look for locks on", path)(source),
    }
}

/// Who has the file open, as far as the system tells.
fn holder(file: &File) -> io::Result<String> {
    // What would keep this lock from being set: one that only reads is kept off by writers alone.
    for (kind, to) in [
        (FlockType::ReadLock, "to write"),
        (FlockType::WriteLock, "to read"),
    ] {
        if let Some(lock) = rustix::process::fcntl_getlk(file, &Flock::from(kind))? {
            // Somebody on another machine, or in another container, has no number here.
            let number = lock.pid.map(|pid| pid.as_raw_nonzero().get());
            let process = number.filter(|number| *number > 0).map_or_else(
                || "a process of another machine or container".to_owned(),
                named,
            );
            return Ok(format!("{process}, which has it open {to}"));
        }
    }
    Ok("a process that had it open a moment ago".to_owned())
}

/// A process by number and, where the system tells, by name.
fn named(number: i32) -> String {
    let name = fs::read_to_string(format!("/proc/{number}/comm")).unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    match name.as_str() {
        "" => format!("process {number}"),
        name => format!("process {number} (`{name}`)"),
    }
}
