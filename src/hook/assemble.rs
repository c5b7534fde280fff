//! Pages become batches.
//!
//! Announcements of one number fill a set, page by page, until the set is complete; what comes after
//! that is another set: the batch was issued again. So is what can't be of the same issue: it has another total or
//! size of pages, or was made, or else received, more than an hour before or after. Issues closer than that can't be
//! told apart, which the batch's notes say.

use std::collections::{HashMap, HashSet};

use super::{Announcement, batch::Assembled, page::Page, page_set::PageSet};
use crate::batch_no::BatchNo;

/// Puts the pages of each number together, whatever order they came in.
///
/// The batches come in the order of their first announcements; where it is known of all when they were made or
/// received, that is the order, and else the order given. Within a number it is so as soon as that is known of its own.
/// A number whose pages are complete and which is then announced with other content is a second batch. Announcements of
/// one number with different `eventType`s are different batches. A number that has a page 0 counts its pages from 0.
///
/// # Errors
/// [`Error::Announcement`](crate::error::Error::Announcement) in place of a batch whose pages disagree:
/// about `total` where nothing says when they were made, about which page is the last, about having page numbers, or
/// about naming files. The other batches are not affected.
#[must_use]
pub fn assemble(announcements: Vec<Announcement>) -> Vec<Assembled> {
    let mut announcements = in_order(announcements);
    let ambiguous = numbers_of_several_events(&announcements);
    let from_zero: HashSet<BatchNo> = announcements
        .iter()
        .filter(|announcement| announcement.hook.page == Some(0))
        .map(|announcement| announcement.hook.batch_no.clone())
        .collect();
    for announcement in &mut announcements {
        if from_zero.contains(&announcement.hook.batch_no) {
            let page = &mut announcement.hook.page;
            *page = page.map(|page| page.saturating_add(1));
        }
    }

    let mut sets: Vec<PageSet> = Vec::new();
    // Of each number, oldest first.
    let mut of_number: HashMap<(BatchNo, Option<String>), Vec<usize>> = HashMap::new();
    for (order, announcement) in announcements.into_iter().enumerate() {
        let number = announcement.hook.batch_no.clone();
        let counts_from_zero = from_zero.contains(&number);
        let event = announcement
            .event_type
            .clone()
            .filter(|_| ambiguous.contains(&number));
        let known = of_number.entry((number, event)).or_default();
        let page = Page {
            order,
            announcement,
        };
        let newest_first = || known.iter().rev().copied();
        let place = newest_first()
            .find(|index| sets[*index].holds(&page))
            .or_else(|| newest_first().find(|index| sets[*index].takes(&page)));
        match place {
            Some(index) => sets[index].add(page),
            None => {
                let previous = known.last().copied();
                known.push(sets.len());
                sets.push(PageSet::new(page, counts_from_zero, previous));
            }
        }
    }
    without_fragments(without_repeats(sets))
        .into_iter()
        .map(|mut set| Assembled {
            origins: std::mem::take(&mut set.origins),
            documents: std::mem::take(&mut set.documents),
            batch: set.into_batch(),
        })
        .collect()
}

/// Announcements in the order in which they were made or received.
fn in_order(mut announcements: Vec<Announcement>) -> Vec<Announcement> {
    if announcements.iter().all(|a| a.order().is_some()) {
        announcements.sort_by_key(Announcement::order);
        return announcements;
    }
    // One that does not say must not keep other numbers out of order: each is put in order in its own places.
    let mut places: HashMap<BatchNo, Vec<usize>> = HashMap::new();
    for (place, announcement) in announcements.iter().enumerate() {
        let number = announcement.hook.batch_no.clone();
        places.entry(number).or_default().push(place);
    }
    let mut slots: Vec<Option<Announcement>> = announcements.into_iter().map(Some).collect();
    for places in places.into_values() {
        let of_number = places.iter().filter_map(|place| slots[*place].take());
        let mut of_number: Vec<Announcement> = of_number.collect();
        if of_number.iter().all(|a| a.order().is_some()) {
            of_number.sort_by_key(Announcement::order);
        }
        for (place, announcement) in places.into_iter().zip(of_number) {
            slots[place] = Some(announcement);
        }
    }
    slots.into_iter().flatten().collect()
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

/// Drops pages of an issue that never was whole where a later one of the same batch is: its place is taken.
fn without_fragments(sets: Vec<PageSet>) -> Vec<PageSet> {
    let previous: Vec<Option<usize>> = sets.iter().map(|set| set.previous).collect();
    let mut kept: Vec<Option<PageSet>> = sets.into_iter().map(Some).collect();
    for at in (0..kept.len()).rev() {
        let Some(mut set) = kept[at].take() else {
            continue;
        };
        let mut before = previous[at];
        while let Some(index) = before {
            let is_replaced = |it: &mut PageSet| it.is_fragment() && set.replaces(it);
            if let Some(fragment) = kept[index].take_if(is_replaced) {
                set.replace(fragment);
            }
            before = previous[index];
        }
        kept[at] = Some(set);
    }
    kept.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
