//! What one attempt at a batch has found so far.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{BatchSource, Outcome, feed::FedFile, verdict::Verdict};
use crate::{
    archive::{DeliveredFile, Delivery, DeliveryOutcome, Format, content_hash},
    contract::Contract,
    error::ExitStatus,
    ledger::{self, BatchEntry, Control, Difference, FileEntry, Standing},
    load::Repeated,
    rejection::{KEPT_PER_FILE, Rejection},
    scan::RejectionLog,
};

/// An attempt's figures.
pub(super) struct Attempt {
    pub(super) dataset: Option<Arc<Contract>>,
    pub(super) standing: Standing,
    pub(super) first_file: i64,
    pub(super) files: Vec<FileEntry>,
    /// The same files, for the archive.
    delivered: Vec<DeliveredFile>,
    pub(super) controls: Vec<Control>,
    pub(super) rejections: Vec<Rejection>,
    pub(super) log: Arc<RejectionLog>,
    difference: Option<Difference>,
    notes: Vec<String>,
    unknown_keys: u64,
    unwrapped: u64,
    /// Files whose last line has no line break.
    open_ended: u64,
    /// Columns of the contracts that no cell can have come in.
    absent: BTreeSet<String>,
    unchanged_because: Option<String>,
    pub(super) rows_expected: Option<u64>,
}

impl Attempt {
    pub(super) fn new(source: &BatchSource) -> Self {
        Self {
            dataset: None,
            standing: Standing::default(),
            first_file: 0,
            files: Vec::new(),
            delivered: Vec::new(),
            controls: Vec::new(),
            rejections: Vec::new(),
            log: Arc::default(),
            difference: None,
            notes: source.notes.clone(),
            unknown_keys: source.unknown_keys,
            unwrapped: 0,
            open_ended: 0,
            absent: BTreeSet::new(),
            unchanged_because: None,
            rows_expected: source.total,
        }
    }

    /// Takes in files that were read to their end and what the key check took out of them.
    pub(super) fn add(&mut self, contract: &Contract, fed: Vec<FedFile>, repeated: Repeated) {
        let repeated_by_file: HashMap<i64, u64> = repeated.by_file.into_iter().collect();
        for file in fed {
            let counts = &file.scanned.counts;
            let repeated = repeated_by_file
                .get(&file.scanned.file_id)
                .copied()
                .unwrap_or_default();
            self.unwrapped += counts.unwrapped();
            self.open_ended += u64::from(!file.ends_with_line_break);
            let columns = contract.fields.iter().zip(&file.scanned.layout.fields);
            for (field, _) in columns.filter(|(_, column)| column.is_none()) {
                if !self.absent.contains(field.column.as_str()) {
                    self.absent.insert(field.column.to_string());
                }
            }
            if let Some(path) = &file.archive_path {
                self.delivered.push(DeliveredFile {
                    path: path.clone(),
                    content_hash: file.hash.clone(),
                    bytes: file.bytes,
                    url: file.url.clone(),
                    etag: file.etag.clone(),
                    content_type: file.content_type,
                    last_modified: file.last_modified,
                    expected_rows: file.expected_rows.filter(|_| file.named_by.is_some()),
                    fetched_at_us: file.fetched_at,
                    named_by: file.named_by,
                });
            }
            self.files.push(FileEntry {
                file_id: file.scanned.file_id,
                dataset: contract.name.to_string(),
                url: file.url,
                bytes: file.bytes,
                content_hash: Some(file.hash),
                etag: file.etag,
                encoding: Some(file.encoding.to_owned()),
                header: Some(file.header),
                rows_read: file.read,
                rows_loaded: counts.loaded() - repeated,
                rows_rejected: counts.rejected() + repeated,
                archive_path: file.archive_path,
                fetched_at: file.fetched_at,
            });
        }
        self.rejections.extend(self.log.take());
        self.rejections.extend(repeated.kept);
        // Each source of rejections has kept that many.
        let mut kept: HashMap<i64, u64> = HashMap::new();
        self.rejections.retain(|rejection| {
            let of_file = kept.entry(rejection.file_id).or_default();
            *of_file += 1;
            *of_file <= KEPT_PER_FILE
        });
        self.note_equal_parts(contract);
    }

    /// Over its files, of `dataset` if given.
    pub(super) fn sum(&self, dataset: Option<&str>, of: impl Fn(&FileEntry) -> u64) -> u64 {
        self.files
            .iter()
            .filter(|file| dataset.is_none_or(|dataset| file.dataset == dataset))
            .map(of)
            .sum()
    }

