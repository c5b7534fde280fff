//! What the ledger says, against itself and against the tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{
    Finding, Place, Scope,
    revisions::{Key, Revision},
};
use crate::{
    archive::content_hash,
    contract::Contracts,
    ledger::{Books, Control, FileFigures, State},
    load::{Counted, HOOK_TOTAL, LINE_TOTAL, LINES_PASSED_OVER, Recount, accounted, is_sum},
    rejection::KEPT_PER_FILE,
};

/// Files of a batch that are listed one by one.
const FILES_LISTED: usize = 20;
/// Kept text of a batch above which rejections may have been left out, see [`crate::scan`].
const REJECTIONS_CERTAIN: u64 = 8 << 20;
/// Kept rejections of a batch above which they may have been left out, see [`crate::load`].
const REJECTIONS_COUNTED: u64 = 100_000;

/// What was counted again, and what differs.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) findings: Vec<Finding>,
    pub(super) batches: u64,
    pub(super) files: u64,
    pub(super) rows: u64,
    pub(super) controls: u64,
    /// Controls of loaded batches that the contracts in force do not tell how to count.
    pub(super) not_counted: u64,
}

/// Compares everything in `scope`; `tables` are the datasets' tables as they were counted.
pub(super) fn check(
    books: &Books,
    revisions: &BTreeMap<Key, Revision<'_>>,
    tables: &BTreeMap<String, Recount>,
    contracts: &Contracts,
    scope: &Scope,
) -> Checked {
    let mut check = Check {
        books,
        tables,
        contracts,
        counted: HashMap::new(),
        checked: Checked::default(),
    };
    check.rows(revisions);
    let in_scope = |(dataset, batch_no, _): &Key| scope.takes(dataset, batch_no);
    for (key, revision) in revisions.iter().filter(|(key, _)| in_scope(key)) {
        check.revision(key, revision);
    }
    check.states(revisions.iter().filter(|(key, _)| in_scope(key)));
    check.checked
}

struct Check<'c> {
    books: &'c Books,
    tables: &'c BTreeMap<String, Recount>,
    contracts: &'c Contracts,
    /// What the table has of each file of a loaded revision.
    counted: HashMap<i64, &'c Counted>,
    checked: Checked,
}

impl<'c> Check<'c> {
    fn find(
        &mut self,
        (dataset, batch_no, revision): (&str, &str, Option<i32>),
        what: impl Into<String>,
        ledger: impl Into<Value>,
        found: impl Into<Value>,
    ) {
        self.checked.findings.push(Finding {
            dataset: dataset.to_owned(),
            batch_no: batch_no.to_owned(),
            revision,
            what: what.into(),
            ledger: ledger.into(),
            found: found.into(),
            place: Place::Warehouse,
        });
    }

    fn differ(&mut self, key: &Key, what: impl Into<String>, ledger: u64, found: u64) {
        if ledger != found {
            self.find((&key.0, &key.1, Some(key.2)), what, ledger, found);
        }
    }

    /// Every row is of a file of a loaded revision.
    fn rows(&mut self, revisions: &BTreeMap<Key, Revision<'_>>) {
        let mut files: HashMap<i64, (&FileFigures, &Key, Option<State>)> = HashMap::new();
        for (key, revision) in revisions {
            let state = revision.entry().map(|batch| batch.entry.state);
            for file in &revision.files {
                if files.insert(file.file_id, (*file, key, state)).is_some() {
                    let what = format!("file_id {} is entered more than once", file.file_id);
                    self.find(
                        (&key.0, &key.1, Some(key.2)),
                        what,
                        file.file_id,
                        Value::Null,
                    );
                }
            }
        }
        // Rows of many unknown files may be there: a line for each batch.
        let mut stray: BTreeMap<(&str, &str, Option<i32>, String), u64> = BTreeMap::new();
        for (table, recount) in self.tables {
            for (origin, counted) in &recount.rows {
                self.checked.rows += counted.rows;
                let batch_no = origin.batch_no.as_deref().unwrap_or_default();
                let file = origin.file_id.and_then(|id| files.get(&id));
                let (revision, why) = match file {
                    None => (None, "rows whose file the ledger does not have".to_owned()),
                    Some((file, ..)) if file.dataset != *table => (
                        Some(file.revision),
                        format!(
                            "rows of file {}, which is of {}",
                            file.file_id, file.dataset
                        ),
                    ),
                    Some((file, ..)) if file.batch_no != batch_no => (
                        Some(file.revision),
                        format!(
                            "rows of file {}, which is of {}",
                            file.file_id, file.batch_no
                        ),
                    ),
                    Some((file, _, Some(State::Loaded))) => {
                        self.counted.insert(file.file_id, counted);
                        continue;
                    }
                    Some((file, _, Some(state))) => (
                        Some(file.revision),
                        format!("rows of a revision that is {}", state.as_str()),
                    ),
                    Some((file, _, None)) => (
                        Some(file.revision),
                        "rows of a revision that the ledger does not have".to_owned(),
                    ),
                };
                *stray.entry((table, batch_no, revision, why)).or_default() += counted.rows;
            }
        }
        for ((table, batch_no, revision, why), rows) in stray {
            self.find((table, batch_no, revision), why, 0, rows);
        }
    }

