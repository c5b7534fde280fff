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
