//! The columns of a dataset's table, as it is or would be.

use duckdb::Connection;

use crate::{
    contract::{Contract, Contracts},
    error::{Error, Result},
    load,
};

/// A column of the table.
pub(super) struct Column {
    /// In quotes.
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) comment: String,
}

/// The table's columns, and whether there is a table; if not, those that it would have.
pub(super) fn columns(
    connection: &Connection,
    contract: &Contract,
    contracts: &Contracts,
) -> Result<(Vec<Column>, bool)> {
    let read = || -> duckdb::Result<Vec<Column>> {
        let mut statement = connection.prepare(
            "SELECT column_name, data_type, coalesce(comment, '') FROM duckdb_columns() \
             WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ? \
             ORDER BY column_index",
        )?;
        let rows = statement.query_map([contract.name.as_str()], |row| {
            let name: String = row.get(0)?;
            Ok(Column {
                name: format!("\"{}\"", name.replace('"', "\"\"")),
                kind: row.get(1)?,
                comment: row.get(2)?,
            })
        })?;
        rows.collect()
    };
    let found = read().map_err(Error::database("read the table's columns"))?;
    if !found.is_empty() {
        return Ok((found, true));
    }
    let columns = load::columns(contract, contracts)?.into_iter();
    let columns = columns.map(|column| Column {
        name: column.name,
        kind: column.kind,
        comment: column.comment,
    });
    Ok((columns.collect(), false))
}
