//! What is looked at, and what is found.

use serde_json::Value;

use crate::{archive::Verified, batch_no::BatchNo};

/// What is looked at.
#[derive(Default)]
pub struct Scope<'a> {
    /// The dataset that batches are entered under; `None`: every one.
    pub dataset: Option<String>,
    /// Which batches: those that any of these takes; none: every one.
    pub picks: Vec<Pick<'a>>,
}

/// Some batches.
pub struct Pick<'a> {
    /// As they were asked for.
    pub name: String,
    /// The one that it is, if only one can be.
    pub number: Option<&'a BatchNo>,
    /// Whether a batch is one of them.
    pub takes: &'a dyn Fn(&BatchNo) -> bool,
}

impl Scope<'_> {
    pub(super) fn is_everything(&self) -> bool {
        self.dataset.is_none() && self.picks.is_empty()
    }

    pub(super) fn takes_number(&self, batch_no: &str) -> bool {
        self.picks.is_empty()
            || BatchNo::new(batch_no)
                .is_ok_and(|number| self.picks.iter().any(|of| (of.takes)(&number)))
    }
}

/// What is read beside the warehouse.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Delivered files are read again.
    pub archive: bool,
    /// Every loaded cell is compared with them.
    pub cells: bool,
}

/// Something that is not as the ledger says.
#[derive(Debug)]
pub struct Finding {
    /// The batch's dataset.
    pub dataset: String,
    /// The batch.
    pub batch_no: String,
    /// Its revision, where it is about one.
    pub revision: Option<i32>,
    /// What differs.
    pub what: String,
    /// What the ledger says.
    pub ledger: Value,
    /// What was found.
    pub found: Value,
    /// Where it has to be repaired.
    pub place: Place,
}

/// Where something has to be repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the warehouse file.
    Warehouse,
    /// In the archive.
    Archive,
}

/// What was counted again, and what differs.
#[derive(Debug, Default)]
pub struct Audited {
    /// What differs: the warehouse's by batch, then the archive's.
    pub findings: Vec<Finding>,
    /// Revisions looked at.
    pub revisions: u64,
    /// Files of theirs.
    pub files: u64,
    /// Rows of tables.
    pub rows: u64,
    /// Controls of loaded batches that were counted again.
    pub controls: u64,
    /// Those that the contracts in force do not tell how to count.
    pub not_counted: u64,
    /// What was read in the archive, and what it has of the ledger's files; `None` when it was left out.
    pub archive: Option<(Verified, Kept)>,
    /// What was compared cell by cell; `None` when that was not asked for.
    pub cells: Option<Compared>,
}

/// What was compared cell by cell.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Rows.
    pub rows: u64,
    /// Their cells.
    pub cells: u64,
    /// Files that the archive does not have.
    pub not_kept: u64,
    /// Records that are not loaded, of files of which not all rejections are kept: whether they were rejected nobody
    /// can tell.
    pub undecided: u64,
}

/// What the archive has of the files that the ledger names.
#[derive(Debug, Default)]
pub struct Kept {
    /// Files that retention has removed.
    pub removed: u64,
    /// Files of loaded revisions that were never kept.
    pub never: u64,
    /// Revisions that were loaded once, and that the ledger does not know.
    pub unknown: u64,
}
