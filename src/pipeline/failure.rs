//! Why nothing of a batch is loaded.

use crate::{
    batch::Batch,
    error::{Error, ExitStatus, FailedState, Result, Scope},
    ledger::State,
};

/// Why nothing of a batch is loaded.
pub(super) struct Failure {
    pub(super) state: FailedState,
    pub(super) exit: ExitStatus,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(super) fn failed(message: String, hint: Option<&str>) -> Self {
        Self {
            state: FailedState::Failed,
            exit: ExitStatus::Attention,
            message,
            hint: hint.map(str::to_owned),
        }
    }

    pub(super) fn waiting(message: String, batch: &Batch) -> Self {
        let (exit, hint) = match batch.is_overdue {
            false => (
                ExitStatus::Incomplete,
                "`run` loads it once they are announced; to `ingest`, give all its pages in one call",
            ),
            true => (
                ExitStatus::Attention,
                "for a day no page has come: ask for the batch to be announced again",
            ),
        };
        Self {
            state: FailedState::Waiting,
            exit,
            message,
            hint: Some(hint.into()),
        }
    }

    /// Why, for whoever looks at the ledger, with what a person can do about what each run tries again.
    pub(super) fn in_the_books(&self) -> String {
        match &self.hint {
            Some(hint) if self.needs_a_person_meanwhile() => format!("{}; {hint}", self.message),
            _ => self.message.clone(),
        }
    }

    /// Whether each run tries it again, and nothing will come of it unless somebody does something.
    pub(super) fn needs_a_person_meanwhile(&self) -> bool {
        match self.state {
            FailedState::Held => true,
            FailedState::Waiting => self.exit == ExitStatus::Attention,
            FailedState::Failed | FailedState::Expired => false,
        }
    }

    /// What an error means for the batch that it is about; one that ends the run comes back.
    pub(super) fn of(error: Error) -> Result<Self> {
        let policy = error.policy();
        if policy.scope == Scope::Run {
            return Err(error);
        }
        Ok(Self {
            state: policy.state,
            exit: policy.exit,
            hint: policy.hint.map(str::to_owned),
            message: error.chain(),
        })
    }
}

/// That pages are missing.
pub(super) fn missing_pages(missing: &str) -> String {
    format!("{missing} not announced yet")
}

impl FailedState {
    /// The ledger's word.
    pub(crate) fn state(self) -> State {
        match self {
            Self::Failed | Self::Held => State::Failed,
            Self::Waiting => State::Waiting,
            Self::Expired => State::Expired,
        }
    }
}
