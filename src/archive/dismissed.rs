//! What people have decided not to load: `archive/dismissed.json`.
//!
//! The ledger has it too, as a batch's state. It is written down here first, so that a warehouse that a rollback puts
//! back, or one made anew, is told again.

use serde::{Deserialize, Serialize};

use super::{
    Archive, delivery,
    document::{Document, Kind},
};
use crate::{batch_no::BatchNo, error::Result};

const KIND: Kind = Kind {
    name: "dismissed",
    when_lost: "what a person has dismissed may be tried and told again",
};

/// A batch that is not to be loaded until it is announced anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DismissedBatch {
    /// Its dataset; empty where nothing that was delivered shows it.
    pub dataset: String,
    /// Its number.
    #[serde(with = "delivery::batch_no")]
    pub batch_no: BatchNo,
    /// When the newest content that this closes was accepted, in epoch microseconds.
    pub accepted_at_us: i64,
    /// When it was dismissed, in epoch microseconds.
    pub dismissed_at_us: i64,
    /// Why.
    pub why: String,
}

impl DismissedBatch {
    /// Whether it is about this dataset's batch, or one of which nobody knew the dataset.
    #[must_use]
    pub fn is_of(&self, dataset: &str, batch_no: &str) -> bool {
        self.batch_no.as_str() == batch_no && (self.dataset.is_empty() || self.dataset == dataset)
    }

    /// For people: when and why.
    #[must_use]
    pub fn in_words(&self) -> String {
        let at = jiff::Timestamp::from_microsecond(self.dismissed_at_us).unwrap_or_default();
        format!(
            "dismissed at {}: {}",
            at.strftime("%Y-%m-%d %H:%M UTC"),
            self.why
        )
    }
}

impl Archive {
    /// What was dismissed, by dataset and number; nothing when nothing was.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when the document can't be read, is damaged, or a newer release has
    /// written it.
    pub fn dismissed(&self) -> Result<Vec<DismissedBatch>> {
        Document::of(self, KIND).read()
    }

    /// Writes down durably that these are dismissed. The caller holds the lock.
    ///
    /// # Errors
    /// Those of [`Archive::dismissed`]; [`Error::Io`](crate::error::Error::Io) when it can't be written. The document
    /// is as it was then.
    pub fn dismiss(&self, new: &[DismissedBatch]) -> Result<()> {
        let identity = |of: &DismissedBatch| (of.dataset.clone(), of.batch_no.clone());
        let mut all = self.dismissed()?;
        all.retain(|of| new.iter().all(|it| identity(it) != identity(of)));
        all.extend_from_slice(new);
        all.sort();
        Document::of(self, KIND).replace(&all)
    }
}
