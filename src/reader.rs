//! Bytes → decoded text → record chunks.
//!
//! csv-async splits the text into records and cells. It (like csv-core below it) accepts any quoting, so
//! records that hold a quote are checked again here against RFC 4180: a stray `"` must not swallow rows in
//! silence. Records that are structurally wrong never reach the scan's hot loop; they travel beside the
//! good ones, line by line where they span several, so that every line of the file is accounted for.

mod asides;
mod chunk;
mod encoding;
mod gb18030;
mod header;
mod inline;
mod quoting;
mod record;
mod window;

use bytes::Bytes;
use csv_async::{AsyncReader, AsyncReaderBuilder, ByteRecord};
use futures_util::Stream;

pub use self::{
    asides::Asides,
    chunk::{Chunk, FaultyRecord, RecordMeta},
    header::Header,
    inline::{InlineReader, InlineRow},
};
use self::{
    encoding::{Declared, Decoder},
    window::{Located, Window},
};
use crate::{
    error::{Error, FetchError, Result},
    rejection::{CellFault, RejectionCode},
};

/// Most records in a chunk: DuckDB's vector size.
pub const CHUNK_RECORDS: usize = 2048;
/// A chunk is also closed when its records have so many bytes: cells may be large.
const CHUNK_BYTES: usize = 1 << 20;
/// And when they have so many cells: a MAP of undeclared ones is made for all of them at once.
const CHUNK_CELLS: usize = 1 << 17;
/// csv-async's own buffer.
const CSV_BUFFER: usize = 64 << 10;
/// More columns than any export has; protects against files that are no CSV.
const MAX_COLUMNS: usize = 4096;
/// What a file may begin with, and a file that was put behind another one.
const MARK: &[u8] = "\u{feff}".as_bytes();
/// The end of a file in CP/M and DOS.
const END_MARK: u8 = 0x1A;

/// How to read a file.
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// For messages: the file or URL, without secrets.
    pub origin: String,
    /// Between cells; `None` while that is not known: the header is then split at `,`, whatever its quotes say.
    pub delimiter: Option<u8>,
    /// The contract's encoding.
    pub encoding: Option<&'static encoding_rs::Encoding>,
    /// The charset of the response.
    pub charset: Option<String>,
    /// Physical lines before the header that are left out.
    pub skip_lines: u64,
    /// Longest record in bytes.
    pub max_record: usize,
    /// Whether a file of nothing, without a header, is one of no rows: somebody announced none.
    pub may_be_empty: bool,
}

/// Reads records of one file.
pub struct RecordReader<S> {
    csv: AsyncReader<Window<S>>,
    record: ByteRecord,
    options: ReaderOptions,
    header: Header,
    /// What its quotes say against `,` when nobody knows the delimiter.
    header_fault: Option<String>,
    delimiter: u8,
    /// 1-based physical line at which the next byte stands.
    line: u64,
    /// The last byte consumed was `\r`: a `\n` now belongs to the same line break.
    after_cr: bool,
    records: u64,
    /// Of the last record.
    last_line: u64,
    asides: Asides,
    ended_with_line_break: bool,
}

