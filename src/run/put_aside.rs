//! Announcements in `inbox/bad`: they lie there until somebody has seen to them, or their batches are closed.

use std::collections::HashSet;

use crate::{error::Result, hook, inbox::Inbox};

/// Takes out those all of whose batches are `closed` now: loaded in spite of them, or dismissed.
pub(crate) fn clear(inbox: &Inbox, closed: &HashSet<String>) -> Result<()> {
    if closed.is_empty() {
        return Ok(());
    }
    for path in inbox.put_aside()? {
        // The note names the batches, and is short; the announcement may be long.
        let note = Inbox::note_of(&path).unwrap_or_default();
        if !closed.iter().any(|number| note.contains(number.as_str())) {
            continue;
        }
        let Ok(bytes) = Inbox::read(&path) else {
            continue;
        };
        let Ok(announced) = hook::index("announcement", &bytes) else {
            continue;
        };
        let is_closed = |of: &hook::Announcement| closed.contains(of.hook.batch_no.as_str());
        if announced.iter().all(is_closed) {
            inbox.close(&path)?;
        }
    }
    Ok(())
}
