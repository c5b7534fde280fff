//! What a Parquet file says of itself beside its columns.

use duckdb::Connection;

use super::column::Column;
use crate::{
    error::{Error, Result},
    ledger::quoted,
};

/// That the engine can write it: a DuckDB that is linked may have been built without.
///
/// # Errors
/// [`Error::Usage`] when it can't.
pub(super) fn check(connection: &Connection) -> Result<()> {
    let sql = "SELECT count(*) FROM duckdb_functions() WHERE function_name = 'parquet_scan'";
    let found: i64 = connection
        .query_row(sql, [], |row| row.get(0))
        .map_err(Error::database("ask the engine what it can write"))?;
    match found {
        0 => Err(Error::Usage {
            message: "this build's DuckDB can't write Parquet".into(),
            hint: Some(
                "use --format csv or xlsx, or a DuckDB that has the extension built in".into(),
            ),
        }),
        _ => Ok(()),
    }
}

/// The options of COPY. Comments are metadata: `comment` the dataset's, `comment.<column>` a column's.
pub(super) fn options(comment: &str, columns: &[Column]) -> String {
    let own = [("comment".to_owned(), comment)];
    let of_columns = columns.iter().map(|column| {
        let name = column.name.trim_matches('"');
        (format!("comment.{name}"), column.comment.as_str())
    });
    let pairs = own.into_iter().chain(of_columns);
    let pairs = pairs.map(|(key, text)| format!("{}: {}", quoted(&key), quoted(text)));
    let metadata = pairs.collect::<Vec<_>>().join(", ");
    format!("FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{metadata}}}")
}
