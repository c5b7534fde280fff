//! What was delivered: the hashes of batches, and the archive's files, batch by batch.
//!
//! The ledger's files come in the order of their batches, a piece at a time, and beside them the archive's folders.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    mem,
};

use serde_json::Value;

use super::{
    findings::{Finding, Kept, Place},
    questions::{Audit, Watch},
};
use crate::{
    archive::{self, Archive, ContentHash, Verified, VerifiedBatch},
    error::Result,
    ledger::State,
};

/// Files of the ledger that are looked at together.
const FILES: u64 = 20_000;

/// A file of the ledger, or an entry without any.
struct Line {
    batch_no: String,
    dataset: String,
    revision: i32,
    file_id: Option<i64>,
    content_hash: Option<String>,
    /// The hash that its content is known by.
    known_by: Option<String>,
    archive_path: Option<String>,
    state: Option<String>,
    /// The hash that its batch is entered with.
    entered: Option<String>,
}

impl Audit<'_> {
    /// Compares what was delivered with `archive`, if it is to be read. Returns what differs there.
    pub(super) fn content(
        &mut self,
        archive: Option<&Archive>,
        keep_current: bool,
        watch: &mut dyn Watch,
    ) -> Result<Vec<Finding>> {
        watch.step("comparing what was delivered");
        let path = if archive.is_some() {
            "f.archive_path"
        } else {
            "NULL"
        };
        self.run(&format!(
            "CREATE TEMP TABLE _line AS SELECT coalesce(f.batch_no, e.batch_no) AS batch_no, \
             coalesce(f.owner, e.dataset) AS dataset, coalesce(f.revision, e.revision) AS revision, f.file_id, \
             f.content_hash, f.known_by, {path} AS archive_path, e.state, e.content_hash AS entered FROM _file f FULL JOIN _entry e \
             ON e.dataset = f.owner AND e.batch_no = f.batch_no AND e.revision = f.revision \
             ORDER BY ALL"
        ))?;
        let shelves = archive.map(|archive| self.shelves(archive)).transpose()?;
        let mut content = Content {
            shelves,
            keep_current,
            watch,
            batch: None,
            revision: None,
            ledger: Vec::new(),
            archive: Vec::new(),
            verified: Verified::default(),
            kept: Kept::default(),
        };
        for first in (0_u64..).step_by(FILES as usize) {
            let lines = self.lines(first)?;
            if lines.is_empty() {
                break;
            }
            for line in lines {
                content.take(line)?;
            }
        }
        content.end_batch(None)?;
        self.audited.findings.extend(content.ledger);
        self.audited.archive = archive.map(|_| (content.verified, content.kept));
        Ok(content.archive)
    }

    fn lines(&self, first: u64) -> Result<Vec<Line>> {
        let sql = format!(
            "SELECT batch_no, dataset, revision, file_id, content_hash, known_by, archive_path, state, entered FROM _line \
             WHERE rowid >= {first} AND rowid < {} ORDER BY rowid",
            first + FILES
        );
        self.read(&sql, |row| {
            Ok(Line {
                batch_no: row.get(0)?,
                dataset: row.get(1)?,
                revision: row.get(2)?,
                file_id: row.get(3)?,
                content_hash: row.get(4)?,
                known_by: row.get(5)?,
                archive_path: row.get(6)?,
                state: row.get(7)?,
                entered: row.get(8)?,
            })
        })
    }

    /// The archive's folders in the scope.
    fn shelves<'s>(&self, archive: &'s Archive) -> Result<Shelves<'s>> {
        let mut datasets = archive.datasets()?;
        datasets.retain(|dataset| {
            let contract = self.contracts.get(dataset);
            let owner = contract.map_or(dataset.as_str(), |of| of.entered_under());
            self.scope.dataset.as_deref().is_none_or(|of| of == owner)
        });
        // Where the numbers are told, nobody has to look which others there are.
        let told: Option<BTreeSet<String>> = self
            .scope
            .picks
            .iter()
            .map(|pick| pick.number.map(ToString::to_string))
            .collect();
        let mut numbers = match told {
            Some(numbers) if !numbers.is_empty() => numbers,
            _ => archive.numbers(&datasets)?,
        };
        numbers.retain(|number| self.scope.takes_number(number));
        Ok(Shelves {
            archive,
            datasets,
            numbers,
        })
    }
}

