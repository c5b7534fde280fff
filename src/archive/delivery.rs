//! What was delivered for one revision of a batch.

use serde::{Deserialize, Serialize};

use super::content_hash::content_hash;
use crate::batch_no::BatchNo;

/// The format of these documents; a reader takes earlier ones, and refuses a newer one.
pub(crate) const FORMAT: u32 = 2;

/// What was delivered for one revision of a batch: enough to load it again in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// The document's format.
    pub format: Format,
    /// Its dataset.
    pub dataset: String,
    /// Its number.
    #[serde(with = "batch_no")]
    pub batch_no: BatchNo,
    /// The revision it was loaded as, or would have been.
    pub revision: i32,
    /// What became of it.
    pub outcome: DeliveryOutcome,
    /// Where it was announced, without secrets.
    pub origin: String,
    /// When, in epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_at_ms: Option<i64>,
    /// Rows announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What the ledger notes about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Keys of the announcement that were ignored.
    #[serde(default)]
    pub unknown_keys: u64,
    /// The keys of an inline list, in order; empty for files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// When this was written, in epoch microseconds.
    pub recorded_at_us: i64,
    /// When its content was accepted, in epoch microseconds; absent in format 1, see [`Delivery::accepted_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at_us: Option<i64>,
    /// The newest announcement that was accepted while it stood, in epoch microseconds, if that came later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark_us: Option<i64>,
    /// Its files in order, then those that their rows name.
    pub files: Vec<DeliveredFile>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryOutcome {
    /// Its rows went into the table.
    Loaded,
    /// Nothing of it was loaded: the data was wrong.
    Failed,
}

/// A file, as it was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveredFile {
    /// Where it is kept, below the data directory.
    pub path: String,
    /// SHA-256 of its bytes.
    pub content_hash: String,
    /// Their number.
    pub bytes: u64,
    /// Where it came from, without secrets.
    pub url: String,
    /// The store's version of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The response's `Content-Type`; its charset says how to read the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The response's `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// Rows it should have, where a row that names it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_rows: Option<u64>,
    /// When it was read to its end, in epoch microseconds.
    pub fetched_at_us: i64,
    /// What an inline list is known by: SHA-256 of its values, however it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// SHA-256 of what its URL's query says beside a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_hash: Option<String>,
    /// The row that names it; `None` for the batch's own files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_by: Option<NamedBy>,
}

impl DeliveredFile {
    /// What its content is known by.
    #[must_use]
    pub fn known_by(&self) -> &str {
        self.identity.as_deref().unwrap_or(&self.content_hash)
    }
}

/// A row that names a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedBy {
    /// Its file: the position among the batch's own, from 0.
    pub file: usize,
    /// Its line.
    pub line: u64,
}

impl Delivery {
    /// The document's name in the batch's folder.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("revision-{}.json", self.revision)
    }

    /// When its content was accepted, in epoch microseconds. Format 1 did not say: then it is the announcement, which
    /// was before this was written.
    #[must_use]
    pub fn accepted_at(&self) -> i64 {
        let announced = self.announced_at_ms.and_then(|at| at.checked_mul(1000));
        self.accepted_at_us.unwrap_or_else(|| {
            announced.map_or(self.recorded_at_us, |at| at.min(self.recorded_at_us))
        })
    }

    /// What its content is known by.
    #[must_use]
    pub fn known_by(&self) -> String {
        content_hash(self.files.iter().map(DeliveredFile::known_by))
    }

    /// Where its files are kept, below the data directory.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.path.as_str())
    }

    /// SHA-256 of its bytes, whatever they mean.
    #[must_use]
    pub fn bytes_hash(&self) -> String {
        content_hash(self.files.iter().map(|file| file.content_hash.as_str()))
    }

    /// The batch's own files.
    pub fn own_files(&self) -> impl Iterator<Item = &DeliveredFile> {
        self.files.iter().filter(|file| file.named_by.is_none())
    }
}

/// A format that this program reads; it writes the newest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Format;

impl TryFrom<u32> for Format {
    type Error = String;

    fn try_from(format: u32) -> Result<Self, String> {
        match format {
            1..=FORMAT => Ok(Self),
            _ => Err(format!(
                "format {format}, and this redledger knows formats up to {FORMAT}: a newer one wrote it"
            )),
        }
    }
}

impl From<Format> for u32 {
    fn from(_: Format) -> Self {
        FORMAT
    }
}

/// A number as text.
pub(super) mod batch_no {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::BatchNo;

    pub(in crate::archive) fn serialize<S: Serializer>(
        batch_no: &BatchNo,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(batch_no.as_str())
    }

    pub(in crate::archive) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BatchNo, D::Error> {
        BatchNo::new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
