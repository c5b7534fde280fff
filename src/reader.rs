//! Bytes → decoded text → record chunks.
//!
//! csv-async splits the text into records and cells. It (like csv-core below it) accepts any quoting, so
//! records that hold a quote are checked again here against RFC 4180: a stray `"` must not swallow rows in
//! silence. Records that are structurally wrong never reach the scan's hot loop; they travel beside the
//! good ones, line by line where they span several, so that every line of the file is accounted for.

mod chunk;
mod encoding;
mod gb18030;
mod inline;
mod quoting;
mod window;

use bytes::Bytes;
use csv_async::{AsyncReader, AsyncReaderBuilder, ByteRecord};
use futures_util::Stream;

pub use self::{
    chunk::{Chunk, FaultyRecord, RecordMeta},
    inline::{ROWS_PER_CHUNK, inline_chunk},
};
use self::{encoding::Decoder, window::Window};
use crate::{
    error::{Error, FetchError, Result},
    rejection::{CellFault, RejectionCode, raw_text},
};

/// Most records in a chunk: DuckDB's vector size.
pub const CHUNK_RECORDS: usize = 2048;
/// A chunk is also closed when its records have so many bytes: cells may be large.
const CHUNK_BYTES: usize = 1 << 20;
/// csv-async's own buffer.
const CSV_BUFFER: usize = 64 << 10;
/// More columns than any export has; protects against files that are no CSV.
const MAX_COLUMNS: usize = 4096;

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
    /// Longest record in bytes.
    pub max_record: usize,
}

/// The first record of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its cells, trimmed.
    pub cells: Vec<String>,
    /// As delivered.
    pub raw: String,
}

