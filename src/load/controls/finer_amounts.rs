//! Amounts with more decimals than their currency has.

use std::collections::HashMap;

use crate::{
    contract::{Contract, DecimalWidth, FieldType, Identifier},
    ledger,
    normalize::iso_minor_units,
};

/// Amounts with more decimals than their currency has (ISO 4217): noted, not rejected.
///
/// Counted for every number of decimals, by currency: asking each row whether its currency is one of those
/// with two decimals would compare it with some 150 codes.
#[derive(Debug)]
pub(super) struct FinerAmounts {
    pub(super) currency: Identifier,
    amounts: Vec<Amount>,
    /// Numbers of decimals that some currency has and some amount may exceed.
    pub(super) units: Vec<u8>,
    of_currency: HashMap<&'static str, u8>,
}

impl FinerAmounts {
    /// `None` for a contract with several currencies or without one, or without amounts.
    pub(super) fn of(contract: &Contract) -> Option<Self> {
        let mut currencies = contract
            .fields
            .iter()
            .filter(|field| matches!(field.kind, FieldType::Currency { .. }));
        let currency = currencies.next()?.column.clone();
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
                    column: field.column.clone(),
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

    pub(super) fn columns(&self) -> impl Iterator<Item = &Identifier> {
        let amounts = self.amounts.iter().map(|amount| &amount.column);
        std::iter::once(&self.currency).chain(amounts)
    }

    /// For each number of decimals: whether a row's amounts have more.
    pub(super) fn conditions(&self) -> impl Iterator<Item = String> {
        self.units.iter().map(|units| {
            let amounts = self.amounts.iter().filter(|amount| amount.scale > *units);
            let finer = amounts.map(|amount| amount.is_finer_than(*units));
            finer.collect::<Vec<_>>().join(" OR ")
        })
    }

    /// The currencies that the condition at `index` counts for, as SQL literals.
    pub(super) fn codes(&self, index: usize) -> String {
        let codes = self.of_currency.iter();
        let codes = codes.filter(|(_, units)| **units == self.units[index]);
        let codes: Vec<String> = codes.map(|(code, _)| ledger::quoted(code)).collect();
        codes.join(", ")
    }

    /// Which of the conditions counts for `currency`.
    pub(super) fn condition_for(&self, currency: &str) -> Option<usize> {
        let units = self.of_currency.get(currency)?;
        self.units.binary_search(units).ok()
    }
}

#[derive(Debug)]
struct Amount {
    column: Identifier,
    precision: u8,
    scale: u8,
}

impl Amount {
    fn is_finer_than(&self, units: u8) -> String {
        let column = self.column.quoted();
        // A remainder is one division of integers, as long as there is a digit before the point: else DuckDB
        // takes it in floating point, and there is not always room to widen the column.
        let wide = match (self.precision, self.scale) {
            (DecimalWidth::MOST, DecimalWidth::MOST) => {
                let zeros = "0".repeat(usize::from(self.scale - units));
                return format!("NOT suffix({column}::VARCHAR, '{zeros}')");
            }
            (precision, scale) if precision == scale => {
                format!("{column}::DECIMAL({},{scale})", precision + 1)
            }
            _ => column,
        };
        format!(
            "{wide} % '1e-{units}'::DECIMAL({width},{units}) <> 0",
            width = units + 1
        )
    }
}