/// The archive's folders that were not looked at yet.
struct Shelves<'s> {
    archive: &'s Archive,
    datasets: Vec<String>,
    numbers: BTreeSet<String>,
}

/// The batch number whose files are looked at.
struct OpenBatch {
    batch_no: String,
    archived: VerifiedBatch,
    /// Paths that are damaged, and how.
    damaged: HashMap<String, String>,
    /// Those of them that a file of the ledger has told.
    said: HashSet<String>,
    /// Revisions of the archive that were loaded, and that the ledger has not named yet.
    unknown: HashSet<(String, i32)>,
}

/// The revision whose files are looked at.
struct OpenRevision {
    dataset: String,
    revision: i32,
    state: Option<String>,
    entered: Option<String>,
    hash: ContentHash,
    all_kept: bool,
}

struct Content<'c> {
    shelves: Option<Shelves<'c>>,
    keep_current: bool,
    watch: &'c mut dyn Watch,
    batch: Option<OpenBatch>,
    revision: Option<OpenRevision>,
    ledger: Vec<Finding>,
    archive: Vec<Finding>,
    verified: Verified,
    kept: Kept,
}

impl Content<'_> {
    fn take(&mut self, line: Line) -> Result<()> {
        if self
            .batch
            .as_ref()
            .is_none_or(|batch| batch.batch_no != line.batch_no)
        {
            self.end_batch(Some(&line.batch_no))?;
            self.begin_batch(&line.batch_no)?;
        }
        let is_same =
            |of: &OpenRevision| (&of.dataset, of.revision) == (&line.dataset, line.revision);
        if !self.revision.as_ref().is_some_and(is_same) {
            self.end_revision();
            if let Some(batch) = &mut self.batch {
                batch.unknown.remove(&(line.dataset.clone(), line.revision));
            }
            self.revision = Some(OpenRevision {
                dataset: line.dataset.clone(),
                revision: line.revision,
                state: line.state.clone(),
                entered: line.entered.clone(),
                hash: ContentHash::default(),
                all_kept: true,
            });
        }
        if line.file_id.is_some() {
            self.file(line);
        }
        Ok(())
    }

    fn begin_batch(&mut self, batch_no: &str) -> Result<()> {
        let archived = match &mut self.shelves {
            None => VerifiedBatch::default(),
            Some(shelves) => {
                shelves.numbers.remove(batch_no);
                let watch = &mut *self.watch;
                shelves
                    .archive
                    .verify_batch(&shelves.datasets, batch_no, |path| watch.file(path))?
            }
        };
        let findings = archived.verified.findings.iter();
        let damaged = findings.map(|of| (of.path.clone(), of.message.clone()));
        let loaded = archived.delivered.iter().filter(|of| of.is_loaded);
        self.batch = Some(OpenBatch {
            batch_no: batch_no.to_owned(),
            damaged: damaged.collect(),
            said: HashSet::new(),
            unknown: loaded.map(|of| (of.dataset.clone(), of.revision)).collect(),
            archived,
        });
        Ok(())
    }

    /// Ends the batch under way, and looks at those that only the archive has, up to the `next` of the ledger.
    fn end_batch(&mut self, next: Option<&str>) -> Result<()> {
        self.end_revision();
        self.close_batch();
        loop {
            let number = self
                .shelves
                .as_ref()
                .and_then(|shelves| shelves.numbers.first().cloned());
            let Some(number) =
                number.filter(|number| next.is_none_or(|next| number.as_str() < next))
            else {
                return Ok(());
            };
            self.begin_batch(&number)?;
            self.close_batch();
        }
    }

    fn close_batch(&mut self) {
        let Some(mut batch) = self.batch.take() else {
            return;
        };
        self.kept.unknown += batch.unknown.len() as u64;
        for finding in mem::take(&mut batch.archived.verified.findings) {
            if !batch.said.contains(&finding.path) {
                self.archive.push(unnamed(finding));
            }
        }
        self.verified.add(batch.archived.verified);
    }

    fn file(&mut self, line: Line) {
        let (Some(batch), Some(revision)) = (&mut self.batch, &mut self.revision) else {
            return;
        };
        if let Some(hash) = &line.known_by {
            revision.hash.add(hash);
        }
        let Some(shelves) = &self.shelves else {
            return;
        };
        let is_loaded = line.state.as_deref() == Some(State::Loaded.as_str());
        let Some(path) = line.archive_path.as_deref() else {
            revision.all_kept = false;
            self.kept.never += u64::from(is_loaded);
            return;
        };
        let hash = line.content_hash.as_deref().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        let (what, found) = if name.split('.').next() != Some(hash) {
            let id = line.file_id.unwrap_or_default();
            (format!("archive_path of file {id}"), path)
        } else if let Some(message) = batch.damaged.get(path) {
            batch.said.insert(path.to_owned());
            (path.to_owned(), message.as_str())
        } else if batch.archived.intact.contains(path) || shelves.archive.is_intact(path) {
            return;
        } else if is_loaded && self.keep_current {
            (path.to_owned(), "missing")
        } else {
            self.kept.removed += 1;
            return;
        };
        self.archive.push(Finding {
            dataset: line.dataset,
            batch_no: line.batch_no,
            revision: Some(line.revision),
            what,
            ledger: hash.into(),
            found: found.into(),
            place: Place::Archive,
        });
    }

    fn end_revision(&mut self) {
        let (Some(revision), Some(batch)) = (self.revision.take(), &self.batch) else {
            return;
        };
        let state = revision.state.as_deref();
        let is_loaded = state == Some(State::Loaded.as_str());
        let hash = revision.hash.finish();
        let mut finding = Finding {
            dataset: revision.dataset,
            batch_no: batch.batch_no.clone(),
            revision: Some(revision.revision),
            what: "content hash, by file".into(),
            ledger: revision.entered.clone().into(),
            found: hash.as_str().into(),
            place: Place::Warehouse,
        };
        let delivered = batch
            .archived
            .delivered
            .iter()
            .rfind(|of| of.dataset == finding.dataset && of.revision == revision.revision);
        let has_content = is_loaded || state == Some(State::Superseded.as_str());
        if self.shelves.is_some() && is_loaded && revision.all_kept {
            let (what, found) = match delivered {
                Some(of) if Some(&of.known_by) == revision.entered.as_ref() => (None, Value::Null),
                Some(of) => (
                    Some("what the archive says was delivered".to_owned()),
                    of.known_by.as_str().into(),
                ),
                None if self.keep_current => (
                    Some(format!(
                        "revision-{}.json of the archive",
                        revision.revision
                    )),
                    "missing".into(),
                ),
                None => (None, Value::Null),
            };
            self.archive.extend(what.map(|what| Finding {
                dataset: finding.dataset.clone(),
                batch_no: finding.batch_no.clone(),
                revision: finding.revision,
                what,
                ledger: finding.ledger.clone(),
                found,
                place: Place::Archive,
            }));
        }
        if has_content && revision.entered.as_ref() != Some(&hash) {
            finding.place = Place::Warehouse;
            self.ledger.push(finding);
        }
    }
}

/// What is wrong with a file that the ledger does not name.
fn unnamed(finding: archive::Finding) -> Finding {
    Finding {
        dataset: finding.dataset,
        batch_no: finding.batch_no,
        revision: None,
        what: finding.path,
        ledger: Value::Null,
        found: finding.message.into(),
        place: Place::Archive,
    }
}
