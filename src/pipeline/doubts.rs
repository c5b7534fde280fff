//! What of inserted rows is doubtful, in words.

use std::collections::HashMap;

use super::{failure::Failure, inserted::Inserted};
use crate::rejection::Rejection;

/// Names files that have the content of another under another name. Each counts: whether one is a copy, only `total`
/// and the key can tell. Those without rows add nothing.
pub(super) fn equal_files(part: &Inserted, is_own: bool) -> Vec<String> {
    const MOST: usize = 5;
    let mut first: HashMap<&str, &str> = HashMap::new();
    let files = part.files.iter().map(|file| &file.entry);
    let equal: Vec<(&str, &str)> = files
        .filter(|file| file.rows_read > 0)
        .filter_map(|file| {
            let other = first.insert(file.known_by()?, &file.url)?;
            Some((file.url.as_str(), other))
        })
        .collect();
    if equal.is_empty() {
        return Vec::new();
    }
    if !is_own {
        return vec![format!(
            "{} of the files that rows name have the content of another one; each counts for its row",
            equal.len()
        )];
    }
    let said = equal.iter().take(MOST);
    let mut notes: Vec<String> = said
        .map(|(url, other)| format!("{url} has the same content as {other}; both count"))
        .collect();
    if let Some(more @ 1..) = equal.len().checked_sub(MOST) {
        notes.push(format!("{more} more parts have the content of another"));
    }
    notes
}

/// Most lines of a footer.
const FOOTER_LINES: u64 = 3;

/// Where the last line of a file is no row: what a message says about it.
pub(super) fn footer(part: &Inserted) -> Option<String> {
    part.files.iter().find_map(|file| {
        let count = file.entry.rows_rejected;
        let of_file = |of: &&Rejection| of.file_id == file.entry.file_id;
        let lines = part.rejections.iter().filter(of_file);
        let first = lines.clone().map(|of| of.line).min()?;
        // The rejected lines are the last ones.
        let is_end = file.entry.rows_loaded > 0 && count <= FOOTER_LINES && first + count > file.last_line;
        let last = lines.clone().find(|of| is_end && of.line == file.last_line)?;
        Some(format!(
            "; the last line, {}, is no row ({} [{}]): if it is a footer, ask for files without one, or let max_rejected \
             allow it where no number of rows is announced",
            last.line, last.message, last.code
        ))
    })
}

pub(super) fn too_many_rejected(part: &Inserted) -> Option<Failure> {
    let contract = &part.contract;
    let rejected = part.sum(|file| file.rows_rejected);
    let read = part.sum(|file| file.rows_read);
    contract.max_rejected.is_exceeded(rejected, read).then(|| {
        let sample = part.rejections.first().map(|first| {
            let field = first
                .field
                .as_ref()
                .map(|field| format!("field `{field}`: "))
                .unwrap_or_default();
            format!(
                "; the first, line {}: {field}{} [{}]",
                first.line, first.message, first.code
            )
        });
        Failure::failed(
            format!(
                "{rejected} of {read} rows rejected where `{}` allows {} (max_rejected){}{}",
                contract.name,
                contract.max_rejected,
                sample.unwrap_or_default(),
                footer(part).unwrap_or_default()
            ),
            Some("see `redledger rejections` for the rows"),
        )
    })
}
