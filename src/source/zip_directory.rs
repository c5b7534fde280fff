//! A zip archive's directory, which stands at its end: which files there are, and what each checksum is.
//!
//! Layout: APPNOTE.TXT of PKWARE, sections 4.3 and 4.4.

use std::{borrow::Cow, io};

use crc_fast::{CrcAlgorithm, Digest};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What follows the file is kept until its end: the directory, and what else a system packs beside a file.
const MAX_TAIL: u64 = 4 << 20;

const DIRECTORY_HEADER: usize = 46;

const END_RECORD: usize = 22;

const ZIP64_LOCATOR: usize = 20;

const ZIP64_END_RECORD: usize = 56;

/// A field whose value is in a zip64 extension.
pub(super) const ELSEWHERE: u32 = u32::MAX;

/// Why an archive is not taken.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct BadArchive(Cow<'static, str>);

pub(super) fn bad(message: impl Into<Cow<'static, str>>) -> io::Error {
    io::Error::other(BadArchive(message.into()))
}

/// What is collected while the file is decoded, to be compared with the directory.
pub(super) struct Archive {
    name: Vec<u8>,
    crc: Digest,
}

impl Archive {
    /// Of the file of this name, which is read from now on.
    pub(super) fn of(name: Vec<u8>) -> Self {
        Self {
            name,
            crc: Digest::new(CrcAlgorithm::Crc32IsoHdlc),
        }
    }

    pub(super) fn update(&mut self, decoded: &[u8]) {
        self.crc.update(decoded);
    }

    /// Reads what follows the file and compares the directory with what was decoded.
    pub(super) async fn check_end(
        self,
        input: &mut (impl AsyncRead + Unpin),
        decoded: u64,
    ) -> io::Result<()> {
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

pub(super) fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Whether an entry is no file that somebody packed: a folder, or what a system left in it.
pub(super) fn is_aside(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| matches!(byte, b'/' | b'\\'));
    let file = parts.next_back().unwrap_or_default();
    let left = [&b".DS_Store"[..], b"Thumbs.db", b"desktop.ini"];
    file.is_empty()
        || file.starts_with(b"._")
        || left.iter().any(|name| file.eq_ignore_ascii_case(name))
        || parts.any(|folder| folder == b"__MACOSX")
}
