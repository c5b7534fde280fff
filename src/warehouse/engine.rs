//! The engine that has the file open, and its settings.

use std::path::Path;

use duckdb::{AccessMode, Config as EngineConfig, Connection};

use super::{clients, file::beside};
use crate::{
    config::LoadConfig,
    error::{EngineFault, Error, Result},
    ledger::quoted,
};

/// Opens or creates a file of which every commit is to stay.
pub(super) fn open(path: &Path, config: &LoadConfig) -> Result<Connection> {
    let open = || {
        let settings = settings(config)?
            // No WAL at all: a failing fsync or truncation of it can abort the process.
            .with("auto_checkpoint_skip_wal_threshold", "0")?
            .with("checkpoint_threshold", "1B")?
            .enable_external_access(false)?;
        Connection::open_with_flags(path, settings)
    };
    open().map_err(|error| refused(path, &error))
}

/// Opens or creates a file that nobody else knows.
pub(super) fn open_private(path: &Path, config: &LoadConfig) -> Result<Connection> {
    let name = path.to_str().ok_or_else(|| Error::Warehouse {
        path: path.to_path_buf(),
        message: "DuckDB can't open it: its path is not UTF-8".into(),
        hint: Some("name another folder with --data-dir".into()),
    })?;
    let open = || -> duckdb::Result<Connection> {
        let settings =
            settings(config)?.with("temp_directory", beside(path, ".tmp").to_string_lossy())?;
        let connection = Connection::open_in_memory_with_flags(settings)?;
        let attach = format!(
            "ATTACH {} AS warehouse (RECOVERY_MODE no_wal_writes); USE warehouse; \
             SET enable_external_access = false",
            quoted(name)
        );
        connection.execute_batch(&attach)?;
        Ok(connection)
    };
    open().map_err(|error| refused(path, &error))
}

/// Opens a file to read it; what does not fit into memory goes to the folder `spill`, or nowhere if that is empty.
pub(super) fn open_to_read(path: &Path, spill: &str) -> Result<Connection> {
    let open = || {
        let settings = EngineConfig::default()
            .access_mode(AccessMode::ReadOnly)?
            .with("temp_directory", spill)?
            .enable_external_access(false)?
            .enable_autoload_extension(false)?;
        Connection::open_with_flags(path, settings)
    };
    open().map_err(|error| refused(path, &error))
}

/// Keeps a connection from every file but those that it has open and `target`.
fn allow_only(connection: &Connection, target: &str) -> duckdb::Result<()> {
    let sql = format!(
        "SET allowed_paths = [{}]; SET enable_external_access = false",
        quoted(target)
    );
    connection.execute_batch(&sql)
}

/// Opens a file to read it, or nothing at all, with the right to write one other file: `target`.
pub(super) fn open_to_write_beside(
    path: Option<&Path>,
    spill: &str,
    target: &str,
) -> Result<Connection> {
    let open = || -> duckdb::Result<Connection> {
        let settings = EngineConfig::default()
            .with("temp_directory", spill)?
            .enable_autoload_extension(false)?;
        let connection = match path {
            Some(path) => {
                Connection::open_with_flags(path, settings.access_mode(AccessMode::ReadOnly)?)?
            }
            None => Connection::open_in_memory_with_flags(settings)?,
        };
        allow_only(&connection, target)?;
        Ok(connection)
    };
    open().map_err(|error| refused(path.unwrap_or(Path::new(target)), &error))
}

/// DuckDB's refusal of a file, in terms of what the user can do.
fn refused(path: &Path, error: &duckdb::Error) -> Error {
    let text = error.to_string();
    let fault = EngineFault::of(error);
    if fault == EngineFault::Locked {
        return clients::held(path);
    }
    let newer = fault == EngineFault::Newer;
    let message = if newer {
        "it was made by a newer DuckDB; it was left untouched".to_owned()
    } else {
        format!(
            "DuckDB can't open it: {}",
            text.lines().next().unwrap_or_default()
        )
    };
    let hint = if newer {
        "use a redledger built with that DuckDB, or another --data-dir"
    } else {
        "see `redledger rollback`, or restore the file from a copy"
    };
    Error::Warehouse {
        path: path.to_path_buf(),
        message,
        hint: Some(hint.into()),
    }
}

/// Threads of the engine.
pub(super) fn threads(config: &LoadConfig) -> usize {
    match config.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

/// The engine's share of the memory, in bytes.
///
/// A tenth is left for what the engine does not count: vectors on their way, and freed memory that the
/// allocator has not given back yet. Without it 20 million rows under 512MB peak at 651 to 724 MB, with it
/// at 595 to 602.
fn engine_memory(config: &LoadConfig) -> u64 {
    config.memory_limit.0 / 10 * 9
}

fn settings(config: &LoadConfig) -> duckdb::Result<EngineConfig> {
    EngineConfig::default()
        .max_memory(&format!("{}B", engine_memory(config)))?
        .threads(threads(config) as i64)?
        // Several scan threads insert side by side only when the order is free.
        .with("preserve_insertion_order", "false")?
        .enable_autoload_extension(false)
}

/// Keeps the scans of a connection that reads to the settings of `[load]`.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn limit(connection: &Connection, config: &LoadConfig) -> Result<()> {
    let sql = format!(
        "SET memory_limit = '{}B'; SET threads = {}",
        engine_memory(config),
        threads(config)
    );
    connection
        .execute_batch(&sql)
        .map_err(Error::database("set the engine's limits"))
}
