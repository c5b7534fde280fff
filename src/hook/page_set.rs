//! The pages of one number: which belong together, whether they agree, what is missing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use super::{
    Announcement, Fault,
    batch::{Batch, CLOSE, Content, Part},
    page::{Page, Slot, page_name, page_ranges},
};
use crate::{
    error::{Error, Result},
    source_url::SourceUrl,
};

/// The pages of one number, as far as they have come. Never empty.
#[derive(Debug)]
pub(super) struct PageSet {
    pages: BTreeMap<Slot, Page>,
    /// Inline rows of all pages.
    rows: u64,
    /// Pages that name a file.
    files: usize,
    /// The newest `total` that was given.
    total: Option<u64>,
    /// The `size` that was given first.
    size: Option<u64>,
    /// When its first and its last page were made or received, where all say when.
    span: Option<(i64, i64)>,
    /// Came again with the same content.
    repeated: BTreeSet<Slot>,
    /// Came again with other content.
    replaced: BTreeSet<Slot>,
    /// The whole set came again with the same content.
    is_repeated: bool,
    fault: Option<&'static str>,
    /// Whether the announcements count their pages from 0.
    counts_from_zero: bool,
    /// Where its pages came from, repeated and replaced ones included.
    pub(super) origins: Vec<String>,
    /// The documents that they came in.
    pub(super) documents: BTreeSet<usize>,
    /// Whether there are pages of an earlier issue that never was whole.
    follows_a_fragment: bool,
    /// The set of the same number before this one.
    pub(super) previous: Option<usize>,
}

impl PageSet {
    pub(super) fn new(page: Page, counts_from_zero: bool, previous: Option<usize>) -> Self {
        let at = page.announcement.order();
        let mut set = Self {
            pages: BTreeMap::new(),
            rows: 0,
            files: 0,
            total: None,
            size: None,
            span: at.map(|at| (at, at)),
            repeated: BTreeSet::new(),
            replaced: BTreeSet::new(),
            is_repeated: false,
            fault: None,
            counts_from_zero,
            origins: Vec::new(),
            documents: BTreeSet::new(),
            follows_a_fragment: false,
            previous,
        };
        set.add(page);
        set
    }

    /// Whether `page` is one of this set, delivered again.
    pub(super) fn holds(&self, page: &Page) -> bool {
        let held = self.pages.get(&page.slot());
        held.is_some_and(|held| held.is_redelivered_as(page) && held.says_the_same_as(page))
    }

    /// Whether `page` belongs to this set rather than to a new one.
    pub(super) fn takes(&self, page: &Page) -> bool {
        if !self.agrees_with(page) {
            return false;
        }
        if !self.is_complete() {
            return true;
        }
        // Complete by `total` alone: the empty last page may follow, and a page with more rows must not be lost,
        // whichever of them comes first.
        !self.pages.contains_key(&page.slot())
            && !self.ends_with_last_page()
            && page.slot().is_some()
    }

    /// Whether `page` can be of the same issue. Where nothing says when pages were made, somebody has given them
    /// together; a contradiction between them is an error then.
    fn agrees_with(&self, page: &Page) -> bool {
        let (Some((first, last)), Some(at)) = (self.span, page.announcement.order()) else {
            return true;
        };
        let differ = |this: Option<u64>, that: Option<u64>| {
            this.zip(that).is_some_and(|(this, that)| this != that)
        };
        let hook = &page.announcement.hook;
        last.max(at).saturating_sub(first.min(at)) <= CLOSE
            && !differ(self.total, hook.total)
            && !differ(self.size, hook.size)
    }

