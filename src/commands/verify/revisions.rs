//! The ledger's entries, put together by revision.

use std::collections::BTreeMap;

use crate::{
    contract::Contracts,
    ledger::{BatchRecord, Books, Control, FileFigures, State},
};

/// Dataset, batch and revision.
pub(super) type Key = (String, String, i32);

/// All that the ledger has of a revision.
#[derive(Default)]
pub(super) struct Revision<'b> {
    /// One, unless the ledger is damaged.
    pub(super) entries: Vec<&'b BatchRecord>,
    pub(super) files: Vec<&'b FileFigures>,
    pub(super) controls: Vec<&'b Control>,
}

impl<'b> Revision<'b> {
    pub(super) fn entry(&self) -> Option<&'b BatchRecord> {
        self.entries.first().copied()
    }

    pub(super) fn is(&self, state: State) -> bool {
        self.entry().is_some_and(|batch| batch.entry.state == state)
    }
}

/// The ledger's entries by revision. Files that rows of another dataset name belong to that one's batch.
pub(super) fn revisions<'b>(
    books: &'b Books,
    contracts: &Contracts,
) -> BTreeMap<Key, Revision<'b>> {
    let mut revisions: BTreeMap<Key, Revision<'b>> = BTreeMap::new();
    for batch in &books.batches {
        let entry = &batch.entry;
        let key = (
            entry.dataset.clone(),
            entry.batch_no.clone(),
            entry.revision,
        );
        revisions.entry(key).or_default().entries.push(batch);
    }
    for (key, control) in &books.controls {
        let of = revisions.entry(key.clone()).or_default();
        of.controls.push(control);
    }
    for file in &books.files {
        let mut key = (file.dataset.clone(), file.batch_no.clone(), file.revision);
        match contracts.get(&file.dataset) {
            Some(contract) => contract.entered_under().clone_into(&mut key.0),
            // Its contract is gone, and with it who named its files.
            None if !revisions.contains_key(&key) => {
                let named = books
                    .batches
                    .iter()
                    .find(|batch| (&batch.entry.batch_no, batch.entry.revision) == (&key.1, key.2));
                if let Some(batch) = named {
                    key.0.clone_from(&batch.entry.dataset);
                }
            }
            None => {}
        }
        revisions.entry(key).or_default().files.push(file);
    }
    revisions
}
