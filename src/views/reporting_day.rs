//! Days of the reporting time zone, which the engine, without ICU, can't tell itself.
//!
//! One row an overlap of a UTC date with a day of the zone, two a date as a rule, so that a time finds its day by an
//! equality join: range and ASOF joins hang in DuckDB 1.0.

use duckdb::{
    Connection, appender_params_from_iter,
    types::{TimeUnit, Value},
};
use jiff::{
    civil::{Date, date},
    tz::{TimeZone, TimeZoneDatabase},
};

use crate::error::{Error, Result};

const FIRST: Date = date(2000, 1, 1);
const LAST: Date = date(2060, 12, 31);
/// For the fingerprint.
pub(super) const SPAN: &str = "2000-01-01..2060-12-31";

const TABLE: &str = "\
CREATE OR REPLACE TABLE redledger.reporting_day(utc_date DATE, starts_at TIMESTAMP, ends_at TIMESTAMP, day DATE, time_zone VARCHAR);
COMMENT ON TABLE redledger.reporting_day IS 'Days of the reporting time zone, from 2000 to 2060: from starts_at until before ends_at, both within utc_date, it is day there';
COMMENT ON COLUMN redledger.reporting_day.utc_date IS 'The date in UTC';
COMMENT ON COLUMN redledger.reporting_day.starts_at IS 'First moment within that date, UTC';
COMMENT ON COLUMN redledger.reporting_day.ends_at IS 'First moment that no longer belongs, UTC';
COMMENT ON COLUMN redledger.reporting_day.day IS 'The date in the zone';
COMMENT ON COLUMN redledger.reporting_day.time_zone IS 'The IANA name of the zone, such as Asia/Shanghai';";

/// Microseconds of a UTC date.
const DAY: i64 = 86_400_000_000;

/// Part of a UTC date that is in one day of the zone: date and day since 1970, first moment and the one after the last
/// in epoch microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Overlap {
    utc_date: i64,
    day: i64,
    starts_at: i64,
    ends_at: i64,
}

/// Writes the table anew.
pub(super) fn write(connection: &Connection, time_zone: &str) -> Result<()> {
    let zone = TimeZoneDatabase::bundled().get(time_zone);
    let zone = zone.map_err(|_| Error::Settings {
        place: "[reporting] time_zone".into(),
        message: format!("`{time_zone}` is no time zone"),
        hint: None,
    })?;
    let write = || -> duckdb::Result<()> {
        connection.execute_batch(TABLE)?;
        let mut appender = connection.appender_to_db("reporting_day", "redledger")?;
        let moment = |micros| Value::Timestamp(TimeUnit::Microsecond, micros);
        let date = |days: i64| Value::Date32(i32::try_from(days).unwrap_or_default());
        for of in overlaps(&zone, FIRST, LAST) {
            appender.append_row(appender_params_from_iter([
                date(of.utc_date),
                moment(of.starts_at),
                moment(of.ends_at),
                date(of.day),
                Value::Text(time_zone.to_owned()),
            ]))?;
        }
        appender.flush()
    };
    write().map_err(Error::database("write the reporting days"))
}

fn overlaps(zone: &TimeZone, first: Date, last: Date) -> impl Iterator<Item = Overlap> {
    let epoch = date(1970, 1, 1);
    // The first moment of a day, also where midnight is skipped or comes twice.
    let start = move |day: Date| {
        let start = zone.to_ambiguous_zoned(day.at(0, 0, 0, 0)).compatible();
        start.map_or(i64::MAX, |start| start.timestamp().as_microsecond())
    };
    let days = first.series(jiff::Span::new().days(1));
    days.take_while(move |day| *day <= last)
        .flat_map(move |day| {
            let next = day.tomorrow().unwrap_or(day);
            let (starts_at, ends_at) = (start(day), start(next));
            let number = i64::from((day - epoch).get_days());
            let dates = starts_at.div_euclid(DAY)..=(ends_at - 1).div_euclid(DAY);
            // A zone may leave a day out: then it has no moment.
            dates
                .filter(move |_| starts_at < ends_at)
                .map(move |utc_date| Overlap {
                    utc_date,
                    day: number,
                    starts_at: starts_at.max(utc_date * DAY),
                    ends_at: ends_at.min((utc_date + 1) * DAY),
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(zone: &str, first: Date, last: Date) -> Vec<Overlap> {
        let zone = TimeZoneDatabase::bundled().get(zone).expect("a zone");
        overlaps(&zone, first, last).collect()
    }

    #[test]
    fn a_day_of_utc_is_one_and_one_of_shanghai_two_pieces() {
        let day = of("UTC", date(2026, 3, 30), date(2026, 3, 30));
        assert_eq!(day.len(), 1);
        assert_eq!(day[0].ends_at - day[0].starts_at, DAY);
        let day = of("Asia/Shanghai", date(2026, 3, 30), date(2026, 3, 30));
        let hours: Vec<i64> = day
            .iter()
            .map(|of| (of.ends_at - of.starts_at) / 3_600_000_000)
            .collect();
        assert_eq!(hours, [8, 16]);
        assert!(day.iter().all(|of| of.day == day[1].utc_date));
    }

    #[test]
    fn days_have_no_gaps_and_23_24_or_25_hours_also_where_midnight_is_skipped_or_a_day_is() {
        for zone in [
            "Europe/Berlin",
            "America/Sao_Paulo",
            "Asia/Beirut",
            "Pacific/Apia",
            "Asia/Kathmandu",
            "Africa/Cairo",
        ] {
            let all = of(zone, date(2010, 1, 1), date(2030, 12, 31));
            for pair in all.windows(2) {
                assert_eq!(pair[0].ends_at, pair[1].starts_at, "{zone}: {pair:?}");
                assert!(pair[0].day <= pair[1].day, "{zone}: {pair:?}");
            }
            for piece in &all {
                assert!(
                    piece.starts_at.div_euclid(DAY) == piece.utc_date
                        && (piece.ends_at - 1).div_euclid(DAY) == piece.utc_date
                );
            }
        }
    }
}