    pub(super) fn add(&mut self, page: Page) {
        let slot = page.slot();
        self.origins.push(page.announcement.origin.clone());
        self.documents.insert(page.announcement.document);
        let held = self.pages.get_mut(&slot);
        if let Some(held) = held.filter(|held| held.says_the_same_as(&page)) {
            held.renew(page);
            self.repeated.insert(slot);
            return;
        }
        if let Some(held) = self.pages.get(&slot) {
            if slot.is_none() {
                // A correction or a second page? To choose could lose rows.
                self.fault = Some(
                    "announced more than once with `lastPage` false and without `page`: the pages can't be told apart",
                );
            }
            self.rows -= held.rows();
            self.files -= usize::from(held.has_file());
            self.replaced.insert(slot);
        }
        let at = page.announcement.order();
        self.span = self
            .span
            .zip(at)
            .map(|((first, last), at)| (first.min(at), last.max(at)));
        self.rows += page.rows();
        self.files += usize::from(page.has_file());
        self.total = page.announcement.hook.total.or(self.total);
        self.size = self.size.or(page.announcement.hook.size);
        self.pages.insert(slot, page);
    }

    /// Whether pages of it are missing, and neither files nor a whole issue tell more: then what is announced whole
    /// after it takes its place.
    pub(super) fn is_fragment(&self) -> bool {
        !self.is_complete() && self.files == 0 && self.fault.is_none()
    }

    /// Whether `fragment` is of an earlier issue of the same batch, which nobody needs any more.
    pub(super) fn replaces(&self, fragment: &Self) -> bool {
        self.is_complete()
            && self.fault.is_none()
            && self
                .span
                .zip(fragment.span)
                .is_some_and(|(this, that)| that.1 <= this.1)
    }

    /// Takes over where the pages of a fragment are.
    pub(super) fn replace(&mut self, fragment: Self) {
        self.origins.extend(fragment.origins);
        self.documents.extend(fragment.documents);
        self.follows_a_fragment = true;
    }

    pub(super) fn is_repeat_of(&self, before: &Self) -> bool {
        self.fault.is_none()
            && self.pages.iter().all(|(slot, page)| {
                before
                    .pages
                    .get(slot)
                    .is_some_and(|held| held.says_the_same_as(page))
            })
    }

    pub(super) fn absorb(&mut self, repeat: Self) {
        self.origins.extend(repeat.origins);
        self.documents.extend(repeat.documents);
        for (slot, page) in repeat.pages {
            if let Some(held) = self.pages.get_mut(&slot) {
                held.renew(page);
            }
        }
        self.is_repeated = true;
    }

    /// Pages 1 to the highest are all there.
    fn is_gapless(&self) -> bool {
        self.pages.len() as u64 == self.highest()
    }

    /// The highest page; a hook without `page` is the first.
    fn highest(&self) -> u64 {
        self.pages
            .last_key_value()
            .map_or(1, |(slot, _)| slot.unwrap_or(1))
    }

    fn ends_with_last_page(&self) -> bool {
        self.pages.last_key_value().is_some_and(|(slot, page)| {
            match page.announcement.hook.last_page {
                Some(last) => last,
                // Neither `page` nor `lastPage`: nothing says that there are pages at all.
                None => slot.is_none(),
            }
        })
    }

    fn rows_reach_total(&self) -> bool {
        self.files == 0 && self.total.is_some_and(|total| self.rows >= total)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_gapless() && (self.ends_with_last_page() || self.rows_reach_total())
    }

    pub(super) fn into_batch(mut self) -> Result<Batch> {
        let Some((_, first)) = self.pages.first_key_value() else {
            return Err(Error::Internal("a set of pages without a page".into()));
        };
        let origin = first.announcement.origin.clone();
        let batch_no = first.announcement.hook.batch_no.clone();
        if let Err(message) = self.check_agreement() {
            return Err(Fault::new(format!("batch {batch_no}: {message}"))
                .hint("ask for the batch to be announced again")
                .at(&origin));
        }
        let missing = self.missing();
        let is_file = self.files > 0;
        let pages_incomplete = missing.is_some() && is_file && self.total.is_some();
        let announced = || self.pages.values().map(|page| &page.announcement);
        let event_type = announced().find_map(|a| a.event_type.clone());
        let only_resource_signed = announced().any(|a| a.only_resource_signed);
        let announced_at = announced().filter_map(|a| a.announced_at).min();
        let received_at = announced().filter_map(|a| a.received_at).min();
        let newest_at = announced().filter_map(|a| a.received_at).max();
        let unknown_keys = announced().map(|a| a.unknown_keys).sum();
        let mut notes = self.repetitions();
        notes.extend(self.several_announcements());
        if self.follows_a_fragment {
            notes.push("pages of an earlier issue, which never was whole, were left out".into());
        }
        let mut parts = Vec::new();
        let content = if is_file {
            self.take_files(&mut notes)
        } else {
            parts = self.parts();
            self.take_rows()
        };
        Ok(Batch {
            batch_no,
            origin,
            event_type,
            only_resource_signed,
            announced_at,
            received_at,
            newest_at,
            total: self.total,
            content,
            parts,
            missing: missing.filter(|_| !pages_incomplete),
            pages_incomplete,
            notes,
            unknown_keys,
        })
    }

