//! What a run removes from the archive: of what it has loaded, and of what is due since the run before.
//!
//! The journal says which batches may have something to remove; no other folder is opened, however many there are.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    time::SystemTime,
};

use super::{
    Archive, Delivery, Removed, Retention,
    journal::{Batch, Journal, State, Written, day},
    revision_files,
    upkeep::{identity, latest_loaded, remove},
};
use crate::{
    batch_no::BatchNo,
    durable::sync_folder,
    error::{Error, Result},
};

/// Dataset, number and revision.
type Revision = (String, BatchNo, i32);

/// A document, and when it was written.
struct Document {
    revision: Revision,
    at: SystemTime,
    recorded_at_us: i64,
}

/// An upkeep under way.
struct Upkeep<'a, L> {
    archive: &'a Archive,
    journal: Journal,
    retention: Retention,
    loaded: L,
    /// Where batches are to be entered, by day.
    days: BTreeMap<String, BTreeSet<Batch>>,
    again: BTreeSet<Batch>,
    /// Days that are looked at, whose entries are made anew.
    consumed: BTreeSet<String>,
    bytes: u64,
    removed: Removed,
}

impl Archive {
    /// Removes what `retention` lets go of the batches that were loaded since the last time and of those that have
    /// become due. Of an archive whose journal does not know all of it, nothing is removed: [`Self::prune`] makes it
    /// anew.
    ///
    /// `loaded` is asked which revisions of some batches warehouses have loaded, and only if there is something to
    /// remove; if it fails, nothing more is removed.
    ///
    /// # Errors
    /// As [`Self::prune`].
    pub fn tidy(
        &self,
        retention: Retention,
        now: SystemTime,
        loaded: impl FnMut(&BTreeSet<(String, BatchNo)>) -> Result<HashSet<(String, BatchNo, i32)>>,
    ) -> Result<Removed> {
        let journal = self.journal();
        let state = journal.state()?;
        let knows = |state: &State| {
            state
                .keep_current
                .is_none_or(|of| of == retention.keep_current)
        };
        let Some(state) = state.filter(knows) else {
            if !journal.days()?.is_empty() {
                tracing::warn!(
                    "the archive is not cleared: what an earlier release has kept, or another keep_current, is not in \
                     its journal; `redledger archive prune` looks at all of it once"
                );
            }
            return Ok(Removed::default());
        };
        let mut upkeep = Upkeep {
            archive: self,
            journal,
            retention,
            loaded,
            days: BTreeMap::new(),
            again: BTreeSet::new(),
            consumed: BTreeSet::new(),
            bytes: state.bytes,
            removed: Removed::default(),
        };
        let batches = upkeep.take(&state, now)?;
        upkeep.clear_old(batches, now)?;
        upkeep.clear_above_size()?;
        upkeep.settle()
    }

    /// Removes files of a batch that no document of it names: attempts leave them that were not loaded, or brought
    /// nothing new. Those kept before `since` stay, and what `named` says that the ledger names, which is asked only
    /// if there is something to remove. `datasets` are the batch's own and, where its rows name files, those files'.
    /// Returns how many it has removed.
    ///
    /// # Errors
    /// [`Error::Io`] when a file can't be removed; [`Error::File`] when a document is damaged, what `named` says: then
    /// nothing is removed.
    pub fn remove_unnamed(
        &self,
        datasets: &[&str],
        batch_no: &BatchNo,
        since: SystemTime,
        named: impl FnOnce() -> Result<HashSet<String>>,
    ) -> Result<u64> {
        let mut unnamed = Vec::new();
        for dataset in datasets {
            let folder = self.folder.join(dataset).join(batch_no.as_str());
            for (name, path) in super::entries(&folder)? {
                let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
                if name.ends_with(".zst") && modified.is_ok_and(|at| at >= since) {
                    unnamed.push(path);
                }
            }
        }
        for dataset in datasets {
            if unnamed.is_empty() {
                return Ok(0);
            }
            let deliveries = self.deliveries(dataset, batch_no)?;
            let files = deliveries.iter().flat_map(|delivery| &delivery.files);
            let by_documents: HashSet<&str> = files.map(|file| file.path.as_str()).collect();
            unnamed.retain(|path| !by_documents.contains(self.below(path).as_str()));
        }
        if unnamed.is_empty() {
            return Ok(0);
        }
        let named = named()?;
        unnamed.retain(|path| !named.contains(&self.below(path)));
        for path in &unnamed {
            remove(path)?;
            if let Some(folder) = path.parent() {
                // Succeeds only when it was the last one.
                let _ = fs::remove_dir(folder);
            }
        }
        Ok(unnamed.len() as u64)
    }

