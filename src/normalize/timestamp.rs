//! Epoch timestamps.

use crate::{
    contract::TimeUnit,
    rejection::{CellFault, RejectionCode},
};

use super::{
    integer::{Digits, digits},
    trimmed,
};

/// The first second taken, 1973-03-03T09:46:40Z: the first with nine digits.
const FIRST_SECOND: u64 = 100_000_000;

/// The first second no longer taken, 5138-11-16T09:46:40Z: the first with twelve digits.
const END_SECOND: u64 = 100_000_000_000;

/// The instant of an epoch timestamp in microseconds since 1970-01-01 UTC.
///
/// A cell is a run of digits in `unit`, with spaces around it or not. The unit is the contract's and is
/// never guessed, so a number that could be a time in another unit must not pass for one. Each count of
/// digits (leading zeros aside) therefore belongs to one unit:
///
/// | digits | unit | instants |
/// | --- | --- | --- |
/// | 9 to 11 | seconds | 1973-03-03T09:46:40Z to 5138-11-16T09:46:39Z |
/// | 12 to 14 | milliseconds | the same |
/// | 15 to 17 | microseconds | the same |
/// | 18 to 19 | nanoseconds | in no contract |
///
/// Fewer digits are the first years after 1970 or, far more likely, not a time at all: `0` for "unset", a
/// count of days, a spreadsheet's serial number. A balance dated 1970 is worse than one in quarantine, so
/// they are rejected; so are negative numbers, which hold placeholders too (year 1 is `-62135596800000`).
/// What is left is far inside what DuckDB's TIMESTAMP holds (290309 BC to 294247).
///
/// # Errors
/// `invalid-timestamp` for anything but digits (dates, `1711785600000.0`, exponents), `timestamp-unit` for
/// another unit's count of digits, `out-of-range` for too few digits, too many, or a negative number.
///
/// ```
/// use redledger::{contract::TimeUnit, normalize::timestamp};
/// assert_eq!(timestamp(b"1711785600000", TimeUnit::Milliseconds), Ok(1_711_785_600_000_000));
/// assert!(timestamp(b"1711785600", TimeUnit::Milliseconds).is_err());
/// ```
#[inline]
pub fn timestamp(cell: &[u8], unit: TimeUnit) -> Result<i64, CellFault> {
    let (per_second, microseconds) = match unit {
        TimeUnit::Seconds => (1, 1_000_000),
        TimeUnit::Milliseconds => (1_000, 1_000),
        TimeUnit::Microseconds => (1_000_000, 1),
    };
    let number = trimmed(cell);
    if let Digits::Value(value) = digits(number)
        && (FIRST_SECOND * per_second..END_SECOND * per_second).contains(&value)
        && let Ok(instant) = i64::try_from(value * microseconds)
    {
        return Ok(instant);
    }
    Err(fault(number, unit))
}

