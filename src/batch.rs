//! A batch to be loaded, and where its rows are.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use crate::{
    archive::{Archive, DeliveredFile, NamedBy},
    batch_no::BatchNo,
    contract::Contract,
    error::Error,
    history::Acceptance,
    hook::{self, ListRow, Part},
    source_url::SourceUrl,
};

/// What is to be loaded.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its number.
    pub batch_no: BatchNo,
    /// Its dataset, if the command line or the configuration says; else the columns decide.
    pub dataset: Option<Arc<Contract>>,
    /// Where it was announced.
    pub origin: String,
    /// When it says that it was, in epoch milliseconds.
    pub announced_at: Option<i64>,
    /// When it counts as accepted.
    pub acceptance: Acceptance,
    /// Whether somebody waits for it: that nothing is done with it is worth an exit status.
    pub by_hand: bool,
    /// Rows announced.
    pub total: Option<u64>,
    /// The rows or where they are.
    pub content: BatchContent,
    /// Pages not announced yet, in words.
    pub missing: Option<String>,
    /// Fewer rows than `total` mean waiting.
    pub pages_incomplete: bool,
    /// Whether pages have been missing for so long that somebody must ask for them.
    pub is_overdue: bool,
    /// Whether its dataset is told by what nobody has signed.
    pub dataset_is_unsigned: bool,
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
    /// When it was written down, in epoch microseconds.
    pub recorded_at: i64,
    /// The newest announcement that it stood against, in epoch microseconds.
    pub watermark: Option<i64>,
    /// The files that its rows name.
    pub named: Arc<HashMap<NamedBy, Arc<ArchivedFile>>>,
    /// Whether a rollback has withdrawn it.
    pub is_withdrawn: bool,
    /// Whether the archive is another data directory's.
    pub foreign: bool,
}

/// Rows, or where they are.
#[derive(Debug, Clone)]
pub enum BatchContent {
    /// Files, in order.
    Files(Vec<FileSource>),
    /// An inline list.
    Rows(InlineRows),
}

impl BatchContent {
    /// How many files it is; a list counts as one.
    #[must_use]
    pub fn files(&self) -> usize {
        match self {
            Self::Files(files) => files.len(),
            Self::Rows(_) => 1,
        }
    }
}

/// The rows of an inline list.
#[derive(Debug, Clone)]
pub struct InlineRows {
    /// In order.
    pub rows: Arc<Vec<ListRow>>,
    /// Their keys, in the order of first appearance.
    pub columns: Vec<String>,
    /// The pages that they came in, where that is known.
    pub pages: Vec<Part>,
}

/// Pages that are missing for longer than this, in microseconds, don't come by themselves.
const OVERDUE: i64 = 24 * 3_600_000_000;

/// How an announcement came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Through the inbox; at this time in epoch microseconds, if its announcements do not say when.
    Inbox(i64),
    /// On a command line, at this time in epoch microseconds: somebody waits for it.
    ByHand(i64),
}

impl Batch {
    /// The cause of an error: where the batch comes from an archive, a file of it may be damaged, which looks like the
    /// provider's fault.
    pub(crate) fn cause_of(&self, error: Error) -> Error {
        let damage = self.replay.as_ref().and_then(|_| self.damage());
        damage.unwrap_or(error)
    }

    /// What is wrong with its archived files, if anything.
    fn damage(&self) -> Option<Error> {
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
    pub fn announced(batch: hook::Batch, dataset: Option<Arc<Contract>>, way: Way) -> Self {
        let columns = batch.columns();
        let content = match batch.content {
            hook::Content::Files(urls) => {
                BatchContent::Files(urls.into_iter().map(FileSource::Url).collect())
            }
            hook::Content::Rows(rows) => BatchContent::Rows(InlineRows {
                rows: Arc::new(rows),
                columns,
                pages: batch.parts,
            }),
        };
        let acceptance = match (way, batch.announced_at) {
            // Nothing says when: it is given now.
            (Way::ByHand(now), None) => Acceptance::by_hand(now),
            (Way::ByHand(now), announced_at) => Acceptance::announced(announced_at, now),
            (Way::Inbox(received_at), announced_at) => {
                Acceptance::announced(announced_at, batch.received_at.unwrap_or(received_at))
            }
        };
        let is_overdue = match way {
            Way::Inbox(now) => batch
                .newest_at
                .is_some_and(|at| now.saturating_sub(at) > OVERDUE),
            Way::ByHand(_) => false,
        };
        let mut notes = batch.notes;
        if acceptance.is_from_the_future {
            notes.push(format!(
                "`createTime` {} is later than its receipt, which counts instead",
                batch.announced_at.unwrap_or_default()
            ));
        }
        Self {
            batch_no: batch.batch_no,
            dataset,
            origin: batch.origin,
            announced_at: match acceptance.is_from_the_future {
                true => Some(acceptance.at / 1000),
                false => batch.announced_at,
            },
            acceptance,
            by_hand: matches!(way, Way::ByHand(_)),
            total: batch.total,
            content,
            missing: batch.missing,
            pages_incomplete: batch.pages_incomplete,
            is_overdue,
            dataset_is_unsigned: batch.only_resource_signed,
            notes,
            unknown_keys: batch.unknown_keys,
            replay: None,
        }
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
