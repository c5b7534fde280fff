//! Amounts and whole numbers: what is taken, and what is refused and why, is what slow arithmetic in 128 bits
//! says; what `rust_decimal` can hold, it reads the same.
#![cfg_attr(fuzzing, no_main)]

use redledger::{
    normalize::{decimal, integer},
    rejection::RejectionCode,
};
use rust_decimal::Decimal;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|cell: &[u8]| check(cell));

/// A column of each width that DuckDB stores, and the edges: precision, scale.
const COLUMNS: [(u8, u8); 11] = [
    (1, 0),
    (1, 1),
    (4, 2),
    (9, 9),
    (10, 0),
    (18, 4),
    (18, 18),
    (19, 0),
    (38, 0),
    (38, 10),
    (38, 38),
];

/// `input` is one cell.
pub(crate) fn check(cell: &[u8]) {
    for (precision, scale) in COLUMNS {
        let expected = reference(cell, precision, scale);
        let found = decimal(cell, precision, scale, None, None);
        assert_eq!(
            found.as_ref().map_err(|fault| fault.code).copied(),
            expected,
            "DECIMAL({precision},{scale})"
        );
        let Ok(units) = found else { continue };
        compare_with_rust_decimal(cell, scale, units);
        // Bounds are part of the range, and what is next to them is not.
        let bounded = |min, max| {
            decimal(cell, precision, scale, Some(min), Some(max)).map_err(|fault| fault.code)
        };
        assert_eq!(bounded(units, units), Ok(units));
        assert_eq!(
            bounded(units + 1, i128::MAX),
            Err(RejectionCode::OutOfRange)
        );
        assert_eq!(
            bounded(i128::MIN, units - 1),
            Err(RejectionCode::OutOfRange)
        );
    }
    for (min, max) in [(i64::MIN, i64::MAX), (0, i64::MAX), (-99, 1_000)] {
        let found = integer(cell, min, max).map_err(|fault| fault.code);
        assert_eq!(found, whole_number(cell, min, max), "from {min} to {max}");
    }
}

fn trimmed(cell: &[u8]) -> &[u8] {
    let start = cell.iter().take_while(|byte| **byte == b' ').count();
    let end = cell.iter().rev().take_while(|byte| **byte == b' ').count();
    &cell[start..cell.len().max(start + end) - end]
}

fn signed(cell: &[u8]) -> (i128, &[u8]) {
    match trimmed(cell) {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    }
}

/// The number that a run of digits is; `None` where 128 bits don't hold it.
fn number(digits: &[u8]) -> Option<i128> {
    digits.iter().try_fold(0_i128, |number, digit| {
        number
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))
    })
}

/// Units of 10^-scale, by the documentation of `decimal`.
fn reference(cell: &[u8], precision: u8, scale: u8) -> Result<i128, RejectionCode> {
    let (sign, text) = signed(cell);
    let parts: Vec<&[u8]> = text.split(|byte| *byte == b'.').collect();
    let (whole, decimals) = match parts.as_slice() {
        [whole] => (*whole, &[][..]),
        [whole, decimals] => (*whole, *decimals),
        _ => return Err(RejectionCode::InvalidDecimal),
    };
    let digits = [whole, decimals].concat();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(RejectionCode::InvalidDecimal);
    }
    let zeros_before = whole.iter().take_while(|digit| **digit == b'0').count();
    let zeros_behind = decimals
        .iter()
        .rev()
        .take_while(|digit| **digit == b'0')
        .count();
    let (whole, decimals) = (
        &whole[zeros_before..],
        &decimals[..decimals.len() - zeros_behind],
    );
    if decimals.len() > usize::from(scale) {
        return Err(RejectionCode::ExcessScale);
    }
    if whole.len() > usize::from(precision - scale) {
        return Err(RejectionCode::ExcessPrecision);
    }
    let missing = u32::from(scale) - decimals.len() as u32;
    let units = number(&[whole, decimals].concat())
        .and_then(|number| number.checked_mul(10_i128.pow(missing)));
    Ok(sign * units.expect("38 digits fit in 128 bits"))
}

fn compare_with_rust_decimal(cell: &[u8], scale: u8, units: i128) {
    let text = std::str::from_utf8(trimmed(cell)).expect("a number is ASCII");
    let Ok(number) = Decimal::from_str_exact(text) else {
        // More digits than its 96 bits hold, which is at least 28.
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        assert!(digits > 27, "rust_decimal refuses {text}");
        return;
    };
    let number = number.normalize();
    let power = u32::from(scale) - number.scale();
    assert_eq!(number.mantissa() * 10_i128.pow(power), units, "{text}");
}

fn whole_number(cell: &[u8], min: i64, max: i64) -> Result<i64, RejectionCode> {
    let (sign, digits) = signed(cell);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(RejectionCode::InvalidInteger);
    }
    number(digits)
        .and_then(|number| i64::try_from(sign * number).ok())
        .filter(|number| (min..=max).contains(number))
        .ok_or(RejectionCode::OutOfRange)
}
