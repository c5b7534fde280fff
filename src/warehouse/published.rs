//! Whether a warehouse was ever published in a data directory: one that was and is gone is never replaced by an
//! empty one.
//!
//! `published.json` says so from the first publication on. It is written after the rename: a first run that died
//! has left an archive, a lock and perhaps an inbox, but published nothing.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{
    file::{self, beside},
    previous::previous_of,
};
use crate::{
    config::Config,
    data_dir,
    durable::{self, sync_folder},
    error::{Error, Result},
};

/// The format of the file; that it is there is what counts, whatever a newer one says.
const FORMAT: u32 = 1;

fn mark_of(data_dir: &Path) -> PathBuf {
    data_dir::published(data_dir)
}

/// Whether a warehouse was published there before.
///
/// # Errors
/// [`Error::Io`] when that can't be found out.
pub fn was_published(config: &Config) -> Result<bool> {
    let live = config.warehouse_path();
    let marks = [
        mark_of(&config.data_dir),
        // What is left by a release that wrote no mark.
        previous_of(&live),
        beside(&live, ".previous.new"),
    ];
    for mark in marks {
        match mark.symlink_metadata() {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("look for", &mark)(error)),
        }
    }
    // An announcement gets there when what it announced is published.
    let done = data_dir::done(&config.data_dir);
    let entries = durable::entries(&done).map_err(Error::io("read the inbox", &done))?;
    Ok(entries
        .iter()
        .any(|entry| entry.path().extension().is_some_and(|of| of == "json")))
}

/// Whether a warehouse was published there and is gone.
///
/// # Errors
/// [`Error::Warehouse`] for a link that leads nowhere; [`Error::Io`] when that can't be found out.
pub fn is_lost(config: &Config) -> Result<bool> {
    Ok(!file::exists(&config.warehouse_path())? && was_published(config)?)
}

/// Refuses to make a new warehouse where one was published before and is gone.
///
/// # Errors
/// [`Error::Warehouse`] says what brings it back, or that a link leads nowhere; [`Error::Io`].
pub fn refuse_to_begin_anew(config: &Config) -> Result<()> {
    if !is_lost(config)? {
        return Ok(());
    }
    let live = config.warehouse_path();
    let before = if file::exists(&previous_of(&live))? {
        "`redledger rollback` puts the one before it back, and "
    } else {
        ""
    };
    Err(Error::Warehouse {
        path: live,
        message: "it was published before and is gone; nothing was loaded".into(),
        hint: Some(format!(
            "if it was moved, move it back; otherwise {before}`redledger backfill '*'` makes it anew from the archive"
        )),
    })
}

/// Writes down that a warehouse is published.
pub(super) fn remember(data_dir: &Path) -> Result<()> {
    let mark = mark_of(data_dir);
    let write = || -> io::Result<()> {
        if mark.try_exists()? {
            return Ok(());
        }
        fs::create_dir_all(data_dir)?;
        let mut file = File::create(&mark)?;
        writeln!(
            file,
            "{{\"format\": {FORMAT}, \"first_seen\": \"{}\"}}",
            jiff::Timestamp::now()
        )?;
        file.sync_all()?;
        sync_folder(data_dir)
    };
    write().map_err(Error::io(
        "write down that a warehouse is published in",
        &mark,
    ))
}
