//! How the process exits, and in which state a failed batch is left.

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

/// What the ledger calls a batch that could not be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedState {
    /// The content or a rule is against it.
    Failed,
    /// A later run may load it.
    Waiting,
    /// Only a new announcement helps.
    Expired,
    /// The settings are against it: each run tries it again, and a person is told once.
    Held,
}