impl<S> RecordReader<S>
where
    S: Stream<Item = Result<Bytes, FetchError>> + Unpin + Send,
{
    /// Reads as far as the header.
    ///
    /// # Errors
    /// [`Error::File`] when there is no header or the file is visibly no CSV, [`Error::Fetch`] when the
    /// bytes stop coming.
    pub async fn open(body: S, options: ReaderOptions) -> Result<Self> {
        let decoder = Decoder::new(options.encoding, options.charset.as_deref());
        let window = Window::new(body, decoder, options.skip_lines, options.max_record);
        let delimiter = options.delimiter.unwrap_or(b',');
        let csv = AsyncReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(CSV_BUFFER)
            .create_reader(window);
        let first_line = options.skip_lines.saturating_add(1);
        let mut reader = Self {
            csv,
            record: ByteRecord::new(),
            options,
            header: Header {
                cells: Vec::new(),
                raw: String::new(),
            },
            header_fault: None,
            delimiter,
            line: first_line,
            after_cr: false,
            records: 0,
            last_line: 0,
            asides: Asides::default(),
            ended_with_line_break: true,
        };
        reader.read_header().await?;
        Ok(reader)
    }

    /// The first record.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The name of the encoding that was used (WHATWG).
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        self.csv.get_ref().encoding()
    }

    /// Records read so far, the header not counted; a broken record that spans lines counts each line.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The physical line on which the last record read begins; 0: there was none.
    #[must_use]
    pub fn last_line(&self) -> u64 {
        self.last_line
    }

    /// What was left out or overruled so far.
    #[must_use]
    pub fn asides(&self) -> Asides {
        Asides {
            overruled: u64::from(self.csv.get_ref().is_overruled()),
            ..self.asides
        }
    }

    /// Who says in what encoding the file is, where it is read so.
    fn declared(&self) -> Option<Declared> {
        self.csv.get_ref().declared()
    }

    /// Whether there is nothing in the file, no header either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.header.cells.is_empty()
    }

    /// Whether the last record read ended with a line break of its own: without one, a cut may hide in its
    /// last cell.
    #[must_use]
    pub fn ended_with_line_break(&self) -> bool {
        self.ended_with_line_break
    }

    /// Fills `chunk` with the next records; returns whether there were any.
    ///
    /// # Errors
    /// [`Error::Fetch`] when the bytes stop coming, [`Error::File`] for a record too long to hold, and at the end
    /// of a file whose records were all of nothing but delimiters.
    pub async fn read_chunk(&mut self, chunk: &mut Chunk) -> Result<bool> {
        let mut is_over = false;
        while !is_over {
            is_over = self.fill(chunk).await?;
            if !chunk.is_empty() {
                return Ok(true);
            }
        }
        if self.records == 0 && self.asides.passed_over > 0 {
            return Err(self.file_error(
                &format!(
                    "{} rows, and all of them are nothing but delimiters",
                    self.asides.passed_over
                ),
                Some("ask for the file to be exported again"),
            ));
        }
        Ok(false)
    }

    /// Fills `chunk`, possibly with nothing; returns whether the file is at its end.
    async fn fill(&mut self, chunk: &mut Chunk) -> Result<bool> {
        chunk.clear();
        let mut consumed = 0;
        let mut is_over = false;
        while !chunk.is_full() && consumed < CHUNK_BYTES {
            let Some(Located {
                start,
                end,
                line,
                quoted,
            }) = self.next_record().await?
            else {
                is_over = true;
                break;
            };
            let window = self.csv.get_ref();
            let raw = &window.text()[start..end];
            consumed = window.offset_in_text(self.csv.position().byte());
            let byte_offset = window.base() + start as u64;

            let fault = if quoted {
                quoting::fault(raw, self.delimiter)
            } else {
                None
            };
            if fault.is_none() && self.record.as_slice().is_empty() {
                self.asides.passed_over += 1;
                continue;
            }
            let fault = fault
                .or_else(|| end_mark(raw))
                .or_else(|| self.structure_fault());
            self.last_line = line;
            if let Some(fault) = fault {
                // A line break inside an open quote ends no record.
                self.ended_with_line_break &= fault.code != RejectionCode::InvalidQuoting
                    || !quoting::is_open(raw, self.delimiter);
                self.records += push_faulty(chunk, raw, start, line, byte_offset, &fault);
                continue;
            }
            self.records += 1;
            chunk.push(&self.record, raw, start, line, byte_offset, quoted);
        }
        chunk.declared = self.declared();
        self.csv.get_mut().release_to(consumed, &mut chunk.text);
        Ok(is_over)
    }

    /// What is wrong with the current record's shape, if anything.
    fn structure_fault(&self) -> Option<quoting::StructureFault> {
        let (found, width) = (self.record.len(), self.header.cells.len());
        if found == width {
            if self.is_header_again() {
                return Some(quoting::StructureFault {
                    cell: None,
                    code: RejectionCode::RepeatedHeader,
                    message: "the header row again".into(),
                });
            }
            return None;
        }
        Some(quoting::StructureFault {
            cell: None,
            code: RejectionCode::FieldCount,
            message: format!("{found} cells where the header has {width}"),
        })
    }

    /// Whether the current record's cells are the header's, but for blanks around them.
    fn is_header_again(&self) -> bool {
        let mut cells = self.header.cells.iter().zip(&self.record);
        cells.all(|(header, cell)| {
            // Nearly every record ends here, at the first byte of its first cell.
            let may_be = header.as_bytes().first() == cell.first()
                || !cell.first().is_some_and(u8::is_ascii_graphic);
            may_be && std::str::from_utf8(cell).is_ok_and(|cell| cell.trim() == header)
        })
    }

    fn file_error(&self, message: &str, hint: Option<&str>) -> Error {
        Error::File {
            origin: self.options.origin.clone(),
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
        }
    }
}

/// A record of nothing but `U+001A`, whatever columns there are.
fn end_mark(raw: &[u8]) -> Option<quoting::StructureFault> {
    let is_mark = raw.first() == Some(&END_MARK) && raw.iter().all(|byte| *byte == END_MARK);
    is_mark.then(|| quoting::StructureFault {
        cell: None,
        code: RejectionCode::FieldCount,
        message: "nothing but U+001A, with which old programs end a file: ask for files without it"
            .into(),
    })
}

fn too_many_columns(origin: &str, columns: usize) -> Error {
    Error::File {
        origin: origin.to_owned(),
        message: format!("{columns} columns where at most {MAX_COLUMNS} are allowed"),
        hint: None,
    }
}

/// Rejects every physical line of a record whose structure is broken: its cells can't be trusted, and
/// rows that a stray quote swallowed must be counted one by one. Returns how many.
fn push_faulty(
    chunk: &mut Chunk,
    raw: &[u8],
    start: usize,
    line: u64,
    byte_offset: u64,
    fault: &quoting::StructureFault,
) -> u64 {
    let (mut at, mut number, mut count) = (0, line, 0);
    while at <= raw.len() {
        let rest = &raw[at..];
        let length = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        if length > 0 || count == 0 {
            let message = if number == line {
                fault.message.clone()
            } else {
                format!(
                    "part of the broken record that starts in line {line}: {}",
                    fault.message
                )
            };
            chunk.faulty.push(FaultyRecord {
                meta: RecordMeta {
                    start: to_u32(start + at),
                    end: to_u32(start + at + length),
                    first_cell: 0,
                    line: number,
                    byte_offset: byte_offset + at as u64,
                    unescaped: false,
                },
                cell: fault.cell.filter(|_| number == line),
                fault: CellFault::new(fault.code, message),
            });
            count += 1;
        }
        let crlf = rest[length..].starts_with(b"\r\n");
        at += length + if crlf { 2 } else { 1 };
        number += 1;
    }
    count
}

/// Offsets within a chunk fit: a chunk holds at most one record more than `CHUNK_BYTES`, and records are
/// limited to far less than 4 GB.
fn to_u32(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