#[cold]
fn fault(number: &[u8], unit: TimeUnit) -> CellFault {
    let expected = match unit {
        TimeUnit::Seconds => "seconds",
        TimeUnit::Milliseconds => "milliseconds",
        TimeUnit::Microseconds => "microseconds",
    };
    let (negative, number) = match number {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let value = match digits(number) {
        Digits::Other => {
            return CellFault::new(
                RejectionCode::InvalidTimestamp,
                format!(
                    "not {expected} since 1970: digits only, no date, point, exponent or separator"
                ),
            );
        }
        Digits::Value(value) if !negative => value,
        Digits::TooMany if !negative => {
            return CellFault::new(
                RejectionCode::OutOfRange,
                "more than 19 digits: later than a TIMESTAMP holds in any unit",
            );
        }
        Digits::Value(_) | Digits::TooMany => {
            return CellFault::new(
                RejectionCode::OutOfRange,
                "a negative number: a time before 1970, or a placeholder for none",
            );
        }
    };
    let count = value.checked_ilog10().map_or(1, |power| power + 1);
    let found = match count {
        ..=8 => {
            return CellFault::new(
                RejectionCode::OutOfRange,
                format!(
                    "too small for {expected} since 1970: a time before 1973-03-03, \
                     a placeholder for none, or no epoch timestamp"
                ),
            );
        }
        9..=11 => "seconds",
        12..=14 => "milliseconds",
        15..=17 => "microseconds",
        _ => "nanoseconds",
    };
    CellFault::new(
        RejectionCode::TimestampUnit,
        format!("looks like {found} ({count} digits) where {expected} are expected"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::timestamp;
    use crate::{
        contract::TimeUnit::{self, Microseconds, Milliseconds, Seconds},
        rejection::RejectionCode::{self, InvalidTimestamp, OutOfRange, TimestampUnit},
    };

    fn code(cell: &[u8], unit: TimeUnit) -> Result<i64, RejectionCode> {
        timestamp(cell, unit).map_err(|fault| fault.code)
    }

    #[test]
    fn declared_units_are_exact() {
        let table = [
            ("1711785600", Seconds, 1_711_785_600_000_000),
            ("1711785600123", Milliseconds, 1_711_785_600_123_000),
            ("1711785600123456", Microseconds, 1_711_785_600_123_456),
            (" 1711785600123 ", Milliseconds, 1_711_785_600_123_000),
            ("0001711785600123", Milliseconds, 1_711_785_600_123_000),
            // 1973-03-03, 2001-09-09 from both sides, 2286-11-20 from both sides, 5138-11-16.
            ("100000000000", Milliseconds, 100_000_000_000_000),
            ("999999999999", Milliseconds, 999_999_999_999_000),
            ("1000000000000", Milliseconds, 1_000_000_000_000_000),
            ("9999999999999", Milliseconds, 9_999_999_999_999_000),
            ("10000000000000", Milliseconds, 10_000_000_000_000_000),
            ("99999999999999", Milliseconds, 99_999_999_999_999_000),
            ("100000000", Seconds, 100_000_000_000_000),
            ("99999999999", Seconds, 99_999_999_999_000_000),
            ("100000000000000", Microseconds, 100_000_000_000_000),
            ("99999999999999999", Microseconds, 99_999_999_999_999_999),
        ];
        for (text, unit, instant) in table {
            assert_eq!(code(text.as_bytes(), unit), Ok(instant), "{text} {unit:?}");
        }
    }

    #[test]
    fn another_units_digits_are_named() {
        let table = [
            ("1711785600", Milliseconds, "looks like seconds (10 digits)"),
            ("171178560", Milliseconds, "looks like seconds (9 digits)"),
            (
                "99999999999",
                Milliseconds,
                "looks like seconds (11 digits)",
            ),
            (
                "1711785600123456",
                Milliseconds,
                "looks like microseconds (16 digits)",
            ),
            (
                "100000000000000",
                Milliseconds,
                "looks like microseconds (15 digits)",
            ),
            (
                "1711785600123456789",
                Milliseconds,
                "looks like nanoseconds (19 digits)",
            ),
            (
                "1711785600123",
                Seconds,
                "looks like milliseconds (13 digits)",
            ),
            ("1711785600123456", Seconds, "looks like microseconds"),
            ("1711785600123456789", Seconds, "looks like nanoseconds"),
            ("1711785600", Microseconds, "looks like seconds"),
            ("1711785600123", Microseconds, "looks like milliseconds"),
            (
                "9999999999999999999",
                Microseconds,
                "looks like nanoseconds (19 digits)",
            ),
        ];
        for (text, unit, start) in table {
            let fault = timestamp(text.as_bytes(), unit).expect_err(text);
            assert_eq!(fault.code, TimestampUnit, "{text} {unit:?}");
            assert!(
                fault.message.starts_with(start),
                "{text}: {}",
                fault.message
            );
        }
    }

    #[test]
    fn placeholders_are_not_times() {
        for text in [
            "0",
            "000",
            "1",
            "45381",
            "20240330",
            "86400000",
            "99999999",
            "-1",
            "-0",
            "-62135596800000",
            "-1711785600123",
            "99999999999999999999",
            "-9999999999999999999999",
        ] {
            for unit in [Seconds, Milliseconds, Microseconds] {
                assert_eq!(
                    code(text.as_bytes(), unit),
                    Err(OutOfRange),
                    "{text} {unit:?}"
                );
            }
        }
    }

    #[test]
    fn anything_but_digits_is_rejected() {
        for text in [
            "",
            " ",
            "-",
            "+1711785600000",
            "1711785600000.0",
            "1.71179E+12",
            "1,711,785,600,000",
            "2024-03-30",
            "2024-03-30T08:00:00Z",
            "1711785600000ms",
            "\t1711785600000",
            "１７１１７８５６００",
            "null",
            "--1",
            "17117856000001711785600000x",
        ] {
            for unit in [Seconds, Milliseconds, Microseconds] {
                assert_eq!(
                    code(text.as_bytes(), unit),
                    Err(InvalidTimestamp),
                    "{text:?} {unit:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_number_is_a_time_in_two_units(power in 0_u32..20, fraction: u64) {
            let value = fraction % 10_u64.saturating_pow(power).max(1);
            let cell = value.to_string();
            let taken = [Seconds, Milliseconds, Microseconds]
                .into_iter()
                .filter(|unit| timestamp(cell.as_bytes(), *unit).is_ok())
                .count();
            prop_assert_eq!(taken, usize::from((9..=17).contains(&cell.len())));
        }

        #[test]
        fn every_instant_since_1973_comes_back(
            instant in 100_000_000_000_000_i64..100_000_000_000_000_000
        ) {
            for (unit, size) in [(Seconds, 1_000_000), (Milliseconds, 1_000), (Microseconds, 1)] {
                let cell = (instant / size).to_string();
                prop_assert_eq!(code(cell.as_bytes(), unit), Ok(instant / size * size));
            }
        }

        #[test]
        fn no_bytes_panic(cell in prop::collection::vec(any::<u8>(), 0..64)) {
            for unit in [Seconds, Milliseconds, Microseconds] {
                let _ = timestamp(&cell, unit);
            }
        }
    }
}
