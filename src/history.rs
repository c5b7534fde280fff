//! One history: which content of a batch stands, under which revision, and whether another may take its place.
//!
//! Decided here alone, from the ledger and the archive together. What is accepted last stands; when something was
//! accepted is told by its announcement, but never later than it was received.

use crate::{
    archive::{
        Archive, ArchivedRevision, Delivery, DeliveryOutcome, DismissedBatch, WithdrawnRevision,
    },
    batch_no::BatchNo,
    error::Result,
    ledger::{self, BatchRecord, Entries, Known, LoadedRevision, State},
};

/// How far the clocks of the platform and of this machine may differ.
const CLOCK_SKEW_US: i64 = 5 * 60 * 1_000_000;

/// When a content counts as accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acceptance {
    /// In epoch microseconds.
    pub at: i64,
    /// Whether it is the same each time that the content is given: a load by hand counts as now.
    pub is_stable: bool,
    /// Whether the announcement says a time after its own receipt, which counts instead.
    pub is_from_the_future: bool,
}

impl Acceptance {
    /// Of what was announced at `announced_at` (in epoch milliseconds), where that is said, and received at `received_at`
    /// (in epoch microseconds).
    #[must_use]
    pub fn announced(announced_at: Option<i64>, received_at: i64) -> Self {
        let announced = announced_at.map(|at| at.saturating_mul(1000));
        let is_from_the_future =
            announced.is_some_and(|at| at > received_at.saturating_add(CLOCK_SKEW_US));
        Self {
            at: announced
                .filter(|_| !is_from_the_future)
                .unwrap_or(received_at),
            is_stable: true,
            is_from_the_future,
        }
    }

    /// Of what was accepted before, at a time that is written down in epoch microseconds.
    #[must_use]
    pub fn recorded(at: i64) -> Self {
        Self {
            at,
            is_stable: true,
            is_from_the_future: false,
        }
    }

    /// Of what somebody gives by hand at `now`, in epoch microseconds.
    #[must_use]
    pub fn by_hand(now: i64) -> Self {
        Self {
            at: now,
            is_stable: false,
            is_from_the_future: false,
        }
    }
}

/// Why a content does not take the place of what stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A later announcement was accepted.
    Older {
        /// The revision that stands.
        revision: i32,
    },
    /// The archive has what was accepted later; it is not in this warehouse.
    OlderThanArchived {
        /// The revision that the archive has.
        revision: i32,
    },
    /// It is not newer than what a rollback has withdrawn.
    Withdrawn {
        /// The revision that was withdrawn.
        revision: i32,
    },
    /// It is not newer than what a person has dismissed.
    Dismissed {
        /// When and why.
        said: String,
    },
}

impl Refusal {
    /// For people.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Older { revision } => {
                format!("announced before revision {revision}, which is loaded and stays")
            }
            Self::OlderThanArchived { revision } => format!(
                "announced before revision {revision} was accepted, which the archive has and this warehouse has not: \
                 `redledger backfill BATCH` loads it"
            ),
            Self::Withdrawn { revision } => format!(
                "no newer than revision {revision}, which a rollback has withdrawn and which stays withdrawn, until the \
                 batch is announced anew or given by hand, or what was rolled back is rolled back once more"
            ),
            Self::Dismissed { said } => {
                format!("{said}; it stays so until the batch is announced anew")
            }
        }
    }

    /// Whether that is in order: rows of the batch are in the table all the same, or somebody wants none.
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        matches!(self, Self::Older { .. } | Self::Dismissed { .. })
    }
}

/// Where a batch stands.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    known: Known,
    archived: Vec<ArchivedRevision>,
    withdrawn: Vec<WithdrawnRevision>,
    dismissed: Vec<DismissedBatch>,
}

impl Standing {
    /// Finds out, from what the ledger says and what the archive has written down, of deliveries and of rollbacks.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when the archive can't be read.
    pub fn of(
        entries: &Entries,
        archive: &Archive,
        dataset: &str,
        batch_no: &BatchNo,
    ) -> Result<Self> {
        let known = entries.known(dataset, batch_no.as_str());
        let archived = archive.revisions(dataset, batch_no)?;
        let mut withdrawn = archive.withdrawn()?.of(dataset, batch_no).to_vec();
        // What the ledger has is not withdrawn, or has something newer in its place.
        withdrawn.retain(|of| of.revision > known.highest);
        let mut dismissed = archive.dismissed()?;
        dismissed.retain(|of| of.is_of(dataset, batch_no.as_str()));
        Ok(Self {
            known,
            archived,
            withdrawn,
            dismissed,
        })
    }

    /// The revision whose rows are in the table.
    #[must_use]
    pub fn loaded(&self) -> Option<&LoadedRevision> {
        self.known.loaded.as_ref()
    }

    /// The attempt that is not loaded and stands in the ledger.
    #[must_use]
    pub fn attempt(&self) -> Option<&ledger::Attempt> {
        self.known.attempt.as_ref()
    }

    /// The highest revision that is loaded or was; 0: none.
    #[must_use]
    pub fn highest(&self) -> i32 {
        self.known.highest
    }

    /// The revision that a new content gets: numbers are never used again.
    #[must_use]
    pub fn next_revision(&self) -> i32 {
        let archived = self.archived.iter().filter(|of| of.is_loaded);
        let withdrawn = self.withdrawn.iter().map(|of| of.revision);
        let taken = archived.map(|of| of.revision).chain(withdrawn);
        taken.fold(self.known.highest, i32::max) + 1
    }

