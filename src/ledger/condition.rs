//! Whether the ledger's tables are all there, asked before a ledger is read or written.

use std::{collections::HashSet, path::Path};

use duckdb::Connection;

use super::tables::TABLES;
use crate::error::{Error, Result};

/// What a database has of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The database has no tables at all: nothing was ever written to it.
    Empty,
    /// It has tables, and none of them is the ledger's.
    Absent,
    /// These tables are missing, and others are there.
    Partial(Vec<&'static str>),
    /// Every table is there.
    Whole,
}

/// Looks for the ledger's tables.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn condition(connection: &Connection) -> Result<Condition> {
    let read = || -> duckdb::Result<Vec<(String, String)>> {
        let mut statement = connection.prepare(
            "SELECT schema_name, table_name FROM duckdb_tables() \
             WHERE database_name = current_database() AND NOT internal",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    };
    let tables = read().map_err(Error::database("look at the ledger"))?;
    let there: HashSet<&str> = tables
        .iter()
        .filter(|(schema, _)| schema == "redledger")
        .map(|(_, table)| table.as_str())
        .collect();
    let missing: Vec<&str> = TABLES
        .iter()
        .map(|(table, ..)| *table)
        .filter(|table| !there.contains(table))
        .collect();
    Ok(if tables.is_empty() {
        Condition::Empty
    } else if missing.is_empty() {
        Condition::Whole
    } else if there.is_empty() {
        Condition::Absent
    } else {
        Condition::Partial(missing)
    })
}

impl Condition {
    /// Whether there is a ledger to read.
    ///
    /// # Errors
    /// [`Error::Warehouse`] where tables are there and the ledger is not, or not all of it.
    pub fn has_ledger(self, path: &Path) -> Result<bool> {
        let message = match self {
            Self::Empty => return Ok(false),
            Self::Whole => return Ok(true),
            Self::Absent => "it has tables, but no ledger: it is somebody else's database, or its ledger was removed"
                .to_owned(),
            Self::Partial(missing) => format!(
                "its ledger lacks {}, which redledger never removes",
                missing.join(", ")
            ),
        };
        Err(Error::Warehouse {
            path: path.to_path_buf(),
            message,
            hint: Some(
                "`redledger rollback` publishes the warehouse before it; or move it away and load everything again \
                 from the archive with `redledger backfill '*'`"
                    .into(),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_there_all_or_not_at_all_or_it_is_said_what_is_missing() {
        let connection = Connection::open_in_memory().expect("a database");
        let path = Path::new("w");
        assert_eq!(condition(&connection).expect("looked"), Condition::Empty);
        super::super::create(&connection, path).expect("a ledger");
        assert_eq!(condition(&connection).expect("looked"), Condition::Whole);
        for (sql, expected) in [
            (
                "DROP TABLE redledger.control",
                Condition::Partial(vec!["control"]),
            ),
            (
                "CREATE TABLE t(a INT); DROP SCHEMA redledger CASCADE",
                Condition::Absent,
            ),
        ] {
            connection.execute_batch(sql).expect(sql);
            let found = condition(&connection).expect("looked");
            assert_eq!(found, expected, "{sql}");
            let error = found.has_ledger(path).expect_err(sql);
            assert!(
                error.hint().is_some_and(|hint| hint.contains("rollback")),
                "{error}"
            );
        }
    }
}
