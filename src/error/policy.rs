//! What an error means, said once: for the batch, for the run, for the exit status.

use super::{
    Error,
    engine::EngineFault,
    status::{ExitStatus, FailedState},
};

/// For what should never happen.
const REPORT: &str = "please report this with the command and its output";

/// For a file that somebody else has.
const WAIT: &str = "try again when it has ended (commands that load wait for each other for --lock-wait); clients should open the warehouse to read only";

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
            | Self::Announcement { hint, .. } => Policy {
                state: FailedState::Held,
                ..batch(ExitStatus::Fault, hint.as_deref())
            },
            Self::Late => Policy {
                state: FailedState::Waiting,
                ..batch(
                    ExitStatus::Incomplete,
                    Some("the next run tries it after the others"),
                )
            },
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