    /// The revision that this content gets. What a run has written down that was never published is the same
    /// delivery, tried again.
    #[must_use]
    pub fn revision_of(&self, known_by: &str) -> i32 {
        let newest = self.archived.iter().rev().find(|of| of.is_loaded);
        let again = newest.filter(|of| {
            of.revision > self.known.highest
                && of.known_by.as_deref() == Some(known_by)
                && self.withdrawn.iter().all(|it| it.revision != of.revision)
        });
        again.map_or_else(|| self.next_revision(), |of| of.revision)
    }

    /// The revision that a delivery of an archive gets, which was `revision` there.
    #[must_use]
    pub fn revision_of_replay(&self, revision: i32, is_foreign: bool) -> i32 {
        if revision > self.known.highest && !is_foreign {
            revision
        } else {
            self.next_revision().max(revision)
        }
    }

    /// What the archive knows the content of a revision by.
    #[must_use]
    pub fn archived_as(&self, revision: i32) -> Option<&str> {
        let found = self.archived.iter().find(|of| of.revision == revision);
        found.and_then(|of| of.known_by.as_deref())
    }

    /// Whether the archive has written down a revision.
    #[must_use]
    pub fn is_archived(&self, revision: i32) -> bool {
        let readable = self
            .archived
            .iter()
            .filter(|of| of.known_by.is_some() || of.is_newer);
        readable.into_iter().any(|of| of.revision == revision)
    }

    /// The newest announcement that was accepted while what is loaded stood.
    #[must_use]
    pub fn watermark(&self) -> Option<i64> {
        self.known.loaded.as_ref().and_then(|of| of.watermark)
    }

    /// Whether a content accepted then takes the place of what stands; else why not.
    #[must_use]
    pub fn refuses(&self, acceptance: Acceptance) -> Option<Refusal> {
        let at = acceptance.at;
        let newest = |of: &&WithdrawnRevision| of.accepted_at_us.unwrap_or(of.withdrawn_at_us);
        let withdrawn = self.withdrawn.iter().max_by_key(newest);
        if let Some(withdrawn) = withdrawn.filter(|of| at <= newest(of)) {
            return Some(Refusal::Withdrawn {
                revision: withdrawn.revision,
            });
        }
        if let Some(loaded) = self.loaded()
            && loaded.watermark.is_some_and(|watermark| at < watermark)
        {
            return Some(Refusal::Older {
                revision: loaded.revision,
            });
        }
        if let Some(dismissed) = self.dismissed.iter().find(|of| at <= of.accepted_at_us) {
            let said = dismissed.in_words();
            return Some(Refusal::Dismissed { said });
        }
        self.newest_archived()
            .filter(|(_, accepted_at)| at < *accepted_at)
            .map(|(revision, _)| Refusal::OlderThanArchived { revision })
    }

    /// Whether a delivery of an archive, accepted then, takes the place of what stands; else why not.
    #[must_use]
    pub fn refuses_replay(
        &self,
        revision: i32,
        is_withdrawn: bool,
        accepted_at: i64,
    ) -> Option<Refusal> {
        if is_withdrawn && revision > self.known.highest {
            return Some(Refusal::Withdrawn { revision });
        }
        let loaded = self.loaded()?;
        let is_older = loaded
            .watermark
            .is_some_and(|watermark| accepted_at < watermark);
        is_older.then_some(Refusal::Older {
            revision: loaded.revision,
        })
    }

    /// Of what the archive alone has as loaded, the latest: its revision, and its newest announcement.
    fn newest_archived(&self) -> Option<(i32, i64)> {
        let beyond = self.archived.iter().filter(|of| {
            of.is_loaded
                && of.revision > self.known.highest
                && self.withdrawn.iter().all(|it| it.revision != of.revision)
        });
        let known = beyond.filter_map(|of| {
            let newest = of.accepted_at?.max(of.watermark.unwrap_or(i64::MIN));
            Some((of.revision, newest))
        });
        known.max_by_key(|(_, at)| *at)
    }
}

/// Whether it is up to a person, or a later run, what becomes of a batch.
#[must_use]
pub fn is_open(state: State) -> bool {
    matches!(state, State::Failed | State::Waiting | State::Expired)
}

/// Puts what was dismissed over what a warehouse says that may be older, such as one that a rollback has put back.
pub fn mark_dismissed(records: &mut [BatchRecord], dismissed: &[DismissedBatch]) {
    for record in records.iter_mut().filter(|of| is_open(of.entry.state)) {
        let (entry, written_at) = (&mut record.entry, record.written_at);
        let accepted_at = entry.accepted_at.unwrap_or(written_at);
        let found = dismissed.iter().find(|of| {
            of.is_of(&entry.dataset, &entry.batch_no) && accepted_at <= of.accepted_at_us
        });
        if let Some(found) = found {
            entry.message = Some(dismissal(found, entry.state, entry.message.as_deref()));
            entry.state = State::Dismissed;
            record.written_at = found.dismissed_at_us;
        }
    }
}

/// What the ledger says of a dismissed batch: when and why, then what it was before.
#[must_use]
pub fn dismissal(of: &DismissedBatch, before: State, message: Option<&str>) -> String {
    let why = message.map_or_else(String::new, |message| format!(": {message}"));
    format!("{}; it was {}{why}", of.in_words(), before.as_str())
}

/// The deliveries of a batch in the order in which they were written down, which is the order in which they were loaded,
/// each with when it was accepted: what was loaded over another was accepted after it, whatever announcements say.
#[must_use]
pub fn in_order(mut deliveries: Vec<Delivery>) -> Vec<(Delivery, i64)> {
    deliveries.sort_by_key(|of| (of.recorded_at_us, of.revision));
    let mut newest = i64::MIN;
    let dated = deliveries.into_iter().map(|of| {
        if of.outcome == DeliveryOutcome::Loaded {
            newest = newest.max(of.accepted_at());
        }
        let accepted_at = newest.max(of.accepted_at());
        (of, accepted_at)
    });
    dated.collect()
}