    /// Rows read of the batch's own files, not of those that its rows name.
    pub(super) fn own_read(&self) -> u64 {
        let own = self
            .dataset
            .as_ref()
            .map(|contract| contract.name.to_string());
        self.sum(own.as_deref(), |file| file.rows_read)
    }

    /// Notes files of a dataset that have the content of another under another name. Each counts: whether one is a
    /// copy, only `total` and the key can tell. Those without rows add nothing.
    fn note_equal_parts(&mut self, contract: &Contract) {
        const MOST: usize = 5;
        let is_own = self.dataset.as_deref().map(|own| &own.name) == Some(&contract.name);
        let mut first: HashMap<&str, &str> = HashMap::new();
        let mut equal = Vec::new();
        for file in &self.files {
            if file.dataset == contract.name.as_str()
                && file.rows_read > 0
                && let Some(hash) = &file.content_hash
                && let Some(other) = first.insert(hash, &file.url)
            {
                equal.push((file.url.as_str(), other));
            }
        }
        let mut notes = Vec::new();
        if !is_own && !equal.is_empty() {
            notes.push(format!(
                "{} of the files that rows name have the content of another one; each counts for its row",
                equal.len()
            ));
        } else {
            let said = equal.iter().take(MOST);
            notes.extend(
                said.map(|(url, other)| {
                    format!("{url} has the same content as {other}; both count")
                }),
            );
            if let Some(more @ 1..) = equal.len().checked_sub(MOST) {
                notes.push(format!("{more} more parts have the content of another"));
            }
        }
        self.notes.extend(notes);
    }

    pub(super) fn note_figures(&mut self) {
        let absent: Vec<&str> = self.absent.iter().map(String::as_str).collect();
        let figure = |count: u64| (count > 0).then(|| count.to_string());
        for (name, figure) in [
            (
                "unknown keys of the announcement, ignored",
                figure(self.unknown_keys),
            ),
            (
                "cells freed of a spreadsheet's wrapping",
                figure(self.unwrapped),
            ),
            (
                "files whose last line has no line break: it may be cut",
                figure(self.open_ended),
            ),
            (
                "columns of the contract that were not delivered",
                (!absent.is_empty()).then(|| absent.join(", ")),
            ),
        ] {
            self.controls.extend(figure.map(|actual| Control {
                name: name.into(),
                expected: None,
                actual,
                passed: true,
            }));
        }
    }

    /// SHA-256 of the one file, or of the list of the files' hashes.
    pub(super) fn content_hash(&self) -> String {
        let hashes = self
            .files
            .iter()
            .filter_map(|file| file.content_hash.as_deref());
        content_hash(hashes)
    }

    pub(super) fn add_difference(&mut self, more: Difference) {
        let difference = self.difference.get_or_insert_default();
        difference.added += more.added;
        difference.removed += more.removed;
        difference.changed += more.changed;
    }

    /// Whether every row is there already as it is, and none was rejected then or now.
    pub(super) fn is_the_same_as_loaded(&self) -> bool {
        self.difference == Some(Difference::default())
            && self.sum(None, |file| file.rows_rejected) == 0
            && self.standing.loaded_rejected == 0
    }

    /// There is nothing to load and nothing that says into what.
    pub(super) fn has_nothing(&mut self) -> Verdict {
        let why = "the batch is empty and nothing says which dataset it is of";
        self.unchanged_because = Some(why.into());
        Verdict::Unchanged
    }

    /// Whether a later announcement of the batch is loaded already: webhooks are sent again for hours, so an
    /// announcement may come after the one that corrects it.
    pub(super) fn is_outdated(&mut self, source: &BatchSource) -> bool {
        let announced = source
            .announced_at
            .and_then(|millis| millis.checked_mul(1000));
        let standing = &self.standing;
        let (Some(announced), Some(loaded), Some((revision, _))) =
            (announced, standing.loaded_announced_at, &standing.loaded)
        else {
            return false;
        };
        if announced >= loaded {
            return false;
        }
        self.unchanged_because = Some(format!(
            "announced before revision {revision}, which is loaded and stays"
        ));
        // It says nothing about attempts at a later one.
        self.standing.pending = false;
        true
    }

    /// The files as they stand when nothing of them was loaded.
    pub(super) fn as_not_loaded(&self) -> Vec<FileEntry> {
        self.files
            .iter()
            .map(|file| FileEntry {
                rows_loaded: 0,
                ..file.clone()
            })
            .collect()
    }

