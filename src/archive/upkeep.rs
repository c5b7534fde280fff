//! What is kept and for how long: `redledger archive prune`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{
    Archive, Delivery, DeliveryOutcome, entries, folders,
    journal::{State, day},
};
use crate::{
    batch_no::BatchNo,
    durable::sync_folder,
    error::{Error, Result},
};

/// How long deliveries are kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Older ones go.
    pub max_age: Duration,
    /// Above it the oldest go; `None`: no limit.
    pub max_bytes: Option<u64>,
    /// Whether loaded revisions stay whatever the limits say: those that a warehouse has loaded, and of each
    /// batch the latest that was.
    pub keep_current: bool,
}

/// What retention has removed, or would.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Dataset, number and revision of deliveries.
    pub revisions: Vec<(String, BatchNo, i32)>,
    /// Files, those included that no delivery names any more.
    pub files: u64,
    /// Their size on disk.
    pub bytes: u64,
    /// Bytes above `max_bytes` that are left, all of them of revisions that `keep_current` keeps.
    pub excess: u64,
}

/// What warehouses have loaded: the archive can't know, since after a rollback an earlier revision is loaded again.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Dataset, number and revision.
    pub revisions: HashSet<(String, BatchNo, i32)>,
    /// Where files of such revisions are kept, below the data directory: for a thorough clearing, which meets files
    /// whose document is lost, or was written anew by an attempt that was never published.
    pub files: HashSet<String>,
}

/// A delivery that is kept.
struct Kept {
    delivery: Delivery,
    written_at: SystemTime,
    /// Older than the limit.
    is_old: bool,
    /// The newest of its batch that was loaded: it stays whatever the limits say.
    is_newest: bool,
    /// By a warehouse: then it stays, too.
    is_loaded: bool,
    goes: bool,
}

impl Kept {
    fn is_protected(&self) -> bool {
        self.is_newest || self.is_loaded
    }
}

impl Archive {
    /// Looks at the whole archive and removes what `retention` lets go, and old files that no delivery names, which
    /// attempts leave that failed half-way; with `dry_run` only says what that would be. The journal, by which runs
    /// know what is due (see [`Self::tidy`]), is made anew.
    ///
    /// `loaded` is asked once, and only if there is something to remove that it may protect; if it fails, nothing
    /// is removed.
    ///
    /// # Errors
    /// [`Error::Io`] when a file can't be removed; [`Error::File`] when a document is damaged; what `loaded` says.
    pub fn prune(
        &self,
        retention: Retention,
        now: SystemTime,
        dry_run: bool,
        loaded: impl FnOnce() -> Result<Loaded>,
    ) -> Result<Removed> {
        let oldest = now.checked_sub(retention.max_age);
        let is_old = |path: &Path| {
            let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
            oldest
                .zip(modified.ok())
                .is_some_and(|(oldest, at)| at < oldest)
        };
        let mut removed = Removed::default();
        let mut all = self.kept(retention, is_old)?;
        removed.excess = self.choose(&mut all, retention.max_bytes);
        let unnamed = self.unnamed(&all, is_old)?;
        let mut in_use = HashSet::new();
        if retention.keep_current && (!unnamed.is_empty() || all.iter().any(|kept| kept.goes)) {
            let Loaded { revisions, files } = loaded()?;
            for kept in &mut all {
                kept.is_loaded = revisions.contains(&identity(&kept.delivery));
            }
            removed.excess = self.choose(&mut all, retention.max_bytes);
            in_use = files;
        }
        let paths = |goes: bool| {
            let deliveries = all.iter().filter(move |kept| kept.goes == goes);
            let files = deliveries.flat_map(|kept| &kept.delivery.files);
            files.map(|file| file.path.as_str())
        };
        let needed: HashSet<&str> = paths(false)
            .chain(in_use.iter().map(String::as_str))
            .collect();
        let mut files: Vec<String> = paths(true).map(str::to_owned).chain(unnamed).collect();
        files.sort();
        files.dedup();
        files.retain(|path| !needed.contains(path.as_str()));
        // The documents first: a crash in between leaves files without one, never one without its files.
        for Kept { delivery, .. } in all.iter().filter(|kept| kept.goes) {
            let folder = self
                .folder
                .join(&delivery.dataset)
                .join(delivery.batch_no.as_str());
            if !dry_run {
                remove(&folder.join(delivery.file_name()))?;
                sync_folder(&folder).map_err(Error::io("write", &folder))?;
            }
            removed.revisions.push(identity(delivery));
        }
        for file in files {
            let path = self.data_dir.join(file);
            if let Ok(metadata) = fs::metadata(&path) {
                removed.files += 1;
                removed.bytes += metadata.len();
                if !dry_run {
                    remove(&path)?;
                    if let Some(folder) = path.parent() {
                        // Succeeds only when it was the last one.
                        let _ = fs::remove_dir(folder);
                    }
                }
            }
        }
        if !dry_run && self.folder.is_dir() {
            self.journal_anew(&all, retention.keep_current)?;
        }
        Ok(removed)
    }

