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
    Ok(match names_of(connection, table)?.contains(column) {
        true => column.to_owned(),
        false => format!("NULL::{kind}"),
    })
}

/// The columns of a table or view and their types, in their order; none: there is no such one.
///
/// Not by `duckdb_columns()`: that plans every view of the database, which takes it 20 ms.
pub(crate) fn columns_of(
    connection: &Connection,
    schema: &str,
    table: &str,
) -> duckdb::Result<Vec<(String, String)>> {
    let (of_schema, of_name) = (quoted(schema), quoted(table));
    let sql = format!(
        "SELECT count(*) FROM (SELECT database_name, schema_name, table_name FROM duckdb_tables() \
         UNION ALL SELECT database_name, schema_name, view_name FROM duckdb_views()) \
         WHERE database_name = current_database() AND schema_name = {of_schema} AND table_name = {of_name}"
    );
    let found: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    if found == 0 {
        return Ok(Vec::new());
    }
    let name = format!("\"{schema}\".\"{}\"", table.replace('"', "\"\""));
    let sql = format!(
        "SELECT name, type FROM pragma_table_info({})",
        quoted(&name)
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn names_of(connection: &Connection, table: &str) -> Result<HashSet<String>> {
    let columns = columns_of(connection, "redledger", table);
    let columns = columns.map_err(Error::database("read the ledger"))?;
    Ok(columns.into_iter().map(|(name, _)| name).collect())
}

/// All columns of a table for [`TableRow::read`]; those that a ledger of an earlier release lacks are NULL.
pub(super) fn columns<R: TableRow>(connection: &Connection) -> Result<String> {
    let there = names_of(connection, R::TABLE.name)?;
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
