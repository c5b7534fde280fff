//! The warehouse before the last run: kept when it is replaced, and put back by `rollback`.
//!
//! ```text
//! link warehouse.duckdb ──► .previous.new     two names, one file: nothing is copied
//! rename the other file over warehouse.duckdb
//! rename .previous.new over .previous
//! ```
//!
//! `warehouse.duckdb` is there at every moment. After a crash `.previous.new` tells how far it came: still the
//! same file as `warehouse.duckdb`, nothing was replaced; another file, only the last step is missing.
//!
//! Two files can also exchange their names in one step (renameat2(2)), where the file system knows that: so do a
//! rollback, and a run that may not give the old file a second name (link(2), `fs.protected_hardlinks`).

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};

use super::{clients::keep_writers_out, file::beside, rights};
use crate::{
    durable::sync_folder,
    error::{Error, Result},
};

/// Where the warehouse that the live one has replaced is kept.
#[must_use]
pub fn previous_of(live: &Path) -> PathBuf {
    beside(live, ".previous")
}

/// Swaps the live file and the previous one, which gets the live one's rights; where the live one is gone, the
/// previous one takes its name. The caller holds the lock.
///
/// # Errors
/// [`Error::Locked`] while a client has one of them open to write, [`Error::Warehouse`] when one has left a `.wal`
/// beside it, or when the file system can only lose one of the two; [`Error::Io`] when the operating system
/// refuses. Nothing is changed then, unless the error says that the other one is published.
pub fn put_back(live: &Path) -> Result<()> {
    let previous = previous_of(live);
    // Both held until they have their names.
    let (held, back) = (keep_writers_out(live)?, keep_writers_out(&previous)?);
    match (&held, &back) {
        (Some(held), Some(back)) => rights::give(back.file(), held.file(), live)?,
        (None, _) => {
            fs::rename(&previous, live).map_err(Error::io("rename over", live))?;
            return sync_folder_of(live);
        }
        (Some(_), None) => {}
    }
    if exchange(&previous, live)? {
        return sync_folder_of(live);
    }
    if !keep_as(live, &beside(live, ".previous.new"))? {
        return Err(Error::Warehouse {
            path: live.to_path_buf(),
            message: "this file system knows neither second names nor an exchange of names, and the file that is \
                      published would be lost; nothing was changed"
                .into(),
            hint: Some(format!(
                "rename it by hand, then give its name to {}",
                previous.display()
            )),
        });
    }
    rename_linked(live, &previous)
}

/// Does what a crash has left undone while the live file was replaced; the caller holds the lock. Returns whether
/// it had been replaced.
///
/// # Errors
/// [`Error::Io`] when the operating system refuses.
pub fn finish_interrupted(live: &Path) -> Result<bool> {
    let kept = beside(live, ".previous.new");
    let Some(kept_file) = identity(&kept)? else {
        return Ok(false);
    };
    tracing::warn!(path = %kept.display(), "finishing what an earlier run left");
    if identity(live)? == Some(kept_file) {
        fs::remove_file(&kept).map_err(Error::io("remove", &kept))?;
        return Ok(false);
    }
    let previous = previous_of(live);
    fs::rename(&kept, &previous).map_err(Error::io("rename over", &previous))?;
    sync_folder_of(live)?;
    Ok(true)
}

/// Puts `by` in the live file's place, durably; the file that was there becomes the previous one, or, unless it is
/// to be kept, none is left: an older one would be more than one run back.
pub(super) fn replace(live: &Path, by: &Path, keep: bool) -> Result<()> {
    let action = "rename over";
    if identity(live)?.is_none() {
        fs::rename(by, live).map_err(Error::io(action, live))?;
        return sync_folder_of(live);
    }
    if keep && keep_as(live, &beside(live, ".previous.new"))? {
        return rename_linked(live, by);
    }
    forget(live)?;
    if keep && exchange(by, live)? {
        keep_renamed(by, live)?;
    } else {
        if keep {
            tracing::warn!(
                path = %live.display(),
                "the warehouse that is replaced can't be kept: this file system knows no second names"
            );
        }
        fs::rename(by, live).map_err(Error::io(action, live))?;
    }
    sync_folder_of(live)
}

