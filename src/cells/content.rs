//! A kept file as records, whatever it is written in.

use std::{io, path::Path};

use super::{csv::Csv, list::List, record::Record, text::Characters};
use crate::contract::{Contract, Layout};

/// How a file is kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept<'a> {
    /// The file.
    pub(crate) path: &'a Path,
    /// Its encoding, as the ledger says.
    pub(crate) encoding: &'a str,
    /// The keys of an inline list; empty for a CSV.
    pub(crate) columns: &'a [String],
}

/// Its records.
pub(crate) struct Content {
    records: Records,
    /// Which column is which field; a file of nothing has none.
    pub(crate) layout: Layout,
}

enum Records {
    Csv(Csv),
    List(List),
}

impl Content {
    /// Opens it, as far as its header.
    ///
    /// # Errors
    /// The system's, when it can't be read, and for a header that is none of the contract's.
    pub(crate) fn open(kept: &Kept<'_>, contract: &Contract) -> io::Result<Self> {
        let characters = Characters::open(kept.path, kept.encoding)?;
        let origin = kept.path.display().to_string();
        let mut header: Vec<String> = kept.columns.to_vec();
        let mut records = if header.is_empty() {
            let csv = &contract.csv;
            Records::Csv(Csv::new(characters, csv.delimiter, csv.skip_lines)?)
        } else {
            Records::List(List::new(characters, header.clone()))
        };
        if let Records::Csv(csv) = &mut records {
            let first = csv.next()?;
            let cells = first.into_iter().flat_map(|record| record.cells);
            header = cells
                .map(|cell| cell.unwrap_or_default().trim().to_owned())
                .collect();
        }
        let layout = match header.is_empty() {
            true => contract.layout_of_nothing(),
            false => contract
                .layout(&origin, &header)
                .map_err(io::Error::other)?,
        };
        Ok(Self { records, layout })
    }

    /// The next record that is not a blank line.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        let mut record = match &mut self.records {
            Records::Csv(csv) => csv.next()?,
            Records::List(list) => list.next()?,
        };
        // Nothing but delimiters is no row, however many there are.
        if let Some(record) = record.as_mut().filter(|record| !record.is_empty()) {
            record.is_broken |= record.cells.len() != self.layout.header.len();
            record.is_broken |= matches!(self.records, Records::Csv(_)) && self.is_header(record);
        }
        Ok(record)
    }

    fn is_header(&self, record: &Record) -> bool {
        let mut cells = record.cells.iter().zip(&self.layout.header);
        cells.all(|(cell, header)| cell.as_deref().is_some_and(|cell| cell.trim() == header))
    }

    /// The SHA-256 of all its bytes.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn hash(self) -> io::Result<String> {
        match self.records {
            Records::Csv(csv) => csv.into_characters().hash(),
            Records::List(list) => list.into_characters().hash(),
        }
    }
}
