//! One column's cells → one vector. The loop for a type is chosen once per column and chunk, not per cell.

use std::sync::Arc;

use super::{
    file::ScanFile,
    vector::{CleanText, Columns, Physical},
};
use crate::{
    contract::{Field, FieldType, TimeUnit},
    normalize::{self, Codes, Currencies},
    reader::{Chunk, RecordMeta},
    rejection::{CellFault, RejectionCode},
    source_url::without_secrets,
};

/// A cell that doesn't hold.
pub(super) struct Fault {
    pub(super) row: u32,
    pub(super) field: Option<Arc<str>>,
    pub(super) fault: CellFault,
}

/// The rows to be written, by index into the chunk.
pub(super) struct Cells<'a> {
    pub(super) chunk: &'a Chunk,
    pub(super) clean: Option<CleanText<'a>>,
    pub(super) rows: &'a [u32],
    pub(super) file: &'a ScanFile,
}

impl<'a> Cells<'a> {
    /// How many cells the rows have in `columns`: a row of an inline list has not all.
    pub(super) fn count(&self, columns: &[(usize, Arc<str>)]) -> usize {
        if !self.chunk.has_gaps() {
            return columns.len() * self.rows.len();
        }
        let of_row = |row: &u32| {
            let record = &self.chunk.records[*row as usize];
            let is_there = |column: usize| usize::from(self.chunk.has_cell(record, column));
            columns
                .iter()
                .map(|(column, _)| is_there(*column))
                .sum::<usize>()
        };
        self.rows.iter().map(of_row).sum()
    }

    /// A cell as text; checked by itself where the chunk as a whole is not clean.
    #[inline]
    pub(super) fn text(&self, record: &RecordMeta, column: usize) -> Result<&'a str, CellFault> {
        match self.clean {
            Some(clean) => Ok(clean.cell(record, column)),
            None => normalize::text(self.chunk.cell(record, column), None),
        }
    }
}

/// A column of the dataset and how to build it.
pub(super) struct Column {
    field: Arc<str>,
    required: bool,
    source: Source,
    builder: Builder,
}

enum Source {
    /// The contract's field with this index.
    Declared(usize),
    /// The cell taken over from the naming row with this index.
    Inherited(usize),
}

/// The type's own parameters, ready for the loop.
enum Builder {
    Text {
        max_length: Option<usize>,
    },
    Uuid,
    Integer {
        min: i64,
        max: i64,
    },
    Decimal {
        precision: u8,
        scale: u8,
        min: Option<i128>,
        max: Option<i128>,
    },
    Timestamp {
        unit: TimeUnit,
    },
    NumericCode(Codes),
    TextCode(Codes),
    Currency(Currencies),
    Url,
    Boolean,
}

impl Builder {
    fn new(kind: &FieldType) -> Self {
        match kind {
            FieldType::Text { max_length } => Self::Text {
                max_length: *max_length,
            },
            FieldType::Uuid => Self::Uuid,
            FieldType::Integer { min, max } => Self::Integer {
                min: *min,
                max: *max,
            },
            FieldType::Decimal {
                precision,
                scale,
                min,
                max,
            } => Self::Decimal {
                precision: *precision,
                scale: *scale,
                min: *min,
                max: *max,
            },
            FieldType::Timestamp { unit } => Self::Timestamp { unit: *unit },
            FieldType::Enum {
                values,
                numeric: true,
            } => Self::NumericCode(Codes::new(values, true)),
            FieldType::Enum {
                values,
                numeric: false,
            } => Self::TextCode(Codes::new(values, false)),
            FieldType::Currency { also } => Self::Currency(Currencies::new(also)),
            FieldType::Url => Self::Url,
            FieldType::Boolean => Self::Boolean,
        }
    }
}

impl Column {
    pub(super) fn declared(field: &Field, index: usize) -> Self {
        Self {
            field: field.name.clone(),
            required: field.required,
            source: Source::Declared(index),
            builder: Builder::new(&field.kind),
        }
    }

    pub(super) fn inherited(field: &Field, index: usize) -> Self {
        Self {
            field: field.name.clone(),
            required: false,
            source: Source::Inherited(index),
            builder: Builder::new(&field.kind),
        }
    }

    /// Of whole numbers it takes no negative one.
    pub(super) fn not_negative(&mut self) {
        if let Builder::Integer { min, .. } = &mut self.builder {
            *min = (*min).max(0);
        }
    }

