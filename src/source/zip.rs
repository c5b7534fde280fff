//! A zip archive with one file in it, read as it arrives.
//!
//! The file's own header comes first and is enough to decode it; the directory at the archive's end says
//! which files there are and what each checksum is, so the verdict comes with the last byte.
//! Layout: APPNOTE.TXT of PKWARE, sections 4.3 and 4.4.

use std::{borrow::Cow, io};

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

/// What follows the file is kept until its end: the directory, and what else a system packs beside a file.
const MAX_TAIL: u64 = 4 << 20;
/// More than this before the file is no small thing beside it.
const MAX_ASIDE: u64 = 16 << 20;
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
pub(super) struct BadArchive(Cow<'static, str>);

fn bad(message: impl Into<Cow<'static, str>>) -> io::Error {
    io::Error::other(BadArchive(message.into()))
}

/// What is collected while the file is decoded, to be compared with the directory.
pub(super) struct Archive {
    name: Vec<u8>,
    crc: Digest,
}

/// Opens the archive's first file; the end of the stream fails unless it is the only one and is intact.
///
/// Folders are none, and neither is what systems leave beside a file.
pub(super) async fn only_file(
    origin: &str,
    body: BodyStream,
    limits: &Limits,
) -> Result<BodyStream, FetchError> {
    let mut input = content::input(body);
    let entry = loop {
        let entry = Entry::read(&mut input).await;
        let entry = entry.map_err(|error| content::unwrap(error, origin))?;
        if !is_aside(&entry.name) {
            break entry;
        }
        input = entry
            .skip(input)
            .await
            .map_err(|error| content::unwrap(error, origin))?;
    };
    if is_workbook(&entry.name) {
        return Err(Failure::malformed(content::WORKBOOK).at(origin));
    }
    let (decoder, name) = entry
        .decoder(input)
        .map_err(|error| content::unwrap(error, origin))?;
    let archive = Archive {
        name,
        crc: Digest::new(CrcAlgorithm::Crc32IsoHdlc),
    };
    Ok(content::decoding(origin, decoder, limits, Some(archive)))
}

/// Whether an entry is no file that somebody packed: a folder, or what a system left in it.
fn is_aside(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| matches!(byte, b'/' | b'\\'));
    let file = parts.next_back().unwrap_or_default();
    let left = [&b".DS_Store"[..], b"Thumbs.db", b"desktop.ini"];
    file.is_empty()
        || file.starts_with(b"._")
        || left.iter().any(|name| file.eq_ignore_ascii_case(name))
        || parts.any(|folder| folder == b"__MACOSX")
}

/// Whether an entry is a part of an Office Open XML file, which is a zip archive.
fn is_workbook(name: &[u8]) -> bool {
    let folders = [&b"xl/"[..], b"_rels/", b"docProps/"];
    name == b"[Content_Types].xml"
        || (folders.iter().any(|folder| name.starts_with(folder))
            && (name.ends_with(b".xml") || name.ends_with(b".rels")))
}

/// What stands before an entry's data.
struct Entry {
    name: Vec<u8>,
    encrypted: bool,
    /// Sizes and checksum come after the data.
    sizes_follow: bool,
    /// They are of 8 bytes.
    is_zip64: bool,
    method: u16,
    compressed: u32,
}

impl Entry {
    async fn read(input: &mut Input) -> io::Result<Self> {
        let mut header = [0; LOCAL_HEADER];
        input.read_exact(&mut header[..4]).await?;
        match &header[..4] {
            b"PK\x03\x04" => {}
            b"PK\x01\x02" => return Err(bad("a zip archive with no file in it")),
            _ => return Err(bad("a zip archive with a broken entry")),
        }
        input.read_exact(&mut header[4..]).await?;
        let flags = short(&header, 6);
        let mut name = vec![0; short(&header, 26).into()];
        input.read_exact(&mut name).await?;
        let mut extra = vec![0; short(&header, 28).into()];
        input.read_exact(&mut extra).await?;
        Ok(Self {
            name,
            encrypted: flags & 1 != 0,
            sizes_follow: flags & 8 != 0,
            is_zip64: has_zip64(&extra),
            method: short(&header, 8),
            compressed: long(&header, 18),
        })
    }

    /// What decodes its data, and its name.
    fn decoder(self, input: Input) -> io::Result<(Box<dyn Decoder>, Vec<u8>)> {
        if self.encrypted {
            return Err(bad("an encrypted zip archive"));
        }
        let is_empty = self.name.ends_with(b"/") && self.compressed == 0;
        let decoder: Box<dyn Decoder> = match self.method {
            8 => Box::new(DeflateDecoder::new(input)),
            0 if (self.sizes_follow && !is_empty) || self.compressed == ELSEWHERE => {
                return Err(bad("a zip archive whose entry is stored without its size"));
            }
            0 => Box::new(input.take(self.compressed.into())),
            _ => {
                return Err(bad("a zip archive with a compression other than deflate"));
            }
        };
        Ok((decoder, self.name))
    }

