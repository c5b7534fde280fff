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
