//! Figures that a batch's rows must agree with, counted by SQL inside the transaction.

use duckdb::Connection;

use crate::{
    contract::{Contract, FieldType, Identifier},
    error::{Error, Result},
    ledger::Control,
    normalize::iso_minor_units,
};

/// What a recount of the batch's rows has found.
#[derive(Debug, Default)]
pub struct Totals {
    /// Rows in the table.
    pub rows: u64,
    /// The row controls and what they found.
    pub controls: Vec<Control>,
    /// Rows that break a control with `enforce = true`, and its name.
    pub enforced: Vec<(String, u64)>,
}

pub(super) fn totals(
    connection: &Connection,
    contract: &Contract,
    first_file: i64,
) -> Result<Totals> {
    let sum = |terms: &[(bool, Identifier)]| {
        let terms = terms.iter().map(|(negative, column)| {
            format!("{} {}", if *negative { "-" } else { "+" }, column.quoted())
        });
        terms.collect::<Vec<_>>().join(" ")
    };
    let mut counted: Vec<(String, String, bool)> = Vec::new();
    for control in &contract.controls {
        let broken = format!("({}) <> ({})", sum(&control.left), sum(&control.right));
        counted.push((control.name.clone(), broken, control.enforce));
    }
    if let Some((name, broken)) = minor_units(contract) {
        counted.push((name, broken, false));
    }
    let filters: String = counted
        .iter()
        .map(|(_, broken, _)| format!(", count(*) FILTER (WHERE {broken})::UBIGINT"))
        .collect();
    let sql = format!(
        "SELECT count(*)::UBIGINT{filters} FROM {} WHERE file_id >= {first_file}",
        contract.name.quoted()
    );
    connection
        .query_row(&sql, [], |row| {
            let mut totals = Totals {
                rows: row.get(0)?,
                ..Totals::default()
            };
            for (index, (name, _, enforce)) in counted.iter().enumerate() {
                let broken: u64 = row.get(index + 1)?;
                if *enforce && broken > 0 {
                    totals.enforced.push((name.clone(), broken));
                }
                totals.controls.push(super::control(
                    format!("rows that break: {name}"),
                    0,
                    broken,
                ));
            }
            Ok(totals)
        })
        .map_err(Error::database("count the batch's rows"))
}

/// Amounts with more decimals than their currency has (ISO 4217): noted, not rejected.
fn minor_units(contract: &Contract) -> Option<(String, String)> {
    let mut currencies = contract
        .fields
        .iter()
        .filter(|field| matches!(field.kind, FieldType::Currency { .. }));
    let currency = currencies.next()?.column.quoted();
    if currencies.next().is_some() {
        return None;
    }
    let codes_with = |units: u8| {
        let codes = iso_minor_units()
            .filter(|(_, of)| *of == units)
            .map(|(code, _)| format!("'{code}'"));
        codes.collect::<Vec<_>>().join(", ")
    };
    let mut broken = Vec::new();
    for field in &contract.fields {
        let FieldType::Decimal { scale, .. } = field.kind else {
            continue;
        };
        let amount = field.column.quoted();
        for units in (0..scale.min(5)).filter(|units| !codes_with(*units).is_empty()) {
            broken.push(format!(
                "({amount} <> round({amount}, {units}) AND {currency} IN ({}))",
                codes_with(units)
            ));
        }
    }
    (!broken.is_empty()).then(|| {
        (
            "no more decimals than the currency has".to_owned(),
            broken.join(" OR "),
        )
    })
}
