//! Which rows were not loaded.

use duckdb::Connection;

use super::{
    row::{Cell as _, TableRow as _},
    sql::{columns, read},
    tables::RejectionRow,
};
use crate::error::Result;

/// Which rejections to look at: those that match everything given.
#[derive(Debug, Clone, Default)]
pub struct RejectionFilter {
    /// Batch number.
    pub batch_no: Option<String>,
    /// Dataset of the rejected rows.
    pub dataset: Option<String>,
    /// Code.
    pub code: Option<String>,
    /// Of batches of which something was announced or written since, in epoch microseconds.
    pub since: Option<i64>,
}

/// A row of `redledger.rejection` as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionRecord {
    /// Dataset.
    pub dataset: String,
    /// Batch.
    pub batch_no: String,
    /// Revision of the batch.
    pub revision: i32,
    /// File.
    pub file_id: i64,
    /// Where the file came from, without secrets.
    pub url: Option<String>,
    /// 1-based line.
    pub line: u64,
    /// Offset in the decoded text.
    pub byte_offset: Option<u64>,
    /// Field at fault.
    pub field: Option<String>,
    /// Code.
    pub code: String,
    /// What was expected and found.
    pub message: String,
    /// The record as delivered.
    pub record: String,
}

/// The rejections of every batch's latest attempt, or those that match: by batch, file and line, at most
/// `limit`. `children` pairs each dataset whose files rows of another name with that other.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn rejections(
    connection: &Connection,
    filter: &RejectionFilter,
    children: &[(&str, &str)],
    limit: u64,
) -> Result<Vec<RejectionRecord>> {
    let (matching, parameters) = matching("rejection", filter, children);
    let sql = format!(
        "SELECT {}, url FROM ({matching}) \
         ORDER BY batch_no, dataset, file_id, line, byte_offset, code, field LIMIT {limit}",
        columns::<RejectionRow>(connection)?
    );
    read(connection, &sql, &parameters, record)
}

/// The rejections of a file's line.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn rejections_of_line(
    connection: &Connection,
    file_id: i64,
    line: u64,
) -> Result<Vec<RejectionRecord>> {
    let sql = format!(
        "SELECT {}, NULL::VARCHAR AS url FROM redledger.rejection WHERE file_id = {file_id} AND line = {line} ORDER BY code, field",
        columns::<RejectionRow>(connection)?
    );
    read(connection, &sql, &[], record)
}

fn record(row: &duckdb::Row<'_>) -> duckdb::Result<RejectionRecord> {
    let of = RejectionRow::read(row)?;
    Ok(RejectionRecord {
        dataset: of.dataset,
        batch_no: of.batch_no,
        revision: of.revision,
        file_id: of.file_id,
        url: row.get("url")?,
        line: of.line,
        byte_offset: of.byte_offset,
        field: of.field,
        code: of.code,
        message: of.message,
        record: of.record,
    })
}

/// How many rejections [`rejections`] would return without a limit, by code; the most frequent first.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn rejections_by_code(
    connection: &Connection,
    filter: &RejectionFilter,
    children: &[(&str, &str)],
) -> Result<Vec<(String, u64)>> {
    let (matching, parameters) = matching("rejection", filter, children);
    let sql = format!(
        "SELECT code, count(*) AS rows FROM ({matching}) GROUP BY code ORDER BY count(*) DESC, code"
    );
    read(connection, &sql, &parameters, |row| {
        Ok((row.get(0)?, u64::read(row, "rows")?))
    })
}

/// How many rows latest attempts have rejected, kept or not, of the batch and dataset in `filter`.
///
/// # Errors
/// [`Error::Database`] if the engine fails.
pub fn rows_rejected(
    connection: &Connection,
    filter: &RejectionFilter,
    children: &[(&str, &str)],
) -> Result<u64> {
    let filter = RejectionFilter {
        code: None,
        ..filter.clone()
    };
    let (matching, parameters) = matching("file", &filter, children);
    let sql = format!("SELECT coalesce(sum(rows_rejected), 0)::BIGINT AS rows FROM ({matching})");
    let rows = read(connection, &sql, &parameters, |row| u64::read(row, "rows"))?;
    Ok(rows.into_iter().sum())
}

/// The entries of latest attempts in `table` that `filter` lets through, as SQL, and its parameters.
fn matching<'a>(
    table: &str,
    filter: &'a RejectionFilter,
    children: &[(&'a str, &'a str)],
) -> (String, Vec<Option<&'a str>>) {
    let mut parameters: Vec<Option<&str>> = Vec::new();
    // The ledger enters a batch under its own dataset only; rejections bear the dataset of their file.
    let mut owner = String::from("r.dataset");
    if !children.is_empty() {
        let cases = " WHEN ? THEN ?".repeat(children.len());
        owner = format!("CASE r.dataset{cases} ELSE r.dataset END");
        for (child, parent) in children {
            parameters.extend([Some(*child), Some(*parent)]);
        }
    }
    let mut conditions = String::new();
    let given = [
        ("batch_no", &filter.batch_no),
        ("dataset", &filter.dataset),
        ("code", &filter.code),
    ];
    for (column, value) in given {
        if let Some(value) = value {
            conditions += &format!(" AND r.{column} = ?");
            parameters.push(Some(value));
        }
    }
    let since = filter.since.map_or_else(String::new, |since| {
        format!(
            " HAVING max(greatest(coalesce(announced_at, loaded_at), loaded_at)) >= make_timestamp({since})"
        )
    });
    let sql = format!(
        "SELECT r.*, f.url FROM (SELECT *, {owner} AS owner FROM redledger.{table} r WHERE true{conditions}) r \
         JOIN (SELECT dataset AS owner, batch_no, max(revision) AS revision FROM redledger.batch GROUP BY ALL{since}) b \
         USING (owner, batch_no, revision) \
         LEFT JOIN redledger.file f ON f.file_id = r.file_id"
    );
    (sql, parameters)
}
