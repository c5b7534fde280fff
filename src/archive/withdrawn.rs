//! What rollbacks have withdrawn: `archive/withdrawn.json`.
//!
//! The warehouse that a rollback puts back knows nothing of what was loaded after it. A revision written down here
//! stays withdrawn until a second rollback restores it, or something newer is accepted. What a warehouse has loaded
//! is not withdrawn, whatever is written here: the entry is made before the files change their names.

use serde::{Deserialize, Serialize};

use super::{
    Archive, delivery,
    document::{Document, Kind},
};
use crate::{batch_no::BatchNo, error::Result};

const KIND: Kind = Kind {
    name: "withdrawn",
    when_lost: "what was rolled back may be loaded again",
};

/// The revisions that were withdrawn and not restored since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Withdrawn {
    /// By dataset, batch and revision.
    revisions: Vec<WithdrawnRevision>,
}

/// A revision that a rollback has taken out of the warehouse.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawnRevision {
    /// Its dataset.
    pub dataset: String,
    /// Its batch.
    #[serde(with = "delivery::batch_no")]
    pub batch_no: BatchNo,
    /// 1, 2, ….
    pub revision: i32,
    /// When its content was accepted, in epoch microseconds, where the ledger knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at_us: Option<i64>,
    /// When it was withdrawn, in epoch microseconds.
    pub withdrawn_at_us: i64,
}

impl Withdrawn {
    /// All of them, by dataset, batch and revision.
    #[must_use]
    pub fn revisions(&self) -> &[WithdrawnRevision] {
        &self.revisions
    }

    /// Those of a batch, by revision.
    #[must_use]
    pub fn of(&self, dataset: &str, batch_no: &BatchNo) -> &[WithdrawnRevision] {
        let wanted = (dataset, batch_no);
        let key = |of: &WithdrawnRevision| (of.dataset.as_str(), &of.batch_no).cmp(&wanted);
        let from = self.revisions.partition_point(|of| key(of).is_lt());
        let to = self.revisions.partition_point(|of| key(of).is_le());
        &self.revisions[from..to]
    }

    /// A revision, if it was withdrawn.
    #[must_use]
    pub fn find(
        &self,
        dataset: &str,
        batch_no: &BatchNo,
        revision: i32,
    ) -> Option<&WithdrawnRevision> {
        let mut of_batch = self.of(dataset, batch_no).iter();
        of_batch.find(|of| of.revision == revision)
    }
}

impl Archive {
    /// What rollbacks have withdrawn; nothing when none has.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when the document can't be read, is damaged, or a newer release has
    /// written it.
    pub fn withdrawn(&self) -> Result<Withdrawn> {
        let revisions = Document::of(self, KIND).read()?;
        Ok(Withdrawn { revisions })
    }

    /// Writes down that a rollback withdraws `new` and restores `restored`, durably. The caller holds the lock.
    ///
    /// # Errors
    /// Those of [`Archive::withdrawn`]; [`Error::Io`](crate::error::Error::Io) when it can't be written. The document
    /// is as it was then.
    pub fn withdraw(
        &self,
        new: &[WithdrawnRevision],
        restored: &[WithdrawnRevision],
    ) -> Result<()> {
        let before = self.withdrawn()?;
        let is_one_of = |of: &WithdrawnRevision, list: &[WithdrawnRevision]| {
            let found = list.binary_search_by(|one| identity(one).cmp(&identity(of)));
            found.is_ok()
        };
        let sorted = |list: &[WithdrawnRevision]| {
            let mut list = list.to_vec();
            list.sort();
            list
        };
        let (new, restored) = (sorted(new), sorted(restored));
        let kept = before.revisions.iter().cloned();
        let mut withdrawn: Vec<_> = kept
            .filter(|of| !is_one_of(of, &new) && !is_one_of(of, &restored))
            .chain(new.iter().cloned())
            .collect();
        withdrawn.sort();
        if withdrawn == before.revisions {
            return Ok(());
        }
        Document::of(self, KIND).replace(&withdrawn)
    }
}

fn identity(of: &WithdrawnRevision) -> (&str, &BatchNo, i32) {
    (&of.dataset, &of.batch_no, of.revision)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn revision(batch_no: &str, revision: i32) -> WithdrawnRevision {
        WithdrawnRevision {
            dataset: "d".into(),
            batch_no: BatchNo::new(batch_no).expect("a number"),
            revision,
            accepted_at_us: (revision > 1).then_some(5),
            withdrawn_at_us: 7,
        }
    }

    #[test]
    fn what_is_withdrawn_stays_so_until_it_is_restored() {
        let data_dir = tempfile::tempdir().expect("a folder");
        let archive = Archive::new(data_dir.path());
        assert_eq!(archive.withdrawn().expect("none"), Withdrawn::default());
        archive.withdraw(&[], &[]).expect("nothing to write");
        assert!(!data_dir.path().join("archive").exists());
        let (b2, b1, a3) = (revision("B", 2), revision("B", 1), revision("A", 3));
        archive
            .withdraw(&[b2.clone(), b1.clone(), a3.clone()], &[])
            .expect("written");
        let again = WithdrawnRevision {
            withdrawn_at_us: 8,
            ..b2.clone()
        };
        archive
            .withdraw(std::slice::from_ref(&again), &[a3])
            .expect("written");
        let withdrawn = archive.withdrawn().expect("read");
        assert_eq!(withdrawn.revisions(), [b1, again.clone()]);
        assert_eq!(withdrawn.find("d", &again.batch_no, 2), Some(&again));
        assert_eq!(withdrawn.find("d", &again.batch_no, 3), None);
        assert_eq!(withdrawn.of("c", &again.batch_no), []);
    }

    #[test]
    fn a_newer_or_a_damaged_document_is_refused_and_left_as_it_is() {
        let data_dir = tempfile::tempdir().expect("a folder");
        let archive = Archive::new(data_dir.path());
        fs::create_dir(data_dir.path().join("archive")).expect("a folder");
        let path = data_dir.path().join("archive/withdrawn.json");
        for (text, why) in [
            (r#"{"format": 2, "what": []}"#, "a newer redledger wrote it"),
            (r#"{"format": 1, "withdrawn": ["#, "restore it from a copy"),
            (r#"{"format": 1, "withdrawn": [{}]}"#, "missing field"),
            ("", "restore it from a copy"),
        ] {
            fs::write(&path, text).expect("written");
            for error in [
                archive.withdrawn().expect_err(text),
                archive.withdraw(&[revision("B", 1)], &[]).expect_err(text),
            ] {
                let said = error.chain();
                assert!(
                    said.contains(why) && said.contains("withdrawn.json"),
                    "{said}"
                );
            }
            let left = fs::read_to_string(&path);
            assert_eq!(left.expect("read"), text);
        }
    }
}