/// Removes the previous warehouse.
pub(super) fn forget(live: &Path) -> Result<()> {
    let previous = previous_of(live);
    match fs::remove_file(&previous) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("remove", &previous)(error)),
        Ok(()) => {
            tracing::info!(path = %previous.display(), "removed the warehouse before the last one");
            sync_folder_of(live)
        }
    }
}

/// Puts `by` in the place of the live file, which has a second name already.
fn rename_linked(live: &Path, by: &Path) -> Result<()> {
    let kept = beside(live, ".previous.new");
    if let Err(error) = fs::rename(by, live) {
        let _ = fs::remove_file(&kept);
        return Err(Error::io("rename over", live)(error));
    }
    keep_renamed(&kept, live)?;
    sync_folder_of(live)
}

/// Gives the file that was replaced the name of the previous one.
fn keep_renamed(kept: &Path, live: &Path) -> Result<()> {
    let previous = previous_of(live);
    let action = "keep the warehouse that was replaced (the other one is published) as";
    fs::rename(kept, &previous).map_err(Error::io(action, &previous))
}

/// Two files change their names in one step; false where the file system can't.
fn exchange(one: &Path, other: &Path) -> Result<bool> {
    match rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(Error::io("exchange with the previous one", other)(
            error.into(),
        )),
    }
}

/// Gives the live file a second name; false where it may have none.
fn keep_as(live: &Path, kept: &Path) -> Result<bool> {
    match fs::hard_link(live, kept) {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::Unsupported
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::TooManyLinks
            ) =>
        {
            tracing::debug!(%error, "the live file can't have a second name");
            Ok(false)
        }
        Err(error) => Err(Error::io("keep the previous warehouse as", kept)(error)),
    }
}

/// Which file a name stands for.
fn identity(path: &Path) -> Result<Option<(u64, u64)>> {
    match path.metadata() {
        Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("look at", path)(error)),
    }
}

/// Makes a rename or a new file in `path`'s folder durable.
fn sync_folder_of(path: &Path) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    sync_folder(folder).map_err(Error::io("fsync the folder", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A live file, the file to replace it, and a previous one, if any.
    fn folder(previous: bool) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let live = folder.path().join("w");
        fs::write(&live, "2").expect("to write");
        fs::write(beside(&live, ".next"), "3").expect("to write");
        if previous {
            fs::write(previous_of(&live), "1").expect("to write");
        }
        (folder, live)
    }

    fn contents(live: &Path) -> [Option<String>; 4] {
        ["", ".previous", ".previous.new", ".next"]
            .map(|suffix| fs::read_to_string(beside(live, suffix)).ok())
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn what_is_replaced_becomes_the_previous_one() {
        for previous in [true, false] {
            let (_folder, live) = folder(previous);
            replace(&live, &beside(&live, ".next"), true).expect("replaced");
            assert_eq!(contents(&live), [some("3"), some("2"), None, None]);
            put_back(&live).expect("put back");
            assert_eq!(contents(&live), [some("2"), some("3"), None, None]);
            put_back(&live).expect("put back");
            assert_eq!(contents(&live), [some("3"), some("2"), None, None]);
        }
    }

    #[test]
    fn unless_it_is_to_be_kept_no_older_one_is_left_either() {
        let (_folder, live) = folder(true);
        replace(&live, &beside(&live, ".next"), false).expect("replaced");
        assert_eq!(contents(&live), [some("3"), None, None, None]);
    }

    #[test]
    fn where_the_live_file_is_gone_the_previous_one_takes_its_name() {
        let (_folder, live) = folder(true);
        fs::remove_file(&live).expect("removed");
        put_back(&live).expect("put back");
        assert_eq!(contents(&live), [some("1"), None, None, some("3")]);
    }

    #[test]
    fn what_a_crash_has_left_undone_is_done() {
        // Before the live file was replaced.
        let (_folder, live) = folder(true);
        fs::hard_link(&live, beside(&live, ".previous.new")).expect("a link");
        finish_interrupted(&live).expect("finished");
        assert_eq!(contents(&live), [some("2"), some("1"), None, some("3")]);
        // After it.
        fs::hard_link(&live, beside(&live, ".previous.new")).expect("a link");
        fs::rename(beside(&live, ".next"), &live).expect("renamed");
        finish_interrupted(&live).expect("finished");
        assert_eq!(contents(&live), [some("3"), some("2"), None, None]);
        finish_interrupted(&live).expect("nothing to do");
        assert_eq!(contents(&live), [some("3"), some("2"), None, None]);
    }
}
