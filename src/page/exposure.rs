//! What is negative by day, a small chart for each currency and measure.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{
    chart::{self, Line},
    format::{Amount, count},
    sources::{Choice, Sources},
};
use crate::error::Result;

/// Days of exact figures before one has to unfold the rest.
const SHOWN: usize = 7;

/// All of it; `None` in place of it where the view is not there.
#[derive(Debug)]
pub(super) struct Exposure {
    pub(super) charts: Vec<Chart>,
    /// The newest first.
    pub(super) shown: Vec<Row>,
    pub(super) earlier: Vec<Row>,
}

/// A currency and measure over days.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) currency: String,
    pub(super) measure: &'static str,
    pub(super) line: Line,
    pub(super) first: Date,
    pub(super) last: Date,
    /// The newest amount, and the lowest.
    pub(super) newest: String,
    pub(super) lowest: String,
}

/// A day and currency in exact figures.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) day: String,
    pub(super) currency: String,
    pub(super) accounts: String,
    pub(super) card: Amount,
    pub(super) budget: Amount,
    pub(super) batch_no: String,
    pub(super) link: String,
}

/// A day's sums of a currency, exact.
struct Sum {
    day: Date,
    currency: String,
    accounts: u64,
    card: String,
    budget: String,
    batch_no: String,
}

const SQL: &str = "\
SELECT reporting_day::VARCHAR, currency, sum(accounts)::UBIGINT, sum(card_negative)::VARCHAR, sum(budget_negative)::VARCHAR, \
       max(batch_no) \
FROM exposure_by_day WHERE reporting_day > (SELECT max(reporting_day) FROM account_negative_snapshot) - ?::INTEGER GROUP BY reporting_day, currency ORDER BY reporting_day, currency";

impl Exposure {
    /// The last days up to the newest batch's.
    pub(super) fn read(sources: &Sources<'_>, choice: Choice) -> Result<Option<Self>> {
        if !sources.has_view("exposure_by_day")? {
            return Ok(None);
        }
        let sums = sources.ask(SQL, &[&choice.days.to_string()], |row| {
            let day: String = row.get(0)?;
            Ok(Sum {
                day: day.parse().unwrap_or_default(),
                currency: row.get(1)?,
                accounts: row.get(2)?,
                card: row.get(3)?,
                budget: row.get(4)?,
                batch_no: row.get(5)?,
            })
        })?;
        let mut rows: Vec<Row> = sums.iter().rev().map(|sum| row(sum, choice)).collect();
        Amount::align(rows.iter_mut().map(|row| &mut row.card));
        Amount::align(rows.iter_mut().map(|row| &mut row.budget));
        // Whole days.
        let currencies = sums
            .iter()
            .map(|sum| &*sum.currency)
            .collect::<std::collections::BTreeSet<_>>();
        let earlier = rows.split_off(rows.len().min(SHOWN * currencies.len().max(1)));
        Ok(Some(Self {
            charts: charts(&sums, choice),
            shown: rows,
            earlier,
        }))
    }
}

fn row(sum: &Sum, choice: Choice) -> Row {
    Row {
        day: sum.day.to_string(),
        currency: sum.currency.clone(),
        accounts: count(sum.accounts),
        card: Amount::of(&sum.card),
        budget: Amount::of(&sum.budget),
        link: choice.links.batch("account_negative", &sum.batch_no),
        batch_no: sum.batch_no.clone(),
    }
}

fn charts(sums: &[Sum], choice: Choice) -> Vec<Chart> {
    let (Some(first), Some(last)) = (sums.first(), sums.last()) else {
        return Vec::new();
    };
    let (first, last) = (first.day, last.day);
    let mut by_currency: BTreeMap<&str, Vec<&Sum>> = BTreeMap::new();
    for sum in sums {
        by_currency.entry(&sum.currency).or_default().push(sum);
    }
    let words = choice.words();
    let charts = by_currency.iter().flat_map(|(currency, sums)| {
        type Of = fn(&Sum) -> &str;
        let measures: [(&'static str, Of); 2] = [
            (words.card, |sum| &sum.card),
            (words.budget, |sum| &sum.budget),
        ];
        measures.map(|(measure, of)| {
            let values: BTreeMap<Date, &str> = sums.iter().map(|sum| (sum.day, of(sum))).collect();
            // A drawing needs no more than a float has; figures are text from the engine.
            let drawn = |exact: &&str| exact.parse::<f64>().ok();
            let points: Vec<Option<f64>> = first
                .series(jiff::Span::new().days(1))
                .take_while(|day| *day <= last)
                .map(|day| values.get(&day).and_then(drawn))
                .collect();
            let lowest = values
                .values()
                .min_by(|a, b| drawn(a).unwrap_or(0.0).total_cmp(&drawn(b).unwrap_or(0.0)));
            Chart {
                currency: (*currency).to_owned(),
                measure,
                line: chart::line(&points),
                first,
                last,
                newest: values
                    .values()
                    .next_back()
                    .map_or_else(String::new, |of| Amount::of(of).as_str().to_owned()),
                lowest: lowest.map_or_else(String::new, |of| Amount::of(of).as_str().to_owned()),
            }
        })
    });
    charts.collect()
}
