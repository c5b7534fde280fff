//! Files into chunks of records: the async half of a load.
//!
//! ```text
//! open ── a source is opened and its header read; its bytes pass a tally, which counts, hashes and keeps them
//! read ── each chunk goes over a bounded channel to the scan, which runs on the engine's threads
//! ```

mod list;
mod open;
mod progress;
mod read;
mod tally;

use std::sync::Arc;

pub use self::progress::Progress;
pub(crate) use self::{
    list::InlineList,
    open::{OpenFile, Reads},
    read::{FedFile, FeedEnd, Job},
};
use crate::{archive::Archive, config::DownloadConfig, source::Fetcher};

/// What all files of a batch are read with.
#[derive(Clone)]
pub(crate) struct Feed {
    /// The archive of this data directory.
    pub(crate) archive: Archive,
    /// Whether delivered bytes are kept there.
    pub(crate) keeps: bool,
    pub(crate) fetcher: Fetcher,
    pub(crate) download: Arc<DownloadConfig>,
    pub(crate) progress: Arc<Progress>,
}
