//! The announcements in a folder.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::durable::entries;

pub(super) fn is_announcement(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !hidden
        && path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// The files of a folder; none when it is not there. What is named as an announcement and is something else, such as
/// a link that leads nowhere, is among them: whoever reads it has to say so.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in entries(folder)? {
        let path = entry.path();
        if entry.file_type()?.is_file() || is_announcement(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}
