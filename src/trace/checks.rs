//! Whether what is known of a row agrees with itself.

use super::facts::{Facts, Reread, RowIs, Unread};
use crate::ledger::State;

/// One thing that was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// What should be so.
    pub(crate) what: &'static str,
    /// Whether it is; `None`: nobody can tell.
    pub(crate) agrees: Option<bool>,
    /// Why not, or why nobody can tell; empty where it is so.
    pub(crate) why: String,
}

impl Check {
    fn new(what: &'static str, agrees: bool, otherwise: impl FnOnce() -> String) -> Self {
        Self {
            what,
            agrees: Some(agrees),
            why: if agrees { String::new() } else { otherwise() },
        }
    }

    fn untold(what: &'static str, why: &str) -> Self {
        Self {
            what,
            agrees: None,
            why: why.to_owned(),
        }
    }

    pub(super) fn all(facts: &Facts<'_>) -> Vec<Self> {
        let mut checks = vec![Self::standing(facts), Self::counted(facts)];
        match facts.reread {
            Ok(reread) => {
                checks.push(Self::bytes(facts, reread));
                checks.push(Self::cells(facts, reread));
            }
            Err(unread) => {
                checks.push(match unread {
                    Unread::NotKept(why) => Self::untold(BYTES, why),
                    Unread::Damaged(why) => Self::new(BYTES, false, || why.clone()),
                });
                checks.push(Self::untold(CELLS, unread.why()));
            }
        }
        checks.push(Self::documented(facts));
        checks
    }

    /// A row is in the table while its revision stands, and only then.
    fn standing(facts: &Facts<'_>) -> Self {
        const WHAT: &str = "the row is in the table just when its revision is loaded";
        let Some(revision) = facts.revision else {
            return Self::new(WHAT, false, || {
                "the ledger does not have the revision".into()
            });
        };
        let state = revision.entry.state;
        match (facts.row, state) {
            (RowIs::Loaded(_), state) => Self::new(WHAT, state == State::Loaded, || {
                format!("the row is there, and its revision is {}", state.as_str())
            }),
            (RowIs::Rejected(_), _) => Self::new(WHAT, true, String::new),
            (RowIs::Nowhere, State::Loaded) => match facts.reread {
                Ok(Reread { record: None, .. }) => Self::new(WHAT, true, String::new),
                Ok(Reread {
                    record: Some(record),
                    ..
                }) if record.is_empty() => Self::new(WHAT, true, String::new),
                _ if facts.file.rejections_kept < Some(facts.file.rows_rejected) => Self::untold(
                    WHAT,
                    "only the first rejections of the file are kept: it was rejected, or is lost",
                ),
                _ => Self::new(WHAT, false, || {
                    "a record begins on that line, and it is neither loaded nor rejected".into()
                }),
            },
            (RowIs::Nowhere, _) => Self::new(WHAT, true, String::new),
        }
    }

    /// The ledger counts as many rows of the file as there are.
    fn counted(facts: &Facts<'_>) -> Self {
        const WHAT: &str = "the table has as many rows of the file as the ledger says";
        let stands = facts
            .revision
            .is_some_and(|revision| revision.entry.state == State::Loaded);
        let (entered, found) = match stands {
            true => (facts.file.rows_loaded, facts.rows_found),
            false => (0, facts.rows_found),
        };
        Self::new(WHAT, entered == found, || {
            format!("{found} rows, and the ledger says {entered}")
        })
    }

    fn bytes(facts: &Facts<'_>, reread: &Reread) -> Self {
        let entered = facts.file.content_hash.as_deref().unwrap_or("none");
        Self::new(BYTES, entered == reread.hash, || {
            format!("SHA-256 {}, and the ledger says {entered}", reread.hash)
        })
    }

    fn cells(facts: &Facts<'_>, reread: &Reread) -> Self {
        match (facts.row, &reread.record) {
            (RowIs::Loaded(_), None) => Self::new(CELLS, false, || {
                "no record begins on that line of the kept bytes".into()
            }),
            (RowIs::Loaded(_), Some(_)) => Self::new(CELLS, reread.differing == 0, || {
                format!(
                    "{} of its cells differ: see `redledger verify BATCH --cells`",
                    reread.differing
                )
            }),
            _ => Self::untold(CELLS, "there is no row"),
        }
    }

    fn documented(facts: &Facts<'_>) -> Self {
        const WHAT: &str = "the archive's document names the file";
        let Some(delivery) = facts.delivery else {
            return Self::untold(WHAT, "the archive has no document of the revision");
        };
        let hash = facts.file.content_hash.as_deref();
        let is_named = delivery
            .files
            .iter()
            .any(|file| Some(file.content_hash.as_str()) == hash);
        Self::new(WHAT, is_named, || {
            format!("{} has no file with its hash", delivery.file_name())
        })
    }
}

const BYTES: &str = "the kept bytes are those that were delivered";
const CELLS: &str = "every cell is what the bytes say, read a second time";
