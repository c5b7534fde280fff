//! Whether what was inserted may stay: totals, limits, controls, and what stands under the number already.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    doubts::{equal_files, footer, too_many_rejected},
    failure::{Failure, missing_pages},
    identify::Identified,
    insert::Insert,
    inserted::Inserted,
};
use crate::{
    archive::content_hash,
    batch::Batch,
    error::{Error, Result},
    ledger::{Control, Difference, FileEntry},
    load::{HOOK_TOTAL, LINE_TOTAL, LINES_PASSED_OVER, Totals, accounted, control},
    reader::Asides,
    wording::counted,
};

/// How a batch was judged.
pub(super) enum Verdict {
    /// Its rows stay.
    Load,
    /// The same content is loaded already.
    Unchanged,
    /// Nothing of it is loaded.
    NotLoaded(Failure),
}

/// A batch whose rows are in the tables, for now, and what was found about them.
pub(super) struct Judged {
    /// Its own rows, then those of the files that they name.
    pub(super) parts: Vec<Inserted>,
    pub(super) controls: Vec<Control>,
    /// What is worth knowing beside what the batch itself came with.
    pub(super) notes: Vec<String>,
    pub(super) rows_expected: Option<u64>,
    /// Against the revision that is loaded, if one is.
    pub(super) difference: Option<Difference>,
    /// Whether only some pages came, each with what is loaded: that says nothing of the others.
    pub(super) is_part: bool,
}

impl Judged {
    /// The files of all datasets.
    pub(super) fn files(&self) -> impl Iterator<Item = &FileEntry> {
        let parts = self.parts.iter();
        parts.flat_map(|part| part.files.iter().map(|file| &file.entry))
    }

    /// A figure of all files, summed.
    pub(super) fn sum(&self, of: impl Fn(&FileEntry) -> u64) -> u64 {
        self.files().map(of).sum()
    }

    /// What the content is known by.
    pub(super) fn known_by(&self) -> String {
        content_hash(self.files().filter_map(FileEntry::known_by))
    }

    /// Whether it is, to the byte or value, what is known by `hash`. Earlier releases knew lists by their text.
    pub(super) fn is_known_by(&self, hash: &str) -> bool {
        let by_bytes =
            || content_hash(self.files().filter_map(|file| file.content_hash.as_deref()));
        self.known_by() == hash || by_bytes() == hash
    }
}

/// A batch on its way to a verdict.
pub(super) struct Judging<'j> {
    pub(super) batch: &'j Batch,
    pub(super) identified: &'j Identified,
    pub(super) insert: &'j Insert<'j>,
    judged: Judged,
}

impl Insert<'_> {
    /// Everything between BEGIN and the verdict: the batch's own rows, then the files that they name.
    pub(super) fn judged(&self, identified: &mut Identified) -> Result<(Judged, Verdict)> {
        let opened = identified.opened.take();
        let child = identified.child.as_deref();
        let own = self.own(&identified.contract, child, identified.first_file, opened)?;
        let mut judging = Judging {
            batch: self.batch,
            identified,
            insert: self,
            judged: Judged {
                parts: Vec::new(),
                controls: Vec::new(),
                notes: Vec::new(),
                rows_expected: self.batch.total,
                difference: None,
                is_part: false,
            },
        };
        let verdict = judging.verdict(own)?;
        Ok((judging.judged, verdict))
    }
}

