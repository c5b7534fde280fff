//! A page of a batch.

use super::Announcement;

/// A page's place in its set: its number, or `None` for a hook without `page`.
pub(super) type Slot = Option<u64>;

#[derive(Debug)]
pub(super) struct Page {
    /// Position among all announcements: the larger, the newer.
    pub(super) order: usize,
    pub(super) announcement: Announcement,
}

impl Page {
    pub(super) fn slot(&self) -> Slot {
        self.announcement.hook.page
    }

    pub(super) fn rows(&self) -> u64 {
        self.announcement.hook.rows()
    }

    pub(super) fn has_file(&self) -> bool {
        self.announcement.hook.file_url.is_some()
    }

    /// Whether both say the same; a list beside a file, a signature or the way something is written do not
    /// count.
    pub(super) fn says_the_same_as(&self, other: &Self) -> bool {
        let (this, that) = (&self.announcement.hook, &other.announcement.hook);
        if (this.total, this.last_page) != (that.total, that.last_page) {
            return false;
        }
        match (&this.file_url, &that.file_url) {
            (Some(this), Some(that)) => this.identity() == that.identity(),
            (None, None) => {
                this.list.is_some() == that.list.is_some()
                    && this.rows() == that.rows()
                    && this.list_identity() == that.list_identity()
            }
            _ => false,
        }
    }

    /// Takes over the newer signature from a page that says the same.
    pub(super) fn renew(&mut self, newer: Self) {
        self.order = newer.order;
        self.announcement.hook.file_url = newer.announcement.hook.file_url;
    }

    /// Whether `other` is this very announcement, delivered again.
    pub(super) fn is_redelivered_as(&self, other: &Self) -> bool {
        self.announcement.id.is_some() && self.announcement.id == other.announcement.id
    }
}

pub(super) fn page_name(slot: Slot) -> String {
    match slot {
        Some(page) => format!("page {page}"),
        None => "the hook without `page`".into(),
    }
}

/// "page 2", "pages 2 and 3", "pages 2, 5 to 9 and 11".
pub(super) fn page_ranges(ranges: &[(u64, u64)]) -> String {
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
