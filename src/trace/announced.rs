//! The announcements of a batch, as far as the inbox still has them.

use std::path::PathBuf;

use crate::{error::Result, hook, inbox::Inbox};

/// Most announcements that are told.
const MOST: usize = 20;

/// An announcement that names the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    /// Its file.
    pub(crate) path: PathBuf,
    /// As it says itself.
    pub(crate) id: Option<String>,
    /// As it says itself.
    pub(crate) event_type: Option<String>,
    /// As it says itself, in epoch milliseconds.
    pub(crate) announced_at: Option<i64>,
    /// When it was received, in epoch microseconds.
    pub(crate) received_at: Option<i64>,
}

impl Announced {
    /// The kept announcements that name `batch_no`: the last of them, the oldest first.
    pub(crate) fn of(inbox: &Inbox, batch_no: &str) -> Result<Vec<Self>> {
        let mut announced = Vec::new();
        for path in inbox.received()?.into_iter().rev() {
            if announced.len() == MOST {
                break;
            }
            announced.extend(Self::read(path, batch_no));
        }
        announced.reverse();
        Ok(announced)
    }

    /// `None`: it is about another batch, or can't be read any more.
    fn read(path: PathBuf, batch_no: &str) -> Option<Self> {
        let bytes = Inbox::read(&path).ok()?;
        // Most are of other batches, which need not be understood for that.
        memchr::memmem::find(&bytes, batch_no.as_bytes())?;
        let announcements = hook::index(&path.to_string_lossy(), &bytes).ok()?;
        let of_batch = announcements
            .into_iter()
            .find(|of| of.hook.batch_no.as_str() == batch_no)?;
        Some(Self {
            id: of_batch.id,
            event_type: of_batch.event_type,
            announced_at: of_batch.announced_at,
            received_at: Inbox::received_at(&path),
            path,
        })
    }
}