impl Judging<'_> {
    fn verdict(&mut self, own: Inserted) -> Result<Verdict> {
        if self.batch.missing.is_some() || self.batch.pages_incomplete {
            if self.came_again(&own)? {
                self.judged.parts.push(own);
                self.judged.is_part = true;
                return Ok(Verdict::Unchanged);
            }
            if let Some(missing) = &self.batch.missing {
                let waiting = Failure::waiting(missing_pages(missing), self.batch);
                self.judged.parts.push(own);
                return Ok(Verdict::NotLoaded(waiting));
            }
        }
        if let Some(total) = self.batch.total {
            let read = own.sum(|file| file.rows_read);
            let total = own.asides.rows_of(total, read);
            self.judged.rows_expected = Some(total);
            self.judged.controls.push(control(HOOK_TOTAL, total, read));
            if read != total {
                let failure = self.wrong_total(total, read, footer(&own));
                self.judged.parts.push(own);
                return Ok(Verdict::NotLoaded(failure));
            }
        }
        let of_own = own.ids;
        let mut own = own;
        let follow_ups = std::mem::take(&mut own.follow_ups);
        if let Some(failure) = self.part(own)? {
            return Ok(Verdict::NotLoaded(failure));
        }
        if let Some(child) = &self.identified.child {
            let parent = &self.identified.contract;
            let lines = self.insert.named(child, parent, follow_ups, of_own)?;
            if let Some(failure) = self.wrong_line_totals(&lines) {
                self.judged.parts.push(lines);
                return Ok(Verdict::NotLoaded(failure));
            }
            if let Some(failure) = self.part(lines)? {
                return Ok(Verdict::NotLoaded(failure));
            }
        }
        self.note_figures();
        self.against_what_stands()
    }

    /// Judges the rows of one dataset.
    fn part(&mut self, part: Inserted) -> Result<Option<Failure>> {
        let contract = Arc::clone(&part.contract);
        let failure = match too_many_rejected(&part) {
            Some(failure) => Some(failure),
            None => {
                let transaction = self.insert.transaction;
                let totals = transaction.totals(&contract, part.ids)?;
                self.check_totals(&part, totals)?
            }
        };
        let is_own = self.judged.parts.is_empty();
        self.judged.notes.extend(equal_files(&part, is_own));
        self.judged.parts.push(part);
        Ok(failure)
    }

    /// Compares the recount with the books: what was read is loaded or rejected, nothing else.
    fn check_totals(&mut self, part: &Inserted, totals: Totals) -> Result<Option<Failure>> {
        let name = part.contract.name.as_str();
        let read = part.sum(|file| file.rows_read);
        let rejected = part.sum(|file| file.rows_rejected);
        let found = totals.rows + rejected;
        let controls = &mut self.judged.controls;
        controls.push(control(accounted(name), read, found));
        controls.extend(totals.controls);
        if found != read {
            return Err(Error::Internal(format!(
                "{name}: {read} rows read, but {} loaded and {rejected} rejected",
                totals.rows
            )));
        }
        Ok(totals.enforced.first().map(|(name, broken)| {
            Failure::failed(
                format!("{broken} rows break the control `{name}`, which is enforced"),
                None,
            )
        }))
    }

    fn wrong_total(&self, total: u64, read: u64, footer: Option<String>) -> Failure {
        let footer = footer.filter(|_| read > total).unwrap_or_default();
        let message = format!("{read} rows delivered where {total} were announced{footer}");
        if self.batch.pages_incomplete && read < total {
            let message = format!("{message}; further pages are not announced yet");
            return Failure::waiting(message, self.batch);
        }
        Failure::failed(
            message,
            Some("the file or the announcement is wrong: ask for the batch to be announced again"),
        )
    }

    fn wrong_line_totals(&mut self, lines: &Inserted) -> Option<Failure> {
        let stated: Vec<(&FileEntry, u64)> = lines
            .files
            .iter()
            .filter_map(|file| {
                let read = file.entry.rows_read;
                Some((&file.entry, file.asides.rows_of(file.expected_rows?, read)))
            })
            .collect();
        // A cell may state any number.
        let sum = |rows: &mut dyn Iterator<Item = u64>| rows.fold(0, u64::saturating_add);
        let counted = sum(&mut lines.files.iter().filter_map(|file| file.expected_rows));
        let expected = sum(&mut stated.iter().map(|(_, expected)| *expected));
        let actual: u64 = stated.iter().map(|(file, _)| file.rows_read).sum();
        let wrong: Vec<_> = stated
            .iter()
            .filter(|(file, expected)| *expected != file.rows_read)
            .collect();
        if !stated.is_empty() {
            let mut control = control(LINE_TOTAL, expected, actual);
            control.passed = wrong.is_empty();
            self.judged.controls.push(control);
        }
        self.note(LINES_PASSED_OVER, counted.saturating_sub(expected));
        self.judged.rows_expected = self
            .judged
            .rows_expected
            .map(|rows| rows.saturating_add(expected));
        let (first, expected) = wrong.first()?;
        Some(Failure::failed(
            format!(
                "{} of {} bills have another number of lines than their `total`; the first is {}: {} lines where {expected} were stated",
                wrong.len(),
                stated.len(),
                first.url,
                first.rows_read,
            ),
            Some("ask for the batch to be announced again"),
        ))
    }

    /// Figures that nothing is expected of.
    fn note_figures(&mut self) {
        let parts = &self.judged.parts;
        let sum = |of: fn(&Inserted) -> u64| -> u64 { parts.iter().map(of).sum() };
        let absent: BTreeSet<&str> = parts
            .iter()
            .flat_map(|part| &part.absent)
            .map(String::as_str)
            .collect();
        let absent = Vec::from_iter(absent);
        let unread: BTreeSet<&str> = parts
            .iter()
            .flat_map(|part| part.unread_checksums.iter().copied())
            .collect();
        let unread = Vec::from_iter(unread);
        let mut asides = Asides::default();
        for part in parts {
            asides += part.asides;
        }
        let figure = |count: u64| (count > 0).then(|| count.to_string());
        let figures = [
            (
                "unknown keys of the announcement, ignored",
                figure(self.batch.unknown_keys),
            ),
            (
                "cells freed of a spreadsheet's wrapping",
                figure(sum(|part| part.unwrapped)),
            ),
            (
                "files whose last line has no line break: it may be cut",
                figure(sum(|part| part.open_ended)),
            ),
            (
                "columns of the contract that were not delivered",
                (!absent.is_empty()).then(|| absent.join(", ")),
            ),
            (
                "checksums sent with files that could not be read",
                (!unread.is_empty()).then(|| unread.join(", ")),
            ),
        ];
        let noted = figures.into_iter().filter_map(|(name, figure)| {
            Some(Control {
                name: name.into(),
                expected: None,
                actual: figure?,
                passed: true,
            })
        });
        self.judged.controls.extend(noted);
        for (name, count) in asides.figures() {
            self.note(name, count);
        }
    }

    fn note(&mut self, name: &str, count: u64) {
        let controls = &mut self.judged.controls;
        controls.extend((count > 0).then(|| Control {
            name: name.into(),
            expected: None,
            actual: count.to_string(),
            passed: true,
        }));
    }

    /// Whether it is news, and may take the place of what is loaded.
    fn against_what_stands(&mut self) -> Result<Verdict> {
        let identified = self.identified;
        let Some(loaded) = identified.standing.loaded() else {
            return Ok(Verdict::Load);
        };
        if self.judged.is_known_by(&loaded.content_hash) {
            return Ok(Verdict::Unchanged);
        }
        let is_statement = self.batch.total == Some(0) || self.batch.replay.is_some();
        if self.judged.sum(|file| file.rows_read) == 0 && loaded.rows_loaded > 0 && !is_statement {
            return Ok(Verdict::NotLoaded(Failure::failed(
                format!(
                    "nothing is in it, and nothing says that it should be empty: the {} of revision {} stay",
                    counted(loaded.rows_loaded, "row"),
                    loaded.revision
                ),
                Some("where the batch is empty now, have it announced with `total` 0"),
            )));
        }
        let mut difference = Difference::default();
        for part in &self.judged.parts {
            let (transaction, batch_no) = (self.insert.transaction, self.batch.batch_no.as_str());
            let more = transaction.difference(&part.contract, batch_no, part.ids)?;
            difference.added += more.added;
            difference.removed += more.removed;
            difference.changed += more.changed;
        }
        self.judged.difference = Some(difference);
        // Whatever the bytes: rows that name files by signed URLs differ in them at every announcement, a list has
        // none, and columns may stand in another order.
        let is_the_same = difference == Difference::default()
            && self.judged.sum(|file| file.rows_rejected) == 0
            && loaded.rows_rejected == 0;
        Ok(match is_the_same {
            true => Verdict::Unchanged,
            false => Verdict::Load,
        })
    }
}
