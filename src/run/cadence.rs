//! Datasets whose next batch should have come. Batch numbers are dates, not a sequence: that one is
//! missing can't be seen from the numbers, only from the time since the last.

use std::{collections::HashMap, time::Duration};

use duckdb::Connection;
use serde_json::{Value, json};

use crate::{
    config::{Config, Interval},
    contract::Contracts,
    error::Result,
    ledger::{self, NewestBatch},
    wording::iso,
};

/// A dataset that is late.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Late {
    pub(crate) dataset: String,
    expected_every: Interval,
    /// `None`: nothing of it was ever loaded.
    newest: Option<NewestBatch>,
    /// Since the next batch was due.
    by: Option<Duration>,
}

/// The datasets with an `expected_every` whose newest loaded batch is older than that, by name.
///
/// `connection` is the warehouse's; `None` when there is none yet.
///
/// # Errors
/// [`Error::Settings`] when a name is no announced dataset; [`Error::Database`] if the engine fails.
pub(crate) fn late(
    config: &Config,
    contracts: &Contracts,
    connection: Option<&Connection>,
    now: i64,
) -> Result<Vec<Late>> {
    check(config, contracts)?;
    let expected = &config.expected_every;
    let newest = match connection {
        Some(connection) if !expected.is_empty() => ledger::newest_loaded(connection)?,
        _ => HashMap::new(),
    };
    let late = expected.iter().filter_map(|(dataset, every)| {
        let newest = newest.get(dataset).cloned();
        let by = match &newest {
            None => None,
            Some(newest) => Some(overdue(newest.at, *every, now)?),
        };
        Some(Late {
            dataset: dataset.clone(),
            expected_every: *every,
            newest,
            by,
        })
    });
    Ok(late.collect())
}

/// That every `expected_every` is of a dataset that is announced.
///
/// # Errors
/// [`Error::Settings`] when one is not.
pub(crate) fn check(config: &Config, contracts: &Contracts) -> Result<()> {
    let datasets = config.expected_every.keys();
    contracts.check_announced(datasets.map(|name| (name, name)), "expected_every")
}

/// How long ago the batch after one of `at` was due; `None` while it is not.
fn overdue(at: i64, every: Interval, now: i64) -> Option<Duration> {
    let passed = u64::try_from(now.saturating_sub(at)).ok()?;
    Duration::from_micros(passed)
        .checked_sub(every.0)
        .filter(|overdue| !overdue.is_zero())
}

impl Late {
    /// When its newest batch was announced, or else loaded, in epoch microseconds; `None`: there was never one.
    pub(crate) fn newest_at(&self) -> Option<i64> {
        self.newest.as_ref().map(|newest| newest.at)
    }

    /// Such as `account_negative is 3h 5m late: …`.
    pub(crate) fn in_words(&self) -> String {
        let (dataset, every) = (&self.dataset, self.expected_every);
        match (&self.newest, self.by) {
            (Some(newest), Some(by)) => format!(
                "{dataset} is {} late: a batch is expected every {every}, and the newest, {}, is of {}",
                rounded(by),
                newest.batch_no,
                iso(newest.at - newest.at.rem_euclid(1_000_000))
                    .as_str()
                    .unwrap_or("an unknown time")
            ),
            _ => format!(
                "{dataset} is late: a batch is expected every {every}, and none was ever loaded"
            ),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let due = |newest: &NewestBatch| {
            let every = i64::try_from(self.expected_every.0.as_micros()).unwrap_or(i64::MAX);
            iso(newest.at.saturating_add(every))
        };
        json!({
            "dataset": self.dataset,
            "expected_every": self.expected_every.to_string(),
            "newest_batch": self.newest.as_ref().map(|newest| &newest.batch_no),
            "newest_at": self.newest.as_ref().map(|newest| iso(newest.at)),
            "due_at": self.newest.as_ref().map(due),
            "late_seconds": self.by.map(|by| by.as_secs()),
        })
    }
}

/// The two largest units: `2d 3h`, `5m 1s`.
fn rounded(time: Duration) -> String {
    let mut seconds = time.as_secs();
    let mut parts = Vec::new();
    for (unit, name) in [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")] {
        let count = seconds / unit;
        seconds %= unit;
        if count > 0 {
            parts.push(format!("{count}{name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() {
        "less than 1s".into()
    } else {
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_due_one_interval_after_the_one_before() {
        let every = Interval(Duration::from_secs(60));
        let minute = 60_000_000;
        assert_eq!(overdue(0, every, minute - 1), None);
        assert_eq!(overdue(0, every, minute), None);
        assert_eq!(
            overdue(0, every, minute + 1),
            Some(Duration::from_micros(1))
        );
        // A clock that was put back.
        assert_eq!(overdue(minute, every, 0), None);
    }

    #[test]
    fn times_are_said_in_their_two_largest_units() {
        let said = |seconds| rounded(Duration::from_secs(seconds));
        assert_eq!(
            [
                said(0),
                said(59),
                said(61),
                said(3_600),
                said(3_605),
                said(200_000)
            ],
            ["less than 1s", "59s", "1m 1s", "1h", "1h", "2d 7h"]
        );
    }
}