    /// The revision that is loaded, if this is its content to the byte.
    pub(super) fn loaded_revision_again(&self) -> Option<i32> {
        let (revision, hash) = self.standing.loaded.as_ref()?;
        (*hash == self.content_hash()).then_some(*revision)
    }

    /// What the archive writes down of a revision, once; `None` when not every file is kept.
    pub(super) fn take_delivery(
        &mut self,
        source: &BatchSource,
        columns: &[String],
        revision: i32,
        outcome: DeliveryOutcome,
    ) -> Option<Delivery> {
        let contract = self.dataset.as_ref()?;
        (self.delivered.len() == self.files.len() && !self.files.is_empty()).then(|| Delivery {
            format: Format,
            dataset: contract.name.to_string(),
            batch_no: source.batch_no.clone(),
            revision,
            outcome,
            origin: source.origin.clone(),
            announced_at_ms: source.announced_at,
            total: source.total,
            notes: source.notes.clone(),
            unknown_keys: source.unknown_keys,
            columns: columns.to_vec(),
            recorded_at_us: ledger::now(),
            files: std::mem::take(&mut self.delivered),
        })
    }

    /// The ledger's row.
    pub(super) fn entry(
        &self,
        source: &BatchSource,
        verdict: &Verdict,
        run_id: &str,
    ) -> BatchEntry {
        let loaded = if matches!(verdict, Verdict::Loaded) {
            self.sum(None, |file| file.rows_loaded)
        } else {
            0
        };
        let (state, message) = match verdict {
            Verdict::NotLoaded { state, message, .. } => (state.state(), Some(message.clone())),
            Verdict::Loaded | Verdict::Unchanged => (crate::ledger::State::Loaded, None),
        };
        let notes: Vec<String> = message
            .into_iter()
            .chain(self.notes.iter().cloned())
            .collect();
        BatchEntry {
            dataset: self
                .dataset
                .as_ref()
                .map_or(ledger::UNKNOWN_DATASET.into(), |contract| {
                    contract.name.to_string()
                }),
            batch_no: source.batch_no.to_string(),
            revision: self.standing.next_revision,
            state,
            rows_expected: self.rows_expected,
            rows_read: self.sum(None, |file| file.rows_read),
            rows_loaded: loaded,
            rows_rejected: self.sum(None, |file| file.rows_rejected),
            difference: self.difference.unwrap_or(Difference {
                added: loaded,
                ..Difference::default()
            }),
            files: self.files.len() as u64,
            bytes: self.sum(None, |file| file.bytes),
            content_hash: matches!(verdict, Verdict::Loaded).then(|| self.content_hash()),
            announced_at: source
                .announced_at
                .and_then(|millis| millis.checked_mul(1000)),
            run_id: run_id.to_owned(),
            message: (!notes.is_empty()).then(|| notes.join("; ")),
        }
    }

    pub(super) fn outcome(&self, source: &BatchSource, verdict: Verdict, written: bool) -> Outcome {
        let entry = self.entry(source, &verdict, "");
        let (outcome, exit, message, hint) = match verdict {
            Verdict::Loaded if entry.rows_rejected > 0 => {
                ("loaded", ExitStatus::Attention, entry.message, None)
            }
            Verdict::Loaded => ("loaded", ExitStatus::Success, entry.message, None),
            Verdict::Unchanged => {
                let note = self.unchanged_because.clone();
                ("unchanged", ExitStatus::Success, note, None)
            }
            Verdict::NotLoaded {
                state,
                exit,
                message,
                hint,
            } => (state.state().as_str(), exit, Some(message), hint),
        };
        let revision = match outcome {
            "unchanged" => self.standing.loaded.as_ref().map(|(revision, _)| *revision),
            _ => (entry.revision > 0).then_some(entry.revision),
        };
        Outcome {
            dataset: self
                .dataset
                .as_ref()
                .map(|contract| contract.name.to_string()),
            batch_no: entry.batch_no,
            revision,
            outcome,
            rows_read: entry.rows_read,
            rows_loaded: if outcome == "unchanged" {
                0
            } else {
                entry.rows_loaded
            },
            rows_rejected: entry.rows_rejected,
            difference: if outcome == "loaded" {
                entry.difference
            } else {
                Difference::default()
            },
            files: entry.files,
            bytes: entry.bytes,
            message,
            hint,
            exit,
            written,
        }
    }
}
