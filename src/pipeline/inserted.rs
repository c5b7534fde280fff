//! Rows that are in a dataset's table, for now.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    archive::DeliveredFile,
    contract::Contract,
    ledger::{FileEntry, FileIds},
    reader::Asides,
    rejection::Rejection,
    scan::FollowUp,
};

/// The rows of one dataset, as they are in its table now, and those that are not.
pub(super) struct Inserted {
    pub(super) contract: Arc<Contract>,
    /// The ids of its files.
    pub(super) ids: FileIds,
    pub(super) files: Vec<InsertedFile>,
    pub(super) rejections: Vec<Rejection>,
    /// The files that its rows name, in the order of the rows.
    pub(super) follow_ups: Vec<FollowUp>,
    /// Cells freed of a spreadsheet's wrapping.
    pub(super) unwrapped: u64,
    /// Files whose last line has no line break.
    pub(super) open_ended: u64,
    /// What its files had that is no row, or was not believed.
    pub(super) asides: Asides,
    /// Headers of responses whose checksums could not be read.
    pub(super) unread_checksums: BTreeSet<&'static str>,
    /// Columns of the contract that no cell can have come in.
    pub(super) absent: BTreeSet<String>,
}

/// A file that was read to its end.
pub(super) struct InsertedFile {
    /// For the ledger.
    pub(super) entry: FileEntry,
    /// For the archive; `None` when its bytes are not kept.
    pub(super) delivered: Option<DeliveredFile>,
    /// Rows that it should have, when something says so.
    pub(super) expected_rows: Option<u64>,
    /// What it had that is no row.
    pub(super) asides: Asides,
    /// The line on which its last record begins.
    pub(super) last_line: u64,
}

impl Inserted {
    /// A figure of its files, summed.
    pub(super) fn sum(&self, of: impl Fn(&FileEntry) -> u64) -> u64 {
        self.files.iter().map(|file| of(&file.entry)).sum()
    }
}