    /// A record's cell of this column, as delivered.
    pub(super) fn cell<'a>(
        &self,
        file: &'a ScanFile,
        chunk: &'a Chunk,
        record: &RecordMeta,
    ) -> &'a [u8] {
        match self.source {
            Source::Declared(field) => {
                let column = file.layout.fields[field];
                column.map_or(&[], |column| chunk.cell(record, column))
            }
            Source::Inherited(index) => &file.inherited[index],
        }
    }

    /// What `write` has taken a cell for, without what it has undone: this makes the same value once more.
    pub(super) fn understood<'a>(&self, cell: &'a [u8]) -> &'a [u8] {
        match &self.builder {
            Builder::Text { .. } | Builder::Uuid | Builder::Integer { .. } => {
                normalize::unwrap_spreadsheet(cell).unwrap_or(cell)
            }
            Builder::Url => self.url(cell).unwrap_or_default().as_bytes(),
            _ => cell,
        }
    }

    /// The URL that a cell was taken for, with its secrets; `None` for an empty cell.
    pub(super) fn url<'a>(&self, cell: &'a [u8]) -> Option<&'a str> {
        normalize::url(cell).ok()
    }

    /// The number of rows that a cell was taken for; `None` for an empty cell.
    pub(super) fn count(&self, cell: &[u8]) -> Option<u64> {
        let Builder::Integer { min, max } = self.builder else {
            return None;
        };
        let number = normalize::integer(self.understood(cell), min, max).ok()?;
        u64::try_from(number).ok()
    }

    /// Writes the rows' cells to the output column `at`; returns how many were freed of a wrapping.
    pub(super) fn write(
        &self,
        at: usize,
        cells: &Cells<'_>,
        output: &Columns<'_>,
        faults: &mut Vec<Fault>,
    ) -> u64 {
        match &self.builder {
            Builder::Text { max_length } => self.write_text(at, cells, output, faults, |text| {
                if max_length.is_some() {
                    normalize::text(text.as_bytes(), *max_length)
                } else {
                    Ok(text)
                }
            }),
            Builder::Url => self.write_url(at, cells, output, faults),
            Builder::TextCode(codes) => {
                let mut strings = output.strings(at);
                self.each(cells, faults, |row, cell| {
                    strings.set(row, cell.map(|cell| codes.text(cell)).transpose()?);
                    Ok(())
                });
                0
            }
            Builder::Currency(currencies) => {
                let mut strings = output.strings(at);
                self.each(cells, faults, |row, cell| {
                    let Some(cell) = cell else {
                        strings.set(row, None);
                        return Ok(());
                    };
                    currencies.check(cell)?;
                    strings.set(row, Some(normalize::text(cell, None)?));
                    Ok(())
                });
                0
            }
            Builder::Uuid => self.write_unwrapped(at, cells, output, faults, |cell| {
                // DuckDB stores a UUID as a signed 128-bit number with the top bit flipped, to sort as text does.
                normalize::uuid(cell).map(|uuid| (uuid ^ (1 << 127)) as i128)
            }),
            Builder::Integer { min, max } => {
                self.write_unwrapped(at, cells, output, faults, |cell| {
                    normalize::integer(cell, *min, *max)
                })
            }
            Builder::Decimal {
                precision,
                scale,
                min,
                max,
            } => {
                let parse = |cell: &[u8]| normalize::decimal(cell, *precision, *scale, *min, *max);
                // The value fits: it has at most `precision` digits, which is what chooses the width.
                match precision {
                    0..=4 => self.write_values(at, cells, output, faults, |cell| {
                        parse(cell).map(|value| value as i16)
                    }),
                    5..=9 => self.write_values(at, cells, output, faults, |cell| {
                        parse(cell).map(|value| value as i32)
                    }),
                    10..=18 => {
                        self.write_values(at, cells, output, faults, |cell| {
                            parse(cell).map(|value| value as i64)
                        });
                    }
                    _ => self.write_values(at, cells, output, faults, parse),
                }
                0
            }
            Builder::Timestamp { unit } => {
                self.write_values(at, cells, output, faults, |cell| {
                    normalize::timestamp(cell, *unit)
                });
                0
            }
            Builder::NumericCode(codes) => {
                self.write_values(at, cells, output, faults, |cell| codes.number(cell));
                0
            }
            Builder::Boolean => {
                self.write_values(at, cells, output, faults, |cell| {
                    normalize::boolean(cell).map(u8::from)
                });
                0
            }
        }
    }

    /// Calls `set` for every row with its cell; `None` for an empty one that may be empty.
    #[inline]
    fn each<'a>(
        &self,
        cells: &Cells<'a>,
        faults: &mut Vec<Fault>,
        mut set: impl FnMut(usize, Option<&'a [u8]>) -> Result<(), CellFault>,
    ) {
        let column = match self.source {
            Source::Declared(field) => cells.file.layout.fields[field],
            Source::Inherited(index) => {
                let cell =
                    Some(cells.file.inherited[index].as_slice()).filter(|cell| !cell.is_empty());
                for (at, row) in cells.rows.iter().enumerate() {
                    if let Err(fault) = set(at, cell) {
                        faults.push(self.fault(*row, fault));
                    }
                }
                return;
            }
        };
        for (at, row) in cells.rows.iter().enumerate() {
            let cell = match column {
                Some(column) => cells
                    .chunk
                    .cell(&cells.chunk.records[*row as usize], column),
                None => &[],
            };
            let result = match cell {
                [] if self.required => Err(missing_value()),
                [] => set(at, None),
                cell => set(at, Some(cell)),
            };
            if let Err(fault) = result {
                faults.push(self.fault(*row, fault));
            }
        }
    }

    #[cold]
    fn fault(&self, row: u32, fault: CellFault) -> Fault {
        Fault {
            row,
            field: Some(self.field.clone()),
            fault,
        }
    }

    fn write_values<T: Physical>(
        &self,
        at: usize,
        cells: &Cells<'_>,
        output: &Columns<'_>,
        faults: &mut Vec<Fault>,
        parse: impl Fn(&[u8]) -> Result<T, CellFault>,
    ) {
        let mut values = output.values::<T>(at);
        self.each(cells, faults, |row, cell| {
            values.set(row, cell.map(&parse).transpose()?);
            Ok(())
        });
    }

    /// Like `write_values`, for types that spreadsheets wrap.
    fn write_unwrapped<T: Physical>(
        &self,
        at: usize,
        cells: &Cells<'_>,
        output: &Columns<'_>,
        faults: &mut Vec<Fault>,
        parse: impl Fn(&[u8]) -> Result<T, CellFault>,
    ) -> u64 {
        let mut values = output.values::<T>(at);
        let mut unwrapped = 0;
        self.each(cells, faults, |row, cell| {
            let value = cell.map(|cell| match normalize::unwrap_spreadsheet(cell) {
                Some(inner) => {
                    unwrapped += 1;
                    parse(inner)
                }
                None => parse(cell),
            });
            values.set(row, value.transpose()?);
            Ok(())
        });
        unwrapped
    }

    fn write_text<'a>(
        &self,
        at: usize,
        cells: &Cells<'a>,
        output: &Columns<'_>,
        faults: &mut Vec<Fault>,
        check: impl Fn(&'a str) -> Result<&'a str, CellFault>,
    ) -> u64 {
        let mut strings = output.strings(at);
        let mut unwrapped = 0;
        let mut set = |row: usize, text: Option<&'a str>| {
            let text = text.map(
                |text| match normalize::unwrap_spreadsheet(text.as_bytes()) {
                    Some(inner) => {
                        unwrapped += 1;
                        normalize::text(inner, None)
                    }
                    None => Ok(text),
                },
            );
            strings.set(row, text.transpose()?.map(&check).transpose()?);
            Ok(())
        };
        let clean_column = match self.source {
            Source::Declared(field) => cells.clean.zip(cells.file.layout.fields[field]),
            Source::Inherited(_) => None,
        };
        match clean_column {
            // The whole chunk is known to be text: no check per cell.
            Some((clean, column)) => {
                for (at, row) in cells.rows.iter().enumerate() {
                    let result = match clean.cell(&cells.chunk.records[*row as usize], column) {
                        "" if self.required => Err(missing_value()),
                        "" => set(at, None),
                        text => set(at, Some(text)),
                    };
                    if let Err(fault) = result {
                        faults.push(self.fault(*row, fault));
                    }
                }
            }
            None => self.each(cells, faults, |row, cell| {
                set(
                    row,
                    cell.map(|cell| normalize::text(cell, None)).transpose()?,
                )
            }),
        }
        unwrapped
    }

    fn write_url(
        &self,
        at: usize,
        cells: &Cells<'_>,
        output: &Columns<'_>,
        faults: &mut Vec<Fault>,
    ) -> u64 {
        let mut strings = output.strings(at);
        self.each(cells, faults, |row, cell| {
            let url = cell.map(normalize::url).transpose()?.map(without_secrets);
            strings.set(row, url.as_deref());
            Ok(())
        });
        0
    }
}

/// The fault of an empty cell that must not be.
pub(super) fn missing_value() -> CellFault {
    CellFault::new(
        RejectionCode::MissingValue,
        "empty where a value is required",
    )
}
