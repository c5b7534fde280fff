//! Figures, times and addresses as the pages write them.

use std::fmt;

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

/// An exact amount of money as a page shows it: its thousands apart, and no more than two zeros that say nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Amount {
    shown: String,
    /// Digits that the longest of its column has more: room that is kept, so that points stay below each other.
    room: usize,
}

impl Amount {
    /// Of a decimal as the engine writes it: `-75952.0000` is `-75,952.00`, `0.1250` itself.
    pub(super) fn of(exact: &str) -> Self {
        let (sign, digits) = match exact.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", exact),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let shown = match fraction.trim_end_matches('0').len() {
            ..=2 => &fraction[..fraction.len().min(2)],
            _ => fraction,
        };
        let point = if shown.is_empty() { "" } else { "." };
        Self {
            shown: format!("{sign}{}{point}{shown}", thousands(whole)),
            room: 0,
        }
    }

    /// Without room behind it.
    pub(super) fn as_str(&self) -> &str {
        &self.shown
    }

    fn decimals(&self) -> usize {
        self.shown.split_once('.').map_or(0, |(_, of)| of.len())
    }

    /// Keeps the points of a column below each other.
    pub(super) fn align<'a>(column: impl Iterator<Item = &'a mut Self>) {
        let column: Vec<&mut Self> = column.collect();
        let most = column.iter().map(|of| of.decimals()).max().unwrap_or(0);
        for of in column {
            of.room = most - of.decimals();
        }
    }
}

/// As HTML.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)?;
        match self.room {
            0 => Ok(()),
            room => write!(
                f,
                "<span class=\"room\" aria-hidden=\"true\">{}</span>",
                "0".repeat(room)
            ),
        }
    }
}

/// Digits, points and its own span.
impl askama::filters::HtmlSafe for Amount {}

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
        for (exact, shown) in [
            ("-75952.0000", "-75,952.00"),
            ("0.1250", "0.1250"),
            ("1234567.1", "1,234,567.1"),
            ("100", "100"),
            ("-1000.0001", "-1,000.0001"),
            ("0.0000", "0.00"),
        ] {
            assert_eq!(Amount::of(exact).to_string(), shown);
        }
    }

    #[test]
    fn points_of_a_column_stay_below_each_other() {
        let mut column = ["-1.0000", "2.1250"].map(Amount::of);
        Amount::align(column.iter_mut());
        let room = "<span class=\"room\" aria-hidden=\"true\">00</span>";
        assert_eq!(column[0].to_string(), format!("-1.00{room}"));
        assert_eq!(column[1].to_string(), "2.1250");
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