    /// Whether the pages can be pages of one batch; settles `total`.
    fn check_agreement(&mut self) -> Result<(), String> {
        if let Some(fault) = self.fault.take() {
            return Err(fault.into());
        }
        if self.pages.len() > 1 && self.pages.contains_key(&None) {
            return Err("pages disagree: some have `page`, others do not".into());
        }
        let mut totals = self.pages.iter().filter_map(|(slot, page)| {
            let total = page.announcement.hook.total?;
            Some((*slot, total))
        });
        let first = totals.next();
        if let Some((slot, total)) = first
            && let Some((other_slot, other)) = totals.find(|(_, other)| *other != total)
        {
            return Err(format!(
                "pages disagree: `total` is {total} on {} and {other} on {}",
                page_name(slot),
                page_name(other_slot)
            ));
        }
        let highest = self.highest();
        let early_last = self.pages.iter().find(|(slot, page)| {
            page.announcement.hook.last_page == Some(true) && slot.unwrap_or(1) < highest
        });
        if let Some((slot, _)) = early_last {
            return Err(format!(
                "pages disagree: {} has `lastPage` true, but page {highest} was announced",
                page_name(*slot)
            ));
        }
        let with_file = self.pages.iter().find(|(_, page)| page.has_file());
        let list_only = self
            .pages
            .iter()
            .find(|(_, page)| !page.has_file() && page.announcement.hook.list.is_some());
        if let (Some((file, _)), Some((list, _))) = (with_file, list_only) {
            return Err(format!(
                "pages disagree: {} has `fileUrl`, {} only a `list`",
                page_name(*file),
                page_name(*list)
            ));
        }
        // A superseded page's total is superseded too.
        self.total = first.map(|(_, total)| total);
        Ok(())
    }

    /// What came more than once, and what was made of it.
    fn repetitions(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (slots, outcome) in [
            (&self.repeated, "the same content, which counts once"),
            (&self.replaced, "different content; the latest was taken"),
        ] {
            if !slots.is_empty() {
                let pages: Vec<_> = slots.iter().flatten().map(|page| (*page, *page)).collect();
                let what = if pages.is_empty() {
                    "the hook".into()
                } else {
                    page_ranges(&pages)
                };
                notes.push(format!("{what} came more than once with {outcome}"));
            }
        }
        if self.is_repeated {
            notes.push("announced again with the same content, which counts once".into());
        }
        notes
    }

    /// That nothing tells pages of two issues apart where they came in several announcements.
    fn several_announcements(&self) -> Option<String> {
        let (first, last) = self.span?;
        let mut pages = self.pages.values().map(|page| &page.announcement);
        let one = pages.next()?;
        let is_one = pages.all(|other| {
            let said_at_once = one.announced_at.is_some() && one.announced_at == other.announced_at;
            let same_id = one.id.is_some() && one.id == other.id;
            one.document == other.document || said_at_once || same_id
        });
        let apart = Duration::from_micros(last.abs_diff(first)).as_millis();
        let apart = Duration::from_secs(u64::try_from(apart.div_ceil(1000)).unwrap_or_default());
        (!is_one).then(|| {
            format!(
                "its pages came from several announcements within {}: whether all are of one issue can't be told",
                humantime::format_duration(apart)
            )
        })
    }

