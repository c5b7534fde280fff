//! A dataset's table.

use std::collections::HashMap;

use duckdb::Connection;

use crate::{
    contract::{Contract, Contracts, Identifier},
    error::{Error, Result},
    ledger::{self, quoted},
};

const LINEAGE: [(&str, &str, &str); 3] = [
    (
        "batch_no",
        "VARCHAR",
        "Batch the row came with, see redledger.batch",
    ),
    (
        "file_id",
        "BIGINT",
        "File the row came from, see redledger.file",
    ),
    (
        "line",
        "BIGINT",
        "1-based physical line on which the record starts; in an inline list its position",
    ),
];

/// Creates the table, or adds the columns that its contract has gained.
pub(super) fn ensure(
    connection: &mut Connection,
    contract: &Contract,
    contracts: &Contracts,
) -> Result<()> {
    let wanted = columns(contract, contracts)?;
    let there = existing(connection, &contract.name)?;
    let table = contract.name.quoted();
    let mut sql = String::new();
    if there.is_empty() {
        let list: Vec<String> = wanted
            .iter()
            .map(|column| format!("{} {}", column.name, column.kind))
            .collect();
        sql += &format!("CREATE TABLE {table}({});", list.join(", "));
        sql += &format!("COMMENT ON TABLE {table} IS {};", quoted(&contract.comment));
    }
    for column in &wanted {
        let bare = column.name.trim_matches('"');
        match there.get(bare) {
            Some(kind) if *kind == column.kind => continue,
            Some(kind) => {
                return Err(Error::Settings {
                    place: format!("contract `{}`", contract.name),
                    message: format!(
                        "the column `{bare}` is {} in the contract and {kind} in the warehouse",
                        column.kind
                    ),
                    hint: Some(
                        "give the field another `column`, or load into a new --data-dir".into(),
                    ),
                });
            }
            None if !there.is_empty() => {
                sql += &format!(
                    "ALTER TABLE {table} ADD COLUMN {} {};",
                    column.name, column.kind
                )
            }
            None => {}
        }
        sql += &format!(
            "COMMENT ON COLUMN {table}.{} IS {};",
            column.name,
            quoted(&column.comment)
        );
    }
    if sql.is_empty() {
        return Ok(());
    }
    let transaction = connection
        .transaction()
        .map_err(Error::database("begin a transaction"))?;
    transaction
        .execute_batch(&sql)
        .map_err(Error::database("make the dataset's table"))?;
    transaction
        .commit()
        .map_err(Error::database("make the dataset's table"))
}

/// A column of a dataset's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name in double quotes.
    pub name: String,
    /// Its SQL type.
    pub kind: String,
    /// The `COMMENT ON` it.
    pub comment: String,
}

/// The columns of a dataset's table, in their order: those taken over from the rows that name its files, its fields, the
/// one for cells that no field declares, and where a row came from.
///
/// # Errors
/// [`Error::Usage`] when the dataset that it takes columns over from is none.
pub fn columns(contract: &Contract, contracts: &Contracts) -> Result<Vec<TableColumn>> {
    let mut described: Vec<(String, String)> = Vec::new();
    if let Some(parent) = &contract.parent {
        let of = contracts.require(&parent.dataset)?;
        for inherit in &parent.inherit {
            let field = of
                .field_index(&inherit.field)
                .map(|index| &of.fields[index]);
            let field =
                field.ok_or_else(|| Error::Internal(format!("no field {}", inherit.field)))?;
            described.push((
                field.kind.sql(),
                format!("{} (from the naming row)", field.comment),
            ));
        }
    }
    described.extend(
        contract
            .fields
            .iter()
            .map(|field| (field.kind.sql(), field.comment.clone())),
    );
    described.push((
        "MAP(VARCHAR, VARCHAR)".into(),
        "Cells of columns that the contract does not declare, by header".into(),
    ));
    let values = value_columns(contract).into_iter().zip(described);
    let lineage = LINEAGE.iter().map(|(name, kind, comment)| TableColumn {
        name: format!("\"{name}\""),
        kind: (*kind).into(),
        comment: (*comment).into(),
    });
    Ok(values
        .map(|(name, (kind, comment))| TableColumn {
            name,
            kind,
            comment,
        })
        .chain(lineage)
        .collect())
}

/// The table's columns and their types; none: there is no such table.
pub(super) fn existing(
    connection: &Connection,
    table: &Identifier,
) -> Result<HashMap<String, String>> {
    let columns = ledger::columns_of(connection, "main", table.as_str());
    let columns = columns.map_err(Error::database("read the table's columns"))?;
    Ok(columns.into_iter().collect())
}

/// The value columns of a dataset's table, in the contract's order.
pub(super) fn value_columns(contract: &Contract) -> Vec<String> {
    let inherited = contract
        .parent
        .iter()
        .flat_map(|parent| parent.inherit.iter().map(|inherit| inherit.column.quoted()));
    inherited
        .chain(contract.fields.iter().map(|field| field.column.quoted()))
        .chain([contract.rest.quoted()])
        .collect()
}
