//! A zip archive with one file in it, read as it arrives.
//!
//! The file's own header comes first and is enough to decode it; the directory at the archive's end says
//! which files there are and what each checksum is, so the verdict comes with the last byte.
//! Layout: APPNOTE.TXT of PKWARE, sections 4.3 and 4.4.

use std::io;

use async_compression::tokio::bufread::DeflateDecoder;
use tokio::io::AsyncReadExt as _;

use super::{
    decode::{self, Decoder, Input, Limits},
    opened::BodyStream,
    retry::Failure,
    zip_directory::{Archive, ELSEWHERE, bad, is_aside, long, short},
};
use crate::error::FetchError;

/// More than this before the file is no small thing beside it.
const MAX_ASIDE: u64 = 16 << 20;
const LOCAL_HEADER: usize = 30;

/// Opens the archive's first file; the end of the stream fails unless it is the only one and is intact.
///
/// Folders are none, and neither is what systems leave beside a file.
pub(super) async fn only_file(
    origin: &str,
    body: BodyStream,
    limits: &Limits,
) -> Result<BodyStream, FetchError> {
    let mut input = decode::input(body);
    let entry = loop {
        let entry = Entry::read(&mut input).await;
        let entry = entry.map_err(|error| decode::unwrap(error, origin))?;
        if !is_aside(&entry.name) {
            break entry;
        }
        input = entry
            .skip(input)
            .await
            .map_err(|error| decode::unwrap(error, origin))?;
    };
    if is_workbook(&entry.name) {
        return Err(Failure::malformed(WORKBOOK).at(origin));
    }
    let (decoder, name) = entry
        .decoder(input)
        .map_err(|error| decode::unwrap(error, origin))?;
    Ok(decode::decoding(
        origin,
        decoder,
        limits,
        Some(Archive::of(name)),
    ))
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

/// What is said of an Excel workbook.
pub(super) const WORKBOOK: &str = "an Excel workbook where a CSV file was due: have the sheet saved as \"CSV UTF-8\", or ask for CSV";
