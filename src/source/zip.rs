//! A zip archive with one entry, read as it arrives.
//!
//! The entry's own header comes first and is enough to decode it; the directory at the archive's end says
//! how many entries there are and what the entry's checksum is, so the verdict comes with the last byte.
//! Layout: APPNOTE.TXT of PKWARE, sections 4.3 and 4.4.

use std::io;

use async_compression::tokio::bufread::DeflateDecoder;
use crc_fast::{CrcAlgorithm, Digest};
use thiserror::Error;
use tokio::io::AsyncReadExt as _;

use super::{
    BodyStream,
    content::{self, Decoder, Input, Limits},
    retry::Failure,
};
use crate::error::FetchError;

/// More than this after the entry is no directory of one entry.
const MAX_TAIL: u64 = 256 * 1024;
const LOCAL_HEADER: usize = 30;
const DIRECTORY_HEADER: usize = 46;
const END_RECORD: usize = 22;
const ZIP64_LOCATOR: usize = 20;
const ZIP64_END_RECORD: usize = 56;
/// A field whose value is in a zip64 extension.
const ELSEWHERE: u32 = u32::MAX;

/// Why an archive is not taken.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct BadArchive(&'static str);

fn bad(message: &'static str) -> io::Error {
    io::Error::other(BadArchive(message))
}

/// What is collected while the entry is decoded, to be compared with the directory.
pub(super) struct Archive {
    crc: Digest,
}

/// Opens the archive's first entry; the end of the stream fails unless it is the only one and is intact.
pub(super) async fn only_entry(
    origin: &str,
    body: BodyStream,
    limits: &Limits,
) -> Result<BodyStream, FetchError> {
    let mut input = content::input(body);
    let entry = Entry::read(&mut input)
        .await
        .map_err(|error| content::unwrap(error, origin))?;
    let refuse = |message: &str| Err(Failure::malformed(message).at(origin));
    if entry.encrypted {
        return refuse("an encrypted zip archive");
    }
    let decoder: Box<dyn Decoder> = match entry.method {
        8 => Box::new(DeflateDecoder::new(input)),
        0 if entry.sizes_follow || entry.compressed == ELSEWHERE => {
            return refuse("a zip archive whose entry is stored without its size");
        }
        0 => Box::new(input.take(entry.compressed.into())),
        _ => return refuse("a zip archive with a compression other than deflate"),
    };
    let archive = Archive {
        crc: Digest::new(CrcAlgorithm::Crc32IsoHdlc),
    };
    Ok(content::decoding(origin, decoder, limits, Some(archive)))
}

struct Entry {
    encrypted: bool,
    /// Sizes and checksum come after the data.
    sizes_follow: bool,
    method: u16,
    compressed: u32,
}

impl Entry {
    async fn read(input: &mut Input) -> io::Result<Self> {
        let mut header = [0; LOCAL_HEADER];
        input.read_exact(&mut header).await?;
        let flags = short(&header, 6);
        let mut name = vec![0; short(&header, 26).into()];
        input.read_exact(&mut name).await?;
        let mut extra = vec![0; short(&header, 28).into()];
        input.read_exact(&mut extra).await?;
        if name.ends_with(b"/") {
            return Err(bad("a zip archive with a folder where one file was due"));
        }
        Ok(Self {
            encrypted: flags & 1 != 0,
            sizes_follow: flags & 8 != 0,
            method: short(&header, 8),
            compressed: long(&header, 18),
        })
    }
}

impl Archive {
    pub(super) fn update(&mut self, decoded: &[u8]) {
        self.crc.update(decoded);
    }

    /// Reads what follows the entry and compares it with what was decoded.
    pub(super) async fn check_end(self, input: &mut Input, decoded: u64) -> io::Result<()> {
        let mut tail = Vec::new();
        input.take(MAX_TAIL + 1).read_to_end(&mut tail).await?;
        if tail.len() as u64 > MAX_TAIL {
            return Err(bad("a zip archive with more than one entry"));
        }
        let end = find_end(&tail).ok_or_else(|| {
            if tail.windows(4).any(|four| four == b"PK\x03\x04") {
                bad("a zip archive with more than one entry, or cut")
            } else {
                bad("a zip archive without its directory: it is cut")
            }
        })?;
        if short(&tail, end + 10) != 1 {
            return Err(bad("a zip archive with more than one entry"));
        }
        let zip64 = end
            .checked_sub(ZIP64_LOCATOR)
            .is_some_and(|at| tail[at..].starts_with(b"PK\x06\x07"));
        let directory_end = if zip64 {
            end.checked_sub(ZIP64_LOCATOR + ZIP64_END_RECORD)
        } else {
            Some(end)
        };
        let directory = directory_end
            .and_then(|at| at.checked_sub(usize::try_from(long(&tail, end + 12)).ok()?))
            .filter(|&at| {
                tail.len() >= at + DIRECTORY_HEADER && tail[at..].starts_with(b"PK\x01\x02")
            })
            .ok_or_else(|| bad("a zip archive with a broken directory"))?;
        let size = long(&tail, directory + 24);
        #[allow(clippy::cast_possible_truncation)]
        let same_size = size == ELSEWHERE || size == decoded as u32;
        if u64::from(long(&tail, directory + 16)) != self.crc.finalize() || !same_size {
            return Err(bad("the zip archive's entry does not match its checksum"));
        }
        Ok(())
    }
}

/// Where the end record starts: the one whose comment reaches exactly to the end.
fn find_end(tail: &[u8]) -> Option<usize> {
    (0..=tail.len().checked_sub(END_RECORD)?).rev().find(|&at| {
        tail[at..].starts_with(b"PK\x05\x06")
            && at + END_RECORD + usize::from(short(tail, at + 20)) == tail.len()
    })
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