    /// Where its rows are, in page order.
    fn parts(&self) -> Vec<Part> {
        let listed = self.pages.iter().filter_map(|(slot, page)| {
            let Announcement {
                document,
                element,
                hook,
                ..
            } = &page.announcement;
            hook.list.as_ref().map(|_| Part {
                document: *document,
                element: *element,
                page: *slot,
                size: hook.size,
                rows: hook.rows(),
            })
        });
        listed.collect()
    }

    fn take_rows(&mut self) -> Content {
        let lists = self
            .pages
            .values_mut()
            .filter_map(|page| page.announcement.hook.list.take());
        Content::Rows(lists.flatten().collect())
    }

    fn take_files(&mut self, notes: &mut Vec<String>) -> Content {
        if self.pages.values().any(|page| page.rows() > 0) {
            notes.push("the inline list beside fileUrl is a preview and was not loaded".into());
        }
        let mut files: Vec<(usize, SourceUrl)> = Vec::new();
        let mut place: HashMap<_, usize> = HashMap::new();
        let (mut is_repeated, mut is_signed_anew) = (false, false);
        for page in self.pages.values() {
            let Some(url) = &page.announcement.hook.file_url else {
                continue;
            };
            let at = *place.entry(url.identity()).or_insert(files.len());
            match files.get_mut(at) {
                None => files.push((page.order, url.clone())),
                Some((order, held)) => {
                    is_repeated = true;
                    is_signed_anew |= held != url;
                    if page.order > *order {
                        (*order, *held) = (page.order, url.clone());
                    }
                }
            }
        }
        if is_repeated {
            let newest = if is_signed_anew {
                ", by the newest URL"
            } else {
                ""
            };
            notes.push(format!(
                "pages name the same file more than once; it was taken once{newest}"
            ));
        }
        Content::Files(files.into_iter().map(|(_, url)| url).collect())
    }

    /// What has not been announced, in words.
    fn missing(&self) -> Option<String> {
        let missing = self.missing_pages()?;
        Some(match self.counts_from_zero {
            true => format!("{missing} (counted from 1 here; announced from 0)"),
            false => missing,
        })
    }

    fn missing_pages(&self) -> Option<String> {
        if self.is_complete() {
            return None;
        }
        let highest = self.highest();
        let last = if self.ends_with_last_page() {
            Some(highest)
        } else {
            self.pages_by_size()
        };
        let mut gaps = Vec::new();
        let mut next = 1;
        for slot in self.pages.keys() {
            let page = slot.unwrap_or(1);
            if page > next {
                gaps.push((next, page - 1));
            }
            next = page.saturating_add(1);
        }
        if let Some(last) = last {
            if last > highest {
                gaps.push((highest + 1, last));
            }
            if !gaps.is_empty() {
                return Some(format!("{} of {last}", page_ranges(&gaps)));
            }
        }
        let after = (!self.rows_reach_total()).then(|| {
            let is_silent = self
                .pages
                .last_key_value()
                .is_some_and(|(_, page)| page.announcement.hook.last_page.is_none());
            match self.total {
                Some(total) if self.rows > 0 && self.files == 0 => {
                    format!("pages after {highest} ({} of {total} rows came)", self.rows)
                }
                None if is_silent => {
                    format!("pages after {highest}, or a `lastPage` that says there are none")
                }
                _ => format!("pages after {highest}"),
            }
        });
        let gaps = (!gaps.is_empty()).then(|| page_ranges(&gaps));
        match (gaps, after) {
            (Some(gaps), Some(after)) => Some(format!("{gaps} and {after}")),
            (gaps, after) => gaps.or(after),
        }
    }

    /// How many pages there should be by `total` and `size`, if all pages say the same size and no page
    /// gives it the lie.
    fn pages_by_size(&self) -> Option<u64> {
        let (_, first) = self.pages.first_key_value()?;
        let size = first.announcement.hook.size.filter(|size| *size > 0)?;
        let is_common = self
            .pages
            .values()
            .all(|page| page.announcement.hook.size == Some(size));
        let pages = self.total?.div_ceil(size);
        (is_common && pages >= self.highest()).then_some(pages)
    }
}
