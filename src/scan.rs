//! Chunks → DuckDB's vectors: the table function behind `INSERT INTO <dataset> SELECT … FROM redledger_scan(…)`.
//!
//! DuckDB calls it from each of its scan threads. A call takes the next chunk off the channel, normalises
//! column by column straight into DuckDB's vectors and leaves out rows that don't hold; these go to the
//! [`RejectionLog`]. Nothing is allocated per row on the way.

mod builder;
mod file;
mod rejections;
mod table_function;
mod vector;

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering};

use tokio::sync::mpsc;

use self::{
    builder::{Cells, Column, Fault},
    vector::{CleanText, Columns, NoRoom},
};
pub use self::{
    file::{Counts, FileChunk, ScanFile, ScanMessage, SourceFailed},
    rejections::RejectionLog,
    table_function::{FUNCTION, ScanRegistry},
};
use crate::{
    contract::{Contract, Field, FieldType},
    reader::Chunk,
};

/// Why a scan ends before its rows do.
#[derive(Debug, thiserror::Error)]
enum ScanFailed {
    #[error(transparent)]
    Source(#[from] SourceFailed),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// A file that a loaded row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUp {
    /// The naming row's file.
    pub file_id: i64,
    /// The naming row's line.
    pub line: u64,
    /// Where the file is; holds secrets.
    pub url: String,
    /// How many rows it should have, where the row says so.
    pub rows: Option<u64>,
    /// The cells its rows take over, in the order of the child's contract.
    pub inherited: Vec<Vec<u8>>,
}

/// Which columns of a row name a further file.
struct FollowSpec {
    url: usize,
    rows: Option<usize>,
    inherit: Vec<usize>,
}

/// One dataset's scan of one batch.
pub struct Scan {
    columns: Vec<Column>,
    names: Vec<(String, FieldType)>,
    rest: String,
    follow: Option<FollowSpec>,
    follow_ups: Mutex<Vec<FollowUp>>,
    receiver: Mutex<mpsc::Receiver<ScanMessage>>,
    /// Chunks to fill again.
    spare: Mutex<Vec<Chunk>>,
    rejections: Arc<RejectionLog>,
    threads: usize,
    expected_rows: Option<u64>,
}

/// What a scan is made of.
pub struct ScanParts<'a> {
    /// The dataset.
    pub contract: &'a Contract,
    /// For a dataset with a parent: the parent's fields that rows take over, and their columns here.
    pub inherited: Vec<(Field, String)>,
    /// The dataset whose files this one's rows name.
    pub child: Option<&'a Contract>,
    /// Where the chunks come from.
    pub receiver: mpsc::Receiver<ScanMessage>,
    /// Where rejected rows go.
    pub rejections: Arc<RejectionLog>,
    /// How many threads may scan.
    pub threads: usize,
    /// Rows announced; tells DuckDB whether a parallel insert is worth it.
    pub expected_rows: Option<u64>,
}

impl Scan {
    /// A scan that will yield the dataset's columns, `file_id` and `line`.
    #[must_use]
    pub fn new(parts: ScanParts<'_>) -> Self {
        let contract = parts.contract;
        let mut columns = Vec::new();
        let mut names = Vec::new();
        for (index, (field, column)) in parts.inherited.iter().enumerate() {
            columns.push(Column::inherited(field, index));
            names.push((column.clone(), field.kind.clone()));
        }
        let first = columns.len();
        for (index, field) in contract.fields.iter().enumerate() {
            columns.push(Column::declared(field, index));
            names.push((field.column.to_string(), field.kind.clone()));
        }
        let parent = parts.child.and_then(|child| child.parent.as_ref());
        let follow = parent.and_then(|parent| {
            let column = |name: &str| Some(first + contract.field_index(name)?);
            Some(FollowSpec {
                url: column(&parent.url_field)?,
                rows: parent.rows_field.as_deref().and_then(column),
                inherit: parent
                    .inherit
                    .iter()
                    .filter_map(|inherit| column(&inherit.field))
                    .collect(),
            })
        });
        if let Some(rows) = follow.as_ref().and_then(|follow| follow.rows) {
            // Else a file of fewer rows than none would be one of which nothing is said.
            columns[rows].not_negative();
        }
        Self {
            columns,
            names,
            rest: contract.rest.to_string(),
            follow,
            follow_ups: Mutex::default(),
            receiver: Mutex::new(parts.receiver),
            spare: Mutex::default(),
            rejections: parts.rejections,
            threads: parts.threads,
            expected_rows: parts.expected_rows,
        }
    }

