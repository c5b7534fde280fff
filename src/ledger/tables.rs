//! The ledger's tables and what their columns mean.

use std::path::Path;

use duckdb::Connection;

use super::quoted;
use crate::error::{Error, Result};

/// A table's name, comment and columns: name, type, comment.
pub(super) type TableText = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str, &'static str)],
);

/// Tables with their columns, types and comments.
pub(super) const TABLES: &[TableText] = &[
    (
        "batch",
        "One row a revision of a batch. For bills it covers the bill lines too",
        &[
            (
                "dataset",
                "VARCHAR",
                "Dataset, which is also the table's name; empty while nothing delivered shows which it is",
            ),
            ("batch_no", "VARCHAR", "Batch number as announced"),
            (
                "revision",
                "INTEGER",
                "1 for the first content delivered under the number, 2 for the next, …",
            ),
            (
                "state",
                "VARCHAR",
                "loaded: its rows are in the table; superseded: a later revision replaced them; failed: nothing of it is loaded, see message; waiting: pages or files are still missing; expired: the link is dead, a new announcement is needed",
            ),
            (
                "rows_expected",
                "BIGINT",
                "Rows announced (the hook's total); NULL when it did not say",
            ),
            (
                "rows_read",
                "BIGINT",
                "Rows delivered; of a loaded batch always rows_loaded + rows_rejected",
            ),
            ("rows_loaded", "BIGINT", "Rows in the table"),
            (
                "rows_rejected",
                "BIGINT",
                "Rows not loaded, see redledger.rejection",
            ),
            (
                "rows_added",
                "BIGINT",
                "Rows whose key the revision before did not have",
            ),
            (
                "rows_removed",
                "BIGINT",
                "Rows of the revision before whose key is gone",
            ),
            (
                "rows_changed",
                "BIGINT",
                "Rows with the key of a row of the revision before and other content",
            ),
            ("files", "BIGINT", "Files the batch was delivered in"),
            ("bytes", "BIGINT", "Bytes delivered"),
            (
                "content_hash",
                "VARCHAR",
                "SHA-256 of what was delivered; of the files' hashes where there are several",
            ),
            (
                "announced_at",
                "TIMESTAMP",
                "When the platform announced it, UTC",
            ),
            ("loaded_at", "TIMESTAMP", "When this was written, UTC"),
            ("run_id", "VARCHAR", "The run that wrote this"),
            (
                "message",
                "VARCHAR",
                "Why it is not loaded, or what is worth knowing",
            ),
        ],
    ),
    (
        "file",
        "Files that batches were delivered in; an inline list counts as one",
        &[
            (
                "file_id",
                "BIGINT",
                "Referred to by the file_id of every row",
            ),
            ("dataset", "VARCHAR", "Dataset of its rows"),
            ("batch_no", "VARCHAR", "Batch"),
            ("revision", "INTEGER", "Revision of the batch"),
            (
                "url",
                "VARCHAR",
                "Where it came from, without query string and credentials",
            ),
            ("bytes", "BIGINT", "Size as delivered"),
            ("content_hash", "VARCHAR", "SHA-256 of the bytes delivered"),
            ("etag", "VARCHAR", "The store's version of it"),
            ("encoding", "VARCHAR", "The encoding it was read in"),
            ("header", "VARCHAR", "Its header row as delivered"),
            ("rows_read", "BIGINT", "Rows delivered"),
            ("rows_loaded", "BIGINT", "Rows in the table"),
            ("rows_rejected", "BIGINT", "Rows not loaded"),
            (
                "archive_path",
                "VARCHAR",
                "Where its bytes are kept, below data_dir",
            ),
            (
                "fetched_at",
                "TIMESTAMP",
                "When it was read to its end, UTC",
            ),
        ],
    ),
    (
        "rejection",
        "Rows that were not loaded; at most 10,000 a file are kept, the counts in batch and file are exact",
        &[
            ("dataset", "VARCHAR", "Dataset"),
            ("batch_no", "VARCHAR", "Batch"),
            ("revision", "INTEGER", "Revision of the batch"),
            ("file_id", "BIGINT", "File, see redledger.file"),
            (
                "line",
                "BIGINT",
                "1-based physical line on which the record starts; in an inline list the position",
            ),
            (
                "byte_offset",
                "BIGINT",
                "Offset of its first byte in the decoded text (in a UTF-8 file: in the file)",
            ),
            ("field", "VARCHAR", "Field at fault, where there is one"),
            ("code", "VARCHAR", "Kind of fault, such as excess-scale"),
            ("message", "VARCHAR", "What was expected and found"),
            (
                "record",
                "VARCHAR",
                "The record as delivered, URLs without their query",
            ),
        ],
    ),
    (
        "control",
        "Checks of a batch: announced against counted, sums that must hold in every row",
        &[
            ("dataset", "VARCHAR", "Dataset"),
            ("batch_no", "VARCHAR", "Batch"),
            ("revision", "INTEGER", "Revision of the batch"),
            ("name", "VARCHAR", "What is checked"),
            (
                "expected",
                "VARCHAR",
                "The figure it should be; NULL: the control only notes a figure",
            ),
            ("actual", "VARCHAR", "The figure found"),
            ("passed", "BOOLEAN", "Whether they agree"),
        ],
    ),
    (
        "run",
        "One row a command that wrote to the warehouse",
        &[
            ("run_id", "VARCHAR", "Its id"),
            ("command", "VARCHAR", "The subcommand"),
            ("version", "VARCHAR", "redledger's version"),
            ("started_at", "TIMESTAMP", "UTC"),
            ("finished_at", "TIMESTAMP", "UTC"),
            ("outcome", "VARCHAR", "In words"),
            (
                "exit_code",
                "INTEGER",
                "0 well, 1 needs a person, 2 fault, 3 run again",
            ),
        ],
    ),
];

/// Creates what is missing of the ledger in the database at `path`.
///
/// # Errors
/// [`Error::Warehouse`] for somebody else's database, which has tables but no ledger; [`Error::Database`] if the
/// engine fails.
pub fn create(connection: &Connection, path: &Path) -> Result<()> {
    let (there, others): (usize, usize) = connection
        .query_row(
            "SELECT count(*) FILTER (schema_name = 'redledger'), count(*) FILTER (schema_name <> 'redledger') \
             FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(Error::database("look at the ledger"))?;
    if there == TABLES.len() {
        return Ok(());
    }
    if there == 0 && others > 0 {
        return Err(Error::Warehouse {
            path: path.to_path_buf(),
            message: "this is somebody else's DuckDB database: it has tables, but no ledger; it was left untouched"
                .into(),
            hint: Some("move it away, or name another folder with --data-dir".into()),
        });
    }
    let mut sql = String::from("BEGIN; CREATE SCHEMA IF NOT EXISTS redledger;");
    for (table, comment, columns) in TABLES {
        let list: Vec<String> = columns
            .iter()
            .map(|(name, kind, _)| format!("{name} {kind}"))
            .collect();
        sql += &format!(
            "CREATE TABLE IF NOT EXISTS redledger.{table}({});",
            list.join(", ")
        );
        sql += &format!("COMMENT ON TABLE redledger.{table} IS {};", quoted(comment));
        for (name, _, comment) in *columns {
            sql += &format!(
                "COMMENT ON COLUMN redledger.{table}.{name} IS {};",
                quoted(comment)
            );
        }
    }
    sql += "COMMIT;";
    connection
        .execute_batch(&sql)
        .map_err(Error::database("create the ledger"))
}
