//! What people have decided, told to a warehouse that does not know it yet.

use std::collections::HashSet;

use crate::{
    archive::Archive,
    error::Result,
    history,
    ledger::{self, State},
    warehouse::Warehouse,
};

/// What the warehouse has is not withdrawn: a rollback was cut off between writing it down and doing it.
pub(super) fn forget_undone_rollbacks(archive: &Archive, warehouse: &Warehouse) -> Result<()> {
    let withdrawn = archive.withdrawn()?;
    if withdrawn.revisions().is_empty() {
        return Ok(());
    }
    let accepted = ledger::accepted_revisions(warehouse.connection())?;
    let there: HashSet<(&str, &str, i32)> = accepted
        .iter()
        .map(|of| (of.dataset.as_str(), of.batch_no.as_str(), of.revision))
        .collect();
    let mut undone = withdrawn.revisions().to_vec();
    undone.retain(|of| there.contains(&(&*of.dataset, of.batch_no.as_str(), of.revision)));
    archive.withdraw(&[], &undone)
}

/// Tells the warehouse what people have dismissed: one that a rollback has put back knows nothing of it. Returns
/// whether it was news.
pub(super) fn carry_out_dismissals(
    archive: &Archive,
    warehouse: &mut Warehouse,
    run_id: &str,
) -> Result<bool> {
    let dismissed = archive.dismissed()?;
    if dismissed.is_empty() {
        return Ok(false);
    }
    let numbers: Vec<&str> = dismissed.iter().map(|of| of.batch_no.as_str()).collect();
    let mut attempts = ledger::open_attempts(warehouse.connection(), &numbers)?;
    history::mark_dismissed(&mut attempts, &dismissed);
    attempts.retain(|of| of.entry.state == State::Dismissed);
    if attempts.is_empty() {
        return Ok(false);
    }
    let transaction = warehouse.begin()?;
    ledger::dismiss(transaction.connection(), &attempts, run_id)?;
    transaction.commit()?;
    Ok(true)
}
