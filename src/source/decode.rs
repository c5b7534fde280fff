//! Compression undone while the bytes arrive, within the limits on what comes out.

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
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;

use super::{
    opened::BodyStream,
    retry::Failure,
    zip_directory::{self, Archive},
};
use crate::error::FetchError;

/// Decoded bytes handed on at once.
const PIECE: usize = 128 * 1024;

/// Below this a high ratio is harmless: a few repeated bytes compress to almost nothing.
const RATIO_FLOOR: u64 = 1_000_000;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Zlib,
    Deflate,
    Zstd,
    Brotli,
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

pub(super) fn decode(
    origin: &str,
    body: BodyStream,
    encoding: Encoding,
    limits: &Limits,
) -> BodyStream {
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
            Err(inner) if inner.is::<zip_directory::BadArchive>() || inner.is::<Trailing>() => {
                Some(inner)
            }
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
