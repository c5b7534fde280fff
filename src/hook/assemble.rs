//! Pages become batches.
//!
//! Announcements of one number fill a set, page by page, until the set is complete; what comes after
//! that is another set: the batch was issued again.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Announcement, Fault, ListRow};
use crate::{
    batch_no::BatchNo,
    error::{Error, Result},
    source_url::SourceUrl,
};

/// What is to be loaded under one number.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The batch's number.
    pub batch_no: BatchNo,
    /// Where its first page was announced, without secrets.
    pub origin: String,
    /// The `eventType` of its first page that has one.
    pub event_type: Option<String>,
    /// When its first page was announced, in epoch milliseconds.
    pub announced_at: Option<i64>,
    /// Rows the batch should have.
    pub total: Option<u64>,
    /// The rows, or where they are.
    pub content: Content,
    /// What has not been announced yet, such as "pages 2 and 3 of 3"; `None` when nothing is missing.
    pub missing: Option<String>,
    /// Pages are missing, but [`total`](Self::total) is known and the files named so far may well hold
    /// every row: fewer rows than `total` mean waiting for pages, not a failed batch.
    ///
    /// Only with [`Content::Files`]; [`missing`](Self::missing) is `None` then.
    pub pages_incomplete: bool,
    /// What a reader of the ledger should know.
    pub notes: Vec<String>,
    /// Ignored keys of all its hooks and envelopes.
    pub unknown_keys: u64,
}

/// The rows of a [`Batch`], or where they are.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Files, each once, in page order.
    Files(Vec<SourceUrl>),
    /// Inline rows, in page order.
    Rows(Vec<ListRow>),
}

impl Batch {
    /// The keys of all inline rows, in order of first appearance; empty for files.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        let Content::Rows(rows) = &self.content else {
            return Vec::new();
        };
        let mut seen = HashSet::new();
        rows.iter()
            .flat_map(|row| &row.cells)
            .filter(|(key, _)| seen.insert(key.as_str()))
            .map(|(key, _)| key.clone())
            .collect()
    }
}

/// Puts the pages of each number together, whatever order they came in.
///
/// The batches come in the order of their first announcements; where every announcement says when it
/// was made, that is the order, and else the order given. A number whose pages are complete and which
/// is then announced with other content is a second batch. Announcements of one number with different
/// `eventType`s are different batches.
///
/// # Errors
/// [`Error::Announcement`] in place of a batch whose pages disagree:
/// about `total`, about which page is the last, about having page numbers, or about naming files. The
/// other batches are not affected.
#[must_use]
pub fn assemble(mut announcements: Vec<Announcement>) -> Vec<Result<Batch>> {
    if announcements.iter().all(|a| a.announced_at.is_some()) {
        announcements.sort_by_key(|a| a.announced_at);
    }
    let ambiguous = numbers_of_several_events(&announcements);

    let mut sets: Vec<PageSet> = Vec::new();
    let mut open: HashMap<(BatchNo, Option<String>), usize> = HashMap::new();
    for (order, announcement) in announcements.into_iter().enumerate() {
        let number = announcement.hook.batch_no.clone();
        let event = announcement
            .event_type
            .clone()
            .filter(|_| ambiguous.contains(&number));
        let key = (number, event);
        let page = Page {
            order,
            announcement,
        };
        match open.get(&key) {
            Some(index) if sets[*index].takes(&page) => sets[*index].add(page),
            _ => {
                let previous = open.insert(key, sets.len());
                sets.push(PageSet::new(page, previous));
            }
        }
    }
    without_repeats(sets)
        .into_iter()
        .map(PageSet::into_batch)
        .collect()
}

/// Numbers that come with more than one `eventType`: they belong to several datasets.
fn numbers_of_several_events(announcements: &[Announcement]) -> HashSet<BatchNo> {
    let mut first: HashMap<&BatchNo, &str> = HashMap::new();
    let mut several = HashSet::new();
    for announcement in announcements {
        if let Some(event) = &announcement.event_type {
            let number = &announcement.hook.batch_no;
            if *first.entry(number).or_insert(event) != event {
                several.insert(number.clone());
            }
        }
    }
    several
}

