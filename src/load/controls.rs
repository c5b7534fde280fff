//! Figures that a batch's rows must agree with, counted by SQL inside the transaction.

use std::collections::HashMap;

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

const MINOR_UNITS: &str = "no more decimals than the currency has";

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
    let finer = FinerAmounts::of(contract);
    let broken = contract
        .controls
        .iter()
        .map(|control| format!("({}) <> ({})", sum(&control.left), sum(&control.right)));
    let filters: String = broken
        .chain(finer.iter().flat_map(FinerAmounts::conditions))
        .map(|condition| format!(", count(*) FILTER (WHERE {condition})::UBIGINT"))
        .collect();
    let (currency, group) = match &finer {
        Some(finer) => (finer.currency.as_str(), "GROUP BY 1"),
        None => ("NULL::VARCHAR", ""),
    };
    let sql = format!(
        "SELECT {currency}, count(*)::UBIGINT{filters} FROM {} WHERE file_id >= {first_file} {group}",
        contract.name.quoted()
    );
    let read = || -> duckdb::Result<Totals> {
        let mut totals = Totals::default();
        let mut broken = vec![0; contract.controls.len()];
        let mut finer_rows = 0;
        let mut statement = connection.prepare(&sql)?;
        let mut groups = statement.query([])?;
        while let Some(group) = groups.next()? {
            totals.rows += group.get::<_, u64>(1)?;
            for (index, broken) in broken.iter_mut().enumerate() {
                *broken += group.get::<_, u64>(2 + index)?;
            }
            if let Some(finer) = &finer
                && let Some(currency) = group.get::<_, Option<String>>(0)?
                && let Some(index) = finer.condition_for(&currency)
            {
                finer_rows += group.get::<_, u64>(2 + broken.len() + index)?;
            }
        }
        for (control, broken) in contract.controls.iter().zip(broken) {
            if control.enforce && broken > 0 {
                totals.enforced.push((control.name.clone(), broken));
            }
            totals.controls.push(rows_that_break(&control.name, broken));
        }
        if finer.is_some() {
            totals
                .controls
                .push(rows_that_break(MINOR_UNITS, finer_rows));
        }
        Ok(totals)
    };
    read().map_err(Error::database("count the batch's rows"))
}

fn rows_that_break(name: &str, rows: u64) -> Control {
    super::control(format!("rows that break: {name}"), 0, rows)
}

/// Amounts with more decimals than their currency has (ISO 4217): noted, not rejected.
///
/// Counted for every number of decimals, by currency: asking each row whether its currency is one of those
/// with two decimals would compare it with some 150 codes.
struct FinerAmounts {
    currency: String,
    amounts: Vec<Amount>,
    /// Numbers of decimals that some currency has and some amount may exceed.
    units: Vec<u8>,
    of_currency: HashMap<&'static str, u8>,
}

impl FinerAmounts {
    /// `None` for a contract with several currencies or without one, or without amounts.
    fn of(contract: &Contract) -> Option<Self> {
        let mut currencies = contract
            .fields
            .iter()
            .filter(|field| matches!(field.kind, FieldType::Currency { .. }));
        let currency = currencies.next()?.column.quoted();
        if currencies.next().is_some() {
            return None;
        }
        let amounts: Vec<Amount> = contract
            .fields
            .iter()
            .filter_map(|field| match field.kind {
                FieldType::Decimal {
                    precision, scale, ..
                } => Some(Amount {
                    column: field.column.quoted(),
                    precision,
                    scale,
                }),
                _ => None,
            })
            .collect();
        let of_currency: HashMap<_, _> = iso_minor_units().collect();
        let mut units: Vec<u8> = of_currency
            .values()
            .copied()
            .filter(|units| amounts.iter().any(|amount| amount.scale > *units))
            .collect();
        units.sort_unstable();
        units.dedup();
        (!units.is_empty()).then_some(Self {
            currency,
            amounts,
            units,
            of_currency,
        })
    }

    /// For each number of decimals: whether a row's amounts have more.
    fn conditions(&self) -> impl Iterator<Item = String> {
        self.units.iter().map(|units| {
            let amounts = self.amounts.iter().filter(|amount| amount.scale > *units);
            let finer = amounts.map(|amount| amount.is_finer_than(*units));
            finer.collect::<Vec<_>>().join(" OR ")
        })
    }

    /// Which of the conditions counts for `currency`.
    fn condition_for(&self, currency: &str) -> Option<usize> {
        let units = self.of_currency.get(currency)?;
        self.units.binary_search(units).ok()
    }
}

struct Amount {
    column: String,
    precision: u8,
    scale: u8,
}

impl Amount {
    fn is_finer_than(&self, units: u8) -> String {
        let column = &self.column;
        // A remainder is one division of integers; rounding widens both sides to 128 bits. Where no room is
        // left for a digit before the point, though, DuckDB takes the remainder in floating point.
        if self.precision == self.scale {
            return format!("{column} <> round({column}, {units})");
        }
        format!(
            "{column} % '1e-{units}'::DECIMAL({width},{units}) <> 0",
            width = units + 1
        )
    }
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;

    use super::{MINOR_UNITS, totals};
    use crate::contract::Contract;

    #[test]
    fn rows_finer_than_their_currency_are_counted_once_whatever_the_amounts_scales() {
        let contract = Contract::parse(
            "test",
            "name = \"t\"\ncomment = \"t\"\n\
             fields = [\n\
             { name = \"a\", type = \"decimal\", precision = 18, scale = 4, comment = \"a\" },\n\
             { name = \"b\", type = \"decimal\", precision = 38, scale = 38, comment = \"b\" },\n\
             { name = \"c\", type = \"decimal\", precision = 38, scale = 2, comment = \"c\" },\n\
             { name = \"currency\", type = \"currency\", comment = \"currency\" }]",
        )
        .expect("a contract");
        let connection = Connection::open_in_memory().expect("a database");
        connection
            .execute_batch(
                "CREATE TABLE t(a DECIMAL(18,4), b DECIMAL(38,38), c DECIMAL(38,2), currency VARCHAR, file_id BIGINT);
                 INSERT INTO t VALUES
                 (1.23, 0.1, 1.5, 'USD', 1), (-99999999999999.1230, 0, 0, 'KWD', 1), (1.0000, 0, 5, 'JPY', 1),
                 (NULL, NULL, NULL, 'USD', 1), (1.2345, 0, 0, 'XAU', 1), (1.2345, 0, 0, NULL, 1),
                 (1.2345, 0.001, 0, 'USD', 1), (0, 0.12345678901234567890123456789012345678, 0, 'KWD', 1),
                 (0, 0, -999999999999999999999999999999999999.99, 'JPY', 1), (-0.001, NULL, NULL, 'EUR', 1),
                 (1.2345, 0, 0, 'USD', 0)",
            )
            .expect("rows");
        let found = totals(&connection, &contract, 1).expect("totals");
        assert_eq!(found.rows, 10);
        let [control] = found.controls.as_slice() else {
            panic!("{:?}", found.controls)
        };
        assert!(control.name.ends_with(MINOR_UNITS) && !control.passed);
        assert_eq!(control.actual, "4");
        let none = totals(&connection, &contract, 2).expect("totals");
        assert_eq!((none.rows, none.controls[0].passed), (0, true));
    }
}
