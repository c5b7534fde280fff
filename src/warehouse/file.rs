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
        Err(_) => match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("look for", path)(error)),
            Ok(_) => wrong(
                "it is a link to what is not there",
                "is the volume mounted that it leads to?",
            ),
        },
    }
}

/// A file that is no DuckDB database is never handed to DuckDB.
///
/// # Errors
/// [`Error::Warehouse`] when it is something else; [`Error::Io`] when it can't be read: then nobody knows.
pub(crate) fn check_magic(path: &Path) -> Result<()> {
    // DuckDB's storage format: an 8-byte checksum, then "DUCK".
    let mut start = [0; 12];
    match File::open(path).and_then(|mut file| file.read_exact(&mut start)) {
        Ok(()) if &start[8..] == b"DUCK" => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            Err(Error::io("read", path)(error))
        }
        _ => Err(Error::Warehouse {
            path: path.to_path_buf(),
            message: "this is not a DuckDB database; it was left untouched".into(),
            hint: Some("move it away, or name another folder with --data-dir".into()),
        }),
    }
}

/// A `.wal` beside the file is somebody's committed work or garbage; DuckDB would replay it, even to read.
///
/// No command of ours writes one. Whether it is this file's, or that of one that had its name before, does not
/// show: nobody is told to have it replayed.
pub(super) fn check_no_wal(path: &Path) -> Result<()> {
    let wal = beside(path, ".wal");
    if !wal.try_exists().map_err(Error::io("look for", &wal))? {
        return Ok(());
    }
    Err(Error::Warehouse {
        path: path.to_path_buf(),
        message: format!(
            "{} is beside it: the unfinished work of a client that has gone",
            wal.display()
        ),
        hint: Some(
            "move the .wal to another folder: whoever opens the warehouse would have its changes replayed on it, \
             and nothing that a run has published is in it"
                .into(),
        ),
    })
}

/// `path` with `suffix` after its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
