//! The rows of a whole table counted again, for `redledger verify`.

use duckdb::Connection;

use super::{
    controls::{Figure, RowChecks},
    tables,
};
use crate::{
    contract::{Contract, Identifier},
    error::{Error, Result},
};

/// Reads every cell of every table. The engine looks at a block's checksum when it reads the block: damage in what
/// nobody asks for would stay unknown.
///
/// # Errors
/// [`Error::Database`] for damage.
pub fn read_all(connection: &Connection) -> Result<()> {
    let read = || -> duckdb::Result<()> {
        let mut tables = connection.prepare(
            "SELECT format('SELECT bit_xor(hash(COLUMNS(*))) FROM \"{}\".\"{}\"', \
             replace(schema_name, '\"', '\"\"'), replace(table_name, '\"', '\"\"')) \
             FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal",
        )?;
        let statements = tables.query_map([], |row| row.get::<_, String>(0))?;
        for sql in statements.collect::<duckdb::Result<Vec<_>>>()? {
            connection.prepare(&sql)?.query([])?.next()?;
        }
        Ok(())
    };
    read().map_err(Error::database("read all of the tables"))
}

/// Counts the rows of a dataset's table that `condition` (SQL) takes by file and batch, in one scan, into a new
/// temporary table; returns the row controls over that, or `None` when the dataset has no table. A contract may have
/// changed since the rows were loaded: what it says of columns that the table has not, or has as another type, is left
/// out.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn recount(
    connection: &Connection,
    table: &Identifier,
    contract: Option<&Contract>,
    child: Option<&Contract>,
    condition: &str,
    into: &str,
) -> Result<Option<Vec<Figure>>> {
    let mut there = tables::existing(connection, table)?;
    if there.is_empty() {
        return Ok(None);
    }
    let checks = contract.map(|contract| {
        RowChecks::on(contract, child, |column| {
            let field = contract.fields.iter().find(|field| field.column == *column);
            // A column that the row takes over is no field; rules are sums, which any number can be in.
            field.is_none_or(|field| there.get(column.as_str()) == Some(&field.kind.sql()))
                && there.contains_key(column.as_str())
        })
    });
    // What a row takes over is no amount of its own: no run notes its sum.
    let inherited = contract.and_then(|contract| contract.parent.as_ref());
    let inherited = inherited.into_iter().flat_map(|parent| &parent.inherit);
    for column in inherited {
        there.remove(column.column.as_str());
    }
    let checks = checks.unwrap_or_default().summing(&there);
    let sql = format!(
        "CREATE TEMP TABLE {into} AS {}",
        checks.by_file(table, condition)
    );
    connection
        .execute_batch(&sql)
        .map_err(Error::database("count the table's rows"))?;
    Ok(Some(checks.figures()))
}