/// Drops sets that only say again what the set before them said.
///
/// This can't be decided page by page: a re-issue that corrects the second page of three starts with a
/// page that is no different.
fn without_repeats(sets: Vec<PageSet>) -> Vec<PageSet> {
    let mut kept: Vec<PageSet> = Vec::new();
    // Where each of `sets` went.
    let mut place = Vec::new();
    for mut set in sets {
        set.previous = set.previous.map(|index| place[index]);
        match set.previous {
            Some(before) if set.is_repeat_of(&kept[before]) => {
                kept[before].absorb(set);
                place.push(before);
            }
            _ => {
                place.push(kept.len());
                kept.push(set);
            }
        }
    }
    kept
}

/// A page's place in its set: its number, or `None` for a hook without `page`.
type Slot = Option<u64>;

#[derive(Debug)]
struct Page {
    /// Position among all announcements: the larger, the newer.
    order: usize,
    announcement: Announcement,
}

impl Page {
    fn slot(&self) -> Slot {
        self.announcement.hook.page
    }

    fn rows(&self) -> u64 {
        self.announcement
            .hook
            .list
            .as_ref()
            .map_or(0, |list| list.len() as u64)
    }

    fn has_file(&self) -> bool {
        self.announcement.hook.file_url.is_some()
    }

    /// Whether both say the same; a list beside a file, a signature or the way it is written do not
    /// count.
    fn says_the_same_as(&self, other: &Self) -> bool {
        let (this, that) = (&self.announcement.hook, &other.announcement.hook);
        if (this.total, this.last_page) != (that.total, that.last_page) {
            return false;
        }
        match (&this.file_url, &that.file_url) {
            (Some(this), Some(that)) => is_same_file(this, that),
            (None, None) => match (&this.list, &that.list) {
                (Some(this), Some(that)) => {
                    this.len() == that.len()
                        && this.iter().zip(that).all(|(a, b)| a.cells == b.cells)
                }
                (None, None) => true,
                _ => false,
            },
            _ => false,
        }
    }

    /// Takes over the newer signature from a page that says the same.
    fn renew(&mut self, newer: Self) {
        self.order = newer.order;
        self.announcement.hook.file_url = newer.announcement.hook.file_url;
    }

    /// Whether `other` is this very announcement, delivered again.
    fn is_redelivered_as(&self, other: &Self) -> bool {
        self.announcement.id.is_some() && self.announcement.id == other.announcement.id
    }
}

/// Whether two URLs differ in their query at most: a new signature is no new file.
fn is_same_file(this: &SourceUrl, that: &SourceUrl) -> bool {
    file_key(this) == file_key(that)
}

fn file_key(url: &SourceUrl) -> (&str, Option<&str>, Option<u16>, &str) {
    let url = url.secret();
    (
        url.scheme(),
        url.host_str(),
        url.port_or_known_default(),
        url.path(),
    )
}

/// The pages of one number, as far as they have come. Never empty.
#[derive(Debug)]
struct PageSet {
    pages: BTreeMap<Slot, Page>,
    /// Inline rows of all pages.
    rows: u64,
    /// The newest `total` that was given.
    total: Option<u64>,
    notes: Vec<String>,
    fault: Option<String>,
    /// The set of the same number before this one.
    previous: Option<usize>,
}

impl PageSet {
    fn new(page: Page, previous: Option<usize>) -> Self {
        let mut set = Self {
            pages: BTreeMap::new(),
            rows: 0,
            total: None,
            notes: Vec::new(),
            fault: None,
            previous,
        };
        set.add(page);
        set
    }

    /// Whether `page` belongs to this set rather than to a new one.
    fn takes(&self, page: &Page) -> bool {
        if !self.is_complete() {
            return true;
        }
        match self.pages.get(&page.slot()) {
            Some(held) => held.is_redelivered_as(page) && held.says_the_same_as(page),
            // Complete by `total` alone: the empty last page may follow, and a page with more rows must
            // not be lost, whichever of them comes first.
            None => !self.ends_with_last_page() && page.slot().is_some(),
        }
    }

