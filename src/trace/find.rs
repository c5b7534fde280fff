//! Rows of an account, and where they are.

use duckdb::{Connection, params_from_iter};

use super::facts::Place;
use crate::{
    contract::{Contract, FieldType, Identifier},
    error::{Error, Result},
};

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where it is.
    pub(crate) place: Place,
    /// The batch it is from.
    pub(crate) batch_no: String,
}

/// The rows that have `account` in a column of ids, of one batch if given: the newest first, at most `most`; and how many
/// there are in all.
///
/// # Errors
/// [`Error::Usage`] when the dataset has no column of ids, or no table; [`Error::Database`] if the engine fails.
pub(crate) fn find(
    connection: &Connection,
    contract: &Contract,
    account: &str,
    batch: Option<&str>,
    most: usize,
) -> Result<(Vec<Found>, u64)> {
    let columns = columns_of_ids(contract);
    if columns.is_empty() {
        return Err(Error::Usage {
            message: format!("`{}` has no column whose name ends in id", contract.name),
            hint: Some("name the row by its file and line: `redledger trace FILE_ID:LINE`".into()),
        });
    }
    let conditions: Vec<String> = columns
        .iter()
        .map(|column| format!("lower({}::VARCHAR) = lower(?)", column.quoted()))
        .collect();
    let mut parameters: Vec<&str> = vec![account; columns.len()];
    let of_batch = if batch.is_some() {
        " AND batch_no = ?"
    } else {
        ""
    };
    parameters.extend(batch);
    let sql = format!(
        "SELECT file_id, line, batch_no, count(*) OVER () FROM {} WHERE ({}){of_batch} \
         ORDER BY file_id DESC, line DESC LIMIT {most}",
        contract.name.quoted(),
        conditions.join(" OR ")
    );
    let read = || -> duckdb::Result<Vec<(Found, u64)>> {
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(parameters), |row| {
            let found = Found {
                place: Place {
                    file_id: row.get(0)?,
                    line: u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
                },
                batch_no: row.get(2)?,
            };
            let all = u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default();
            Ok((found, all))
        })?;
        rows.collect()
    };
    let found = read().map_err(Error::database("look for the account"))?;
    let all = found.first().map_or(0, |(_, all)| *all);
    Ok((found.into_iter().map(|(found, _)| found).collect(), all))
}

/// Ids are UUIDs or text in columns called so.
fn columns_of_ids(contract: &Contract) -> Vec<&Identifier> {
    let fields = contract.fields.iter().filter(|field| {
        matches!(field.kind, FieldType::Uuid | FieldType::Text { .. })
            && (field.column.as_str() == "id" || field.column.as_str().ends_with("_id"))
    });
    fields.map(|field| &field.column).collect()
}