    /// The names of its value columns, in order, the one for undeclared cells last.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.names
            .iter()
            .map(|(name, _)| name.as_str())
            .chain([self.rest.as_str()])
    }

    /// An empty chunk, used before if possible.
    #[must_use]
    pub fn spare_chunk(&self) -> Chunk {
        self.spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .unwrap_or_default()
    }

    /// Ends the scan: whoever still sends is told.
    pub fn close(&self) {
        self.receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .close();
    }

    /// The files that loaded rows name.
    #[must_use]
    pub fn take_follow_ups(&self) -> Vec<FollowUp> {
        std::mem::take(
            &mut self
                .follow_ups
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Fills DuckDB's chunk with the next rows that hold; none: the scan is at its end.
    fn fill(&self, output: &Columns<'_>) -> Result<usize, ScanFailed> {
        loop {
            let message = {
                let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
                receiver.blocking_recv()
            };
            let Some(FileChunk { file, chunk }) = message.transpose()? else {
                return Ok(0);
            };
            let rows = self.write(&file, &chunk, output)?;
            self.spare
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(chunk);
            // A chunk of which nothing holds must not look like the end.
            if rows > 0 {
                return Ok(rows);
            }
        }
    }

    fn write(&self, file: &ScanFile, chunk: &Chunk, output: &Columns<'_>) -> Result<usize, NoRoom> {
        debug_assert!(chunk.records.len() <= output.capacity());
        for broken in &chunk.faulty {
            let field = broken
                .cell
                .and_then(|cell| file.layout.header.get(cell))
                .map(|name| Arc::from(name.as_str()));
            self.rejections.push(
                file.file_id,
                &broken.meta,
                chunk.raw(&broken.meta),
                field,
                &broken.fault,
            );
        }
        let clean = CleanText::check(chunk);
        let mut rows: Vec<u32> = (0..chunk.records.len() as u32).collect();
        let mut faults: Vec<Fault> = Vec::new();
        let mut rejected = chunk.faulty.len() as u64;
        let unwrapped = loop {
            faults.clear();
            let cells = Cells {
                chunk,
                clean,
                rows: &rows,
                file,
            };
            let unwrapped: u64 = self
                .columns
                .iter()
                .enumerate()
                .map(|(index, column)| column.write(index, &cells, output, &mut faults))
                .sum();
            self.write_rest(&cells, output, &mut faults)?;
            if faults.is_empty() {
                break unwrapped;
            }
            // Rejected rows leave holes: write the chunk again without them. Columns are written in the
            // contract's order, so a stable sort leaves each row's first fault in front.
            faults.sort_by_key(|fault| fault.row);
            faults.dedup_by_key(|fault| fault.row);
            for fault in &faults {
                let record = &chunk.records[fault.row as usize];
                self.rejections.push(
                    file.file_id,
                    record,
                    chunk.raw(record),
                    fault.field.clone(),
                    &chunk.explained(fault.fault.clone()),
                );
            }
            rejected += faults.len() as u64;
            rows.retain(|row| faults.binary_search_by_key(row, |fault| fault.row).is_err());
        };
        let ids = self.columns.len() + 1;
        let (mut file_ids, mut lines) = (output.values::<i64>(ids), output.values::<i64>(ids + 1));
        for (at, row) in rows.iter().enumerate() {
            file_ids.set(at, Some(file.file_id));
            lines.set(
                at,
                Some(i64::try_from(chunk.records[*row as usize].line).unwrap_or(i64::MAX)),
            );
        }
        if let Some(follow) = &self.follow {
            self.note_follow_ups(follow, file, chunk, &rows);
        }
        file.counts.rejected.fetch_add(rejected, Ordering::Relaxed);
        file.counts
            .loaded
            .fetch_add(rows.len() as u64, Ordering::Relaxed);
        file.counts
            .unwrapped
            .fetch_add(unwrapped, Ordering::Relaxed);
        Ok(rows.len())
    }

    /// Cells of undeclared columns, as delivered.
    fn write_rest(
        &self,
        cells: &Cells<'_>,
        output: &Columns<'_>,
        faults: &mut Vec<Fault>,
    ) -> Result<(), NoRoom> {
        let rest = &cells.file.layout.rest;
        let pairs = cells.count(rest);
        if pairs == 0 {
            output.set_maps_null(self.columns.len(), cells.rows.len());
            return Ok(());
        }
        let mut maps = output.maps(self.columns.len(), pairs)?;
        for (at, row) in cells.rows.iter().enumerate() {
            let record = &cells.chunk.records[*row as usize];
            if cells.clean.is_none()
                && let Some((name, fault)) = rest.iter().find_map(|(column, name)| {
                    let cell = cells.chunk.cell(record, *column);
                    crate::normalize::text(cell, None)
                        .err()
                        .map(|fault| (name, fault))
                })
            {
                faults.push(Fault {
                    row: *row,
                    field: Some(name.clone()),
                    fault,
                });
                maps.set(at, std::iter::empty());
                continue;
            }
            let present = rest
                .iter()
                .filter(|(column, _)| cells.chunk.has_cell(record, *column));
            maps.set(
                at,
                present.map(|(column, name)| {
                    (&**name, cells.text(record, *column).unwrap_or_default())
                }),
            );
        }
        maps.finish();
        Ok(())
    }

    /// Notes the files that rows name. A cell is what its column took it for: nobody reads it a second time.
    fn note_follow_ups(&self, follow: &FollowSpec, file: &ScanFile, chunk: &Chunk, rows: &[u32]) {
        let mut noted = self
            .follow_ups
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            let record = &chunk.records[*row as usize];
            let cell = |column: usize| self.columns[column].cell(file, chunk, record);
            let Some(url) = self.columns[follow.url].url(cell(follow.url)) else {
                continue;
            };
            let rows = follow.rows;
            noted.push(FollowUp {
                file_id: file.file_id,
                line: record.line,
                url: url.to_owned(),
                rows: rows.and_then(|column| self.columns[column].count(cell(column))),
                inherited: follow
                    .inherit
                    .iter()
                    .map(|column| self.columns[*column].understood(cell(*column)).to_vec())
                    .collect(),
            });
        }
    }
}
