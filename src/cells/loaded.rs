//! Rows as they are in a table, as text, and how they differ from what was delivered.

use std::collections::BTreeSet;

use duckdb::{Connection, Row, types::Value};

use super::{record::Record, value::expected};
use crate::{
    contract::{Contract, FieldType, Layout},
    error::{Error, Result},
};

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadedRow {
    pub(crate) line: u64,
    /// By the contract's fields; timestamps in epoch microseconds.
    pub(crate) cells: Vec<Option<String>>,
    /// Cells of columns that the contract does not declare, by header.
    rest: Vec<(String, Option<String>)>,
}

/// A cell that is not what was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Differing {
    pub(crate) column: String,
    pub(crate) loaded: Option<String>,
    pub(crate) delivered: Option<String>,
}

/// Where a dataset's rows are.
pub(crate) struct LoadedRows<'a> {
    connection: &'a Connection,
    select: String,
    fields: usize,
}

impl<'a> LoadedRows<'a> {
    /// `None`: the dataset has no table.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub(crate) fn of(connection: &'a Connection, contract: &Contract) -> Result<Option<Self>> {
        let sql = "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database() \
                   AND schema_name = 'main' AND table_name = ?";
        let there: BTreeSet<String> =
            read(connection, sql, &[contract.name.as_str()], |row| row.get(0))?
                .into_iter()
                .collect();
        if there.is_empty() {
            return Ok(None);
        }
        let fields = contract.fields.iter().map(|field| {
            let column = field.column.quoted();
            match (there.contains(field.column.as_str()), &field.kind) {
                // The contract has gained it since.
                (false, _) => "NULL::VARCHAR".to_owned(),
                (true, FieldType::Timestamp { .. }) => format!("epoch_us({column})::VARCHAR"),
                (true, _) => format!("{column}::VARCHAR"),
            }
        });
        let rest = contract.rest.quoted();
        let select = format!(
            "SELECT line, map_keys({rest}), map_values({rest}), {} FROM {}",
            fields.collect::<Vec<_>>().join(", "),
            contract.name.quoted()
        );
        Ok(Some(Self {
            connection,
            select,
            fields: contract.fields.len(),
        }))
    }

    /// A file's rows of the lines from `first` to `last`, by line.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub(crate) fn of_lines(&self, file_id: i64, first: u64, last: u64) -> Result<Vec<LoadedRow>> {
        let sql = format!(
            "{} WHERE file_id = {file_id} AND line BETWEEN {first} AND {last} ORDER BY line",
            self.select
        );
        read(self.connection, &sql, &[], |row| {
            let cells = (0..self.fields).map(|at| row.get(at + 3));
            Ok(LoadedRow {
                line: u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(),
                rest: pairs(row)?,
                cells: cells.collect::<duckdb::Result<_>>()?,
            })
        })
    }
}

fn pairs(row: &Row<'_>) -> duckdb::Result<Vec<(String, Option<String>)>> {
    let list = |at| match row.get::<_, Value>(at)? {
        Value::List(values) => Ok(values),
        _ => Ok::<_, duckdb::Error>(Vec::new()),
    };
    let text = |value: Value| match value {
        Value::Text(text) => Some(text),
        _ => None,
    };
    let (keys, values) = (list(1)?, list(2)?);
    Ok(keys
        .into_iter()
        .zip(values)
        .map(|(key, value)| (text(key).unwrap_or_default(), text(value)))
        .collect())
}

fn read<T>(
    connection: &Connection,
    sql: &str,
    parameters: &[&str],
    of: impl FnMut(&Row<'_>) -> duckdb::Result<T>,
) -> Result<Vec<T>> {
    let read = || -> duckdb::Result<Vec<T>> {
        let mut statement = connection.prepare(sql)?;
        statement
            .query_map(duckdb::params_from_iter(parameters), of)?
            .collect()
    };
    read().map_err(Error::database("read the loaded rows"))
}

impl LoadedRow {
    /// Cells that are not what `record` says they should be.
    pub(crate) fn differing(
        &self,
        record: &Record,
        layout: &Layout,
        contract: &Contract,
    ) -> Vec<Differing> {
        let cell = |column: usize| record.cells.get(column).and_then(Option::as_deref);
        let mut differing = Vec::new();
        let mut rest: Vec<(&str, Option<&str>)> = layout
            .rest
            .iter()
            .filter_map(|(column, name)| Some((&**name, Some(cell(*column)?))))
            .collect();
        for ((field, column), loaded) in contract.fields.iter().zip(&layout.fields).zip(&self.cells)
        {
            let delivered = column.and_then(cell);
            let expected = expected(field, delivered);
            if expected.is(&field.kind, loaded.as_deref()) {
                continue;
            }
            // A contract that had no such field yet has kept the cell under its header.
            let header = column.and_then(|column| layout.header.get(column));
            if let (None, Some(header)) = (loaded, header)
                && self.has_rest(header, delivered)
            {
                rest.push((header, delivered));
                continue;
            }
            differing.push(Differing {
                column: field.column.to_string(),
                loaded: loaded.clone(),
                delivered: delivered.map(str::to_owned),
            });
        }
        differing.extend(self.differing_rest(rest, contract));
        differing
    }

    fn has_rest(&self, header: &str, cell: Option<&str>) -> bool {
        self.rest
            .iter()
            .any(|(name, value)| name == header && value.as_deref() == cell)
    }

    fn differing_rest(
        &self,
        mut delivered: Vec<(&str, Option<&str>)>,
        contract: &Contract,
    ) -> Option<Differing> {
        let mut loaded: Vec<(&str, Option<&str>)> = self
            .rest
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        loaded.sort_unstable();
        delivered.sort_unstable();
        let said = |pairs: &[(&str, Option<&str>)]| Some(format!("{pairs:?}"));
        (loaded != delivered).then(|| Differing {
            column: contract.rest.to_string(),
            loaded: said(&loaded),
            delivered: said(&delivered),
        })
    }
}