    /// A batch has one revision whose rows are in the table, and that is the last one.
    fn states<'k>(&mut self, revisions: impl Iterator<Item = (&'k Key, &'k Revision<'k>)>) {
        #[derive(Default)]
        struct Standing {
            loaded: Vec<i32>,
            superseded: Option<i32>,
        }
        let mut batches: BTreeMap<(&str, &str), Standing> = BTreeMap::new();
        for (key, revision) in revisions {
            let standing = batches.entry((&key.0, &key.1)).or_default();
            if revision.is(State::Loaded) {
                standing.loaded.push(key.2);
            } else if revision.is(State::Superseded) {
                standing.superseded = standing.superseded.max(Some(key.2));
            }
        }
        for ((dataset, batch_no), Standing { loaded, superseded }) in batches {
            if loaded.len() > 1 {
                self.find(
                    (dataset, batch_no, loaded.last().copied()),
                    "revisions that are loaded",
                    loaded.len(),
                    1,
                );
            }
            if let Some(superseded) = superseded
                && loaded.last().is_none_or(|loaded| *loaded < superseded)
            {
                self.find(
                    (dataset, batch_no, Some(superseded)),
                    "superseded, and no later revision is loaded",
                    "superseded",
                    Value::Null,
                );
            }
        }
    }

    fn revision(&mut self, key: &Key, revision: &Revision<'_>) {
        self.checked.batches += 1;
        self.checked.files += revision.files.len() as u64;
        let at = (key.0.as_str(), key.1.as_str(), Some(key.2));
        let Some(batch) = revision.entry() else {
            return self.find(
                at,
                "files or controls of a revision that the ledger does not have",
                Value::Null,
                revision.files.len(),
            );
        };
        let entry = &batch.entry;
        self.differ(
            key,
            "entries of the revision",
            revision.entries.len() as u64,
            1,
        );
        let sum = |of: fn(&FileFigures) -> u64| revision.files.iter().map(|file| of(file)).sum();
        self.differ(key, "files", entry.files, revision.files.len() as u64);
        self.differ(key, "bytes, by file", entry.bytes, sum(|file| file.bytes));
        self.differ(
            key,
            "rows read, by file",
            entry.rows_read,
            sum(|file| file.rows_read),
        );
        self.differ(
            key,
            "rows loaded, by file",
            entry.rows_loaded,
            sum(|file| file.rows_loaded),
        );
        self.differ(
            key,
            "rows rejected, by file",
            entry.rows_rejected,
            sum(|file| file.rows_rejected),
        );
        if !matches!(entry.state, State::Loaded | State::Superseded) {
            let what = format!("rows loaded of a revision that is {}", entry.state.as_str());
            return self.differ(key, what, entry.rows_loaded, 0);
        }
        for file in &revision.files {
            let what = format!("rows loaded + rejected of file {}", file.file_id);
            self.differ(
                key,
                what,
                file.rows_read,
                file.rows_loaded + file.rows_rejected,
            );
        }
        let hashes = revision.files.iter();
        let hash = content_hash(hashes.filter_map(|file| file.content_hash.as_deref()));
        if entry.content_hash.as_ref() != Some(&hash) {
            self.find(
                at,
                "content hash, by file",
                entry.content_hash.clone(),
                hash,
            );
        }
        self.rejections(key, revision);
        if entry.state == State::Loaded {
            self.loaded(key, revision);
        }
    }

    /// Of every rejected row a copy is kept, up to a bound.
    fn rejections(&mut self, key: &Key, revision: &Revision<'_>) {
        let kept: Vec<_> = revision
            .files
            .iter()
            .map(|file| {
                let kept = self.books.rejections.get(&file.file_id);
                (*file, kept.copied().unwrap_or_default())
            })
            .collect();
        let bytes: u64 = kept
            .iter()
            .map(|(_, kept)| kept.bytes + 200 * kept.rows)
            .sum();
        let rows: u64 = kept.iter().map(|(file, _)| file.rows_rejected).sum();
        let all_are_kept = bytes < REJECTIONS_CERTAIN && rows < REJECTIONS_COUNTED;
        for (file, kept) in kept {
            let expected = file.rows_rejected.min(KEPT_PER_FILE);
            if kept.rows > expected || all_are_kept {
                let what = format!("rejections kept of file {}", file.file_id);
                self.differ(key, what, expected, kept.rows);
            }
        }
    }

    /// Rows and controls of a revision that is loaded.
    fn loaded(&mut self, key: &Key, revision: &Revision<'_>) {
        let rows_of = |file: &FileFigures| self.counted.get(&file.file_id).map_or(0, |of| of.rows);
        let mut differing: Vec<(&FileFigures, u64)> = revision
            .files
            .iter()
            .map(|file| (*file, rows_of(file)))
            .filter(|(file, rows)| file.rows_loaded != *rows)
            .collect();
        if let Some(rest) = differing
            .len()
            .checked_sub(FILES_LISTED)
            .filter(|rest| *rest > 0)
        {
            self.find(
                (&key.0, &key.1, Some(key.2)),
                format!("further files whose rows differ, beside {FILES_LISTED}"),
                0,
                rest,
            );
            differing.truncate(FILES_LISTED);
        }
        for (file, rows) in differing {
            let what = format!("rows of file {} in {}", file.file_id, file.dataset);
            self.differ(key, what, file.rows_loaded, rows);
        }

        let child = self
            .contracts
            .child_of(&key.0)
            .map(|child| child.name.as_str());
        let datasets: BTreeSet<&str> = std::iter::once(key.0.as_str())
            .chain(child)
            .chain(revision.files.iter().map(|file| file.dataset.as_str()))
            .collect();
        let mut again = Again::default();
        let mut own = Counted::default();
        for dataset in &datasets {
            let files = || {
                revision
                    .files
                    .iter()
                    .filter(|file| file.dataset == **dataset)
            };
            let mut counted = Counted::default();
            for of_file in files().filter_map(|file| self.counted.get(&file.file_id)) {
                counted.add(of_file);
            }
            let read: u64 = files().map(|file| file.rows_read).sum();
            let rejected: u64 = files().map(|file| file.rows_rejected).sum();
            again.note(
                accounted(dataset),
                Some(read),
                Some(counted.rows + rejected),
            );
            if let Some(recount) = self.tables.get(*dataset) {
                for control in recount.controls(&counted) {
                    again.push(control.name, (control.expected, Some(control.actual)));
                }
            }
            if *dataset == key.0 {
                again.note(HOOK_TOTAL, None, Some(read));
                own = counted;
            }
        }
        self.expected(key, revision);
        let has = |name: &str| revision.controls.iter().any(|control| control.name == name);
        for dataset in &datasets {
            let name = accounted(dataset);
            let is_due = *dataset == key.0 || Some(*dataset) != child;
            if !has(&name)
                && (is_due || revision.files.iter().any(|file| file.dataset == **dataset))
            {
                let what = format!("control `{name}` is missing");
                self.find(
                    (&key.0, &key.1, Some(key.2)),
                    what,
                    Value::Null,
                    Value::Null,
                );
            }
        }
        if let Some(child) = child
            && has(&accounted(child))
            && self.tables.contains_key(&key.0)
        {
            let lines = || revision.files.iter().filter(|file| file.dataset == child);
            let read = lines().map(|file| file.rows_read).sum();
            // Which files are those that no row states a number for, nobody knows any more.
            let all_stated = own.files_named == own.files_stated;
            let passed_over = revision.controls.iter();
            let passed_over = passed_over
                .filter(|of| of.name == LINES_PASSED_OVER)
                .filter_map(|of| of.actual.parse::<u64>().ok());
            again.note(
                LINE_TOTAL,
                Some(own.rows_stated.saturating_sub(passed_over.sum())),
                all_stated.then_some(read),
            );
            let what = format!("files of {child} that rows of {} name", key.0);
            self.differ(key, what, lines().count() as u64, own.files_named);
        }
        self.controls(key, revision, again);
    }

    /// What was expected is what the controls say that was.
    fn expected(&mut self, key: &Key, revision: &Revision<'_>) {
        let stated = |name: &str| -> Option<u64> {
            let control = revision.controls.iter().find(|of| of.name == name)?;
            control.expected.as_ref()?.parse().ok()
        };
        let entered = revision.entry().map(|batch| batch.entry.rows_expected);
        let announced =
            stated(HOOK_TOTAL).map(|rows| rows + stated(LINE_TOTAL).unwrap_or_default());
        if let Some(entered) = entered.filter(|entered| *entered != announced) {
            let at = (key.0.as_str(), key.1.as_str(), Some(key.2));
            self.find(at, "rows expected", entered, announced);
        }
    }

    fn controls(&mut self, key: &Key, revision: &Revision<'_>, mut again: Again) {
        let at = (key.0.as_str(), key.1.as_str(), Some(key.2));
        let mut noted: BTreeMap<&str, Vec<&Control>> = BTreeMap::new();
        for control in &revision.controls {
            noted.entry(&control.name).or_default().push(*control);
        }
        for (name, mut noted) in noted {
            for control in &noted {
                let holds = control
                    .expected
                    .as_ref()
                    .is_none_or(|of| *of == control.actual);
                if holds != control.passed {
                    let what = format!("control `{name}`: passed");
                    self.find(at, what, control.passed, holds);
                }
            }
            let mut counted = again.0.remove(name).unwrap_or_default();
            if counted.len() != noted.len() {
                if is_sum(name) {
                    // No run ever takes an amount out of a table.
                    let what = format!("control `{name}`: tables with such an amount");
                    self.find(at, what, noted.len(), counted.len());
                } else {
                    self.checked.not_counted += noted.len() as u64;
                }
                continue;
            }
            self.checked.controls += noted.len() as u64;
            counted.sort_by(|a, b| a.1.cmp(&b.1));
            noted.sort_by(|a, b| a.actual.cmp(&b.actual));
            for (control, (expected, actual)) in noted.into_iter().zip(counted) {
                if let Some(actual) = actual.filter(|actual| *actual != control.actual) {
                    let what = format!("control `{name}`");
                    self.find(at, what, control.actual.as_str(), actual);
                }
                if let Some(expected) = expected
                    && control.expected.as_ref() != Some(&expected)
                {
                    let what = format!("control `{name}`: expected");
                    self.find(at, what, control.expected.clone(), expected);
                }
            }
        }
        if self.contracts.get(&key.0).is_none() {
            return;
        }
        // A column that came later is empty in older rows.
        let is_something = |actual: &str| actual.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
        for (name, figures) in &again.0 {
            for actual in figures.iter().filter_map(|(_, actual)| actual.as_deref()) {
                if is_sum(name) && is_something(actual) {
                    let what = format!("control `{name}` is missing");
                    self.find(at, what, Value::Null, actual);
                }
            }
        }
    }
}

/// A control's figures, expected and actual, where they can be counted again.
type Figures = (Option<String>, Option<String>);

/// Controls counted again, by name; a batch and the files that it names may have controls of the same name.
#[derive(Default)]
struct Again(BTreeMap<String, Vec<Figures>>);

impl Again {
    fn note(&mut self, name: impl Into<String>, expected: Option<u64>, actual: Option<u64>) {
        let text = |figure: Option<u64>| figure.map(|figure| figure.to_string());
        self.push(name.into(), (text(expected), text(actual)));
    }

    fn push(&mut self, name: String, figures: Figures) {
        self.0.entry(name).or_default().push(figures);
    }
}
