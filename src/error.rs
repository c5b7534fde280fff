//! What can go wrong with the machinery, and what the process says and returns for it.
//!
//! Bad *data* is never an [`Error`]: it is a [`Rejection`](crate::rejection::Rejection). An error names
//! where it happened; its cause is its `source()`, and `main` prints the chain once.

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use thiserror::Error;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How the process ends; the order is from best to worst, so that `max` picks what to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitStatus {
    /// All is well, including "nothing to do".
    Success,
    /// Done, but the data needs a person: rows were rejected or a batch failed its checks.
    Attention,
    /// Incomplete for a passing reason: run again.
    Incomplete,
    /// Usage, configuration or an unexpected fault.
    Fault,
    /// Of the receiver alone: settings that are wrong and stay so, however often it is started (`EX_CONFIG`).
    Settings,
}

impl ExitStatus {
    /// The number a scheduler sees: 0, 1, 3 or 2, and 78 of a receiver.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Attention => 1,
            Self::Incomplete => 3,
            Self::Fault => 2,
            Self::Settings => 78,
        }
    }
}

/// Why a file could not be had, by what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchKind {
    /// Network trouble, a time-out, 408, 429 or 5xx: it may work later.
    Passing,
    /// The signature in the URL has run out (401, 403 or a store's "request has expired").
    Expired,
    /// The object is not there (404, 410).
    Gone,
    /// A rule of this program or its configuration forbids the address.
    Refused,
    /// The object changed while it was read.
    Changed,
    /// The answer is not what was announced: wrong length, broken compression, HTML, too large.
    Malformed,
    /// A local file can't be opened or read.
    Unreadable,
}

/// What the ledger calls a batch that could not be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedState {
    /// The content or a rule is against it.
    Failed,
    /// A later run may load it.
    Waiting,
    /// Only a new announcement helps.
    Expired,
}

/// The operator's view of one [`FetchKind`]: the policy table's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPolicy {
    /// Whether another attempt in this run makes sense.
    pub retry: bool,
    /// The ledger state of the batch.
    pub state: FailedState,
    /// What the process returns.
    pub exit: ExitStatus,
    /// What the operator can do.
    pub hint: &'static str,
}

impl FetchKind {
    /// The one table of what each kind of failure means.
    #[must_use]
    pub fn policy(self) -> FetchPolicy {
        let row = |retry, state, exit, hint| FetchPolicy {
            retry,
            state,
            exit,
            hint,
        };
        match self {
            Self::Passing => row(
                true,
                FailedState::Waiting,
                ExitStatus::Incomplete,
                "the source may recover: run again",
            ),
            Self::Expired => row(
                false,
                FailedState::Expired,
                ExitStatus::Incomplete,
                "the link no longer works: ask for the batch to be announced again, or use `redledger backfill BATCH --refetch`",
            ),
            Self::Gone => row(
                false,
                FailedState::Expired,
                ExitStatus::Incomplete,
                "the object is not there: ask for the batch to be announced again, or use `redledger backfill BATCH --refetch`",
            ),
            Self::Refused => row(
                false,
                FailedState::Failed,
                ExitStatus::Fault,
                "if the address is right, allow it under [download] in the configuration",
            ),
            Self::Changed => row(
                false,
                FailedState::Waiting,
                ExitStatus::Incomplete,
                "the object changed while it was read: run again",
            ),
            Self::Malformed => row(
                false,
                FailedState::Failed,
                ExitStatus::Attention,
                "look at what the provider sent, then ask for the batch to be announced again",
            ),
            Self::Unreadable => row(
                false,
                FailedState::Failed,
                ExitStatus::Fault,
                "check the file's path and permissions",
            ),
        }
    }
}

/// A file that could not be fetched or read to its end.
#[derive(Debug, Error)]
#[error("{origin}: {message}")]
pub struct FetchError {
    /// Where it came from, without secrets.
    pub origin: String,
    /// What kind of trouble, see [`FetchKind::policy`].
    pub kind: FetchKind,
    /// What happened, without secrets and without the source's own text.
    pub message: String,
    /// The cause, if there is one whose text is safe to show.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

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

/// For what should never happen.
const REPORT: &str = "please report this with the command and its output";
/// For a file that somebody else has.
const WAIT: &str = "try again when it has ended (commands that load wait for each other for --lock-wait); clients should open the warehouse to read only";

/// What the engine's errors are about. It tells by text alone, and this is the only place that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineFault {
    /// More memory than `[load] memory_limit` allows, or no room to spill to.
    OutOfMemory,
    /// The disk is full.
    FullDisk,
    /// Bytes that are not what it wrote.
    Damage,
    /// The operating system refused to read or write.
    Io,
    /// Another process has the file open to write.
    Locked,
    /// A newer DuckDB made the file.
    Newer,
    /// The engine itself is broken: nothing that it does from now on can be trusted.
    Broken,
    /// The statement: a value that it can't compute with, for instance.
    Statement,
}

