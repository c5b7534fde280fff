//! A kept file as characters, and what its bytes hash to.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use base16ct::lower::encode_string;
use encoding_rs::{Decoder, Encoding, UTF_8};
use sha2::{Digest as _, Sha256};

const PIECE: usize = 64 << 10;

/// The characters of a kept file. What its encoding does not have is U+FFFD.
pub(super) struct Characters {
    bytes: zstd::Decoder<'static, io::BufReader<File>>,
    hasher: Sha256,
    decoder: Decoder,
    piece: Vec<u8>,
    text: String,
    /// Where in it the next character begins.
    at: usize,
    is_over: bool,
}

impl Characters {
    /// `encoding` by its WHATWG name; a byte order mark is none of the characters.
    pub(super) fn open(path: &Path, encoding: &str) -> io::Result<Self> {
        let encoding = Encoding::for_label(encoding.as_bytes()).unwrap_or(UTF_8);
        Ok(Self {
            bytes: zstd::Decoder::new(File::open(path)?)?,
            hasher: Sha256::new(),
            decoder: encoding.new_decoder_with_bom_removal(),
            piece: vec![0; PIECE],
            text: String::new(),
            at: 0,
            is_over: false,
        })
    }

    pub(super) fn peek(&mut self) -> io::Result<Option<char>> {
        while self.at == self.text.len() && !self.is_over {
            self.fill()?;
        }
        Ok(self.text[self.at..].chars().next())
    }

    pub(super) fn next(&mut self) -> io::Result<Option<char>> {
        let next = self.peek()?;
        self.at += next.map_or(0, char::len_utf8);
        Ok(next)
    }

    fn fill(&mut self) -> io::Result<()> {
        let read = self.bytes.read(&mut self.piece)?;
        self.hasher.update(&self.piece[..read]);
        self.is_over = read == 0;
        self.text.clear();
        self.at = 0;
        let room = self.decoder.max_utf8_buffer_length(read);
        self.text.reserve(room.unwrap_or(4 * PIECE));
        // With room for all of it, one call takes all of it.
        let _ = self
            .decoder
            .decode_to_string(&self.piece[..read], &mut self.text, self.is_over);
        Ok(())
    }

    /// The SHA-256 of all its bytes, those that were not read included.
    pub(super) fn hash(mut self) -> io::Result<String> {
        loop {
            let read = self.bytes.read(&mut self.piece)?;
            if read == 0 {
                return Ok(encode_string(&self.hasher.finalize()));
            }
            self.hasher.update(&self.piece[..read]);
        }
    }
}

/// A physical line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: u64,
    /// Without its line break.
    pub(crate) text: String,
}

/// Longest part of a line that is kept; a file may have only one.
const LINE_SHOWN: usize = 4_000;

/// At most `most` physical lines from the line `first` on, and whether there are more.
///
/// # Errors
/// The system's, when the file can't be read.
pub(crate) fn lines(
    path: &Path,
    encoding: &str,
    first: u64,
    most: usize,
) -> io::Result<(Vec<Line>, bool)> {
    let mut characters = Characters::open(path, encoding)?;
    let mut lines = Vec::new();
    let mut number = 1;
    while characters.peek()?.is_some() {
        if lines.len() == most {
            return Ok((lines, true));
        }
        let mut text = String::new();
        let mut length = 0;
        while let Some(character) = characters.next()? {
            if character == '\n' {
                break;
            }
            if character == '\r' {
                if characters.peek()? == Some('\n') {
                    characters.next()?;
                }
                break;
            }
            length += 1;
            if number >= first && length <= LINE_SHOWN {
                text.push(character);
            }
        }
        if length > LINE_SHOWN {
            text.push('…');
        }
        if number >= first {
            lines.push(Line { number, text });
        }
        number += 1;
    }
    Ok((lines, false))
}
