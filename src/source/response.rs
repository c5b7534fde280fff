//! What a response's headers say about the object: its end, its part, its version.

use std::time::Duration;

use reqwest::{
    Response,
    header::{
        CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue,
        LAST_MODIFIED, TRANSFER_ENCODING,
    },
};

/// How a response shows where its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// By its length.
    Length(u64),
    /// By an end mark: a last chunk.
    Marked,
    /// Not at all: the connection closes.
    Close,
}

impl Framing {
    pub(super) fn of(response: &Response) -> Self {
        let headers = response.headers();
        if let Some(encoding) = headers.get_all(TRANSFER_ENCODING).iter().next_back() {
            // Only chunks have an end mark (RFC 9112, section 6.3).
            let text = encoding.to_str().unwrap_or_default().trim_end();
            return if text.to_ascii_lowercase().ends_with("chunked") {
                Self::Marked
            } else {
                Self::Close
            };
        }
        match number(headers, &CONTENT_LENGTH) {
            Some(length) => Self::Length(length),
            None => Self::Close,
        }
    }
}

/// A `Content-Range` that makes sense.
pub(super) struct ContentRange {
    pub(super) first: u64,
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// `bytes 100-199/1000`, or `/*` for an unknown total.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
        let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse::<u64>().ok()?);
        let total = match total.trim() {
            "*" => None,
            total => Some(total.parse::<u64>().ok()?),
        };
        (first <= last && total.is_none_or(|total| last < total)).then_some(Self { first, total })
    }
}

/// What `If-Range` may hold: a strong ETag, or a date that is old enough to be one (RFC 9110, 8.8.2.2).
pub(super) fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    if let Some(etag) = headers.get(ETAG) {
        let bytes = etag.as_bytes();
        if bytes.len() >= 2 && bytes.starts_with(b"\"") && bytes.ends_with(b"\"") {
            return Some(etag.clone());
        }
    }
    let date = |name: &HeaderName| {
        let text = headers.get(name)?.to_str().ok()?;
        httpdate::parse_http_date(text).ok()
    };
    let modified = date(&LAST_MODIFIED)?;
    let answered = date(&DATE)?;
    (answered.duration_since(modified).ok()? >= Duration::from_secs(1))
        .then(|| headers.get(LAST_MODIFIED).cloned())
        .flatten()
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
