//! What can go wrong with a download, and what each kind means.

use thiserror::Error;

use super::status::{ExitStatus, FailedState};

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
                FailedState::Held,
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
