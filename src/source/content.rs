//! From the bytes that arrive to the file that was meant: encodings undone, limits kept, error pages seen.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_compression::{tokio::bufread as decoders, zstd::DParameter};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;

use super::{
    BodyStream,
    retry::Failure,
    store_error::StoreError,
    zip::{self, Archive},
};
use crate::{
    characters::visible,
    error::{FetchError, FetchKind},
};

/// Decoded bytes handed on at once.
const PIECE: usize = 128 * 1024;
/// Bytes looked at to recognise what is no CSV.
const HEAD: usize = 1024;
/// Below this a high ratio is harmless: a few repeated bytes compress to almost nothing.
const RATIO_FLOOR: u64 = 1_000_000;
/// What is said of an Excel workbook.
pub(super) const WORKBOOK: &str = "an Excel workbook where a CSV file was due: have the sheet saved as \"CSV UTF-8\", or ask for CSV";
/// Longest name of a content encoding that is shown.
const LONGEST_NAME: usize = 40;
/// Zstandard windows up to 32 MiB: all levels of the command line tool but the "ultra" ones.
const ZSTD_WINDOW_LOG: u32 = 25;

/// Bounds on what decoding may produce.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) max_bytes: u64,
    pub(super) max_ratio: u64,
    /// Bytes received so far; `None`: a local file, which is not limited.
    pub(super) received: Option<Arc<AtomicU64>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: u64::MAX,
            max_ratio: u64::MAX,
            received: None,
        }
    }
}

/// What a body should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Csv,
    Announcement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Zlib,
    Deflate,
    Zstd,
    Brotli,
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

pub(super) type Input =
    StreamReader<futures_util::stream::MapErr<BodyStream, fn(FetchError) -> io::Error>, Bytes>;

/// Something that decodes an [`Input`] and gives it back.
pub(super) trait Decoder: AsyncRead + Send + Unpin + 'static {
    fn into_input(self: Box<Self>) -> Input;
}

macro_rules! decoder {
    ($($name:ident)*) => {$(
        impl Decoder for decoders::$name<Input> {
            fn into_input(self: Box<Self>) -> Input {
                self.into_inner()
            }
        }
    )*};
}

decoder!(GzipDecoder ZlibDecoder DeflateDecoder ZstdDecoder BrotliDecoder);

impl Decoder for tokio::io::Take<Input> {
    fn into_input(self: Box<Self>) -> Input {
        self.into_inner()
    }
}

/// `body` as something to read from; its errors come back out of [`unwrap`].
pub(super) fn input(body: BodyStream) -> Input {
    let carry: fn(FetchError) -> io::Error = io::Error::other;
    StreamReader::new(body.map_err(carry))
}