impl Header {
    /// Its cells as another delimiter splits it, trimmed.
    #[must_use]
    pub fn split(&self, delimiter: u8) -> Vec<String> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter)
            .from_reader(self.raw.as_bytes());
        let record = reader.records().next().and_then(Result::ok);
        record
            .unwrap_or_default()
            .iter()
            .map(|cell| cell.trim().to_owned())
            .collect()
    }
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
    /// The header's cells as delivered: a record equal to them is `repeated-header`.
    header_cells: ByteRecord,
    /// 1-based physical line at which the next byte stands.
    line: u64,
    /// The last byte consumed was `\r`: a `\n` now belongs to the same line break.
    after_cr: bool,
    records: u64,
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
        let window = Window::new(body, decoder, options.max_record);
        let delimiter = options.delimiter.unwrap_or(b',');
        let csv = AsyncReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(CSV_BUFFER)
            .create_reader(window);
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
            header_cells: ByteRecord::new(),
            line: 1,
            after_cr: false,
            records: 0,
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

    /// What is wrong with the header if it is `,` that stands between its cells, which nobody has said.
    #[must_use]
    pub fn header_fault(&self) -> Option<Error> {
        let message = self.header_fault.as_deref()?;
        Some(self.file_error(message, None))
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

    /// Whether the last record read ended with a line break of its own: without one, a cut may hide in its
    /// last cell.
    #[must_use]
    pub fn ended_with_line_break(&self) -> bool {
        self.ended_with_line_break
    }

    async fn read_header(&mut self) -> Result<()> {
        let Some(Located { start, end, .. }) = self.next_record().await? else {
            return Err(self.file_error("the file is empty where a header row was expected", None));
        };
        let raw = self.csv.get_ref().text()[start..end].to_vec();
        match raw.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'<') => {
                return Err(self.file_error(
                    "HTML or XML where CSV was expected",
                    Some("open the address in a browser: it may show an error or a login page"),
                ));
            }
            Some(b'{' | b'[') => {
                return Err(self.file_error(
                    "JSON where CSV was expected",
                    Some("an announcement is ingested without --dataset and --batch-no"),
                ));
            }
            _ => {}
        }
        if let Some(fault) = quoting::fault(&raw, self.delimiter) {
            self.header_fault = Some(format!("the header row: {}", fault.message));
        }
        if let (Some(_), Some(error)) = (self.options.delimiter, self.header_fault()) {
            return Err(error);
        }
        if self.record.len() > MAX_COLUMNS {
            return Err(self.file_error(
                &format!(
                    "{} columns where at most {MAX_COLUMNS} are allowed",
                    self.record.len()
                ),
                None,
            ));
        }
        let Ok(raw) = String::from_utf8(raw) else {
            return Err(self.file_error(
                &format!("the header row is not text in {}", self.encoding()),
                Some("set [csv] encoding in the dataset's contract"),
            ));
        };
        let cell = |cell: &[u8]| {
            raw_text(cell)
                .trim_start_matches('\u{feff}')
                .trim()
                .to_owned()
        };
        self.header = Header {
            cells: self.record.iter().map(cell).collect(),
            raw,
        };
        self.header_cells = self.record.clone();
        self.records = 0;
        let consumed = self
            .csv
            .get_ref()
            .offset_in_text(self.csv.position().byte());
        self.csv.get_mut().release_to(consumed, &mut Vec::new());
        Ok(())
    }

    /// Fills `chunk` with the next records; returns whether there were any.
    ///
    /// # Errors
    /// [`Error::Fetch`] when the bytes stop coming, [`Error::File`] for a record too long to hold.
    pub async fn read_chunk(&mut self, chunk: &mut Chunk) -> Result<bool> {
        chunk.clear();
        let width = self.header_cells.len();
        let mut consumed = 0;
        while chunk.records.len() + chunk.faulty.len() < CHUNK_RECORDS && consumed < CHUNK_BYTES {
            let Some(Located {
                start,
                end,
                line,
                quoted,
            }) = self.next_record().await?
            else {
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
            let fault = fault.or_else(|| self.structure_fault(width));
            if let Some(fault) = fault {
                // A line break inside an open quote ends no record.
                self.ended_with_line_break &= fault.code != RejectionCode::InvalidQuoting;
                self.records += push_faulty(chunk, raw, start, line, byte_offset, &fault);
                continue;
            }
            self.records += 1;
            chunk.push(&self.record, raw, start, line, byte_offset, quoted);
        }
        if chunk.records.is_empty() && chunk.faulty.is_empty() {
            return Ok(false);
        }
        self.csv.get_mut().release_to(consumed, &mut chunk.text);
        Ok(true)
    }

    /// What is wrong with the current record's shape, if anything.
    fn structure_fault(&self, width: usize) -> Option<quoting::StructureFault> {
        let found = self.record.len();
        if found == width {
            let first = self.record.get(0);
            if first == self.header_cells.get(0) && self.record.iter().eq(self.header_cells.iter())
            {
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

    /// Reads the next record and says where it stands in the window, without line breaks around it.
    async fn next_record(&mut self) -> Result<Option<Located>> {
        let before = self.csv.position().byte();
        match self.csv.read_byte_record(&mut self.record).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(self.read_error(error)),
        }
        let after = self.csv.position().byte();
        let window = self.csv.get_ref();
        let (mut start, mut end) = (window.offset_in_text(before), window.offset_in_text(after));
        let text = &window.text()[..end];
        // Line breaks before the record: the rest of the previous one's, and blank lines.
        while let Some(byte @ (b'\r' | b'\n')) = text.get(start).copied() {
            if byte == b'\n' && self.after_cr {
                self.after_cr = false;
            } else {
                self.line += 1;
                self.after_cr = byte == b'\r';
            }
            start += 1;
        }
        let line = self.line;
        self.after_cr = text[start..].last() == Some(&b'\r');
        self.ended_with_line_break = matches!(text[start..].last(), Some(b'\r' | b'\n'));
        if self.ended_with_line_break {
            // Where an open quote ends the file on a line break inside its cell, `read_chunk` takes this back.
            end -= if text[start..].ends_with(b"\r\n") {
                2
            } else {
                1
            };
            self.line += 1;
        }
        let quoted = memchr::memchr(b'"', &text[start..end]).is_some();
        if quoted {
            self.line += line_breaks_within(&text[start..end]);
        }
        self.csv.get_mut().mark_record(after);
        Ok(Some(Located {
            start,
            end,
            line,
            quoted,
        }))
    }

    fn read_error(&self, error: csv_async::Error) -> Error {
        let io = match error.into_kind() {
            csv_async::ErrorKind::Io(io) => io,
            other => return Error::Internal(format!("csv reader: {other:?}")),
        };
        match window::downcast(io) {
            window::ReadFault::Fetch(error) => Error::Fetch(error),
            window::ReadFault::RecordTooLong => Error::File {
                origin: format!("{}:{}", self.options.origin, self.line),
                message: format!(
                    "a record of more than {} bytes starts here",
                    self.options.max_record
                ),
                hint: Some(
                    "a quote may be open; if records are that long, raise [download] max_record"
                        .into(),
                ),
            },
            window::ReadFault::Io(error) => Error::Internal(format!("csv reader: {error}")),
        }
    }

    fn file_error(&self, message: &str, hint: Option<&str>) -> Error {
        Error::File {
            origin: self.options.origin.clone(),
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
        }
    }
}

/// Where a record stands in the window.
struct Located {
    start: usize,
    end: usize,
    line: u64,
    quoted: bool,
}

/// Line breaks inside `text`; `\r\n` is one.
fn line_breaks_within(text: &[u8]) -> u64 {
    let mut breaks = 0;
    for at in memchr::memchr2_iter(b'\r', b'\n', text) {
        if text[at] == b'\n' && at > 0 && text[at - 1] == b'\r' {
            continue;
        }
        breaks += 1;
    }
    breaks
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
