//! Ageing, repayments, and until when data reaches: figures of the views.

use super::{
    format::{Amount, Zone, count},
    sources::{Choice, Sources},
};
use crate::error::Result;

/// What is negative now, by how long.
#[derive(Debug)]
pub(super) struct Ageing {
    pub(super) as_of: String,
    pub(super) rows: Vec<AgeingRow>,
}

/// A bucket.
#[derive(Debug)]
pub(super) struct AgeingRow {
    pub(super) currency: String,
    pub(super) measure: &'static str,
    pub(super) bucket: String,
    pub(super) accounts: String,
    pub(super) amount: Amount,
    /// Of 100, of the currency's and measure's largest bucket.
    pub(super) bar: u32,
    /// Accounts whose amount is the last known; empty for none.
    pub(super) last_known: String,
}

const AGEING: &str = "\
SELECT currency, measure, bucket, count(DISTINCT account_id)::UBIGINT, sum(amount)::VARCHAR, \
       (100 * abs(sum(amount)) / nullif(max(abs(sum(amount))) OVER (PARTITION BY currency, measure), 0))::DOUBLE, \
       count(*) FILTER (amount_is_last_known)::UBIGINT, max(as_of)::VARCHAR \
FROM negative_ageing GROUP BY currency, measure, bucket ORDER BY currency, measure DESC, min(age_days)";

impl Ageing {
    /// `None` where the view is not there.
    pub(super) fn read(sources: &Sources<'_>, choice: Choice) -> Result<Option<Self>> {
        if !sources.has_view("negative_ageing")? {
            return Ok(None);
        }
        let mut as_of = String::new();
        let mut rows = sources.ask(AGEING, &[], |row| {
            as_of = row.get::<_, Option<String>>(7)?.unwrap_or_default();
            let share = row.get::<_, Option<f64>>(5)?.unwrap_or_default();
            Ok(AgeingRow {
                currency: row.get(0)?,
                measure: measure(&row.get::<_, String>(1)?, choice),
                bucket: row.get::<_, String>(2)?.replace('-', "–"),
                accounts: count(row.get(3)?),
                amount: Amount::of(&row.get::<_, String>(4)?),
                bar: share.clamp(0.0, 100.0) as u32,
                last_known: match row.get(6)? {
                    0 => String::new(),
                    of => count(of),
                },
            })
        })?;
        Amount::align(rows.iter_mut().map(|row| &mut row.amount));
        Ok(Some(Self { as_of, rows }))
    }
}

/// Repayments by what the last one of each account left.
#[derive(Debug)]
pub(super) struct Repayments {
    pub(super) rows: Vec<RepaymentRow>,
    /// Told again with other amounts; empty for none.
    pub(super) restated: String,
}

/// A currency, measure and status.
#[derive(Debug)]
pub(super) struct RepaymentRow {
    pub(super) currency: String,
    pub(super) measure: &'static str,
    pub(super) status: &'static str,
    pub(super) accounts: String,
    pub(super) settled: Amount,
    pub(super) unpaid: Amount,
}

const REPAYMENTS: &str = "\
SELECT currency, measure, status, count(*)::UBIGINT, sum(settled_in_all)::VARCHAR, sum(unpaid)::VARCHAR \
FROM repayment_status GROUP BY currency, measure, status \
ORDER BY currency, measure DESC, array_position(['unpaid', 'partly paid', 'paid', 'nothing owed'], status)";

impl Repayments {
    /// `None` where the views are not there.
    pub(super) fn read(sources: &Sources<'_>, choice: Choice) -> Result<Option<Self>> {
        if !sources.has_view("repayment_status")? || !sources.has_view("repayment")? {
            return Ok(None);
        }
        let words = choice.words();
        let mut rows = sources.ask(REPAYMENTS, &[], |row| {
            Ok(RepaymentRow {
                currency: row.get(0)?,
                measure: measure(&row.get::<_, String>(1)?, choice),
                status: match row.get::<_, String>(2)?.as_str() {
                    "unpaid" => words.is_unpaid,
                    "partly paid" => words.partly_paid,
                    "paid" => words.paid,
                    _ => words.nothing_owed,
                },
                accounts: count(row.get(3)?),
                settled: Amount::of(&row.get::<_, String>(4)?),
                unpaid: Amount::of(&row.get::<_, String>(5)?),
            })
        })?;
        Amount::align(rows.iter_mut().map(|row| &mut row.settled));
        Amount::align(rows.iter_mut().map(|row| &mut row.unpaid));
        let restated = "SELECT count(*)::UBIGINT FROM repayment WHERE is_restated";
        let restated = sources.ask(restated, &[], |row| row.get(0))?;
        Ok(Some(Self {
            rows,
            restated: match restated.first() {
                None | Some(0) => String::new(),
                Some(of) => count(*of),
            },
        }))
    }
}

fn measure(name: &str, choice: Choice) -> &'static str {
    match name {
        "card" => choice.words().card,
        _ => choice.words().budget,
    }
}

/// The newest time that rows speak of, by dataset.
pub(super) fn reaches(sources: &Sources<'_>, zone: &Zone) -> Result<Vec<(&'static str, String)>> {
    let asked = [
        (
            "account_negative",
            "account_negative_snapshot",
            "SELECT epoch_us(max(taken_at)) FROM account_negative_snapshot",
        ),
        (
            "account_repayment",
            "repayment",
            "SELECT epoch_us(max(repay_time)) FROM repayment",
        ),
        (
            "account_negative_bill",
            "bill",
            "SELECT epoch_us(max(create_time)) FROM bill",
        ),
    ];
    let mut reaches = Vec::new();
    for (dataset, view, sql) in asked {
        if sources.has_view(view)? {
            let newest = sources.ask(sql, &[], |row| row.get::<_, Option<i64>>(0))?;
            let newest = newest.into_iter().flatten().next();
            reaches.extend(newest.map(|at| (dataset, zone.time(at))));
        }
    }
    Ok(reaches)
}
