//! Where bytes come from: https and the command line's files.
//!
//! A download survives what networks do: it is retried, resumed and verified *below* the stream that it
//! hands out, so that the parser above sees one unbroken sequence of bytes or an error, never a file that
//! was silently cut. What an announcement may point at is decided by the `guard`, on every hop.
//!
//! ```text
//! guard ─► http (one request) ─► transfer (retry, resume, verify) ─► content (decode, limits, look) ─► Opened
//! ```

mod checksum;
mod content;
mod decode;
mod file;
mod guard;
mod http;
mod opened;
mod permits;
mod response;
mod retry;
mod site;
mod store_error;
mod transfer;
mod zip;
mod zip_directory;

use std::sync::Arc;

use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, LAST_MODIFIED};

pub use file::open_file;
pub use http::{Question, authorities};
pub use opened::{BodyStream, Opened, Proof, Provenance, Wholeness};
pub use retry::{Pace, SystemPace};

use crate::{
    config::DownloadConfig,
    error::{Error, FetchError},
    source_url::SourceUrl,
};
use retry::Failure;
use site::Site;

/// Fetches files by URL under the rules and limits of `[download]`. Cheap to clone.
///
/// At most `concurrency` downloads run at once, `per_host` from one host; an [`Opened`] keeps its place
/// until its body has ended or is dropped, so whoever opens many must read what was opened first.
#[derive(Clone)]
pub struct Fetcher(Arc<Site>);

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fetcher")
    }
}

impl Fetcher {
    /// A fetcher on the system's clock.
    ///
    /// # Errors
    /// [`Error::Settings`] when a host or range of `config` can't be understood or `ca_file` holds no
    /// certificates; [`Error::Io`] when that file can't be read.
    pub fn new(config: &DownloadConfig) -> Result<Self, Error> {
        Self::with_pace(config, Arc::new(SystemPace))
    }

    /// A fetcher whose waits and dates come from `pace`.
    ///
    /// # Errors
    /// As [`Fetcher::new`].
    pub fn with_pace(config: &DownloadConfig, pace: Arc<dyn Pace>) -> Result<Self, Error> {
        let guard = Arc::new(guard::Guard::new(config)?);
        Ok(Self(Arc::new(Site {
            client: http::client(config, &guard)?,
            guard,
            config: Arc::new(config.clone()),
            pace,
            limits: permits::Limits::new(config.concurrency, config.per_host),
        })))
    }

    /// Whether the rules let `url` be asked, as far as its text tells.
    ///
    /// # Errors
    /// The rule that does not.
    pub fn allows(&self, url: &SourceUrl) -> Result<(), String> {
        self.0.guard.check(url.secret()).map_err(|denied| denied.0)
    }

    /// Opens the CSV file at `url` and waits for its first bytes; it may wait for its turn before.
    ///
    /// Later breaks are mended inside the stream.
    ///
    /// # Errors
    /// When the address is refused, the file can't be had within the bounded attempts, or what arrives is
    /// no CSV file (an error page, JSON, broken compression).
    pub async fn open(&self, url: &SourceUrl) -> Result<Opened, FetchError> {
        self.open_as(url, Question::default(), content::Due::Csv)
            .await
    }

    /// Fetches a whole announcement of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Fetcher::open`], and when it is larger. Whether it is whole its own syntax shows: it is JSON.
    pub async fn read_all(&self, url: &SourceUrl, limit: u64) -> Result<Vec<u8>, FetchError> {
        self.ask(url, Question::default(), limit).await
    }

    /// The answer to a question, of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Fetcher::read_all`].
    pub async fn ask(
        &self,
        url: &SourceUrl,
        question: Question,
        limit: u64,
    ) -> Result<Vec<u8>, FetchError> {
        let due = content::Due::Announcement;
        let mut opened = self.open_as(url, question, due).await?;
        let mut all = Vec::new();
        while let Some(piece) = opened.body.next().await {
            let piece = piece?;
            if (all.len() + piece.len()) as u64 > limit {
                return Err(Failure::malformed(format!(
                    "an announcement of more than {limit} bytes"
                ))
                .at(&opened.origin));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    async fn open_as(
        &self,
        url: &SourceUrl,
        question: Question,
        due: content::Due,
    ) -> Result<Opened, FetchError> {
        let begun = transfer::Transfer::begin(Arc::clone(&self.0), url, question).await?;
        let origin = url.to_string();
        let limits = decode::Limits {
            max_bytes: self.0.config.max_bytes.0,
            max_ratio: self.0.config.max_ratio,
            received: Some(begun.received),
        };
        let (body, encoded) =
            content::transport(&origin, begun.body, &begun.headers, &limits).await?;
        let (body, compressed) = content::object(&origin, body, &limits).await?;
        let media_type = header(&begun.headers, &CONTENT_TYPE);
        let body = content::check_document(&origin, body, media_type.as_deref(), due).await?;
        Ok(Opened {
            provenance: Provenance {
                etag: header(&begun.headers, &ETAG),
                content_type: media_type,
                last_modified: header(&begun.headers, &LAST_MODIFIED),
            },
            length: begun.length.filter(|_| !encoded && !compressed),
            body,
            wholeness: begun.wholeness,
            unread_checksums: begun.unread_checksums,
            origin,
        })
    }
}

fn header(headers: &HeaderMap, name: &reqwest::header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The `charset` parameter of a media type.
#[must_use]
pub fn charset(media_type: &str) -> Option<String> {
    media_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty())
            .then(|| value.to_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn charset_is_taken_from_the_media_type() {
        for (media_type, expected) in [
            ("text/csv", None),
            ("text/csv; charset=utf-8", Some("utf-8")),
            ("text/csv;charset=\"GB18030\"", Some("gb18030")),
            (
                "text/csv; header=present; CHARSET = Shift_JIS ",
                Some("shift_jis"),
            ),
            ("text/csv; charset=", None),
            ("text/csv; charset", None),
        ] {
            assert_eq!(
                super::charset(media_type).as_deref(),
                expected,
                "{media_type}"
            );
        }
    }
}