    /// Reads past it, to where the next one begins.
    async fn skip(self, input: Input) -> io::Result<Input> {
        let (sizes_follow, is_zip64) = (self.sizes_follow, self.is_zip64);
        let (mut decoder, _) = self.decoder(input)?;
        let mut data = (&mut decoder).take(MAX_ASIDE + 1);
        if tokio::io::copy(&mut data, &mut tokio::io::sink()).await? > MAX_ASIDE {
            return Err(bad("a zip archive with more than one file"));
        }
        let mut input = decoder.into_input();
        if sizes_follow {
            // The signature before them is optional (section 4.3.9.3).
            let mut first = [0; 4];
            input.read_exact(&mut first).await?;
            let sizes = if is_zip64 { 16 } else { 8 };
            let left = sizes + if &first == b"PK\x07\x08" { 4 } else { 0 };
            let mut rest = [0; 20];
            input.read_exact(&mut rest[..left]).await?;
        }
        Ok(input)
    }
}

/// Whether a local header's extra field has the zip64 extension.
fn has_zip64(mut extra: &[u8]) -> bool {
    while extra.len() >= 4 {
        if short(extra, 0) == 1 {
            return true;
        }
        let next = 4 + usize::from(short(extra, 2));
        extra = extra.get(next..).unwrap_or_default();
    }
    false
}

impl Archive {
    pub(super) fn update(&mut self, decoded: &[u8]) {
        self.crc.update(decoded);
    }

    /// Reads what follows the file and compares the directory with what was decoded.
    pub(super) async fn check_end(self, input: &mut Input, decoded: u64) -> io::Result<()> {
        let mut tail = Vec::new();
        input.take(MAX_TAIL + 1).read_to_end(&mut tail).await?;
        if tail.len() as u64 > MAX_TAIL {
            return Err(bad("a zip archive with more than one file"));
        }
        let end = find_end(&tail).ok_or_else(|| {
            if tail.windows(4).any(|four| four == b"PK\x03\x04") {
                bad("a zip archive with more than one file, or cut")
            } else {
                bad("a zip archive without its directory: it is cut")
            }
        })?;
        let entries =
            directory(&tail, end).ok_or_else(|| bad("a zip archive with a broken directory"))?;
        let files: Vec<_> = entries
            .iter()
            .filter(|entry| !is_aside(entry.name))
            .collect();
        let [file] = files.as_slice() else {
            return Err(bad(format!(
                "a zip archive with {} files where one is due",
                files.len()
            )));
        };
        if file.name != self.name {
            return Err(bad("a zip archive whose directory names another file"));
        }
        #[allow(clippy::cast_possible_truncation)]
        let same_size = file.size == ELSEWHERE || file.size == decoded as u32;
        if u64::from(file.crc) != self.crc.finalize() || !same_size {
            return Err(bad("the zip archive's entry does not match its checksum"));
        }
        Ok(())
    }
}

/// An entry as the directory has it.
struct Listed<'a> {
    name: &'a [u8],
    crc: u32,
    size: u32,
}

/// The directory's entries; `end` is where the end record stands in `tail`.
fn directory(tail: &[u8], end: usize) -> Option<Vec<Listed<'_>>> {
    let is_zip64 = end
        .checked_sub(ZIP64_LOCATOR)
        .is_some_and(|at| tail[at..].starts_with(b"PK\x06\x07"));
    let directory_end = match is_zip64 {
        true => end.checked_sub(ZIP64_LOCATOR + ZIP64_END_RECORD)?,
        false => end,
    };
    let mut at = directory_end.checked_sub(usize::try_from(long(tail, end + 12)).ok()?)?;
    let mut entries = Vec::new();
    while at < directory_end {
        let header = tail.get(at..at + DIRECTORY_HEADER)?;
        let name = at + DIRECTORY_HEADER;
        let name_end = name + usize::from(short(header, 28));
        entries.push(Listed {
            name: header
                .starts_with(b"PK\x01\x02")
                .then(|| tail.get(name..name_end))??,
            crc: long(header, 16),
            size: long(header, 24),
        });
        at = name_end + usize::from(short(header, 30)) + usize::from(short(header, 32));
    }
    let count = usize::from(short(tail, end + 10));
    (at == directory_end && count == entries.len()).then_some(entries)
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
