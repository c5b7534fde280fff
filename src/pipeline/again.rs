//! Whether pages of what is loaded have come again: known content counts once.

use std::collections::HashSet;

use super::{inserted::Inserted, judge::Judging};
use crate::{
    archive::{DeliveredFile, Delivery},
    batch::{BatchContent, InlineRows},
    error::Result,
    hook,
};

impl Judging<'_> {
    /// Whether all that came of an incomplete batch is, page by page, in what is loaded. Only the archive tells: without
    /// it such pages wait.
    pub(super) fn came_again(&self, own: &Inserted) -> Result<bool> {
        let identified = self.identified;
        let Some(loaded) = identified.standing.loaded() else {
            return Ok(false);
        };
        let archive = &self.insert.context.feed.archive;
        let dataset = identified.contract.name.as_str();
        let deliveries = archive.deliveries(dataset, &self.batch.batch_no)?;
        let Some(delivery) = deliveries
            .into_iter()
            .find(|of| of.revision == loaded.revision)
        else {
            return Ok(false);
        };
        match &self.batch.content {
            BatchContent::Files(_) => Ok(are_files_of(own, &delivery)),
            BatchContent::Rows(list) => {
                let stored = delivery
                    .own_files()
                    .find(|file| file.path.ends_with(".jsonl.zst"));
                let Some(stored) = stored else {
                    return Ok(false);
                };
                let rows = hook::stored_rows(&stored.url, &archive.read(stored)?)?;
                let total = self.batch.total.or(delivery.total);
                Ok(total == delivery.total && are_pages_of(list, &rows))
            }
        }
    }
}

/// Whether each file was delivered with what is loaded.
fn are_files_of(own: &Inserted, delivery: &Delivery) -> bool {
    let known: HashSet<&str> = delivery.own_files().map(DeliveredFile::known_by).collect();
    let mut files = own.files.iter();
    files.all(|file| file.entry.known_by().is_some_and(|it| known.contains(it)))
}

/// Whether each page has the rows that stand at its place. Pages are counted from 1, or from 0: without a page 0
/// nothing tells.
fn are_pages_of(list: &InlineRows, rows: &[hook::ListRow]) -> bool {
    [1, 0]
        .into_iter()
        .any(|first| are_pages_from(first, list, rows))
}

fn are_pages_from(first: u64, list: &InlineRows, rows: &[hook::ListRow]) -> bool {
    let mut left = list.rows.as_slice();
    list.pages.iter().all(|part| {
        let (Some(page), Some(size)) = (part.page, part.size.filter(|size| *size > 0)) else {
            return false;
        };
        let at = |page: u64| {
            let from = usize::try_from(page.saturating_mul(size)).unwrap_or(usize::MAX);
            from.min(rows.len())
        };
        let Some(before) = page.checked_sub(first) else {
            return false;
        };
        let loaded = &rows[at(before)..at(before.saturating_add(1))];
        let Some((came, rest)) = left.split_at_checked(loaded.len()) else {
            return false;
        };
        left = rest;
        part.rows == loaded.len() as u64
            && came
                .iter()
                .zip(loaded)
                .all(|(came, loaded)| hook::is_same_row(came, loaded))
    })
}
