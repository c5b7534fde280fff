//! What has become of a batch.

use crate::{
    error::ExitStatus,
    ledger::{Difference, State},
};

/// What has become of a batch, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// Its rows are in the table.
    Loaded,
    /// What is in the table stays.
    Unchanged,
    /// Nothing of it is loaded: the content or a rule is against it.
    Failed,
    /// Nothing of it is loaded yet.
    Waiting,
    /// Its link is dead.
    Expired,
    /// A person has decided that it is not to be loaded.
    Dismissed,
}

impl Ending {
    /// All of them, the best first.
    pub const ALL: [Self; 6] = [
        Self::Loaded,
        Self::Unchanged,
        Self::Failed,
        Self::Waiting,
        Self::Expired,
        Self::Dismissed,
    ];

    /// As reports have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => State::Loaded.as_str(),
            Self::Unchanged => "unchanged",
            Self::Failed => State::Failed.as_str(),
            Self::Waiting => State::Waiting.as_str(),
            Self::Expired => State::Expired.as_str(),
            Self::Dismissed => State::Dismissed.as_str(),
        }
    }
}

/// What has become of a batch.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Outcome {
    /// Its dataset, unless that never became known.
    pub dataset: Option<String>,
    /// Its number.
    pub batch_no: String,
    /// The revision loaded or attempted; of what is unchanged, the one that stands.
    pub revision: Option<i32>,
    /// In a word.
    pub outcome: Ending,
    /// Rows delivered.
    pub rows_read: u64,
    /// Rows in the table.
    pub rows_loaded: u64,
    /// Rows not loaded.
    pub rows_rejected: u64,
    /// Against the revision before.
    #[serde(flatten)]
    pub difference: Difference,
    /// Files delivered.
    pub files: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// Why, or what is worth knowing.
    pub message: Option<String>,
    /// What can be done.
    pub hint: Option<String>,
    /// What the process returns because of it.
    #[serde(skip)]
    pub exit: ExitStatus,
    /// Whether it has come to its end: no later run would do otherwise with the same announcement.
    #[serde(skip)]
    pub is_over: bool,
    /// Whether the warehouse was written.
    #[serde(skip)]
    pub written: bool,
}
