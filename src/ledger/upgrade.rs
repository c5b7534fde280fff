//! The ledger's tables made, checked, and brought forward from the format of an earlier release.
//!
//! It happens when a warehouse is opened to be written: in the private copy, so that the published file is in
//! one format or the other. A command that only reads takes either.

use std::{collections::HashSet, path::Path};

use duckdb::Connection;

use super::{
    row::{Column, Table, TableRow as _},
    sql::quoted,
    tables::{FORMAT, FormatRow, SINCE_FORMAT_2, TABLES, column_of},
};
use crate::error::{Error, Result};

/// What there is of a ledger in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Nothing at all is in the database.
    Empty,
    /// Tables, but none of a ledger's: somebody else's database.
    Foreign,
    /// All of it, in this format.
    Whole(i32),
    /// Some of its tables are gone.
    Partial {
        /// Their names.
        missing: Vec<&'static str>,
    },
}

/// Looks for the ledger's tables.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn condition(connection: &Connection) -> Result<Condition> {
    let read = || -> duckdb::Result<(HashSet<String>, bool)> {
        let mut statement = connection.prepare(
            "SELECT schema_name, table_name FROM duckdb_tables() \
             WHERE database_name = current_database() AND NOT internal",
        )?;
        let tables = statement
            .query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?
            .collect::<duckdb::Result<Vec<_>>>()?;
        let others = tables.iter().any(|(schema, _)| schema != "redledger");
        let own = tables
            .into_iter()
            .filter(|(schema, _)| schema == "redledger");
        Ok((own.map(|(_, table)| table).collect(), others))
    };
    let (own, others) = read().map_err(Error::database("look at the ledger"))?;
    if own.is_empty() {
        return Ok(if others {
            Condition::Foreign
        } else {
            Condition::Empty
        });
    }
    let missing: Vec<&str> = TABLES
        .iter()
        .map(|table| table.name)
        .filter(|table| *table != FormatRow::TABLE.name && !own.contains(*table))
        .collect();
    if !missing.is_empty() {
        return Ok(Condition::Partial { missing });
    }
    if !own.contains(FormatRow::TABLE.name) {
        return Ok(Condition::Whole(1));
    }
    let format = connection
        .query_row("SELECT max(version) FROM redledger.format", [], |row| {
            row.get::<_, Option<i32>>(0)
        })
        .map_err(Error::database("look at the ledger"))?;
    Ok(match format {
        Some(format) => Condition::Whole(format),
        None => Condition::Partial {
            missing: vec![FormatRow::TABLE.name],
        },
    })
}

/// That a ledger, if there is one, can be read: its format, or `None` for a database without tables.
///
/// # Errors
/// [`Error::Warehouse`] for somebody else's database, a ledger of which tables are missing, and one of a newer
/// release.
pub fn check(connection: &Connection, path: &Path) -> Result<Option<i32>> {
    let refused = |message: String, hint: &str| Error::Warehouse {
        path: path.to_path_buf(),
        message,
        hint: Some(hint.into()),
    };
    match condition(connection)? {
        Condition::Empty => Ok(None),
        Condition::Whole(format) if format <= FORMAT => Ok(Some(format)),
        Condition::Whole(format) => Err(refused(
            format!(
                "its ledger has format {format}, and this redledger knows formats up to {FORMAT}; it was left untouched"
            ),
            "use the redledger that wrote it, or a newer one",
        )),
        Condition::Foreign => Err(refused(
            "this is somebody else's DuckDB database: it has tables, but no ledger; it was left untouched".into(),
            "move it away, or name another folder with --data-dir; if its schema `redledger` was dropped, see `redledger rollback`",
        )),
        Condition::Partial { missing } => {
            let missing: Vec<String> = missing
                .iter()
                .map(|table| format!("redledger.{table}"))
                .collect();
            Err(refused(
                format!(
                    "of its ledger {} missing; it was left untouched",
                    match missing.as_slice() {
                        [only] => format!("{only} is"),
                        many => format!("{} are", many.join(", ")),
                    }
                ),
                "somebody has dropped it: see `redledger rollback`, or move the file away and load everything again \
                 from the archive with `redledger backfill '*'`",
            ))
        }
    }
}

/// Makes the ledger in an empty database at `path`, or brings an earlier release's forward.
///
/// # Errors
/// As [`check`]; [`Error::Database`] if the engine fails.
pub fn prepare(connection: &Connection, path: &Path) -> Result<()> {
    let (sql, action) = match check(connection, path)? {
        Some(FORMAT) => return Ok(()),
        Some(_) => (from_format_1(), "bring the ledger to its new format"),
        None => (whole(), "create the ledger"),
    };
    connection
        .execute_batch(&format!("BEGIN; {sql} COMMIT;"))
        .map_err(Error::database(action))
}

/// All tables.
fn whole() -> String {
    let tables: String = TABLES.iter().map(creation_of).collect();
    format!(
        "CREATE SCHEMA IF NOT EXISTS redledger; {tables} {}",
        stamp()
    )
}

fn creation_of(table: &Table) -> String {
    let columns = table.columns.iter();
    let list: Vec<String> = columns
        .clone()
        .map(|column| format!("{} {}", column.name, column.kind))
        .collect();
    let name = table.name;
    let comments: String = columns.map(|column| comment_on(name, column)).collect();
    format!(
        "CREATE TABLE redledger.{name}({}); COMMENT ON TABLE redledger.{name} IS {};{comments}",
        list.join(", "),
        quoted(table.comment)
    )
}

fn comment_on(table: &str, column: &Column) -> String {
    format!(
        "COMMENT ON COLUMN redledger.{table}.{} IS {};",
        column.name,
        quoted(column.comment)
    )
}

/// One row: the version.
fn stamp() -> String {
    format!(
        "INSERT INTO redledger.{} VALUES ({FORMAT}, {});",
        FormatRow::TABLE.name,
        quoted(env!("CARGO_PKG_VERSION"))
    )
}

/// What was accepted when is taken from what format 1 knew: an announcement is no later than its loading, and what
/// was loaded over another content was accepted after it.
fn from_format_1() -> String {
    let added = SINCE_FORMAT_2
        .iter()
        .filter_map(|(table, name)| Some((*table, column_of(table, name)?)));
    let columns: String = added
        .map(|(table, column)| {
            format!(
                "ALTER TABLE redledger.{table} ADD COLUMN {} {};{}",
                column.name,
                column.kind,
                comment_on(table, column)
            )
        })
        .collect();
    format!(
        "{columns} {format_table} \
         UPDATE redledger.batch SET accepted_at = known.accepted, watermark = known.accepted FROM (\
             SELECT rowid AS id, max(least(coalesce(announced_at, loaded_at), loaded_at)) OVER (\
                 PARTITION BY dataset, batch_no, state IN ('loaded', 'superseded') \
                 ORDER BY revision ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS accepted \
             FROM redledger.batch) known \
         WHERE batch.rowid = known.id; {}",
        stamp(),
        format_table = creation_of(&FormatRow::TABLE),
    )
}
