//! A batch to be loaded, and where its rows are.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use crate::{
    archive::{Archive, DeliveredFile, NamedBy},
    batch_no::BatchNo,
    contract::Contract,
    error::Error,
    hook::{self, ListRow},
    source_url::SourceUrl,
};

/// What is to be loaded.
#[derive(Debug, Clone)]
pub struct BatchSource {
    /// Its number.
    pub batch_no: BatchNo,
    /// Its dataset, if the command line or the configuration says; else the columns decide.
    pub dataset: Option<Arc<Contract>>,
    /// Where it was announced.
    pub origin: String,
    /// Epoch milliseconds.
    pub announced_at: Option<i64>,
    /// Rows announced.
    pub total: Option<u64>,
    /// The rows or where they are.
    pub content: BatchContent,
    /// Pages not announced yet, in words.
    pub missing: Option<String>,
    /// Fewer rows than `total` mean waiting.
    pub pages_incomplete: bool,
    /// For the ledger.
    pub notes: Vec<String>,
    /// Ignored keys of the announcement.
    pub unknown_keys: u64,
    /// Set when it was delivered before and comes from an archive.
    pub replay: Option<Replay>,
}

/// A delivery that is loaded again from an archive.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The revision it was.
    pub revision: i32,
    /// The files that its rows name.
    pub named: Arc<HashMap<NamedBy, Arc<ArchivedFile>>>,
    /// Whether the archive is another data directory's.
    pub foreign: bool,
}

/// Rows, or where they are.
#[derive(Debug, Clone)]
pub enum BatchContent {
    /// Files, in order.
    Files(Vec<FileSource>),
    /// An inline list.
    Rows(Arc<Vec<ListRow>>),
}

impl BatchSource {
    /// What is wrong with its archived files, if anything: a damaged file fails in many ways, most of which
    /// look like the provider's fault.
    pub(super) fn damage(&self) -> Option<Error> {
        let own = match &self.content {
            BatchContent::Files(files) => files.as_slice(),
            BatchContent::Rows(_) => &[],
        };
        let own = own.iter().filter_map(|file| match file {
            FileSource::Archived(archived) => Some(archived),
            FileSource::Url(_) | FileSource::Path(_) | FileSource::Spooled { .. } => None,
        });
        let named = self.replay.iter().flat_map(|replay| replay.named.values());
        own.chain(named)
            .find_map(|archived| archived.archive.check(&archived.file).err())
    }

    /// An announced batch of `dataset` (or of the one its columns fit).
    #[must_use]
    pub fn announced(batch: hook::Batch, dataset: Option<Arc<Contract>>) -> (Self, Vec<String>) {
        let columns = batch.columns();
        let content = match batch.content {
            hook::Content::Files(urls) => {
                BatchContent::Files(urls.into_iter().map(FileSource::Url).collect())
            }
            hook::Content::Rows(rows) => BatchContent::Rows(Arc::new(rows)),
        };
        let source = Self {
            batch_no: batch.batch_no,
            dataset,
            origin: batch.origin,
            announced_at: batch.announced_at,
            total: batch.total,
            content,
            missing: batch.missing,
            pages_incomplete: batch.pages_incomplete,
            notes: batch.notes,
            unknown_keys: batch.unknown_keys,
            replay: None,
        };
        (source, columns)
    }
}

/// Where a file is.
#[derive(Debug, Clone)]
pub enum FileSource {
    /// Announced, or named on the command line as a URL.
    Url(SourceUrl),
    /// Named on the command line.
    Path(PathBuf),
    /// What can be read but once, such as standard input, and was copied to a file.
    Spooled {
        /// The copy.
        spool: PathBuf,
        /// What it is a copy of.
        origin: String,
    },
    /// Delivered before, and kept.
    Archived(Arc<ArchivedFile>),
}

/// A file in an archive.
#[derive(Debug)]
pub struct ArchivedFile {
    /// The archive.
    pub archive: Archive,
    /// As it was delivered.
    pub file: DeliveredFile,
}

impl FileSource {
    /// For messages and the ledger; without secrets.
    #[must_use]
    pub fn origin(&self) -> String {
        match self {
            Self::Url(url) => url.to_string(),
            Self::Path(path) => path.display().to_string(),
            Self::Spooled { origin, .. } => origin.clone(),
            Self::Archived(archived) => archived.file.url.clone(),
        }
    }
}