impl EngineFault {
    /// What this error is about.
    #[must_use]
    pub fn of(error: &duckdb::Error) -> Self {
        let text = error.to_string();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&["No space left on device"]) {
            Self::FullDisk
        } else if says(&["Corrupt database file", "Could not read enough bytes"]) {
            Self::Damage
        } else if says(&["Could not set lock"]) {
            Self::Locked
        } else if says(&["newer version"]) {
            Self::Newer
        } else if says(&["Out of Memory Error", "out of memory"]) {
            Self::OutOfMemory
        } else if says(&[
            "FATAL Error",
            "INTERNAL Error",
            "database has been invalidated",
        ]) {
            Self::Broken
        } else if says(&[
            "IO Error",
            "Failed to commit",
            "Failed to create checkpoint",
        ]) {
            Self::Io
        } else {
            Self::Statement
        }
    }
}

/// What an error keeps from being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One batch, or one source of announcements: all others may well be loaded.
    Batch,
    /// Everything that this command still has to do.
    Run,
}

/// What one error means: for the batch that it is about, for the run, for whoever called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy<'e> {
    /// What it keeps from being done.
    pub scope: Scope,
    /// The ledger's word for a batch that it is about.
    pub state: FailedState,
    /// What the process returns.
    pub exit: ExitStatus,
    /// What the operator can do, where there is something.
    pub hint: Option<&'e str>,
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

    /// What it means, judged once and for everybody.
    #[must_use]
    pub fn policy(&self) -> Policy<'_> {
        let batch = |exit, hint| Policy {
            scope: Scope::Batch,
            state: FailedState::Failed,
            exit,
            hint,
        };
        let run = |exit, hint| Policy {
            scope: Scope::Run,
            ..batch(exit, hint)
        };
        match self {
            Self::Fetch(error) => {
                let policy = error.kind.policy();
                Policy {
                    state: policy.state,
                    ..batch(policy.exit, Some(policy.hint))
                }
            }
            Self::File { hint, .. } => batch(ExitStatus::Attention, hint.as_deref()),
            Self::Usage { hint, .. }
            | Self::Settings { hint, .. }
            | Self::Announcement { hint, .. } => batch(ExitStatus::Fault, hint.as_deref()),
            // A broken invariant of one batch says nothing about the next.
            Self::Internal(_) => batch(ExitStatus::Fault, Some(REPORT)),
            Self::Database { source, .. } => match EngineFault::of(source) {
                EngineFault::OutOfMemory => batch(
                    ExitStatus::Fault,
                    Some(
                        "raise [load] memory_limit, or lower [load] threads; the next run tries again",
                    ),
                ),
                EngineFault::Statement => batch(
                    ExitStatus::Attention,
                    Some(
                        "nothing of the batch is loaded, and others are not affected; please report this with the message",
                    ),
                ),
                EngineFault::FullDisk => run(
                    ExitStatus::Fault,
                    Some(
                        "make room there (a run needs once the size of the warehouse and what it adds), then run \
                         again; a warehouse that is replaced, as by default, is as it was",
                    ),
                ),
                EngineFault::Damage => run(
                    ExitStatus::Fault,
                    Some(
                        "the file is damaged: see `redledger rollback`, or restore it from a copy",
                    ),
                ),
                EngineFault::Locked => run(ExitStatus::Incomplete, Some(WAIT)),
                EngineFault::Io | EngineFault::Newer => run(ExitStatus::Fault, None),
                EngineFault::Broken => run(ExitStatus::Fault, Some(REPORT)),
            },
            Self::Warehouse { hint, .. } => run(ExitStatus::Fault, hint.as_deref()),
            Self::Locked { .. } => run(ExitStatus::Incomplete, Some(WAIT)),
            Self::Changed { .. } => run(
                ExitStatus::Incomplete,
                Some(
                    "run again: it goes on from what is there now; clients should open the warehouse to read only",
                ),
            ),
            Self::Stopped { .. } => run(
                ExitStatus::Incomplete,
                Some("run again: what was not loaded is loaded then"),
            ),
            Self::NoLocks { .. } => run(
                ExitStatus::Fault,
                Some(
                    "two runs would not notice each other, and DuckDB can't write there: mount it with locks, or move data_dir",
                ),
            ),
            Self::NoSpace { .. } => run(
                ExitStatus::Fault,
                Some(
                    "make room there (a run needs once the size of the warehouse, and keep_previous as much), then run again",
                ),
            ),
            Self::Io { source, .. } => run(
                ExitStatus::Fault,
                (source.kind() == std::io::ErrorKind::StorageFull).then_some(
                    "make room there, then run again; the published warehouse is as it was",
                ),
            ),
        }
    }

    /// How a process that ends with this error exits.
    #[must_use]
    pub fn exit_status(&self) -> ExitStatus {
        self.policy().exit
    }

    /// Whether other batches may well be loaded all the same.
    #[must_use]
    pub fn concerns_one_batch(&self) -> bool {
        self.policy().scope == Scope::Batch
    }

    /// What the operator can do about it, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.policy().hint
    }

    /// The message and its causes, each said once, joined by `: `.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        text
    }
}
