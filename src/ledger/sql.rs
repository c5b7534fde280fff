//! SQL that every query of the ledger is made of.

use std::collections::HashSet;

use duckdb::{
    Connection, Row, params_from_iter,
    types::{TimeUnit, Value},
};

use super::{row::TableRow, tables::column_of};
use crate::error::{Error, Result};

/// `text` as an SQL literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Epoch microseconds as a TIMESTAMP parameter.
pub(super) fn timestamp(micros: Option<i64>) -> Value {
    micros.map_or(Value::Null, |micros| {
        Value::Timestamp(TimeUnit::Microsecond, micros)
    })
}

/// A column that a ledger of an earlier release may lack, as SQL: NULL in such a one.
pub(crate) fn later(connection: &Connection, table: &str, column: &str) -> Result<String> {
    let kind = column_of(table, column).map_or("VARCHAR", |column| column.kind);
    Ok(match columns_of(connection, table)?.contains(column) {
        true => column.to_owned(),
        false => format!("NULL::{kind}"),
    })
}

fn columns_of(connection: &Connection, table: &str) -> Result<HashSet<String>> {
    let sql = "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'redledger' \
               AND table_name = ? AND database_name = current_database()";
    let columns = read(connection, sql, &[Some(table)], |row| row.get(0))?;
    Ok(columns.into_iter().collect())
}

/// All columns of a table for [`TableRow::read`]; those that a ledger of an earlier release lacks are NULL.
pub(super) fn columns<R: TableRow>(connection: &Connection) -> Result<String> {
    let there = columns_of(connection, R::TABLE.name)?;
    let columns = R::TABLE.columns.iter().map(|column| match column.name {
        name if there.contains(name) => name.to_owned(),
        name => format!("NULL::{} AS {name}", column.kind),
    });
    Ok(Vec::from_iter(columns).join(", "))
}

pub(super) fn text(row: &Row<'_>, index: usize) -> duckdb::Result<String> {
    Ok(row.get::<_, Option<String>>(index)?.unwrap_or_default())
}

pub(super) fn read<T>(
    connection: &Connection,
    sql: &str,
    parameters: &[Option<&str>],
    of: impl FnMut(&Row<'_>) -> duckdb::Result<T>,
) -> Result<Vec<T>> {
    let all = || -> duckdb::Result<Vec<T>> {
        let mut statement = connection.prepare(sql)?;
        statement
            .query_map(params_from_iter(parameters), of)?
            .collect()
    };
    all().map_err(Error::database("read the ledger"))
}