    fn add(&mut self, page: Page) {
        let slot = page.slot();
        let name = page_name(slot);
        let Some(held) = self.pages.get_mut(&slot) else {
            self.rows += page.rows();
            self.total = page.announcement.hook.total.or(self.total);
            self.pages.insert(slot, page);
            return;
        };
        if held.says_the_same_as(&page) {
            held.renew(page);
            self.note(format!(
                "{name} was announced more than once with the same content and counts once"
            ));
            return;
        }
        if slot.is_none() {
            // A correction or a second page? To choose could lose rows.
            self.fault = Some(
                "announced more than once with `lastPage` false and without `page`: the pages can't be told apart"
                    .into(),
            );
        }
        self.rows = self.rows - held.rows() + page.rows();
        self.total = page.announcement.hook.total.or(self.total);
        self.pages.insert(slot, page);
        self.note(format!(
            "{name} was announced more than once with different content; the latest was taken"
        ));
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn is_repeat_of(&self, before: &Self) -> bool {
        self.fault.is_none()
            && self.pages.iter().all(|(slot, page)| {
                before
                    .pages
                    .get(slot)
                    .is_some_and(|held| held.says_the_same_as(page))
            })
    }

    fn absorb(&mut self, repeat: Self) {
        for (slot, page) in repeat.pages {
            if let Some(held) = self.pages.get_mut(&slot) {
                held.renew(page);
            }
        }
        self.note("announced again with the same content, which counts once".into());
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
        self.total.is_some_and(|total| self.rows >= total)
            && !self.pages.values().any(Page::has_file)
    }

    fn is_complete(&self) -> bool {
        self.is_gapless() && (self.ends_with_last_page() || self.rows_reach_total())
    }

    fn into_batch(mut self) -> Result<Batch> {
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
        let is_file = self.pages.values().any(Page::has_file);
        let pages_incomplete = missing.is_some() && is_file && self.total.is_some();
        let announced = || self.pages.values().map(|page| &page.announcement);
        let event_type = announced().find_map(|a| a.event_type.clone());
        let announced_at = announced().filter_map(|a| a.announced_at).min();
        let unknown_keys = announced().map(|a| a.unknown_keys).sum();
        let content = if is_file {
            self.take_files()
        } else {
            self.take_rows()
        };
        Ok(Batch {
            batch_no,
            origin,
            event_type,
            announced_at,
            total: self.total,
            content,
            missing: missing.filter(|_| !pages_incomplete),
            pages_incomplete,
            notes: self.notes,
            unknown_keys,
        })
    }

    /// Whether the pages can be pages of one batch; settles `total`.
    fn check_agreement(&mut self) -> Result<(), String> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
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

    fn take_rows(&mut self) -> Content {
        let lists = self
            .pages
            .values_mut()
            .filter_map(|page| page.announcement.hook.list.take());
        Content::Rows(lists.flatten().collect())
    }

    fn take_files(&mut self) -> Content {
        if self.pages.values().any(|page| page.rows() > 0) {
            self.note("the inline list beside fileUrl is a preview and was not loaded".into());
        }
        let mut files: Vec<(usize, SourceUrl)> = Vec::new();
        let mut place: HashMap<_, usize> = HashMap::new();
        let mut queries_differ = false;
        for page in self.pages.values() {
            let Some(url) = &page.announcement.hook.file_url else {
                continue;
            };
            let at = *place.entry(file_key(url)).or_insert(files.len());
            match files.get_mut(at) {
                None => files.push((page.order, url.clone())),
                Some((order, held)) => {
                    queries_differ |= held != url;
                    if page.order > *order {
                        (*order, *held) = (page.order, url.clone());
                    }
                }
            }
        }
        if queries_differ {
            self.note(
                "pages name the same file with different queries; it was taken once, by the newest URL".into(),
            );
        }
        Content::Files(files.into_iter().map(|(_, url)| url).collect())
    }

    /// What has not been announced, in words.
    fn missing(&self) -> Option<String> {
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
                Some(total) if self.rows > 0 && !self.pages.values().any(Page::has_file) => {
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

fn page_name(slot: Slot) -> String {
    match slot {
        Some(page) => format!("page {page}"),
        None => "the hook without `page`".into(),
    }
}

/// "page 2", "pages 2 and 3", "pages 2, 5 to 9 and 11".
fn page_ranges(ranges: &[(u64, u64)]) -> String {
    const MOST: usize = 8;
    let mut items = Vec::new();
    for (from, to) in ranges.iter().take(MOST) {
        match to - from {
            0 => items.push(from.to_string()),
            1 => items.extend([from.to_string(), to.to_string()]),
            _ => items.push(format!("{from} to {to}")),
        }
    }
    if ranges.len() > MOST {
        items.push("more".into());
    }
    let noun = match ranges {
        [(from, to)] if from == to => "page",
        _ => "pages",
    };
    match items.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{noun} {} and {last}", rest.join(", ")),
        _ => format!("{noun} {}", items.concat()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Batch, Content, assemble};
    use crate::{
        error::{Error, Result},
        hook::{Announcement, parse},
    };

    /// Announcements of one document each; `'` stands for `"`.
    fn announced(documents: &[&str]) -> Vec<Announcement> {
        documents
            .iter()
            .enumerate()
            .flat_map(|(index, json)| {
                let json = json.replace('\'', "\"");
                parse(&format!("{index}.json"), json.as_bytes()).expect("an announcement")
            })
            .collect()
    }

    fn assembled(documents: &[&str]) -> Vec<Result<Batch>> {
        assemble(announced(documents))
    }

    fn batches(documents: &[&str]) -> Vec<Batch> {
        assembled(documents)
            .into_iter()
            .map(|batch| batch.expect("a batch"))
            .collect()
    }

    fn batch(documents: &[&str]) -> Batch {
        let mut batches = batches(documents);
        assert_eq!(batches.len(), 1, "{batches:?}");
        batches.remove(0)
    }

    fn message(documents: &[&str]) -> String {
        match assembled(documents).as_slice() {
            [Err(Error::Announcement { message, .. })] => message.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// What is loaded: cells of rows joined, or whole URLs.
    fn content(batch: &Batch) -> Vec<String> {
        match &batch.content {
            Content::Files(urls) => urls.iter().map(|url| url.secret().to_string()).collect(),
            Content::Rows(rows) => rows
                .iter()
                .map(|row| {
                    let cells: Vec<_> = row
                        .cells
                        .iter()
                        .map(|(_, cell)| cell.clone().unwrap_or_default())
                        .collect();
                    cells.join("|")
                })
                .collect(),
        }
    }

    const P1: &str =
        "{'batchNo':'B','page':1,'size':2,'total':5,'lastPage':false,'list':[{'a':1},{'a':2}]}";
    const P2: &str =
        "{'batchNo':'B','page':2,'size':2,'total':5,'lastPage':false,'list':[{'a':3},{'a':4}]}";
    const P3: &str = "{'batchNo':'B','page':3,'size':2,'total':5,'lastPage':true,'list':[{'a':5}]}";

    #[test]
    fn list_pages_are_one_batch_in_page_order_whatever_order_they_came_in() {
        for order in [
            [P1, P2, P3],
            [P1, P3, P2],
            [P2, P1, P3],
            [P2, P3, P1],
            [P3, P1, P2],
            [P3, P2, P1],
        ] {
            let batch = batch(&order);
            assert_eq!(content(&batch), ["1", "2", "3", "4", "5"]);
            assert_eq!((batch.total, batch.missing), (Some(5), None));
            assert_eq!(batch.notes, [""; 0]);
        }
    }

    #[test]
    fn what_is_missing_is_said_in_words() {
        let list = "'list':[{'a':1}]";
        let file = "'fileUrl':'https://h/f'";
        #[rustfmt::skip]
        let cases: &[(&[&str], Option<&str>, bool)] = &[
            // The fields of each page, what is missing, whether rows are to be compared with the total.
            (&[list], None, false),
            (&[&format!("'total':9,{list}")], None, false),
            (&[&format!("'lastPage':true,{list}")], None, false),
            (&[&format!("'lastPage':false,{list}")], Some("pages after 1"), false),
            (&[&format!("'page':1,'lastPage':true,{list}")], None, false),
            (&[&format!("'page':1,'lastPage':false,{list}")], Some("pages after 1"), false),
            (&[&format!("'page':1,{list}")], Some("pages after 1, or a `lastPage` that says there are none"), false),
            (&[&format!("'page':1,'lastPage':false,'total':3,'size':1,{list}")], Some("pages 2 and 3 of 3"), false),
            (&[&format!("'page':1,'lastPage':false,'total':2,'size':1,{list}")], Some("page 2 of 2"), false),
            (&[&format!("'page':1,'lastPage':false,'total':9,'size':1,{list}")], Some("pages 2 to 9 of 9"), false),
            (&[&format!("'page':1,'lastPage':false,'total':9,'size':0,{list}")], Some("pages after 1 (1 of 9 rows came)"), false),
            (&[&format!("'page':1,'lastPage':false,'total':9,{list}")], Some("pages after 1 (1 of 9 rows came)"), false),
            (&[&format!("'page':1,'lastPage':false,'total':1,{list}")], None, false),
            (&[&format!("'page':1,'total':1,{list}")], None, false),
            (&[&format!("'page':1,'total':2,{list}"), &format!("'page':2,'total':2,{list}")], None, false),
            (&[&format!("'page':3,'lastPage':true,{list}")], Some("pages 1 and 2 of 3"), false),
            (&[&format!("'page':9223372036854775807,'lastPage':true,{list}")], Some("pages 1 to 9223372036854775806 of 9223372036854775807"), false),
            (&[&format!("'page':2,'lastPage':false,{list}"), &format!("'page':4,'lastPage':false,{list}")], Some("pages 1 and 3 and pages after 4"), false),
            (&[&format!("'page':1,'total':2,{list}"), &format!("'page':3,'total':2,{list}")], Some("page 2"), false),
            (&[&format!("'page':2,'lastPage':false,{list}"), &format!("'page':6,'lastPage':true,{list}")], Some("pages 1 and 3 to 5 of 6"), false),
            (&["'total':0"], None, false),
            (&["'page':1,'lastPage':false,'total':0"], None, false),
            (&["'list':[]"], None, false),
            (&[file], None, false),
            (&[&format!("'page':1,'lastPage':true,'total':9,{file}")], None, false),
            (&[&format!("'page':1,'lastPage':false,{file}")], Some("pages after 1"), false),
            (&[&format!("'page':1,'lastPage':false,'total':9,{file}")], None, true),
            (&[&format!("'lastPage':false,'total':9,{file}")], None, true),
            (&[&format!("'page':3,'lastPage':true,'total':9,{file}")], None, true),
            (&[&format!("'page':3,'lastPage':true,{file}")], Some("pages 1 and 2 of 3"), false),
        ];
        for (pages, missing, pages_incomplete) in cases {
            let pages: Vec<String> = pages
                .iter()
                .map(|fields| format!("{{'batchNo':'B',{fields}}}"))
                .collect();
            let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
            let batch = batch(&pages);
            assert_eq!(batch.missing.as_deref(), *missing, "{pages:?}");
            assert_eq!(batch.pages_incomplete, *pages_incomplete, "{pages:?}");
        }
    }

    #[test]
    fn an_empty_last_page_joins_the_batch_whose_rows_already_reached_the_total() {
        let full = "{'batchNo':'B','page':1,'total':1,'lastPage':false,'list':[{'a':1}]}";
        let empty = "{'batchNo':'B','page':2,'total':1,'lastPage':true,'list':[]}";
        for order in [[full, empty], [empty, full]] {
            let batch = batch(&order);
            assert_eq!((content(&batch).len(), batch.missing), (1, None));
        }
    }

    #[test]
    fn the_file_is_the_batch_and_a_list_beside_it_a_preview() {
        let one = batch(&["{'batchNo':'B','fileUrl':'https://h/f?s=1','list':[{'a':1}]}"]);
        assert_eq!(content(&one), ["https://h/f?s=1"]);
        assert_eq!(
            one.notes,
            ["the inline list beside fileUrl is a preview and was not loaded"]
        );
        assert_eq!(one.columns(), [""; 0]);
        let without = batch(&["{'batchNo':'B','fileUrl':'https://h/f','list':[]}"]);
        assert_eq!(without.notes, [""; 0]);
    }

    #[test]
    fn pages_with_different_files_are_parts_and_the_same_file_is_named_once() {
        let page = |page: u64, url: &str| {
            let last = page == 3;
            format!("{{'batchNo':'B','page':{page},'lastPage':{last},'fileUrl':'{url}'}}")
        };
        #[rustfmt::skip]
        let cases: &[([(u64, &str); 3], &[&str])] = &[
            ([(3, "https://h/c"), (1, "https://h/a"), (2, "https://h/b")], &["https://h/a", "https://h/b", "https://h/c"]),
            // The newest signature is the one that still works; the place is that of the first page.
            ([(2, "https://h/a?s=1"), (3, "https://h/b"), (1, "https://h/a?s=2")], &["https://h/a?s=2", "https://h/b"]),
            ([(1, "https://h/a?s=1"), (3, "https://h/b"), (2, "https://h/a?s=2")], &["https://h/a?s=2", "https://h/b"]),
            ([(1, "https://h/a"), (2, "https://h/a"), (3, "https://h:443/a")], &["https://h/a"]),
            ([(1, "https://h/a"), (2, "http://h/a"), (3, "https://h:8443/a")], &["https://h/a", "http://h/a", "https://h:8443/a"]),
        ];
        for (pages, expected) in cases {
            let pages = pages.map(|(number, url)| page(number, url));
            let batch = batch(&pages.each_ref().map(String::as_str));
            assert_eq!(content(&batch), *expected);
            assert_eq!(batch.missing, None);
        }
    }

    #[test]
    fn pages_that_disagree_are_an_error_that_says_about_what() {
        #[rustfmt::skip]
        let cases: &[(&[&str], &str)] = &[
            (&["'page':1,'total':5,'list':[]", "'page':2,'total':6,'list':[]"], "batch B: pages disagree: `total` is 5 on page 1 and 6 on page 2"),
            (&["'page':1,'lastPage':false,'fileUrl':'https://h/f'", "'page':2,'list':[{}]"], "batch B: pages disagree: page 1 has `fileUrl`, page 2 only a `list`"),
            (&["'page':3,'list':[]", "'page':2,'lastPage':true,'list':[]"], "batch B: pages disagree: page 2 has `lastPage` true, but page 3 was announced"),
            (&["'page':1,'lastPage':false,'list':[]", "'list':[{}]"], "batch B: pages disagree: some have `page`, others do not"),
            (&["'lastPage':false,'list':[{'a':1}]", "'lastPage':true,'list':[{'a':2}]"], "batch B: announced more than once with `lastPage` false and without `page`: the pages can't be told apart"),
        ];
        for (pages, expected) in cases {
            let pages: Vec<String> = pages
                .iter()
                .map(|fields| format!("{{'batchNo':'B',{fields}}}"))
                .collect();
            let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
            assert_eq!(message(&pages), *expected);
        }
    }

    #[test]
    fn one_bad_batch_does_not_stop_the_others() {
        let result = assembled(&[
            "[{'batchNo':'A','list':[]},{'batchNo':'B','page':1,'total':1,'list':[]},
              {'batchNo':'B','page':2,'total':2,'list':[]},{'batchNo':'C','list':[]}]",
        ]);
        let names: Vec<_> = result
            .iter()
            .map(|batch| batch.as_ref().ok().map(|batch| batch.batch_no.as_str()))
            .collect();
        assert_eq!(names, [Some("A"), None, Some("C")]);
    }

    #[test]
    fn a_page_that_comes_twice_counts_once() {
        let written_otherwise = "{'batchNo':'B','page':'2','size':2,'total':'5','lastPage':0,'list':[{ 'a':'3' },{'a':4}]}";
        for documents in [
            vec![P1, P2, P2, P3],
            vec![P1, P2, written_otherwise, P3],
            vec![P1, P1, P1, P2, P3],
            vec![P1, P2, P3, P3],
            vec![P1, P2, P3, P1, P2, P3],
        ] {
            let batch = batch(&documents);
            assert_eq!(content(&batch), ["1", "2", "3", "4", "5"], "{documents:?}");
            assert_eq!(batch.notes.len(), 1, "{:?}", batch.notes);
            assert_eq!(batch.origin, "0.json");
        }
    }

    #[test]
    fn a_file_announced_again_is_taken_by_its_newest_url() {
        let old = "{'batchNo':'B','total':3,'fileUrl':'https://h/f?s=old'}";
        let new = "{'batchNo':'B','total':3,'fileUrl':'https://h/f?s=new'}";
        let batch = batch(&[old, new]);
        assert_eq!(content(&batch), ["https://h/f?s=new"]);
        assert_eq!(
            batch.notes,
            ["announced again with the same content, which counts once"]
        );
    }

    #[test]
    fn of_a_page_announced_with_different_content_the_latest_is_taken() {
        let other =
            "{'batchNo':'B','page':1,'size':2,'total':5,'lastPage':false,'list':[{'a':8},{'a':9}]}";
        let batch = batch(&[P1, P2, other, P3]);
        assert_eq!(content(&batch), ["8", "9", "3", "4", "5"]);
        assert_eq!(
            batch.notes,
            ["page 1 was announced more than once with different content; the latest was taken"]
        );
        // What it replaced has no say about the total.
        let corrected = batches(&[
            "{'batchNo':'B','page':1,'total':9,'list':[{'a':1}]}",
            "{'batchNo':'B','page':1,'total':1,'list':[{'a':1}]}",
        ]);
        assert_eq!(corrected[0].total, Some(1));
    }

    #[test]
    fn a_complete_batch_announced_with_other_content_is_a_second_batch() {
        let corrected = P2.replace("'a':4", "'a':44");
        let result = batches(&[P1, P2, P3, P1, &corrected, P3]);
        assert_eq!(content(&result[0]), ["1", "2", "3", "4", "5"]);
        assert_eq!(content(&result[1]), ["1", "2", "3", "44", "5"]);
        assert_eq!(result.len(), 2);

        let (a, b) = (
            "{'batchNo':'B','list':[{'a':1}]}",
            "{'batchNo':'B','list':[{'a':2}]}",
        );
        let back_and_forth: Vec<_> = batches(&[a, b, b, a]).iter().map(content).collect();
        assert_eq!(back_and_forth, [["1"], ["2"], ["1"]]);
    }

    #[test]
    fn a_late_redelivery_of_a_page_does_not_start_a_second_batch() {
        let envelope =
            |id: u64, hook: &str| format!("{{'eventType':'e','id':{id},'resource':{hook}}}");
        let (p1, p2, p3) = (envelope(1, P1), envelope(2, P2), envelope(3, P3));
        let other = |id, page: &str| envelope(id, &page.replace("'a':", "'a':1"));
        let (q1, q2, q3) = (other(4, P1), other(5, P2), other(6, P3));
        let result: Vec<_> = batches(&[&p1, &p2, &p3, &p3, &q1, &q2, &q3])
            .iter()
            .map(content)
            .collect();
        assert_eq!(
            result,
            [["1", "2", "3", "4", "5"], ["11", "12", "13", "14", "15"]]
        );
    }

    #[test]
    fn one_number_under_two_event_types_is_two_batches() {
        let page = |event: &str, page: u64, cell: &str| {
            format!(
                "{{'eventType':'{event}','resource':{{'batchNo':'B','page':{page},'lastPage':{},'list':[{{'a':'{cell}'}}]}}}}",
                page == 2
            )
        };
        let (a1, b1) = (page("a", 1, "a1"), page("b", 1, "b1"));
        let (a2, b2) = (page("a", 2, "a2"), page("b", 2, "b2"));
        let result: Vec<_> = batches(&[&a1, &b1, &a2, &b2]).iter().map(content).collect();
        assert_eq!(result, [["a1", "a2"], ["b1", "b2"]]);
        // A bare page joins when there is only one event it can belong to.
        let bare = "{'batchNo':'B','page':2,'lastPage':true,'list':[{'a':'bare'}]}";
        let joined = batch(&[bare, &a1]);
        assert_eq!(content(&joined), ["a1", "bare"]);
        assert_eq!(joined.event_type.as_deref(), Some("a"));
    }

    #[test]
    fn batches_come_in_order_of_announcement() {
        let at = |time: &str, number: &str| {
            format!(
                "{{'eventType':'e','createTime':{time},'resource':{{'batchNo':'{number}','list':[]}}}}"
            )
        };
        let bare = "{'batchNo':'D','list':[]}".to_owned();
        let (a, b, c) = (
            at("1711785600003", "A"),
            at("'1711785600001'", "B"),
            at("1711785600001", "C"),
        );
        let order = |documents: &[&String]| -> String {
            let documents: Vec<&str> = documents.iter().map(|json| json.as_str()).collect();
            batches(&documents)
                .iter()
                .map(|batch| batch.batch_no.as_str())
                .collect()
        };
        assert_eq!(order(&[&a, &b, &c]), "BCA");
        assert_eq!(order(&[&a, &c, &b]), "CBA");
        // Without a time for every one, a time says nothing about the rest.
        assert_eq!(order(&[&a, &b, &bare, &c]), "ABDC");
    }

    #[test]
    fn a_batch_keeps_what_its_announcements_said() {
        let batch = batch(&[
            "{'eventType':'e','createTime':1711785600002,'odd':1,'resource':{'batchNo':'B','page':2,'lastPage':true,'list':[],'x':1}}",
            "{'eventType':'e','createTime':1711785600001,'resource':{'batchNo':'B','page':1,'lastPage':false,'list':[],'x':1}}",
        ]);
        assert_eq!(batch.event_type.as_deref(), Some("e"));
        assert_eq!(batch.announced_at, Some(1_711_785_600_001));
        assert_eq!((batch.unknown_keys, batch.origin.as_str()), (3, "1.json"));
    }

    #[test]
    fn columns_are_the_keys_of_all_rows_in_order_of_first_appearance() {
        let batch = batch(&["{'batchNo':'B','list':[{'b':1,'a':2},{},{'c':3,'a':null}]}"]);
        assert_eq!(batch.columns(), ["b", "a", "c"]);
    }

    #[test]
    fn a_hundred_thousand_pages_are_no_trouble() {
        let pages: Vec<String> = (1..=100_000)
            .map(|page| format!("{{'batchNo':'B','page':{page},'lastPage':false,'list':[{{}}]}}"))
            .collect();
        let document = format!("[{}]", pages.join(","));
        let batch = batch(&[&document]);
        assert_eq!(batch.missing.as_deref(), Some("pages after 100000"));
    }

    proptest! {
        #[test]
        fn shuffling_pages_gives_the_same_batch(
            (rows, order, drop, totals, files) in prop::collection::vec(0_usize..4, 1..7).prop_flat_map(|rows| {
                let pages: Vec<usize> = (0..rows.len()).collect();
                (Just(rows), Just(pages).prop_shuffle(), 0_usize..9, any::<bool>(), any::<bool>())
            })
        ) {
            let total: usize = rows.iter().sum();
            let pages: Vec<String> = rows
                .iter()
                .enumerate()
                .map(|(index, count)| {
                    let list: Vec<String> = (0..*count).map(|row| format!("{{'a':{index}.{row}0}}")).collect();
                    let total = if totals { format!("'total':{total},") } else { String::new() };
                    let file = if files { format!("'fileUrl':'https://h/{}',", index / 2) } else { String::new() };
                    format!(
                        "{{'batchNo':'B',{total}{file}'page':{},'lastPage':{},'list':[{}]}}",
                        index + 1,
                        index + 1 == rows.len(),
                        list.join(",")
                    )
                })
                .collect();
            let parsed = announced(&pages.iter().map(String::as_str).collect::<Vec<_>>());
            let kept = |index: &usize| *index != drop;
            let straight: Vec<_> = (0..parsed.len()).filter(kept).map(|index| parsed[index].clone()).collect();
            let shuffled: Vec<_> = order.iter().copied().filter(kept).map(|index| parsed[index].clone()).collect();
            let batches = |announcements| -> Vec<Batch> {
                assemble(announcements).into_iter().map(|batch| batch.expect("a batch")).collect()
            };
            let straight = batches(straight);
            prop_assert!(straight.len() <= 1);
            prop_assert_eq!(straight, batches(shuffled));
        }
    }
}
