//! What can go wrong with the machinery, and what the process says and returns for it.
//!
//! Bad *data* is never an [`Error`]: it is a [`Rejection`](crate::rejection::Rejection). An error names
//! where it happened; its cause is its `source()`, and `main` prints the chain once.

mod engine;
mod fetch;
mod policy;
mod status;

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use thiserror::Error;

pub use self::{
    engine::EngineFault,
    fetch::{FetchError, FetchKind, FetchPolicy},
    policy::{Policy, Scope},
    status::{ExitStatus, FailedState},
};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A machinery failure. See the module's text.
#[derive(Debug, Error)]
pub enum Error {
    /// The command line asks for something that cannot be.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// A configuration or contract file (or an environment variable) has a mistake.
    #[error("{place}: {message}")]
    Settings {
        /// `file:line` or the variable's name.
        place: String,
        /// What is wrong.
        message: String,
        /// The nearest valid spelling or another way out.
        hint: Option<String>,
    },
    /// An announcement can't be understood.
    #[error("{origin}: {message}")]
    Announcement {
        /// The file or URL it came from, and the position in an array.
        origin: String,
        /// What is wrong, naming the field.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A file as a whole is not what its contract says; nothing of it is loaded.
    #[error("{origin}: {message}")]
    File {
        /// The file, with a line where it helps.
        origin: String,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A file could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The operating system refused something.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A copy of the warehouse has no room.
    #[error(
        "no room for {}: {} needed, {} free, {} missing",
        path.display(), ByteSize(*needed), ByteSize(*free), ByteSize(needed - free)
    )]
    NoSpace {
        /// The copy.
        path: PathBuf,
        /// Bytes.
        needed: u64,
        /// Bytes that this user may still write there.
        free: u64,
    },
    /// The warehouse file is not usable as it is.
    #[error("warehouse {}: {message}", path.display())]
    Warehouse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The engine failed on a statement.
    #[error("DuckDB failed to {action}")]
    Database {
        /// What was being done, as a verb.
        action: &'static str,
        /// The engine's error.
        #[source]
        source: Box<duckdb::Error>,
    },
    /// Another process holds the lock, or has the warehouse open.
    #[error("{} is held by {holder}", path.display())]
    Locked {
        /// The lock file, or the warehouse.
        path: PathBuf,
        /// Who holds it, as it wrote itself down or as the system knows it.
        holder: String,
    },
    /// The warehouse is not the one any more that a run has begun with.
    #[error("{} was changed by somebody else while this command was at work; nothing was published", path.display())]
    Changed {
        /// The warehouse.
        path: PathBuf,
    },
    /// The file system can't lock.
    #[error("lock {}: this file system has no locks", path.display())]
    NoLocks {
        /// The lock file.
        path: PathBuf,
        /// What it answered.
        #[source]
        source: std::io::Error,
    },
    /// The time that a command was given is over.
    #[error("cut off by --deadline: its turn came too late, or it takes too long")]
    Late,
    /// A signal asked the process to end before its work was done.
    #[error("stopped by {by}")]
    Stopped {
        /// The signal's name.
        by: &'static str,
    },
    /// An invariant of this program broke: a defect, never the data's fault.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// An [`Error::Io`] for `action` on `path`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// An [`Error::Database`] for `action`.
    pub fn database(action: &'static str) -> impl FnOnce(duckdb::Error) -> Self {
        move |source| Self::Database {
            action,
            source: Box::new(source),
        }
    }

    /// An [`Error::Usage`] without a hint.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: None,
        }
    }
}