    /// The documents of a batch, and the newest revision that was loaded.
    fn looked_at(&self, (dataset, batch_no): &Batch) -> Result<(Vec<Document>, Option<i32>)> {
        let folder = self.folder.join(dataset).join(batch_no.as_str());
        let deliveries = self.deliveries(dataset, batch_no)?;
        let newest = latest_loaded(&deliveries);
        let documents = deliveries.iter().filter_map(|delivery| {
            let at = fs::metadata(folder.join(delivery.file_name()))
                .and_then(|metadata| metadata.modified());
            Some(Document {
                revision: identity(delivery),
                at: at.ok()?,
                recorded_at_us: delivery.recorded_at_us,
            })
        });
        Ok((documents.collect(), newest))
    }
}

impl<L: FnMut(&BTreeSet<Batch>) -> Result<HashSet<Revision>>> Upkeep<'_, L> {
    /// The batches that may have something to remove: loaded since the last time, or due by now.
    fn take(&mut self, state: &State, now: SystemTime) -> Result<BTreeSet<Batch>> {
        let mut batches = state.again();
        let news = self.journal.news(state)?;
        let added = news.iter().map(|line| line.bytes).sum();
        self.bytes = self.bytes.saturating_add_signed(added);
        self.add_unsettled(news, &mut batches)?;
        if let Some(oldest) = now.checked_sub(self.retention.max_age) {
            let oldest = day(oldest);
            for day in self
                .journal
                .days()?
                .into_iter()
                .take_while(|day| *day <= oldest)
            {
                self.add_unsettled(self.journal.of_day(&day)?, &mut batches)?;
                self.consumed.insert(day);
            }
        }
        Ok(batches)
    }

    /// Leaves out batches of which one document is all that there is, and protected.
    fn add_unsettled(&self, lines: Vec<Written>, batches: &mut BTreeSet<Batch>) -> Result<()> {
        for Written {
            batch, is_loaded, ..
        } in lines
        {
            let folder = self.archive.folder.join(&batch.0).join(batch.1.as_str());
            let is_protected = self.retention.keep_current && is_loaded;
            if !is_protected || revision_files(&folder)?.len() > 1 {
                batches.insert(batch);
            }
        }
        Ok(())
    }

    /// Removes what is old and not protected, and enters the rest for when it is due.
    fn clear_old(&mut self, batches: BTreeSet<Batch>, now: SystemTime) -> Result<()> {
        let oldest = now.checked_sub(self.retention.max_age);
        let mut due = Vec::new();
        for batch in batches {
            for document in self.unprotected(&batch)? {
                if oldest.is_some_and(|oldest| document.at < oldest) {
                    due.push(document.revision);
                } else {
                    self.days
                        .entry(day(document.at))
                        .or_default()
                        .insert(batch.clone());
                }
            }
        }
        let loaded = self.loaded_among(&due)?;
        for revision in due {
            self.clear(revision, &loaded)?;
        }
        Ok(())
    }

    /// Above `max_bytes` removes the oldest documents that are not protected.
    fn clear_above_size(&mut self) -> Result<()> {
        let Some(max_bytes) = self.retention.max_bytes else {
            return Ok(());
        };
        let mut days: BTreeSet<String> = self.journal.days()?.into_iter().collect();
        days.retain(|day| !self.consumed.contains(day));
        days.extend(self.days.keys().cloned());
        for name in days {
            if self.bytes <= max_bytes {
                break;
            }
            let mut batches = self.days.remove(&name).unwrap_or_default();
            if self.consumed.insert(name.clone()) {
                let lines = self.journal.of_day(&name)?;
                batches.extend(lines.into_iter().map(|line| line.batch));
            }
            let mut documents = Vec::new();
            for batch in &batches {
                let of_batch = self.unprotected(batch)?.into_iter();
                documents.extend(of_batch.filter(|document| day(document.at) == name));
            }
            documents.sort_by_key(|document| document.recorded_at_us);
            let revisions: Vec<Revision> = documents
                .into_iter()
                .map(|document| document.revision)
                .collect();
            let loaded = self.loaded_among(&revisions)?;
            for revision in revisions {
                if self.bytes > max_bytes {
                    self.clear(revision, &loaded)?;
                } else {
                    let batch = (revision.0, revision.1);
                    self.days.entry(name.clone()).or_default().insert(batch);
                }
            }
        }
        self.removed.excess = self.bytes.saturating_sub(max_bytes);
        Ok(())
    }

    /// The documents of a batch but for the one that is protected as its newest loaded revision.
    fn unprotected(&self, batch: &Batch) -> Result<Vec<Document>> {
        let (mut documents, newest) = self.archive.looked_at(batch)?;
        let newest = newest.filter(|_| self.retention.keep_current);
        documents.retain(|document| Some(document.revision.2) != newest);
        Ok(documents)
    }

    fn loaded_among(&mut self, revisions: &[Revision]) -> Result<HashSet<Revision>> {
        if revisions.is_empty() || !self.retention.keep_current {
            return Ok(HashSet::new());
        }
        let batches = revisions
            .iter()
            .map(|(dataset, batch_no, _)| (dataset.clone(), batch_no.clone()));
        (self.loaded)(&batches.collect())
    }

    /// Removes a revision that is due, unless a warehouse has it loaded: then it is asked again the next time.
    fn clear(&mut self, revision: Revision, loaded: &HashSet<Revision>) -> Result<()> {
        if loaded.contains(&revision) {
            self.again.insert((revision.0, revision.1));
            return Ok(());
        }
        let (dataset, batch_no, number) = &revision;
        let folder = self.archive.folder.join(dataset).join(batch_no.as_str());
        let deliveries = self.archive.deliveries(dataset, batch_no)?;
        let (going, staying): (Vec<Delivery>, Vec<Delivery>) = deliveries
            .into_iter()
            .partition(|delivery| delivery.revision == *number);
        let paths = |of: &[Delivery]| -> BTreeSet<String> {
            let files = of.iter().flat_map(|delivery| &delivery.files);
            files.map(|file| file.path.clone()).collect()
        };
        // The document first: a crash in between leaves files without one, never one without its files.
        for delivery in &going {
            remove(&folder.join(delivery.file_name()))?;
            sync_folder(&folder).map_err(Error::io("write", &folder))?;
        }
        for path in paths(&going).difference(&paths(&staying)) {
            let path = self.archive.data_dir.join(path);
            if let Ok(metadata) = fs::metadata(&path) {
                remove(&path)?;
                self.removed.files += 1;
                self.removed.bytes += metadata.len();
                self.bytes = self.bytes.saturating_sub(metadata.len());
                if let Some(folder) = path.parent() {
                    // Succeeds only when it was the last one.
                    let _ = fs::remove_dir(folder);
                }
            }
        }
        self.removed.revisions.push(revision);
        Ok(())
    }

    /// Writes down what is left to do.
    fn settle(self) -> Result<Removed> {
        for (name, batches) in &self.days {
            if !self.consumed.contains(name) {
                self.journal.add_to_day(name, batches)?;
            }
        }
        let none = BTreeSet::new();
        for name in &self.consumed {
            self.journal
                .replace_day(name, self.days.get(name).unwrap_or(&none))?;
        }
        let state = State::of(self.bytes, Some(self.retention.keep_current));
        self.journal.settle(state, &self.again)?;
        Ok(self.removed)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use super::{
        super::upkeep::tests::{DAY, archive, record, retention},
        *,
    };

    fn nothing_loaded(_: &BTreeSet<Batch>) -> Result<HashSet<Revision>> {
        Ok(HashSet::new())
    }

    fn revisions(archive: &Archive, batch_no: &str) -> Vec<i32> {
        let batch_no = BatchNo::new(batch_no).expect("a number");
        let deliveries = archive.deliveries("d", &batch_no).expect("deliveries");
        deliveries.iter().map(|of| of.revision).collect()
    }

    #[test]
    fn what_is_due_goes_although_its_batch_was_not_loaded_again() {
        let (_data_dir, archive) = archive(&[("one", 0), ("two", 0)]);
        let tidy = |now| {
            archive
                .tidy(retention(), now, nothing_loaded)
                .expect("tidied")
        };
        let now = SystemTime::now();
        assert_eq!(tidy(now), Removed::default());
        assert_eq!(tidy(now + DAY * 399), Removed::default());
        let removed = tidy(now + DAY * 401);
        assert_eq!((removed.revisions.len(), removed.files), (1, 1));
        assert_eq!(revisions(&archive, "B1"), [2]);
        // Ever so much later, what is loaded is there, and nobody has to look at it.
        assert_eq!(tidy(now + DAY * 4000), Removed::default());
        assert_eq!(archive.journal().days().expect("days"), [""; 0]);
        // Replaced, it is due at once.
        record(&archive, "B1", 3, "three", 0);
        let removed = tidy(now + DAY * 4000);
        assert_eq!(
            (removed.revisions.len(), revisions(&archive, "B1")),
            (1, vec![3])
        );
    }

    #[test]
    fn a_run_opens_no_folder_but_those_of_batches_that_may_be_due() {
        let (_data_dir, archive) = archive(&[("one", 0), ("two", 0)]);
        record(&archive, "B2", 1, "other", 0);
        let tidy = |now| archive.tidy(retention(), now, nothing_loaded);
        tidy(SystemTime::now()).expect("tidied");
        // Whoever reads it, fails.
        let damaged = archive.folder.join("d/B2/revision-1.json");
        fs::write(damaged, "no document").expect("written");
        record(&archive, "B3", 1, "another", 0);
        tidy(SystemTime::now()).expect("tidied");
        tidy(SystemTime::now() + DAY * 4000).expect("tidied");
        assert_eq!(revisions(&archive, "B1"), [2]);
        assert!(
            archive
                .prune(retention(), SystemTime::now(), false, || Ok(
                    super::super::Loaded::default()
                ))
                .is_err()
        );
    }

    #[test]
    fn what_a_warehouse_has_loaded_is_asked_for_until_it_has_it_no_more() {
        let (_data_dir, archive) = archive(&[("one", 900), ("two", 800)]);
        let asked = Cell::new(0);
        let tidy = |loaded: &[i32]| {
            archive.tidy(retention(), SystemTime::now(), |batches| {
                asked.set(asked.get() + 1);
                let of = batches.first().expect("a batch").clone();
                Ok(loaded
                    .iter()
                    .map(|revision| (of.0.clone(), of.1.clone(), *revision))
                    .collect())
            })
        };
        for times in 1..3 {
            tidy(&[1]).expect("tidied");
            assert_eq!(
                (revisions(&archive, "B1"), asked.get()),
                (vec![1, 2], times)
            );
        }
        tidy(&[2]).expect("tidied");
        tidy(&[2]).expect("tidied");
        assert_eq!((revisions(&archive, "B1"), asked.get()), (vec![2], 3));
    }

    #[test]
    fn bytes_are_counted_as_documents_come_and_go() {
        let (_data_dir, archive) = archive(&[("one", 3), ("two", 2)]);
        let counted = || {
            archive
                .journal()
                .state()
                .expect("a state")
                .expect("one")
                .bytes
        };
        let on_disk = || -> u64 {
            let files = super::super::entries(&archive.folder.join("d/B1"))
                .expect("a folder")
                .into_iter();
            let files = files.filter(|(name, _)| name.ends_with(".zst"));
            files
                .map(|(_, path)| fs::metadata(path).expect("metadata").len())
                .sum()
        };
        let tidy = |max_bytes| {
            let retention = Retention {
                max_bytes,
                ..retention()
            };
            archive
                .tidy(retention, SystemTime::now(), nothing_loaded)
                .expect("tidied")
        };
        tidy(None);
        assert_eq!(counted(), on_disk());
        // The same document once more adds nothing.
        record(&archive, "B1", 2, "two", 0);
        record(&archive, "B1", 3, "three", 0);
        tidy(None);
        assert_eq!(counted(), on_disk());
        tidy(Some(counted() - 1));
        assert_eq!(
            (counted(), revisions(&archive, "B1")),
            (on_disk(), vec![2, 3])
        );
    }

    #[test]
    fn an_archive_of_an_earlier_release_is_looked_at_by_prune_alone_and_from_then_on_by_runs() {
        let (_data_dir, archive) = archive(&[("one", 900), ("two", 800)]);
        fs::remove_dir_all(archive.folder.join(".journal")).expect("removed");
        record(&archive, "B2", 1, "other", 0);
        let tidy = |now| {
            archive
                .tidy(retention(), now, nothing_loaded)
                .expect("tidied")
        };
        assert_eq!(tidy(SystemTime::now()), Removed::default());
        let none = || Ok(super::super::Loaded::default());
        let young = Retention {
            max_age: DAY * 850,
            ..retention()
        };
        let removed = archive
            .prune(young, SystemTime::now(), false, none)
            .expect("pruned");
        assert_eq!(removed.revisions.len(), 1);
        record(&archive, "B1", 3, "three", 0);
        assert_eq!(tidy(SystemTime::now()).revisions.len(), 1);
        assert_eq!(revisions(&archive, "B1"), [3]);
    }

    #[test]
    fn of_a_batch_that_settles_files_go_that_no_document_and_no_ledger_names() {
        let (_data_dir, archive) = archive(&[("one", 0), ("two", 0)]);
        let since = SystemTime::now() - Duration::from_secs(60);
        let batch_no = BatchNo::new("B1").expect("a number");
        let mut kept = HashSet::new();
        for (dataset, hash) in [("d", "aa"), ("d", "bb"), ("d_line", "cc"), ("d_line", "dd")] {
            let mut writer = archive.writer();
            writer
                .write(&bytes::Bytes::from_static(b"x"))
                .expect("written");
            kept.insert(
                writer
                    .finish(dataset, &batch_no, hash, "csv")
                    .expect("kept"),
            );
        }
        let mut named: Vec<String> = kept.into_iter().collect();
        named.sort();
        let remove = |datasets: &[&str], since| {
            let named = || Ok(HashSet::from([named[0].clone()]));
            archive
                .remove_unnamed(datasets, &batch_no, since, named)
                .expect("removed")
        };
        assert_eq!(remove(&["d", "d_line"], SystemTime::now() + DAY), 0);
        assert_eq!(remove(&["d"], since), 1);
        assert_eq!(remove(&["d", "d_line"], since), 2);
        assert_eq!(remove(&["d", "d_line"], since), 0);
        assert!(!archive.folder.join("d_line/B1").exists());
        let left = super::super::entries(&archive.folder.join("d/B1")).expect("a folder");
        assert_eq!(
            left.iter()
                .filter(|(name, _)| name.ends_with(".zst"))
                .count(),
            3
        );
        // Who can't read what is written down does not know what is named.
        fs::write(archive.folder.join("d/B1/revision-1.json"), "{}").expect("written");
        let named = || Ok(HashSet::new());
        assert!(
            archive
                .remove_unnamed(&["d"], &batch_no, since, named)
                .is_err()
        );
    }
}
