//! The ledger: what was announced, fetched, loaded, rejected and checked. Schema `redledger`.

mod acceptance;
mod books;
mod entry;
mod known;
mod queries;
mod rejections;
mod row;
mod sql;
mod tables;
mod upgrade;
mod write;

use duckdb::Connection;

pub use self::{
    acceptance::{StandingBatch, standing},
    books::{kept_files, loaded_among, loaded_files},
    entry::{
        BatchEntry, Control, Difference, FileEntry, FileIds, RunEntry, State, UNKNOWN_DATASET,
    },
    known::{Attempt, Entries, Known, LoadedRevision, advance},
    queries::{
        AcceptedRevision, BatchRecord, LoadedBatch, NewestBatch, PublishedRun, accepted_revisions,
        batches, controls, file, files, last_run, loaded_batches, newest_loaded, numbers,
        open_attempts, revisions,
    },
    rejections::{
        RejectionFilter, RejectionRecord, rejections, rejections_by_code, rejections_of_line,
        rows_rejected,
    },
    tables::{DescribedTable, described},
    upgrade::{Condition, check, condition, prepare},
    write::{dismiss, forget_attempts, record, record_run, supersede},
};
pub(crate) use self::{
    sql::{columns_of, later, quoted},
    tables::FORMAT,
};
use crate::error::{Error, Result};

/// The first file id that no file has.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn next_file_id(connection: &Connection) -> Result<i64> {
    connection
        .query_row(
            "SELECT coalesce(max(file_id), 0) + 1 FROM redledger.file",
            [],
            |row| row.get(0),
        )
        .map_err(Error::database("read the ledger"))
}
