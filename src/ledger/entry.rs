//! What the ledger has rows of.

use duckdb::{
    Row,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

use super::row::Cell;

/// The dataset of a batch of which nothing has arrived that shows it.
pub const UNKNOWN_DATASET: &str = "";

/// What the ledger calls a batch's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its rows are in the table.
    Loaded,
    /// A later revision replaced its rows.
    Superseded,
    /// Nothing of it is loaded.
    Failed,
    /// Pages or files are still missing.
    Waiting,
    /// The link is dead.
    Expired,
    /// A person has decided that it is not to be loaded.
    Dismissed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Loaded,
        Self::Superseded,
        Self::Failed,
        Self::Waiting,
        Self::Expired,
        Self::Dismissed,
    ];

    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Expired => "expired",
            Self::Dismissed => "dismissed",
        }
    }
}

/// A row of `redledger.batch`.
#[derive(Debug, Clone)]
pub struct BatchEntry {
    /// Dataset.
    pub dataset: String,
    /// Batch.
    pub batch_no: String,
    /// 1, 2, ….
    pub revision: i32,
    /// Its condition.
    pub state: State,
    /// Rows announced.
    pub rows_expected: Option<u64>,
    /// Rows delivered.
    pub rows_read: u64,
    /// Rows in the table.
    pub rows_loaded: u64,
    /// Rows not loaded.
    pub rows_rejected: u64,
    /// Against the revision before: new keys, gone keys, other content.
    pub difference: Difference,
    /// Files delivered.
    pub files: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// SHA-256 of the content, when it was read to its end.
    pub content_hash: Option<String>,
    /// When it says that it was announced, in epoch microseconds.
    pub announced_at: Option<i64>,
    /// When it was accepted, in epoch microseconds; `None` in a ledger of an earlier release.
    pub accepted_at: Option<i64>,
    /// The newest announcement accepted while it stood, in epoch microseconds.
    pub watermark: Option<i64>,
    /// The run.
    pub run_id: String,
    /// For people.
    pub message: Option<String>,
}

/// How a revision differs from the one before, in rows by primary key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// New keys.
    #[serde(rename = "rows_added")]
    pub added: u64,
    /// Keys that are gone.
    #[serde(rename = "rows_removed")]
    pub removed: u64,
    /// Same key, other content.
    #[serde(rename = "rows_changed")]
    pub changed: u64,
}

/// A row of `redledger.file`.
#[derive(Debug, Clone)]
pub struct FileEntry {
    /// Its id.
    pub file_id: i64,
    /// Dataset of its rows.
    pub dataset: String,
    /// Without secrets.
    pub url: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256.
    pub content_hash: Option<String>,
    /// The store's version.
    pub etag: Option<String>,
    /// WHATWG name.
    pub encoding: Option<String>,
    /// As delivered.
    pub header: Option<String>,
    /// Rows delivered.
    pub rows_read: u64,
    /// Rows in the table.
    pub rows_loaded: u64,
    /// Rows not loaded.
    pub rows_rejected: u64,
    /// Below `data_dir`.
    pub archive_path: Option<String>,
    /// Epoch microseconds.
    pub fetched_at: i64,
    /// How many of its rejected rows the ledger keeps; `None` where an earlier release wrote this.
    pub rejections_kept: Option<u64>,
    /// SHA-256 of what its URL's query says beside a signature.
    pub query_hash: Option<String>,
    /// What an inline list is known by; `None` for a file, which is known by its bytes.
    pub identity: Option<String>,
}

impl FileEntry {
    /// What its content is known by.
    #[must_use]
    pub fn known_by(&self) -> Option<&str> {
        self.identity.as_deref().or(self.content_hash.as_deref())
    }
}

/// The ids of files that were entered one after the other, both ends included; none where the last is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIds {
    /// The first one's.
    pub first: i64,
    /// The last one's.
    pub last: i64,
}

impl FileIds {
    /// Of so many files from `first` on.
    #[must_use]
    pub fn from(first: i64, files: usize) -> Self {
        Self {
            first,
            last: first + files as i64 - 1,
        }
    }

    /// Rows of these files, as an SQL condition that row groups are skipped by.
    #[must_use]
    pub fn condition(self) -> String {
        format!("file_id BETWEEN {} AND {}", self.first, self.last)
    }
}

/// A row of `redledger.control`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Control {
    /// What is checked.
    pub name: String,
    /// What it should be; `None` for a figure that is only noted.
    pub expected: Option<String>,
    /// What it is.
    pub actual: String,
    /// Whether they agree.
    pub passed: bool,
}

/// A row of `redledger.run`.
#[derive(Debug, Clone)]
pub struct RunEntry {
    /// Its id.
    pub run_id: String,
    /// The subcommand.
    pub command: String,
    /// Epoch microseconds.
    pub started_at: i64,
    /// In words.
    pub outcome: String,
    /// The process's exit status.
    pub exit_code: u8,
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| FromSqlError::Other(format!("`{text}` is no state of a batch").into()))
    }
}

impl Cell for State {
    const KIND: &'static str = "VARCHAR";

    fn write(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(ValueRef::Text(self.as_str().as_bytes()))
    }

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        row.get(column)
    }
}
