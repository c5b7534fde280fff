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
pub(super) mod tests {
    use std::fs::FileTimes;

    use bytes::Bytes;

    use super::*;
    use crate::archive::{DeliveredFile, Format};

    pub(in super::super) const DAY: Duration = Duration::from_secs(86_400);

    /// An archive with a delivery for each of `revisions`: its content, and its age in days.
    pub(in super::super) fn archive(revisions: &[(&str, u32)]) -> (tempfile::TempDir, Archive) {
        let data_dir = tempfile::tempdir().expect("a folder");
        let archive = Archive::new(data_dir.path());
        for (revision, (content, age)) in (1..).zip(revisions) {
            record(&archive, "B1", revision, content, *age);
        }
        (data_dir, archive)
    }

    /// Keeps a delivery that is so many days old.
    pub(in super::super) fn record(
        archive: &Archive,
        batch_no: &str,
        revision: i32,
        content: &str,
        age: u32,
    ) {
        let batch_no = BatchNo::new(batch_no).expect("a number");
        let mut writer = archive.writer();
        writer
            .write(&Bytes::copy_from_slice(content.as_bytes()))
            .expect("to write");
        let hash = {
            use sha2::Digest as _;
            base16ct::lower::encode_string(&sha2::Sha256::digest(content.as_bytes()))
        };
        let path = writer.finish("d", &batch_no, &hash, "csv").expect("kept");
        let delivery = Delivery {
            format: Format,
            dataset: "d".into(),
            batch_no: batch_no.clone(),
            revision,
            outcome: DeliveryOutcome::Loaded,
            origin: "hook.json".into(),
            announced_at_ms: None,
            total: None,
            notes: Vec::new(),
            unknown_keys: 0,
            columns: Vec::new(),
            recorded_at_us: i64::from(revision),
            accepted_at_us: None,
            watermark_us: None,
            files: vec![DeliveredFile {
                path: path.clone(),
                content_hash: hash,
                bytes: content.len() as u64,
                url: "https://store.example/a.csv".into(),
                etag: None,
                content_type: None,
                last_modified: None,
                expected_rows: None,
                fetched_at_us: 0,
                identity: None,
                query_hash: None,
                named_by: None,
            }],
        };
        archive.record(&delivery).expect("recorded");
        let at = FileTimes::new().set_modified(SystemTime::now() - DAY * age);
        let folder = archive.folder.join("d").join(batch_no.as_str());
        for path in [
            folder.join(delivery.file_name()),
            archive.data_dir.join(path),
        ] {
            fs::File::options()
                .append(true)
                .open(path)
                .and_then(|file| file.set_times(at))
                .expect("to be back-dated");
        }
    }

    pub(in super::super) fn retention() -> Retention {
        Retention {
            max_age: DAY * 400,
            max_bytes: None,
            keep_current: true,
        }
    }

    /// Clears `archive`, of which no warehouse has loaded anything.
    fn prune(archive: &Archive, retention: Retention, dry_run: bool) -> Result<Removed> {
        let none = || Ok(Loaded::default());
        archive.prune(retention, SystemTime::now(), dry_run, none)
    }

    /// The same as a run does it.
    fn tidy(archive: &Archive, retention: Retention) -> Result<Removed> {
        archive.tidy(retention, SystemTime::now(), |_| Ok(HashSet::new()))
    }

    fn revisions(archive: &Archive) -> Vec<i32> {
        let batch_no = BatchNo::new("B1").expect("a number");
        let deliveries = archive.deliveries("d", &batch_no).expect("deliveries");
        deliveries.iter().map(|of| of.revision).collect()
    }

    #[test]
    fn old_revisions_go_but_never_the_current_one() {
        let (_data_dir, archive) = archive(&[("one", 900), ("two", 800), ("three", 700)]);
        let would = prune(&archive, retention(), true).expect("a list");
        assert_eq!(revisions(&archive), [1, 2, 3]);
        assert_eq!(tidy(&archive, retention()).expect("removed"), would);
        assert_eq!((would.revisions.len(), would.files), (2, 2));
        assert_eq!(revisions(&archive), [3]);
        assert_eq!(archive.verify(|_| {}).expect("read").findings, []);
        assert_eq!(
            tidy(&archive, retention()).expect("removed"),
            Removed::default()
        );
        assert_eq!(
            prune(&archive, retention(), false).expect("removed"),
            Removed::default()
        );
    }

    #[test]
    fn what_a_warehouse_has_loaded_stays_and_is_asked_for_once_and_only_if_it_matters() {
        let (_data_dir, archive) = archive(&[("one", 900), ("two", 800), ("three", 700)]);
        let asked = std::cell::Cell::new(0);
        let first = || {
            asked.set(asked.get() + 1);
            let batch_no = BatchNo::new("B1").expect("a number");
            Ok(Loaded {
                revisions: HashSet::from([("d".to_owned(), batch_no, 1)]),
                files: HashSet::new(),
            })
        };
        let by_size = Retention {
            max_bytes: Some(0),
            ..retention()
        };
        let now = SystemTime::now();
        let removed = archive.prune(by_size, now, false, first);
        assert_eq!(removed.expect("removed").revisions.len(), 1);
        assert_eq!((revisions(&archive), asked.get()), (vec![1, 3], 1));
        // Young enough, or not to be kept: what a warehouse has changes nothing.
        for (max_age, keep_current, left) in [(1000, true, 2), (0, false, 0)] {
            let retention = Retention {
                max_age: DAY * max_age,
                max_bytes: None,
                keep_current,
            };
            let removed = archive.prune(retention, now, false, first);
            removed.expect("removed");
            assert_eq!((revisions(&archive).len(), asked.get()), (left, 1));
        }
    }

