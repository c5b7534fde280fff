//! Looking at the warehouse: the file is opened to read only, nothing is created, no lock is taken.

use std::path::Path;

use duckdb::Connection;

use super::{
    clients::keep_writers_out,
    engine,
    file::{self, check_magic},
};
use crate::{error::Result, ledger};

/// Opens the warehouse to read the ledger; `None` when there is no warehouse or nothing in it yet.
///
/// # Errors
/// [`Error::Warehouse`] when the file is no warehouse, was made by a newer DuckDB or redledger, has lost tables of
/// its ledger or has a `.wal` beside it that nobody writes; [`Error::Locked`] while somebody has it open to write, such
/// as a run in place; [`Error::Io`] when it can't be looked for or read.
pub fn open_reading(path: &Path) -> Result<Option<Connection>> {
    // No folder beside the warehouse for what spills: looking leaves no traces.
    open(path, "")
}

/// The same for questions about the whole of it: what does not fit into memory goes to the folder `spill`.
///
/// # Errors
/// As [`open_reading`].
pub fn open_auditing(path: &Path, spill: &Path) -> Result<Option<Connection>> {
    open(path, &spill.to_string_lossy())
}

fn open(path: &Path, spill: &str) -> Result<Option<Connection>> {
    if !file::exists(path)? {
        return Ok(None);
    }
    check_magic(path)?;
    drop(keep_writers_out(path)?);
    let connection = engine::open_to_read(path, spill)?;
    Ok(ledger::check(&connection, path)?.map(|_| connection))
}
