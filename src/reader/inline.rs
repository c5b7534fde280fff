//! Rows that came inside the announcement, brought into the same chunks as a file's.

use std::collections::HashMap;

use super::{Asides, Chunk, MAX_COLUMNS, too_many_columns};
use crate::{
    error::{Error, Result},
    rejection::{CellFault, RejectionCode},
};

/// A row of an inline list.
#[derive(Debug, Clone, Copy)]
pub struct InlineRow<'a> {
    /// Its JSON text.
    pub json: &'a str,
    /// Key and text, `None` for null.
    pub cells: &'a [(String, Option<String>)],
    /// Why it can't be read, if so, and the key where one cell is at fault.
    pub fault: Option<(RejectionCode, Option<&'a str>, &'a str)>,
}

/// Brings the rows of one inline list into chunks.
#[derive(Debug)]
pub struct InlineReader<'c> {
    columns: HashMap<&'c str, usize>,
    origin: String,
    max_record: usize,
    /// Of the row that comes next, from 1.
    position: u64,
    byte_offset: u64,
    records: u64,
    asides: Asides,
}

impl<'c> InlineReader<'c> {
    /// For rows of `origin` whose keys are `columns`, each of at most `max_record` bytes.
    ///
    /// # Errors
    /// [`Error::File`] for more columns than a file may have.
    pub fn new(columns: &'c [String], origin: &str, max_record: usize) -> Result<Self> {
        if columns.len() > MAX_COLUMNS {
            return Err(too_many_columns(origin, columns.len()));
        }
        Ok(Self {
            columns: columns.iter().map(String::as_str).zip(0..).collect(),
            origin: origin.to_owned(),
            max_record,
            position: 1,
            byte_offset: 0,
            records: 0,
            asides: Asides::default(),
        })
    }

    /// Fills `chunk` from the front of `rows`; returns how many it has taken, at least one if there is one.
    ///
    /// A row's offset is the one in the list's rows written one after the other, a line each, which is what their
    /// content hash covers.
    ///
    /// # Errors
    /// [`Error::File`] for a row too long to hold.
    pub fn read_chunk<'a>(
        &mut self,
        chunk: &mut Chunk,
        rows: impl Iterator<Item = InlineRow<'a>>,
    ) -> Result<usize> {
        chunk.clear();
        let mut taken = 0;
        for row in rows {
            if chunk.is_full() || chunk.is_large() {
                break;
            }
            if row.json.len() > self.max_record {
                return Err(Error::File {
                    origin: self.origin.clone(),
                    message: format!(
                        "row {} has more than {} bytes",
                        self.position, self.max_record
                    ),
                    hint: Some("if rows are that long, raise [download] max_record".into()),
                });
            }
            self.push(chunk, &row);
            self.position += 1;
            self.byte_offset += row.json.len() as u64 + 1;
            taken += 1;
        }
        Ok(taken)
    }

    fn push(&mut self, chunk: &mut Chunk, row: &InlineRow<'_>) {
        let (position, byte_offset) = (self.position, self.byte_offset);
        if let Some((code, key, message)) = row.fault {
            let cell = key.and_then(|key| self.columns.get(key).copied());
            let fault = CellFault::new(code, message.to_owned());
            chunk.push_faulty_inline(row.json, cell, fault, position, byte_offset);
            self.records += 1;
            return;
        }
        let is_empty = |cell: &Option<String>| cell.as_deref().unwrap_or_default().is_empty();
        if row.cells.iter().all(|(_, cell)| is_empty(cell)) {
            self.asides.passed_over += 1;
            return;
        }
        let cells = row
            .cells
            .iter()
            .filter_map(|(key, cell)| Some((*self.columns.get(key.as_str())?, cell.as_deref()?)));
        chunk.push_inline(row.json, self.columns.len(), cells, position, byte_offset);
        self.records += 1;
    }

    /// Rows read so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// What was left out so far: rows of which every cell is empty.
    #[must_use]
    pub fn asides(&self) -> Asides {
        self.asides
    }

    /// Checks a list that was read to its end.
    ///
    /// # Errors
    /// [`Error::File`] for rows of which every cell is empty and no others.
    pub fn check_not_empty(&self) -> Result<()> {
        let passed_over = self.asides.passed_over;
        if self.records > 0 || passed_over == 0 {
            return Ok(());
        }
        Err(Error::File {
            origin: self.origin.clone(),
            message: format!("{passed_over} rows, and every cell of them is empty"),
            hint: Some("ask for the batch to be announced again".into()),
        })
    }
}