    #[test]
    fn when_nobody_knows_what_is_loaded_nothing_goes_not_even_what_no_delivery_names() {
        for document in ["revision-2.json", "revision-3.json"] {
            let (_data_dir, archive) = archive(&[("one", 900), ("two", 800)]);
            // With the second, one revision would go; without, one file.
            let _ = fs::remove_file(archive.folder.join("d/B1").join(document));
            let before = entries(&archive.folder.join("d/B1")).expect("a folder");
            let unknown = || Err(Error::Internal("unreadable".into()));
            let asked = archive.prune(retention(), SystemTime::now(), false, unknown);
            assert!(asked.is_err(), "{document}");
            let after = entries(&archive.folder.join("d/B1")).expect("a folder");
            assert_eq!(before, after, "{document}");
        }
    }

    #[test]
    fn a_loaded_file_whose_document_is_lost_stays() {
        let (_data_dir, archive) = archive(&[("one", 900), ("two", 800), ("three", 700)]);
        let batch_no = BatchNo::new("B1").expect("a number");
        let deliveries = archive.deliveries("d", &batch_no).expect("deliveries");
        for delivery in &deliveries[1..] {
            let path = archive.folder.join("d/B1").join(delivery.file_name());
            fs::remove_file(path).expect("removed");
        }
        let second = deliveries[1].files[0].path.clone();
        let loaded = || {
            Ok(Loaded {
                revisions: HashSet::new(),
                files: HashSet::from([second.clone()]),
            })
        };
        let removed = archive.prune(retention(), SystemTime::now(), false, loaded);
        assert_eq!(removed.expect("removed").files, 1);
        assert!(archive.data_dir.join(&second).exists());
    }

    #[test]
    fn content_that_a_kept_revision_shares_stays() {
        let (_data_dir, archive) = archive(&[("one", 900), ("two", 800), ("one", 700)]);
        let removed = prune(&archive, retention(), false).expect("removed");
        assert_eq!((removed.revisions.len(), removed.files), (2, 1));
        assert_eq!(archive.verify(|_| {}).expect("read").findings, []);
    }

    #[test]
    fn above_the_size_the_oldest_go_first() {
        let (_data_dir, archive) = archive(&[("one", 3), ("two", 2), ("three", 1)]);
        let size = |name: &str| -> u64 {
            let folder = archive.folder.join("d/B1");
            let sizes = entries(&folder).expect("a folder").into_iter();
            sizes
                .filter(|(file, _)| file.ends_with(name))
                .map(|(_, path)| fs::metadata(path).expect("metadata").len())
                .sum()
        };
        let max_bytes = Some(size(".zst") - 1);
        let by_size = Retention {
            max_bytes,
            ..retention()
        };
        let removed = tidy(&archive, by_size).expect("removed");
        assert_eq!((removed.revisions.len(), removed.excess), (1, 0));
        assert_eq!(revisions(&archive), [2, 3]);
        let none = Retention {
            max_bytes: Some(0),
            ..retention()
        };
        let removed = tidy(&archive, none).expect("removed");
        assert_eq!(removed.excess, size(".zst"));
        assert_eq!(revisions(&archive), [3]);
    }

    #[test]
    fn files_that_no_delivery_names_go_when_old_and_only_in_a_thorough_clearing() {
        let (_data_dir, archive) = archive(&[("one", 500), ("two", 500)]);
        fs::remove_file(archive.folder.join("d/B1/revision-1.json")).expect("removed");
        let removed = tidy(&archive, retention());
        assert_eq!(removed.expect("removed").files, 0);
        let removed = prune(&archive, retention(), false);
        assert_eq!(removed.expect("removed").files, 1);
        assert_eq!(archive.verify(|_| {}).expect("read").files, 1);
    }

    #[test]
    fn every_damage_is_found() {
        for damage in ["changed", "cut", "missing", "document"] {
            let (_data_dir, archive) = archive(&[("one", 0), ("two", 0)]);
            let path = |name: &str| {
                let found = entries(&archive.folder.join("d/B1")).expect("a folder");
                let is_it = |(file, _): &&(String, _)| file.ends_with(name);
                found.iter().find(is_it).expect("a file").1.clone()
            };
            let kept = path(".zst");
            let mut bytes = fs::read(&kept).expect("the file");
            match damage {
                "changed" => {
                    let other = zstd::encode_all(&b"other"[..], 1).expect("zstd");
                    fs::write(&kept, other).expect("written");
                }
                "cut" => {
                    bytes.pop();
                    fs::write(&kept, bytes).expect("written");
                }
                "missing" => fs::remove_file(&kept).expect("removed"),
                _ => fs::write(path(".json"), "{}").expect("written"),
            }
            let findings = archive.verify(|_| {}).expect("read").findings;
            assert_eq!(findings.len(), 1, "{damage}: {findings:?}");
        }
    }
}
