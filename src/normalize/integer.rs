//! Whole numbers.

use std::borrow::Cow;

use crate::rejection::{CellFault, RejectionCode};

use super::{lookalike::lookalike, trimmed, without_leading_zeros};

/// Most digits that always fit in 64 unsigned bits.
const MAX_DIGITS: usize = 19;

/// A digit run's value, or why it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digits {
    /// Its value.
    Value(u64),
    /// All digits, but more than 19 that count.
    TooMany,
    /// Empty, or something else than digits.
    Other,
}

/// The value of a run of ASCII digits; leading zeros don't count.
#[inline]
pub(super) fn digits(text: &[u8]) -> Digits {
    if text.is_empty() {
        return Digits::Other;
    }
    if text.len() > MAX_DIGITS {
        return many_digits(text);
    }
    let mut value = 0_u64;
    let (eights, rest) = text.as_chunks::<8>();
    for eight in eights {
        match eight_digits(*eight) {
            Some(next) => value = value * 100_000_000 + next,
            None => return Digits::Other,
        }
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Digits::Other;
        }
        value = value * 10 + u64::from(digit);
    }
    Digits::Value(value)
}

#[cold]
fn many_digits(text: &[u8]) -> Digits {
    if !text.iter().all(u8::is_ascii_digit) {
        return Digits::Other;
    }
    match without_leading_zeros(text) {
        [] => Digits::Value(0),
        text if text.len() <= MAX_DIGITS => digits(text),
        _ => Digits::TooMany,
    }
}

/// Eight digits at once, adding neighbors pairwise in one register.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    let digits = u64::from_le_bytes(text) ^ 0x3030_3030_3030_3030;
    // A byte over 9 has its high bit set, or gets it by adding 0x76.
    if (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul((1_000_000 << 32) + 100);
    let high = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul((10_000 << 32) + 1);
    Some(low.wrapping_add(high) >> 32)
}

/// The whole number in a cell, from `min` to `max`.
///
/// A sign and digits; spaces around them and leading zeros are no fault. `1.0` and `1e3` are not whole
/// numbers: whoever wrote them had no integer.
///
/// # Errors
/// `invalid-integer` for anything else, `out-of-range` outside the bounds or 64 bits.
#[inline]
pub fn integer(cell: &[u8], min: i64, max: i64) -> Result<i64, CellFault> {
    let (negative, number) = match trimmed(cell) {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let value = match digits(number) {
        Digits::Value(value) if negative => 0_i64.checked_sub_unsigned(value),
        Digits::Value(value) => i64::try_from(value).ok(),
        Digits::TooMany => None,
        Digits::Other => {
            return Err(CellFault::new(
                RejectionCode::InvalidInteger,
                not_an_integer(trimmed(cell)),
            ));
        }
    };
    match value {
        Some(value) if (min..=max).contains(&value) => Ok(value),
        _ => Err(out_of_range(min, max)),
    }
}

#[cold]
fn not_an_integer(number: &[u8]) -> Cow<'static, str> {
    lookalike(number).unwrap_or_else(|| {
        "not a whole number: a sign and digits, no point, exponent or separator".into()
    })
}

#[cold]
fn out_of_range(min: i64, max: i64) -> CellFault {
    let message = match (min, max) {
        (i64::MIN, i64::MAX) => "more than 64 bits hold".to_owned(),
        (min, i64::MAX) => format!("less than {min} or more than 64 bits hold"),
        (min, max) => format!("not from {min} to {max}"),
    };
    CellFault::new(RejectionCode::OutOfRange, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Digits, digits, integer};
    use crate::rejection::RejectionCode::{self, InvalidInteger, OutOfRange};

    fn code(cell: &[u8], min: i64, max: i64) -> Result<i64, RejectionCode> {
        integer(cell, min, max).map_err(|fault| fault.code)
    }

    #[test]
    fn whole_numbers_are_taken() {
        let table = [
            ("0", 0),
            ("-0", 0),
            ("+7", 7),
            (" 42 ", 42),
            ("00042", 42),
            ("0000000000000000000000000000000000000000042", 42),
            ("00000000000000000000000000", 0),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("12345678", 12_345_678),
            ("1234567890123456", 1_234_567_890_123_456),
        ];
        for (text, value) in table {
            assert_eq!(
                code(text.as_bytes(), i64::MIN, i64::MAX),
                Ok(value),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_rejected() {
        for text in [
            "",
            " ",
            "-",
            "+",
            "1.0",
            "1.",
            "1e3",
            "1,000",
            "1 000",
            "--1",
            "0x1",
            "1_0",
            "\t1",
            "１",
            "１２３４５６７８",
            "12345678a",
            "1234567a",
            "1234567:",
            "1234567/",
            "/2345678",
            "12345678901234567890123456789x",
            "true",
        ] {
            assert_eq!(
                code(text.as_bytes(), i64::MIN, i64::MAX),
                Err(InvalidInteger),
                "{text:?}"
            );
        }
    }

    #[test]
    fn numbers_beyond_the_bounds_are_rejected() {
        for text in [
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999999",
        ] {
            assert_eq!(
                code(text.as_bytes(), i64::MIN, i64::MAX),
                Err(OutOfRange),
                "{text}"
            );
        }
        assert_eq!(code(b"-1", 0, i64::MAX), Err(OutOfRange));
        assert_eq!(code(b"11", 0, 10), Err(OutOfRange));
        assert_eq!(code(b"10", 0, 10), Ok(10));
        let fault = integer(b"77", 0, 10).expect_err("out of range");
        assert_eq!(fault.message, "not from 0 to 10");
    }

    proptest! {
        #[test]
        fn parsing_agrees_with_the_standard_library(text in r"[+-]?[0-9]{1,24}") {
            prop_assert_eq!(
                integer(text.as_bytes(), i64::MIN, i64::MAX).ok(),
                text.parse::<i64>().ok()
            );
        }

        #[test]
        fn every_number_comes_back(value: i64, min: i64, max: i64) {
            let cell = value.to_string();
            prop_assert_eq!(code(cell.as_bytes(), i64::MIN, i64::MAX), Ok(value));
            prop_assert_eq!(code(cell.as_bytes(), min, max).is_ok(), min <= value && value <= max);
        }

        #[test]
        fn only_digits_are_digits(text in prop::collection::vec(
            prop_oneof![9 => b'0'..=b'9', 1 => any::<u8>()], 0..28
        )) {
            let all_digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
            prop_assert_eq!(digits(&text) != Digits::Other, all_digits);
        }

        #[test]
        fn no_bytes_panic(cell in prop::collection::vec(any::<u8>(), 0..64), min: i64, max: i64) {
            let _ = integer(&cell, min, max);
        }
    }
}
