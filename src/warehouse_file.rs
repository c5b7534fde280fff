//! Whether a file may be opened as the warehouse: asked before every opening, to read or to write.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Whether there is a file.
///
/// # Errors
/// [`Error::Warehouse`] for something else under its name, such as a link that leads nowhere (to a disk that is not
/// mounted, say); [`Error::Io`] when it can't be looked for.
pub(crate) fn exists(path: &Path) -> Result<bool> {
    let wrong = |message: &str, hint: &str| {
        Err(Error::Warehouse {
            path: path.to_path_buf(),
            message: message.into(),
            hint: Some(hint.into()),
        })
    };
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(_) => wrong(
            "it is no file; it was left untouched",
            "move it away, or name another folder with --data-dir",
        ),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("look for", path)(error))
        }
        Err(_) if path.is_symlink() => wrong(
            "it is a link to what is not there",
            "mount the disk that it leads to, or remove the link",
        ),
        Err(_) => Ok(false),
    }
}

/// A file that is no DuckDB database is never handed to DuckDB.
///
/// # Errors
/// [`Error::Warehouse`] when it is something else.
pub(crate) fn check_magic(path: &Path) -> Result<()> {
    // DuckDB's storage format: an 8-byte checksum, then "DUCK".
    let mut start = [0; 12];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    if read.is_err() || &start[8..] != b"DUCK" {
        return Err(Error::Warehouse {
            path: path.to_path_buf(),
            message: "this is not a DuckDB database; it was left untouched".into(),
            hint: Some("move it away, or name another folder with --data-dir".into()),
        });
    }
    Ok(())
}

/// A `.wal` beside the file is somebody's committed work or garbage; DuckDB would replay it, even to read.
///
/// # Errors
/// [`Error::Warehouse`] when there is one.
pub(crate) fn check_no_wal(path: &Path) -> Result<()> {
    let wal = beside(path, ".wal");
    if !wal.exists() {
        return Ok(());
    }
    Err(Error::Warehouse {
        path: path.to_path_buf(),
        message: format!("{} is beside it: somebody's unfinished work", wal.display()),
        hint: Some(
            "open the warehouse read-write once with DuckDB to finish it, or delete the .wal if it is garbage"
                .into(),
        ),
    })
}

/// DuckDB's refusal of a file, in terms of what the user can do.
pub(crate) fn refused(path: &Path, error: &duckdb::Error) -> Error {
    let text = error.to_string();
    let newer = text.contains("newer version");
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

/// `path` with `suffix` after its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
