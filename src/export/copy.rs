//! Rows to a file, by the engine: sorted and written piece by piece, so that memory stays flat.

use std::path::Path;

use duckdb::Connection;

use super::{
    column::{Column, columns},
    csv, parquet, xlsx,
};
use crate::{
    contract::{Contract, Contracts},
    error::{Error, Result},
    ledger::{StandingBatch, quoted},
};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// RFC 4180; text is kept from being a formula where that is asked for.
    Csv {
        /// Whether it is.
        for_spreadsheets: bool,
    },
    /// Apache Parquet.
    Parquet,
    /// A workbook of Excel.
    Xlsx,
}

/// A copy of rows.
pub(crate) struct Copy<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) contract: &'c Contract,
    pub(crate) contracts: &'c Contracts,
    pub(crate) format: Format,
}

impl Copy<'_> {
    /// Writes the rows of `batches`, or with `None` all there are, over the file `target`: by file and line. Returns
    /// how many.
    ///
    /// # Errors
    /// [`Error::Usage`] for a format that the engine lacks, or that can't hold them; [`Error::Database`] when it fails.
    pub(crate) fn write(&self, batches: Option<&[StandingBatch]>, target: &Path) -> Result<u64> {
        let (columns, is_there) = columns(self.connection, self.contract, self.contracts)?;
        let options = match self.format {
            Format::Csv { .. } => "FORMAT csv, HEADER true".to_owned(),
            Format::Parquet => {
                parquet::check(self.connection)?;
                parquet::options(&self.contract.comment, &columns)
            }
            Format::Xlsx => {
                let sheet = xlsx::Sheet {
                    connection: self.connection,
                    name: self.contract.name.as_str(),
                    rows: self.rows(&columns, is_there, batches),
                    columns: &columns,
                };
                return sheet.write(target);
            }
        };
        let sql = format!(
            "COPY ({}) TO {} ({options}, USE_TMP_FILE false)",
            self.rows(&columns, is_there, batches),
            quoted(&target.to_string_lossy())
        );
        let written = self.connection.execute(&sql, []);
        written
            .map(|rows| rows as u64)
            .map_err(Error::database("write the rows"))
    }

    fn rows(
        &self,
        columns: &[Column],
        is_there: bool,
        batches: Option<&[StandingBatch]>,
    ) -> String {
        let cells = columns.iter().map(|column| {
            let (name, kind) = (&column.name, &column.kind);
            let value = match is_there {
                true => name.clone(),
                false => format!("NULL::{kind}"),
            };
            let cell = match self.format {
                Format::Csv { for_spreadsheets } => csv::cell(&value, kind, for_spreadsheets),
                Format::Parquet => value,
                Format::Xlsx => format!("({})::VARCHAR", csv::cell(&value, kind, false)),
            };
            format!("{cell} AS {name}")
        });
        let cells = cells.collect::<Vec<_>>().join(", ");
        if !is_there {
            return format!("SELECT {cells} WHERE false");
        }
        let condition = match batches {
            None => "true".to_owned(),
            Some([]) => "false".to_owned(),
            Some(batches) => {
                let numbers = batches.iter().map(|batch| quoted(&batch.batch_no));
                format!("batch_no IN ({})", numbers.collect::<Vec<_>>().join(", "))
            }
        };
        let table = self.contract.name.quoted();
        // Of the table: a cell of the same name is written in another way.
        format!(
            "SELECT {cells} FROM {table} AS _of WHERE {condition} ORDER BY _of.file_id, _of.line"
        )
    }
}
