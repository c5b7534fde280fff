//! The ledger's tables and what their columns mean.

use super::{
    entry::State,
    row::{Column, Moment, Table, TableRow, table},
};

/// The version of these tables. A ledger of format 1 has no `format` table.
pub(crate) const FORMAT: i32 = 2;

/// Columns that a ledger of format 1 lacks, with their table.
pub(super) const SINCE_FORMAT_2: &[(&str, &str)] = &[
    ("batch", "accepted_at"),
    ("batch", "watermark"),
    ("file", "rejections_kept"),
    ("file", "query_hash"),
    ("file", "identity"),
];

table! {
    /// One row a revision of a batch. For bills it covers the bill lines too
    batch BatchRow {
        /// Dataset, which is also the table's name; empty while nothing delivered shows which it is
        dataset: String,
        /// Batch number as announced
        batch_no: String,
        /// 1 for the first content delivered under the number, 2 for the next, …
        revision: i32,
        /// loaded: its rows are in the table; superseded: a later revision replaced them; failed: nothing of it is
        /// loaded, see message; waiting: pages or files are still missing; expired: the link is dead, a new
        /// announcement is needed; dismissed: a person has decided not to load it, see message
        state: State,
        /// Rows announced (the hook's total); NULL when it did not say
        rows_expected: Option<u64>,
        /// Rows delivered; of a loaded batch always rows_loaded + rows_rejected
        rows_read: u64,
        /// Rows in the table
        rows_loaded: u64,
        /// Rows not loaded, see redledger.rejection
        rows_rejected: u64,
        /// Rows whose key the revision before did not have
        rows_added: u64,
        /// Rows of the revision before whose key is gone
        rows_removed: u64,
        /// Rows with the key of a row of the revision before and other content
        rows_changed: u64,
        /// Files the batch was delivered in
        files: u64,
        /// Bytes delivered
        bytes: u64,
        /// SHA-256 of what was delivered; of the files' hashes where there are several
        content_hash: Option<String>,
        /// When the platform announced it, UTC
        announced_at: Option<Moment>,
        /// When this was written, UTC
        loaded_at: Moment,
        /// The run that wrote this
        run_id: String,
        /// Why it is not loaded, or what is worth knowing
        message: Option<String>,
        /// When this content was accepted, which orders the revisions of a batch: announced_at, but never later
        /// than it was received; where nothing says when it was announced, when it was received; UTC
        accepted_at: Option<Moment>,
        /// The newest accepted_at of all announcements of the batch while this revision stood, those included that
        /// changed nothing; older ones are refused; UTC
        watermark: Option<Moment>,
    }
}

table! {
    /// Files that batches were delivered in; an inline list counts as one
    file FileRow {
        /// Referred to by the file_id of every row
        file_id: i64,
        /// Dataset of its rows
        dataset: String,
        /// Batch
        batch_no: String,
        /// Revision of the batch
        revision: i32,
        /// Where it came from, without query string and credentials
        url: String,
        /// Size of what was delivered, uncompressed
        bytes: u64,
        /// SHA-256 of what was delivered, uncompressed
        content_hash: Option<String>,
        /// The store's version of it
        etag: Option<String>,
        /// The encoding it was read in
        encoding: Option<String>,
        /// Its header row as delivered, but for the queries of URLs
        header: Option<String>,
        /// Rows delivered
        rows_read: u64,
        /// Rows in the table
        rows_loaded: u64,
        /// Rows not loaded
        rows_rejected: u64,
        /// Where its bytes are kept, below data_dir
        archive_path: Option<String>,
        /// When it was read to its end, UTC
        fetched_at: Moment,
        /// How many of its rejected rows are in redledger.rejection; NULL where an older release wrote this
        rejections_kept: Option<u64>,
        /// SHA-256 of the URL's query without the parameters of a signature; NULL where nothing is left of it
        query_hash: Option<String>,
        /// What an inline list is known by, however it is written: SHA-256 of its values; NULL for files, which are
        /// known by content_hash
        identity: Option<String>,
    }
}

table! {
    /// Rows that were not loaded; at most 10,000 a file are kept, the counts in batch and file are exact
    rejection RejectionRow {
        /// Dataset
        dataset: String,
        /// Batch
        batch_no: String,
        /// Revision of the batch
        revision: i32,
        /// File, see redledger.file
        file_id: i64,
        /// 1-based physical line on which the record starts; in an inline list the position
        line: u64,
        /// Offset of its first byte in the decoded text (in a UTF-8 file: in the file)
        byte_offset: Option<u64>,
        /// Field at fault, where there is one
        field: Option<String>,
        /// Kind of fault, such as excess-scale
        code: String,
        /// What was expected and found
        message: String,
        /// The record as delivered, URLs without their query
        record: String,
    }
}

table! {
    /// Checks of a batch: announced against counted, sums that must hold in every row
    control ControlRow {
        /// Dataset
        dataset: String,
        /// Batch
        batch_no: String,
        /// Revision of the batch
        revision: i32,
        /// What is checked
        name: String,
        /// The figure it should be; NULL: the control only notes a figure
        expected: Option<String>,
        /// The figure found
        actual: String,
        /// Whether they agree
        passed: bool,
    }
}

table! {
    /// One row a command that wrote to the warehouse
    run RunRow {
        /// Its id
        run_id: String,
        /// The subcommand
        command: String,
        /// redledger's version
        version: String,
        /// UTC
        started_at: Moment,
        /// UTC
        finished_at: Moment,
        /// In words
        outcome: String,
        /// 0 well, 1 needs a person, 2 fault, 3 run again
        exit_code: i32,
    }
}

table! {
    /// The version of the tables of this schema; one row
    format FormatRow {
        /// A redledger that knows only lower ones refuses the file; the next higher one upgrades it at its first load
        version: i32,
        /// The version of redledger that wrote it first in this form
        written_by: String,
    }
}

/// All tables.
pub(super) const TABLES: &[Table] = &[
    BatchRow::TABLE,
    FileRow::TABLE,
    RejectionRow::TABLE,
    ControlRow::TABLE,
    RunRow::TABLE,
    FormatRow::TABLE,
];

/// The table of this name.
pub(super) fn table_of(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// The column of this name.
pub(super) fn column_of(table: &str, name: &str) -> Option<&'static Column> {
    let table = table_of(table)?;
    table.columns.iter().find(|column| column.name == name)
}

/// A table of the ledger as it is described to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedTable {
    /// Its name in the schema `redledger`.
    pub name: &'static str,
    /// The `COMMENT ON` it.
    pub comment: &'static str,
    /// Name, SQL type and comment of each column.
    pub columns: Vec<[&'static str; 3]>,
}

/// The tables of the ledger, in the order in which they are made.
#[must_use]
pub fn described() -> Vec<DescribedTable> {
    let described = TABLES.iter().map(|table| DescribedTable {
        name: table.name,
        comment: table.comment,
        columns: table
            .columns
            .iter()
            .map(|column| [column.name, column.kind, column.comment])
            .collect(),
    });
    described.collect()
}
