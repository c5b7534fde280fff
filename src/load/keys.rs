//! Primary keys without indexes: repeats within a batch, and the difference between two revisions.

use duckdb::Connection;

use super::tables::value_columns;
use crate::{
    contract::Contract,
    error::{Error, Result},
    ledger::{Difference, FileIds},
    rejection::{KEPT_PER_FILE, KEPT_REPEATED, Rejection, RejectionCode},
};

/// Rows taken out because their key repeats.
#[derive(Debug, Default)]
pub struct Repeated {
    /// How many of each file.
    pub by_file: Vec<(i64, u64)>,
    /// The first 10,000 of each file, as they were loaded: their delivered text is gone by now.
    pub kept: Vec<Rejection>,
}

pub(super) fn reject_repeated(
    connection: &Connection,
    contract: &Contract,
    files: FileIds,
) -> Result<Repeated> {
    if contract.primary_key.is_empty() {
        return Ok(Repeated::default());
    }
    let failed = || Error::database("check the primary key");
    let table = contract.name.quoted();
    let here = files.condition();
    let key = contract
        .key_columns()
        .map(crate::contract::Identifier::quoted)
        .collect::<Vec<_>>()
        .join(", ");
    let repeats = |grouped_by: &str| -> Result<bool> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {table} WHERE {here} GROUP BY {grouped_by} HAVING count(*) > 1)"
        );
        connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(failed())
    };
    // Equal keys have equal hashes, and hashes take half the room of keys: keys themselves are compared only
    // where two hashes are equal, which for 20 million rows happens by chance in one load of 100,000.
    let any = repeats(&format!("hash({key})"))? && repeats(&key)?;
    if !any {
        return Ok(Repeated::default());
    }
    set_aside(connection, contract, &here, &key).map_err(failed())?;
    let repeated = set_aside_rows(connection, contract).map_err(failed())?;
    connection
        .execute_batch("DROP TABLE redledger_repeated")
        .map_err(failed())?;
    Ok(repeated)
}

/// Moves rows whose key repeats into `redledger_repeated`: of a key whose rows are all alike the first stays, of any
/// other key no row does.
fn set_aside(
    connection: &Connection,
    contract: &Contract,
    here: &str,
    key: &str,
) -> duckdb::Result<()> {
    let table = contract.name.quoted();
    let values = compared(contract).join(", ");
    let texts: Vec<String> = value_columns(contract)
        .iter()
        .map(|column| format!("coalesce({column}::VARCHAR, '')"))
        .collect();
    connection.execute_batch(&format!(
        "CREATE OR REPLACE TEMP TABLE redledger_repeated AS
         SELECT file_id, line, alike, concat_ws(', ', {texts}) AS record FROM (
             SELECT *, min(row({values})) OVER same = max(row({values})) OVER same AS alike,
                    row_number() OVER (same ORDER BY file_id, line) AS nth
             FROM (
                 SELECT a.* FROM {table} a SEMI JOIN (
                     SELECT {key} FROM {table} WHERE {here} GROUP BY {key} HAVING count(*) > 1
                 ) b ON {same_key} WHERE a.{here})
             WINDOW same AS (PARTITION BY {key}))
         WHERE nth > 1 OR NOT alike",
        same_key = same_key(contract),
        texts = texts.join(", "),
    ))?;
    connection.execute_batch(&format!(
        "DELETE FROM {table} WHERE {here} AND (file_id, line) IN \
         (SELECT (file_id, line) FROM redledger_repeated)"
    ))
}

/// What was set aside, as rejections.
fn set_aside_rows(connection: &Connection, contract: &Contract) -> duckdb::Result<Repeated> {
    let mut by_file = connection
        .prepare("SELECT file_id, count(*)::UBIGINT FROM redledger_repeated GROUP BY file_id ORDER BY file_id")?;
    let by_file = by_file
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<duckdb::Result<_>>()?;
    let mut kept = connection.prepare(&format!(
        "SELECT file_id, line, alike, record FROM redledger_repeated \
         QUALIFY row_number() OVER (PARTITION BY file_id ORDER BY line) <= {KEPT_PER_FILE} \
         ORDER BY file_id, line LIMIT {KEPT_REPEATED}"
    ))?;
    let key_names: Vec<String> = contract.key_columns().map(ToString::to_string).collect();
    let key_names = key_names.join(", ");
    let kept = kept.query_map([], |row| {
        let message = match row.get(2)? {
            true => "an exact copy of an earlier row of the batch",
            false => "another row of the batch has the same key and other content; none of them is loaded",
        };
        Ok(Rejection {
            file_id: row.get(0)?,
            line: row.get::<_, i64>(1)?.unsigned_abs(),
            byte_offset: None,
            field: Some(key_names.as_str().into()),
            code: RejectionCode::DuplicateKey,
            message: message.into(),
            record: row.get(3)?,
        })
    })?;
    Ok(Repeated {
        by_file,
        kept: kept.collect::<duckdb::Result<_>>()?,
    })
}

/// Whether the rows `a` and `b` have the same key; an empty cell of a key is equal to another.
fn same_key(contract: &Contract) -> String {
    let same = contract.key_columns().map(|key| {
        let key = key.quoted();
        format!("a.{key} IS NOT DISTINCT FROM b.{key}")
    });
    same.collect::<Vec<_>>().join(" AND ")
}

