//! What the ledger says of delivered files, against the archive.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::{
    Finding, Place,
    revisions::{Key, Revision},
};
use crate::{archive::Verified, ledger::State};

/// What the archive has of the files that the ledger names.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) findings: Vec<Finding>,
    /// Files that retention has removed.
    pub(super) removed: u64,
    /// Files of loaded revisions that were never kept.
    pub(super) never: u64,
    /// Revisions that were loaded once, and that the ledger does not know.
    pub(super) unknown: u64,
}

/// Compares the files of `revisions` with the archive. `keep_current`: those of loaded revisions are always kept.
pub(super) fn check<'r>(
    revisions: impl Iterator<Item = (&'r Key, &'r Revision<'r>)>,
    verified: &Verified,
    keep_current: bool,
) -> Kept {
    let mut kept = Kept::default();
    let mut damaged: BTreeMap<&str, &str> = BTreeMap::new();
    for finding in &verified.findings {
        damaged.insert(&finding.path, &finding.message);
    }
    let mut unknown = verified.loaded.clone();
    let mut said: HashSet<&str> = HashSet::new();
    for (key, revision) in revisions {
        let mut find = |what: String, ledger: Value, found: Value| {
            kept.findings.push(Finding {
                dataset: key.0.clone(),
                batch_no: key.1.clone(),
                revision: Some(key.2),
                what,
                ledger,
                found,
                place: Place::Archive,
            });
        };
        unknown.remove(key);
        let is_loaded = revision.is(State::Loaded);
        for file in &revision.files {
            let Some(path) = file.archive_path.as_deref() else {
                kept.never += u64::from(is_loaded);
                continue;
            };
            let hash = file.content_hash.as_deref().unwrap_or_default();
            let name = path.rsplit('/').next().unwrap_or_default();
            if name.split('.').next() != Some(hash) {
                let what = format!("archive_path of file {}", file.file_id);
                find(what, hash.into(), path.into());
            } else if let Some(message) = damaged.get(path) {
                said.insert(path);
                find(path.to_owned(), hash.into(), (*message).into());
            } else if verified.intact.contains(path) {
            } else if is_loaded && keep_current {
                find(path.to_owned(), hash.into(), "missing".into());
            } else {
                kept.removed += 1;
            }
        }
        let all_kept = revision
            .files
            .iter()
            .all(|file| file.archive_path.is_some());
        let hash = revision
            .entry()
            .and_then(|batch| batch.entry.content_hash.as_deref());
        if is_loaded && all_kept {
            match verified.delivered.get(key) {
                Some(delivered) if Some(delivered.as_str()) == hash => {}
                Some(delivered) => find(
                    "what the archive says was delivered".into(),
                    hash.into(),
                    delivered.as_str().into(),
                ),
                None if keep_current => find(
                    format!("revision-{}.json of the archive", key.2),
                    hash.into(),
                    "missing".into(),
                ),
                None => {}
            }
        }
    }
    kept.unknown = unknown.len() as u64;
    for finding in &verified.findings {
        if !said.contains(finding.path.as_str()) {
            kept.findings.push(Finding {
                dataset: finding.dataset.clone(),
                batch_no: finding.batch_no.clone(),
                revision: None,
                what: finding.path.clone(),
                ledger: Value::Null,
                found: finding.message.as_str().into(),
                place: Place::Archive,
            });
        }
    }
    kept
}
