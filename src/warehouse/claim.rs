//! One run at a time.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    durable::{has_no_locks, try_lock},
    error::{Error, Result},
    stop::Stop,
};

/// How often a held lock is tried again.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// The right to write, held until dropped; the operating system takes it back from a dead process.
#[derive(Debug)]
pub struct Claim {
    _file: File,
}

impl Claim {
    /// Takes the lock file, waiting up to `wait` for another holder to end.
    ///
    /// # Errors
    /// [`Error::Locked`] names the holder; [`Error::Stopped`] when the wait is cut short; [`Error::Io`] when
    /// the file can't be made.
    pub fn acquire(path: &Path, wait: Duration, command: &str, stop: &Stop) -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(Error::io("open the lock file", path))?;
        let started = Instant::now();
        loop {
            stop.check()?;
            match try_lock(&file) {
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
                Err(TryLockError::Error(source)) if has_no_locks(&source) => {
                    return Err(Error::NoLocks {
                        path: path.to_path_buf(),
                        source,
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
