//! Figures, times and addresses as the pages write them.

use jiff::{
    Timestamp,
    civil::Date,
    tz::{TimeZone, TimeZoneDatabase},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The reporting time zone.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    pub(super) name: String,
    zone: TimeZone,
}

impl Zone {
    /// By its IANA name, which the settings have been checked for.
    pub(super) fn new(name: &str) -> Self {
        let zone = TimeZoneDatabase::bundled().get(name);
        Self {
            name: name.to_owned(),
            zone: zone.unwrap_or(TimeZone::UTC),
        }
    }

    /// The day that epoch microseconds are in.
    pub(super) fn day(&self, micros: i64) -> Date {
        self.at(micros).date()
    }

    /// Such as `2026-11-26 23:58`.
    pub(super) fn time(&self, micros: i64) -> String {
        self.at(micros).strftime("%Y-%m-%d %H:%M").to_string()
    }

    fn at(&self, micros: i64) -> jiff::Zoned {
        let time = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
        time.to_zoned(self.zone.clone())
    }
}

/// An exact decimal with its thousands apart and no more than two zeros that say nothing: `-75,952.00`, `0.1250`.
pub(super) fn amount(exact: &str) -> String {
    let (sign, digits) = match exact.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", exact),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let says = fraction.trim_end_matches('0').len();
    // Two digits or all: a column stays in line as far as it can.
    let shown = match says {
        ..=2 => &fraction[..fraction.len().min(2)],
        _ => fraction,
    };
    let point = if shown.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{shown}", thousands(whole))
}

/// A count with its thousands apart.
pub(super) fn count(of: u64) -> String {
    thousands(&of.to_string())
}

fn thousands(digits: &str) -> String {
    let mut apart = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

/// What a batch's place in a page is called: only what needs no escape in an address.
pub(super) fn anchor(dataset: &str, batch_no: &str) -> String {
    format!("batch-{}-{}", plain(dataset), plain(batch_no))
}

fn plain(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {
            char::from(byte).to_string()
        }
        byte => format!("~{byte:02X}"),
    });
    escaped.collect()
}

/// Text as a part of an address.
pub(super) fn in_address(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_every_digit_that_says_something() {
        let said = [
            "-75952.0000",
            "0.1250",
            "1234567.1",
            "100",
            "-1000.0001",
            "0.0000",
        ]
        .map(amount);
        assert_eq!(
            said,
            [
                "-75,952.00",
                "0.1250",
                "1,234,567.1",
                "100",
                "-1,000.0001",
                "0.00"
            ]
        );
    }

    #[test]
    fn a_day_is_of_the_zone() {
        // 2026-03-30T16:36:00Z
        let at = 1_774_888_560_000_000;
        assert_eq!(Zone::new("UTC").time(at), "2026-03-30 16:36");
        assert_eq!(Zone::new("Asia/Shanghai").time(at), "2026-03-31 00:36");
        assert_eq!(
            Zone::new("Asia/Shanghai").day(at),
            jiff::civil::date(2026, 3, 31)
        );
    }

    #[test]
    fn what_names_a_place_needs_no_escape() {
        assert_eq!(anchor("own", "B 1/批"), "batch-own-B~201~2F~E6~89~B9");
        assert_eq!(in_address("B 1").to_string(), "B%201");
    }
}
