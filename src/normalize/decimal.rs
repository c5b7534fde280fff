//! Exact decimals.

use std::borrow::Cow;

use crate::rejection::{CellFault, RejectionCode};

use super::{lookalike::lookalike, trimmed, without_leading_zeros};

/// Most digits a DECIMAL holds.
const MAX_PRECISION: u8 = 38;

/// Every power of ten that fits in 64 bits.
const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// The exact value of a decimal cell in units of 10^-`scale`: `-1.5` at scale 4 is `-15000`.
///
/// A sign, digits, a point and digits, as `rust_decimal::Decimal::from_str_exact` takes them (so `.5` and
/// `5.` are numbers), but for `_`, which it skips and this rejects. Spaces around the number and zeros
/// that don't change it are no fault: `0001.2300` is fine at scale 2. `-0` is `0`.
///
/// `precision` is 1 to 38, `scale` at most `precision`; `min` and `max` are in the same units as the result.
///
/// # Errors
/// `invalid-decimal` for anything that is not a plain number, `excess-scale` for more significant decimals
/// than `scale`, `excess-precision` for more digits before the point than `precision - scale`,
/// `out-of-range` outside `min` and `max`; where several hold, the first of these.
///
/// ```
/// use redledger::normalize::decimal;
/// assert_eq!(decimal(b"-1234.50", 18, 4, None, None), Ok(-12_345_000));
/// assert!(decimal(b"1.239", 10, 2, None, None).is_err());
/// ```
#[inline]
pub fn decimal(
    cell: &[u8],
    precision: u8,
    scale: u8,
    min: Option<i128>,
    max: Option<i128>,
) -> Result<i128, CellFault> {
    let value = match short(cell, precision, scale) {
        Some(value) => value,
        None => long(cell, precision, scale)?,
    };
    if min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max) {
        return Err(out_of_range(scale, min, max));
    }
    Ok(value)
}

/// The sign and what follows it.
#[inline]
fn signed(cell: &[u8]) -> (bool, &[u8]) {
    match trimmed(cell) {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

/// The usual case in 64 bits: at most 18 digits and a point, no more decimals than `scale`.
///
/// `None` decides nothing: [`long`] finds the value or the fault.
#[inline]
fn short(cell: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (negative, number) = signed(cell);
    // 19 digits fit in 64 bits, so a number without a point may have one more.
    if number.len() > 19 {
        return None;
    }
    let mut value = 0_u64;
    let mut point = None;
    for (at, byte) in number.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + u64::from(digit);
        } else if *byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    let decimals = match point {
        Some(_) if number.len() == 1 => return None,
        Some(at) => number.len() - at - 1,
        None if number.is_empty() => return None,
        None => 0,
    };
    let missing = usize::from(scale).checked_sub(decimals)?;
    let value = value.checked_mul(*POWERS.get(missing)?)?;
    // As x < 10^(precision - scale) exactly when x * 10^scale < 10^precision, one comparison will do.
    match POWERS.get(usize::from(precision)) {
        Some(limit) if value >= *limit => return None,
        None if precision > MAX_PRECISION => return None,
        _ => {}
    }
    let value = i128::from(value);
    Some(if negative { -value } else { value })
}

/// Every case, digit by digit.
#[inline(never)]
fn long(cell: &[u8], precision: u8, scale: u8) -> Result<i128, CellFault> {
    let (negative, number) = signed(cell);
    let point = number.iter().position(|byte| *byte == b'.');
    let (whole, decimals) = match point {
        Some(at) => (&number[..at], &number[at + 1..]),
        None => (number, &[][..]),
    };
    let mut digits = whole.iter().chain(decimals);
    if whole.len() + decimals.len() == 0 || !digits.all(u8::is_ascii_digit) {
        return Err(CellFault::new(
            RejectionCode::InvalidDecimal,
            not_a_decimal(trimmed(cell)),
        ));
    }
    let whole = without_leading_zeros(whole);
    let mut decimals = decimals;
    while let [rest @ .., b'0'] = decimals {
        decimals = rest;
    }
    let precision = precision.min(MAX_PRECISION);
    if decimals.len() > usize::from(scale) {
        return Err(too_many(
            RejectionCode::ExcessScale,
            decimals.len(),
            usize::from(scale),
            "decimal",
            "",
        ));
    }
    let room = usize::from(precision.saturating_sub(scale));
    if whole.len() > room {
        return Err(too_many(
            RejectionCode::ExcessPrecision,
            whole.len(),
            room,
            "digit",
            " before the point",
        ));
    }
    // At most `precision` digits from here on, and 10^38 is below 2^127.
    let zeros = (usize::from(scale) - decimals.len()).min(usize::from(MAX_PRECISION));
    let value = whole
        .iter()
        .chain(decimals)
        .chain(std::iter::repeat_n(&b'0', zeros))
        .fold(0_i128, |value, digit| {
            value
                .wrapping_mul(10)
                .wrapping_add(i128::from(digit & 0x0F))
        });
    Ok(if negative { -value } else { value })
}

#[cold]
fn too_many(
    code: RejectionCode,
    found: usize,
    allowed: usize,
    noun: &str,
    place: &str,
) -> CellFault {
    let plural = if found == 1 { "" } else { "s" };
    let are = if allowed == 1 { "is" } else { "are" };
    let message = if allowed == 0 {
        format!("{found} {noun}{plural}{place} where none are allowed")
    } else {
        format!("{found} {noun}{plural}{place} where {allowed} {are} allowed")
    };
    CellFault::new(code, message)
}

#[cold]
fn out_of_range(scale: u8, min: Option<i128>, max: Option<i128>) -> CellFault {
    let message = match (min, max) {
        (Some(min), Some(max)) => format!(
            "not from {} to {}",
            in_units(min, scale),
            in_units(max, scale)
        ),
        (Some(min), None) => format!("less than {}", in_units(min, scale)),
        (None, Some(max)) => format!("more than {}", in_units(max, scale)),
        (None, None) => "outside its bounds".to_owned(),
    };
    CellFault::new(RejectionCode::OutOfRange, message)
}

/// A contract's bound as people write it.
fn in_units(value: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, decimals) = digits.split_at(digits.len() - scale);
    let decimals = decimals.trim_end_matches('0');
    let point = if decimals.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{decimals}")
}

/// What keeps `number` from being one, in words that help to find who wrote it.
#[cold]
fn not_a_decimal(number: &[u8]) -> Cow<'static, str> {
    if number.is_empty() {
        return "empty where a decimal number is expected".into();
    }
    lookalike(number)
        .unwrap_or_else(|| "not a plain decimal number: a sign, digits and a point".into())
}

#[cfg(test)]
mod tests;