fn decode(origin: &str, body: BodyStream, encoding: Encoding, limits: &Limits) -> BodyStream {
    let input = input(body);
    let decoder: Box<dyn Decoder> = match encoding {
        Encoding::Gzip => return members(origin, input, limits),
        Encoding::Zlib => Box::new(decoders::ZlibDecoder::new(input)),
        Encoding::Deflate => Box::new(decoders::DeflateDecoder::new(input)),
        Encoding::Zstd => {
            let window = DParameter::window_log_max(ZSTD_WINDOW_LOG);
            let mut decoder = decoders::ZstdDecoder::with_params(input, &[window]);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Encoding::Brotli => Box::new(decoders::BrotliDecoder::new(input)),
    };
    decoding(origin, decoder, limits, None)
}

/// Gzip's members one after another, which are one file (RFC 1952, section 2.2), with zeros behind each: whoever
/// writes in blocks pads the last one, and gzip itself reads past them.
fn members(origin: &str, input: Input, limits: &Limits) -> BodyStream {
    let decoder = Box::new(decoders::GzipDecoder::new(input));
    let mut state = Decoding::new(origin, decoder, limits, None);
    state.is_gzip = true;
    state.stream()
}

/// The stream of what `decoder` makes of its input.
pub(super) fn decoding(
    origin: &str,
    decoder: Box<dyn Decoder>,
    limits: &Limits,
    archive: Option<Archive>,
) -> BodyStream {
    Decoding::new(origin, decoder, limits, archive).stream()
}

struct Decoding {
    /// `None` only while one member's decoder gives its input to the next one's.
    decoder: Option<Box<dyn Decoder>>,
    /// Whether another member may follow.
    is_gzip: bool,
    origin: String,
    limits: Limits,
    produced: u64,
    /// What an archive says around its entry.
    archive: Option<Archive>,
}

impl Decoding {
    fn new(
        origin: &str,
        decoder: Box<dyn Decoder>,
        limits: &Limits,
        archive: Option<Archive>,
    ) -> Self {
        Self {
            decoder: Some(decoder),
            is_gzip: false,
            origin: origin.to_owned(),
            limits: limits.clone(),
            produced: 0,
            archive,
        }
    }

    fn stream(self) -> BodyStream {
        futures_util::stream::try_unfold(self, |mut state| async move {
            Ok(state.next().await?.map(|piece| (piece, state)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        while let Some(decoder) = &mut self.decoder {
            let mut piece = BytesMut::with_capacity(PIECE);
            let read = decoder.read_buf(&mut piece).await;
            let read = read.map_err(|error| unwrap(error, &self.origin))?;
            if read > 0 {
                self.produced += read as u64;
                self.check().map_err(|failure| failure.at(&self.origin))?;
                if let Some(archive) = &mut self.archive {
                    archive.update(&piece);
                }
                return Ok(Some(piece.freeze()));
            }
            let end = self.end().await;
            end.map_err(|error| unwrap(error, &self.origin))?;
        }
        Ok(None)
    }

    /// What follows the compressed data: nothing, or another member of it.
    async fn end(&mut self) -> io::Result<()> {
        let Some(decoder) = self.decoder.take() else {
            return Ok(());
        };
        let mut input = decoder.into_input();
        if let Some(archive) = self.archive.take() {
            return archive.check_end(&mut input, self.produced).await;
        }
        // Reading the input to its end is what verifies it.
        loop {
            let rest = input.fill_buf().await?;
            if rest.is_empty() {
                return Ok(());
            }
            let zeros = rest.iter().take_while(|byte| **byte == 0).count();
            if !self.is_gzip || (zeros == 0 && rest[0] != 0x1f) {
                return Err(io::Error::other(Trailing));
            }
            if zeros == 0 {
                self.decoder = Some(Box::new(decoders::GzipDecoder::new(input)));
                return Ok(());
            }
            input.consume(zeros);
        }
    }

    fn check(&self) -> Result<(), Failure> {
        let Limits {
            max_bytes,
            max_ratio,
            received,
        } = &self.limits;
        let Some(received) = received else {
            return Ok(());
        };
        if self.produced > *max_bytes {
            return Err(Failure::malformed(format!(
                "the decompressed file is larger than {} (`max_bytes`)",
                crate::config::ByteSize(*max_bytes)
            )));
        }
        let received = received.load(Ordering::Relaxed).max(1);
        if self.produced > RATIO_FLOOR && self.produced / received > *max_ratio {
            return Err(Failure::malformed(format!(
                "the file decompresses to more than {max_ratio} times its size (`max_ratio`)"
            )));
        }
        Ok(())
    }
}

/// Something that is neither padding nor another member.
#[derive(Debug, thiserror::Error)]
#[error("something follows the compressed data")]
struct Trailing;

/// What an error from an [`Input`] or a decoder means: a download's own comes back as it was, anything else
/// is the compressed data's fault.
pub(super) fn unwrap(error: io::Error, origin: &str) -> FetchError {
    let cut = error.kind() == io::ErrorKind::UnexpectedEof;
    let broken = match error.into_inner() {
        Some(inner) => match inner.downcast::<FetchError>() {
            Ok(fetch) => return *fetch,
            Err(inner) if inner.is::<zip::BadArchive>() || inner.is::<Trailing>() => Some(inner),
            Err(_) => None,
        },
        None => None,
    };
    match broken {
        Some(broken) => Failure::malformed(broken.to_string()),
        None if cut => Failure::malformed("the compressed data ends early"),
        None => Failure::malformed("the compressed data is broken"),
    }
    .at(origin)
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
