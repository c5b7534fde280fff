//! From the bytes that arrive to the file that was meant: encodings undone, limits kept, error pages seen.

use bytes::Bytes;
use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use super::{
    decode::{Encoding, Limits, decode},
    opened::BodyStream,
    retry::Failure,
    store_error::StoreError,
    zip::{self, WORKBOOK},
};
use crate::{
    characters::visible,
    error::{FetchError, FetchKind},
};

/// Bytes looked at to recognise what is no CSV.
const HEAD: usize = 1024;
/// Longest name of a content encoding that is shown.
const LONGEST_NAME: usize = 40;

/// What a body should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Csv,
    Announcement,
}

/// Undoes the response's `Content-Encoding`s; says whether there were any.
pub(super) async fn transport(
    origin: &str,
    body: BodyStream,
    headers: &HeaderMap,
    limits: &Limits,
) -> Result<(BodyStream, bool), FetchError> {
    let names: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        // `aws-chunked` describes an upload and stays behind on some stores' objects. A charset is how text is
        // written: whoever uploads a file puts it here by mistake, and nothing has been encoded.
        .filter(|name| !matches!(name.as_str(), "" | "identity" | "aws-chunked"))
        .filter(|name| encoding_rs::Encoding::for_label(name.as_bytes()).is_none())
        .collect();
    if names.len() > 2 {
        return Err(Failure::malformed("more than two content encodings").at(origin));
    }
    let mut body = body;
    for name in names.iter().rev() {
        let (head, rest) = peek(body, 2).await?;
        let encoding = match name.as_str() {
            "gzip" | "x-gzip" => Encoding::Gzip,
            "zstd" => Encoding::Zstd,
            "br" => Encoding::Brotli,
            // RFC 9110 means zlib by "deflate"; some servers send it bare.
            "deflate" if is_zlib(&head) => Encoding::Zlib,
            "deflate" => Encoding::Deflate,
            _ => {
                let shown: String = visible(name).chars().take(LONGEST_NAME).collect();
                let message =
                    format!("the server used the content encoding `{shown}`, which is not known");
                return Err(Failure::malformed(message).at(origin));
            }
        };
        body = decode(origin, rest, encoding, limits);
    }
    Ok((body, !names.is_empty()))
}

/// Decompresses an object that is itself compressed, recognised by its first bytes; says whether it is.
pub(super) async fn object(
    origin: &str,
    body: BodyStream,
    limits: &Limits,
) -> Result<(BodyStream, bool), FetchError> {
    let (head, body) = peek(body, 8).await?;
    let body = match head.as_ref() {
        [0x1f, 0x8b, ..] => decode(origin, body, Encoding::Gzip, limits),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => decode(origin, body, Encoding::Zstd, limits),
        [b'P', b'K', 3, 4, ..] => zip::only_file(origin, body, limits).await?,
        [b'P', b'K', 5, 6, ..] => {
            return Err(Failure::malformed("a zip archive with nothing in it").at(origin));
        }
        head => {
            return match binary(head) {
                Some(what) => Err(Failure::malformed(what).at(origin)),
                None => Ok((body, false)),
            };
        }
    };
    let (head, body) = peek(body, 8).await?;
    match binary(&head) {
        Some(what) => Err(Failure::malformed(what).at(origin)),
        None => Ok((body, true)),
    }
}

/// What a file is that is no text, by its first bytes.
fn binary(head: &[u8]) -> Option<&'static str> {
    match head {
        // A compound file: Excel's format until 2003.
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1] => Some(WORKBOOK),
        [b'P', b'K', 3, 4, ..] => Some(
            "a zip archive or an Excel workbook inside a compressed file, where one CSV file was due",
        ),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("a PDF document where a CSV file was due"),
        _ => None,
    }
}

fn is_zlib(head: &[u8]) -> bool {
    matches!(head, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31))
}

/// Refuses a body that is evidently a page or an error document instead of what is due.
///
/// The bytes decide, not the content type: stores serve CSV as anything.
pub(super) async fn check_document(
    origin: &str,
    body: BodyStream,
    media_type: Option<&str>,
    due: Due,
) -> Result<BodyStream, FetchError> {
    let (head, body) = peek(body, HEAD).await?;
    match document(&head, media_type, due) {
        None => Ok(body),
        Some(failure) => Err(failure.at(origin)),
    }
}

fn document(head: &[u8], media_type: Option<&str>, due: Due) -> Option<Failure> {
    let wanted = match due {
        Due::Csv => "a CSV file",
        Due::Announcement => "an announcement",
    };
    let declared =
        |part: &str| media_type.is_some_and(|value| value.to_ascii_lowercase().contains(part));
    let text = head
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(head)
        .trim_ascii_start();
    if text.first() == Some(&b'<') {
        if let Some(store) = StoreError::parse(text) {
            let kind = store.kind().unwrap_or(FetchKind::Malformed);
            return Some(Failure::new(
                kind,
                format!("an error document ({}) where {wanted} was due", store.code),
            ));
        }
        let start = text[..text.len().min(16)].to_ascii_lowercase();
        let html = [
            &b"<!doctype html"[..],
            b"<html",
            b"<head",
            b"<body",
            b"<!--",
        ]
        .iter()
        .any(|tag| start.starts_with(tag));
        if html || declared("html") {
            return Some(Failure::malformed(format!(
                "an HTML page where {wanted} was due"
            )));
        }
        if start.starts_with(b"<?xml") || declared("xml") {
            return Some(Failure::malformed(format!(
                "an XML document where {wanted} was due"
            )));
        }
        return None;
    }
    let after = || text[1..].trim_ascii_start().first().copied();
    let json = due == Due::Csv
        && match text.first() {
            Some(b'{') => declared("json") || matches!(after(), Some(b'"' | b'}')),
            Some(b'[') => declared("json") || matches!(after(), Some(b'{' | b']' | b'[')),
            _ => false,
        };
    json.then(|| Failure::malformed(format!("a JSON document where {wanted} was due")))
}

/// The first `want` bytes (fewer if the body is shorter), and the whole body again.
async fn peek(mut body: BodyStream, want: usize) -> Result<(Bytes, BodyStream), FetchError> {
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut length = 0;
    while length < want {
        match body.next().await.transpose()? {
            Some(piece) => {
                length += piece.len();
                pieces.push(piece);
            }
            None => break,
        }
    }
    let head = match pieces.first() {
        Some(first) if first.len() >= want => first.slice(..want),
        _ => pieces.concat().into(),
    };
    let again = futures_util::stream::iter(pieces.into_iter().map(Ok));
    Ok((head, again.chain(body).boxed()))
}