    /// Old files that no delivery names.
    fn unnamed(&self, all: &[Kept], is_old: impl Fn(&Path) -> bool) -> Result<Vec<String>> {
        let files = all.iter().flat_map(|kept| &kept.delivery.files);
        let named: HashSet<&str> = files.map(|file| file.path.as_str()).collect();
        let mut unnamed = Vec::new();
        for (_, folder) in folders(&self.folder)? {
            for (_, folder) in folders(&folder)? {
                let old = entries(&folder)?
                    .into_iter()
                    .filter(|(name, path)| name.ends_with(".zst") && is_old(path));
                unnamed.extend(old.map(|(_, path)| self.below(&path)));
            }
        }
        unnamed.retain(|path| !named.contains(path.as_str()));
        Ok(unnamed)
    }

    /// Every delivery, the oldest first.
    fn kept(&self, retention: Retention, is_old: impl Fn(&Path) -> bool) -> Result<Vec<Kept>> {
        let mut all = Vec::new();
        for (dataset, batch_no, _) in self.documents()? {
            let folder = self.folder.join(&dataset).join(batch_no.as_str());
            let deliveries = self.deliveries(&dataset, &batch_no)?;
            let latest = latest_loaded(&deliveries).filter(|_| retention.keep_current);
            all.extend(deliveries.into_iter().map(|delivery| {
                let document = folder.join(delivery.file_name());
                let modified = fs::metadata(&document).and_then(|metadata| metadata.modified());
                Kept {
                    written_at: modified.unwrap_or(SystemTime::UNIX_EPOCH),
                    is_old: is_old(&document),
                    is_newest: latest == Some(delivery.revision),
                    is_loaded: false,
                    goes: false,
                    delivery,
                }
            }));
        }
        all.sort_by_key(|kept| kept.delivery.recorded_at_us);
        Ok(all)
    }

    /// Enters what stays where the next run looks for what is due.
    fn journal_anew(&self, all: &[Kept], keep_current: bool) -> Result<()> {
        let mut days: BTreeMap<String, BTreeSet<(String, BatchNo)>> = BTreeMap::new();
        let mut again = BTreeSet::new();
        let staying = || all.iter().filter(|kept| !kept.goes);
        for kept in staying().filter(|kept| !kept.is_newest) {
            let (dataset, batch_no, _) = identity(&kept.delivery);
            if kept.is_loaded {
                again.insert((dataset, batch_no));
            } else {
                days.entry(day(kept.written_at))
                    .or_default()
                    .insert((dataset, batch_no));
            }
        }
        let files = staying().flat_map(|kept| &kept.delivery.files);
        let paths: BTreeSet<&str> = files.map(|file| file.path.as_str()).collect();
        let sizes = paths
            .iter()
            .filter_map(|path| fs::metadata(self.data_dir.join(path)).ok());
        let bytes = sizes.map(|metadata| metadata.len()).sum();
        let journal = self.journal();
        let none = BTreeSet::new();
        for name in journal.days()? {
            journal.replace_day(&name, days.get(&name).unwrap_or(&none))?;
        }
        for (name, batches) in &days {
            journal.replace_day(name, batches)?;
        }
        journal.settle(State::of(bytes, Some(keep_current)), &again)
    }

    /// Chooses which deliveries go: old ones, then the oldest until the rest is no larger than `max_bytes`;
    /// returns what it is larger by all the same.
    fn choose(&self, all: &mut [Kept], max_bytes: Option<u64>) -> u64 {
        for kept in &mut *all {
            kept.goes = kept.is_old && !kept.is_protected();
        }
        let Some(max_bytes) = max_bytes else {
            return 0;
        };
        let mut uses: HashMap<String, (u64, u64)> = HashMap::new();
        let staying = all.iter().filter(|kept| !kept.goes);
        for file in staying.flat_map(|kept| &kept.delivery.files) {
            let (uses, _) = uses.entry(file.path.clone()).or_insert_with(|| {
                let size = fs::metadata(self.path_of(file)).map_or(0, |metadata| metadata.len());
                (0, size)
            });
            *uses += 1;
        }
        let mut total: u64 = uses.values().map(|(_, size)| size).sum();
        for kept in all {
            if total <= max_bytes {
                break;
            }
            if kept.goes || kept.is_protected() {
                continue;
            }
            for file in &kept.delivery.files {
                if let Some((uses, size)) = uses.get_mut(&file.path) {
                    *uses -= 1;
                    if *uses == 0 {
                        total -= *size;
                    }
                }
            }
            kept.goes = true;
        }
        total.saturating_sub(max_bytes)
    }
}

/// Dataset, number and revision.
pub(super) fn identity(delivery: &Delivery) -> (String, BatchNo, i32) {
    (
        delivery.dataset.clone(),
        delivery.batch_no.clone(),
        delivery.revision,
    )
}

/// The latest revision that was loaded, whatever became of it since.
pub(super) fn latest_loaded(deliveries: &[Delivery]) -> Option<i32> {
    deliveries
        .iter()
        .filter(|delivery| delivery.outcome == DeliveryOutcome::Loaded)
        .map(|delivery| delivery.revision)
        .max()
}

pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove from the archive", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests;
