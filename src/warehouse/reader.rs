//! Looking at the warehouse: the file is opened to read only, nothing is created, no lock is taken.

use std::path::Path;

use duckdb::Connection;
use tempfile::TempDir;

use super::{
    clients::keep_writers_out,
    engine,
    file::{self, check_magic},
};
use crate::{
    config::LoadConfig,
    error::{Error, Result},
    ledger,
};

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

/// A connection for questions about the whole warehouse, kept to the settings of `[load]`: what does not fit into memory
/// spills to a folder of its own, which goes with it.
pub struct Auditing {
    /// The warehouse's.
    pub connection: Connection,
    // After the engine, which has files open in it.
    _spill: TempDir,
}

/// Opens the warehouse for such questions; `None` when there is none, or nothing in it yet.
///
/// # Errors
/// As [`open_reading`]; [`Error::Io`] when there can be no folder for what spills.
pub fn open_auditing(path: &Path, config: &LoadConfig) -> Result<Option<Auditing>> {
    let spill = tempfile::Builder::new()
        .prefix("redledger-spill-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .tempdir()
        .map_err(Error::io(
            "make a folder for what does not fit into memory in",
            std::env::temp_dir(),
        ))?;
    let Some(connection) = open(path, &spill.path().to_string_lossy())? else {
        return Ok(None);
    };
    engine::limit(&connection, config)?;
    Ok(Some(Auditing {
        connection,
        _spill: spill,
    }))
}

fn open(path: &Path, spill: &str) -> Result<Option<Connection>> {
    if !is_there(path)? {
        return Ok(None);
    }
    let connection = engine::open_to_read(path, spill)?;
    Ok(ledger::check(&connection, path)?.map(|_| connection))
}

/// A connection that may write the file `target` beside reading the warehouse.
pub struct Exporting {
    /// The warehouse's, or one of nothing.
    pub connection: Connection,
    /// Whether it has a ledger: else there is no warehouse, or nothing in it yet.
    pub has_ledger: bool,
}

/// Opens the warehouse to copy rows of it to the file `target` and to no other; what does not fit into memory goes to the
/// folder `spill`. Where there is no warehouse it is a connection of nothing.
///
/// # Errors
/// As [`open_reading`]; [`Error::Usage`] for a target whose path the engine can't be told.
pub fn open_exporting(path: &Path, spill: &Path, target: &Path) -> Result<Exporting> {
    let spill = spill.to_string_lossy();
    let target = target
        .to_str()
        .ok_or_else(|| Error::usage(format!("{}: the path is not UTF-8", target.display())))?;
    if is_there(path)? {
        let connection = engine::open_to_write_beside(Some(path), &spill, target)?;
        if ledger::check(&connection, path)?.is_some() {
            return Ok(Exporting {
                connection,
                has_ledger: true,
            });
        }
    }
    Ok(Exporting {
        connection: engine::open_to_write_beside(None, &spill, target)?,
        has_ledger: false,
    })
}

/// Whether there is a file that may be opened.
fn is_there(path: &Path) -> Result<bool> {
    if !file::exists(path)? {
        return Ok(false);
    }
    check_magic(path)?;
    drop(keep_writers_out(path)?);
    Ok(true)
}
