//! A run of records on its way to DuckDB, in buffers that are reused.

use csv_async::ByteRecord;

use super::{CHUNK_BYTES, CHUNK_CELLS, CHUNK_RECORDS, encoding::Declared};
use crate::rejection::{CellFault, RejectionCode};

/// Marks a cell that the row does not have (a key missing from an inline row).
const ABSENT: (u32, u32) = (u32::MAX, u32::MAX);

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordMeta {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) first_cell: u32,
    /// 1-based physical line of its first byte; for an inline list the 1-based position.
    pub line: u64,
    /// Offset of its first byte in the decoded text.
    pub byte_offset: u64,
    pub(super) unescaped: bool,
}

/// A record whose structure is broken: it is rejected as it is.
#[derive(Debug, Clone)]
pub struct FaultyRecord {
    /// Where it stands.
    pub meta: RecordMeta,
    /// 0-based cell at fault, where there is one.
    pub cell: Option<usize>,
    /// What is wrong.
    pub fault: CellFault,
}

/// Up to [`CHUNK_RECORDS`](super::CHUNK_RECORDS) records.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The records as delivered, one after the other with their line breaks.
    pub(super) text: Vec<u8>,
    /// Cells of records with quotes, quotes removed.
    pub(super) unescaped: Vec<u8>,
    /// Every record's cells: from, to; in `text` or in `unescaped`.
    cells: Vec<(u32, u32)>,
    /// Some row has not every cell.
    has_gaps: bool,
    /// Records with as many cells as the header.
    pub records: Vec<RecordMeta>,
    /// Records that are structurally wrong.
    pub faulty: Vec<FaultyRecord>,
    /// Who says in what the file is.
    pub(super) declared: Option<Declared>,
}

impl Chunk {
    /// Empties it; the buffers stay.
    pub fn clear(&mut self) {
        self.text.clear();
        self.unescaped.clear();
        self.cells.clear();
        self.has_gaps = false;
        self.records.clear();
        self.faulty.clear();
        self.declared = None;
    }

    /// A fault of one of its cells: of text that is none in the file's encoding, with who named that.
    #[must_use]
    pub fn explained(&self, fault: CellFault) -> CellFault {
        match &self.declared {
            Some(declared) if fault.code == RejectionCode::InvalidUtf8 => {
                CellFault::new(fault.code, format!("{}; {declared}", fault.message))
            }
            _ => fault,
        }
    }

    /// How many records it accounts for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len() + self.faulty.len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record's cell.
    #[must_use]
    #[inline]
    pub fn cell(&self, record: &RecordMeta, index: usize) -> &[u8] {
        let (from, to) = self.cells[record.first_cell as usize + index];
        if from == u32::MAX {
            return &[];
        }
        let bytes = if record.unescaped {
            &self.unescaped
        } else {
            &self.text
        };
        &bytes[from as usize..to as usize]
    }

    /// Whether some row has not every cell.
    #[must_use]
    pub fn has_gaps(&self) -> bool {
        self.has_gaps
    }

    /// Whether the row has the cell at all.
    #[must_use]
    pub fn has_cell(&self, record: &RecordMeta, index: usize) -> bool {
        self.cells[record.first_cell as usize + index] != ABSENT
    }

    /// The record as delivered, without its line break.
    #[must_use]
    pub fn raw(&self, record: &RecordMeta) -> &[u8] {
        &self.text[record.start as usize..record.end as usize]
    }

    /// Whether every cell is UTF-8 without NUL; checked for the whole chunk at once.
    #[must_use]
    pub fn is_clean_utf8(&self) -> bool {
        let clean = |bytes: &[u8]| {
            memchr::memchr(0, bytes).is_none() && simdutf8::basic::from_utf8(bytes).is_ok()
        };
        clean(&self.text) && clean(&self.unescaped)
    }

    /// Adds a sound record that csv-async has split; `start` is its place in the window.
    #[inline]
    pub(super) fn push(
        &mut self,
        record: &ByteRecord,
        raw: &[u8],
        start: usize,
        line: u64,
        byte_offset: u64,
        quoted: bool,
    ) {
        let first_cell = self.cells.len() as u32;
        if quoted {
            let base = self.unescaped.len();
            self.unescaped.extend_from_slice(record.as_slice());
            self.cells.extend((0..record.len()).map(|cell| {
                let range = record.range(cell).unwrap_or_default();
                ((base + range.start) as u32, (base + range.end) as u32)
            }));
        } else {
            // Without quotes the cells are the record's own bytes, a delimiter between each two.
            let mut from = start;
            self.cells.extend((0..record.len()).map(|cell| {
                let range = record.range(cell).unwrap_or_default();
                let to = start + range.end + cell;
                let cell = (from as u32, to as u32);
                from = to + 1;
                cell
            }));
        }
        self.records.push(RecordMeta {
            start: start as u32,
            end: (start + raw.len()) as u32,
            first_cell,
            line,
            byte_offset,
            unescaped: quoted,
        });
    }

    /// Adds an inline row: its JSON text and its cells, each with its column of `width`.
    pub(super) fn push_inline<'a>(
        &mut self,
        json: &str,
        width: usize,
        cells: impl Iterator<Item = (usize, &'a str)>,
        position: u64,
        byte_offset: u64,
    ) {
        let first_cell = self.cells.len();
        self.cells.resize(first_cell + width, ABSENT);
        let mut there = 0;
        for (column, cell) in cells {
            let from = self.unescaped.len() as u32;
            self.unescaped.extend_from_slice(cell.as_bytes());
            self.cells[first_cell + column] = (from, self.unescaped.len() as u32);
            there += 1;
        }
        self.has_gaps |= there < width;
        let meta = self.push_json(json, position, byte_offset);
        self.records.push(RecordMeta {
            first_cell: first_cell as u32,
            ..meta
        });
    }

    /// Adds an inline row that is rejected as it is; `cell` is at fault.
    pub(super) fn push_faulty_inline(
        &mut self,
        json: &str,
        cell: Option<usize>,
        fault: CellFault,
        position: u64,
        byte_offset: u64,
    ) {
        let meta = self.push_json(json, position, byte_offset);
        self.faulty.push(FaultyRecord { meta, cell, fault });
    }

    fn push_json(&mut self, json: &str, position: u64, byte_offset: u64) -> RecordMeta {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(json.as_bytes());
        RecordMeta {
            start,
            end: self.text.len() as u32,
            first_cell: 0,
            line: position,
            byte_offset,
            unescaped: true,
        }
    }

    /// Whether it is to be closed, though more records are at hand.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= CHUNK_RECORDS || self.cells.len() >= CHUNK_CELLS
    }

    /// Whether its bytes are as many as a chunk should have.
    pub(super) fn is_large(&self) -> bool {
        self.text.len().max(self.unescaped.len()) >= CHUNK_BYTES
    }
}
