//! A source whose bytes are on their way.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::error::FetchError;

/// A file's bytes in order, in pieces as they come (usually 64 to 512 KiB, never more than a few MiB); it ends after its first error.
///
/// Dropping it cancels the download.
pub type BodyStream = BoxStream<'static, Result<Bytes, FetchError>>;

/// What a server says of a file beside its bytes.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// The server's version of the object.
    pub etag: Option<String>,
    /// The response's `Content-Type`.
    pub content_type: Option<String>,
    /// The response's `Last-Modified`.
    pub last_modified: Option<String>,
}

/// A file that has begun to arrive.
pub struct Opened {
    /// Where it comes from, for messages; without secrets.
    pub origin: String,
    /// What its server said of it.
    pub provenance: Provenance,
    /// Bytes of `body`, when known beforehand.
    pub length: Option<u64>,
    /// The content, decompressed.
    pub body: BodyStream,
    /// Whether the whole file arrived; known at the end of `body`.
    pub wholeness: Wholeness,
    /// The response's headers that announce a checksum which could not be read and was not compared.
    pub unread_checksums: Vec<&'static str>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("origin", &self.origin)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// Whether a file that ended is known to be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Its length, its end mark or a checksum says so.
    Proven,
    /// Nothing says so, and why; the caller needs other evidence, such as the announced row count.
    Unproven(&'static str),
}

/// A handle on what will be known about a file's completeness at its end.
#[derive(Debug, Clone, Default)]
pub struct Wholeness(Arc<OnceLock<Proof>>);

impl Wholeness {
    /// The verdict; before the end of the body it is [`Proof::Unproven`].
    #[must_use]
    pub fn get(&self) -> Proof {
        self.0
            .get()
            .cloned()
            .unwrap_or(Proof::Unproven("the file was not read to its end"))
    }

    pub(super) fn prove(&self) {
        let _ = self.0.set(Proof::Proven);
    }

    pub(super) fn doubt(&self, reason: &'static str) {
        let _ = self.0.set(Proof::Unproven(reason));
    }
}
