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

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::{
    durable::sync_folder,
    error::{Error, Result},
    warehouse_file::beside,
};

/// Where the warehouse that the live one has replaced is kept.
#[must_use]
pub fn previous_of(live: &Path) -> PathBuf {
    beside(live, ".previous")
}

/// Swaps the live file and the previous one; the caller holds the lock.
///
/// # Errors
/// [`Error::Io`] when the operating system refuses; the live file is then still the old one, or already the
/// previous one.
pub fn put_back(live: &Path) -> Result<()> {
    replace(live, &previous_of(live), true)
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

/// Puts `by` in the live file's place, durably; the file that was there becomes the previous one.
pub(super) fn replace(live: &Path, by: &Path, keep: bool) -> Result<()> {
    let kept = beside(live, ".previous.new");
    let keep = keep && keep_as(live, &kept)?;
    let renamed = fs::rename(by, live).map_err(Error::io("rename over", live));
    if renamed.is_err() && keep {
        let _ = fs::remove_file(&kept);
    }
    renamed?;
    if keep {
        let previous = previous_of(live);
        let action = "keep the warehouse that was replaced (the other one is published) as";
        fs::rename(&kept, &previous).map_err(Error::io(action, &previous))?;
    }
    sync_folder_of(live)
}

/// Gives the live file a second name; false where there is none, or the filesystem knows no second names.
fn keep_as(live: &Path, kept: &Path) -> Result<bool> {
    match fs::hard_link(live, kept) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            ) =>
        {
            tracing::warn!(%error, "the previous warehouse can't be kept: this filesystem has no hard links");
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