/// A MAP's pairs in the order of their keys. Two maps are equal for DuckDB only in the same order, and which it is
/// hangs on the file's columns in rows of earlier releases.
fn in_order(map: &str) -> String {
    format!("list_sort(map_entries({map}))")
}

/// The value columns as rows are compared by them.
fn compared(contract: &Contract) -> Vec<String> {
    let mut columns = value_columns(contract);
    columns.pop();
    columns.push(in_order(&contract.rest.quoted()));
    columns
}

/// The file ids of the batch's loaded revision in this dataset's table.
pub(super) fn loaded_range(
    connection: &Connection,
    contract: &Contract,
    batch_no: &str,
) -> Result<Option<FileIds>> {
    let read = connection.query_row(
        "SELECT min(file_id), max(file_id) FROM redledger.file f WHERE dataset = ? AND batch_no = ? AND revision = \
         (SELECT max(revision) FROM redledger.batch b WHERE b.batch_no = f.batch_no AND state = 'loaded' AND dataset = ?)",
        [contract.name.as_str(), batch_no, contract.entered_under()],
        |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)),
    );
    let (first, last) = read.map_err(Error::database("read the ledger"))?;
    Ok(first.zip(last).map(|(first, last)| FileIds { first, last }))
}

/// The file ids of the loaded revision of `dataset`'s batch, by the dataset of the files' rows: its own, and those
/// that its rows named. All of them were numbered in one go, so that no other batch of the same number is among them.
pub(super) fn loaded_ranges(
    connection: &Connection,
    dataset: &str,
    batch_no: &str,
) -> Result<Vec<(String, FileIds)>> {
    let read = || -> duckdb::Result<Vec<(String, FileIds)>> {
        let mut statement = connection.prepare(
            "WITH loaded AS (
                 SELECT f.revision, min(f.file_id) AS first, any_value(b.files) AS files
                 FROM redledger.batch b JOIN redledger.file f USING (dataset, batch_no, revision)
                 WHERE dataset = ? AND batch_no = ? AND b.state = 'loaded'
                 GROUP BY f.revision ORDER BY f.revision DESC LIMIT 1)
             SELECT f.dataset, min(f.file_id), max(f.file_id) FROM redledger.file f, loaded
             WHERE f.batch_no = ? AND f.revision = loaded.revision
                 AND f.file_id BETWEEN first AND first + files - 1
             GROUP BY f.dataset ORDER BY f.dataset",
        )?;
        let ranges = statement.query_map([dataset, batch_no, batch_no], |row| {
            let files = FileIds {
                first: row.get(1)?,
                last: row.get(2)?,
            };
            Ok((row.get(0)?, files))
        })?;
        ranges.collect()
    };
    read().map_err(Error::database("read the ledger"))
}

pub(super) fn difference(
    connection: &Connection,
    contract: &Contract,
    batch_no: &str,
    files: FileIds,
) -> Result<Difference> {
    let table = contract.name.quoted();
    let content = compared(contract).join(", ");
    // Without a key rows are told apart by their content only.
    let values = match contract.primary_key.is_empty() {
        true => content,
        false => value_columns(contract).join(", "),
    };
    let earlier = match loaded_range(connection, contract, batch_no)? {
        Some(loaded) => format!(
            "SELECT {values} FROM {table} WHERE {} AND batch_no = {}",
            loaded.condition(),
            crate::ledger::quoted(batch_no)
        ),
        None => format!("SELECT {values} FROM {table} WHERE false"),
    };
    let later = format!("SELECT {values} FROM {table} WHERE {}", files.condition());
    let sql = if contract.primary_key.is_empty() {
        format!(
            "SELECT (SELECT count(*) FROM ({later} EXCEPT ALL {earlier}))::UBIGINT, \
             (SELECT count(*) FROM ({earlier} EXCEPT ALL {later}))::UBIGINT, 0::UBIGINT"
        )
    } else {
        let same_key = same_key(contract);
        let rest = contract.rest.quoted();
        let differs = value_columns(contract).into_iter().map(|column| {
            let differ = format!("a.{column} IS DISTINCT FROM b.{column}");
            if column != rest {
                return differ;
            }
            // Sorted only where they are not alike as they stand.
            let (a, b) = (
                in_order(&format!("a.{rest}")),
                in_order(&format!("b.{rest}")),
            );
            format!("({differ} AND {a} IS DISTINCT FROM {b})")
        });
        let differs = differs.collect::<Vec<_>>().join(" OR ");
        format!(
            "SELECT count(*) FILTER (WHERE b.here IS NULL)::UBIGINT, count(*) FILTER (WHERE a.here IS NULL)::UBIGINT, \
             count(*) FILTER (WHERE a.here AND b.here AND ({differs}))::UBIGINT \
             FROM (SELECT *, true AS here FROM ({later})) a \
             FULL OUTER JOIN (SELECT *, true AS here FROM ({earlier})) b ON {same_key}"
        )
    };
    connection
        .query_row(&sql, [], |row| {
            Ok(Difference {
                added: row.get(0)?,
                removed: row.get(1)?,
                changed: row.get(2)?,
            })
        })
        .map_err(Error::database("compare the revisions"))
}
