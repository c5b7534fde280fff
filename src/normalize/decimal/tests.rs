use proptest::prelude::*;
use rust_decimal::Decimal;

use super::{decimal, long, short};
use crate::rejection::RejectionCode::{
    self, ExcessPrecision, ExcessScale, InvalidDecimal, OutOfRange,
};

fn code(cell: &[u8], precision: u8, scale: u8) -> Result<i128, RejectionCode> {
    decimal(cell, precision, scale, None, None).map_err(|fault| fault.code)
}

#[test]
fn plain_numbers_are_exact() {
    let nines = "9".repeat(38);
    let all_nines: i128 = nines.parse().expect("38 digits fit");
    let table: &[(&str, u8, u8, i128)] = &[
        ("0", 18, 4, 0),
        ("-0", 18, 4, 0),
        ("-0.000", 18, 4, 0),
        ("+0.0", 1, 0, 0),
        ("1", 18, 4, 10_000),
        ("-1234.5", 18, 4, -12_345_000),
        ("+1.2300", 10, 2, 123),
        (" 1.5  ", 10, 2, 150),
        (".5", 10, 2, 50),
        ("-.5", 10, 2, -50),
        ("5.", 10, 2, 500),
        ("5.", 10, 0, 5),
        (
            "000000000000000000000000000000000000000000000007.10",
            3,
            2,
            710,
        ),
        (
            "1.20000000000000000000000000000000000000000000000000",
            3,
            2,
            120,
        ),
        ("0.01", 2, 2, 1),
        ("99999999999999.9999", 18, 4, 999_999_999_999_999_999),
        ("-99999999999999.9999", 18, 4, -999_999_999_999_999_999),
        ("9999999999999999999", 19, 0, 9_999_999_999_999_999_999),
        (&nines, 38, 0, all_nines),
        ("1", 38, 37, 10_i128.pow(37)),
    ];
    for (text, precision, scale, value) in table {
        assert_eq!(
            code(text.as_bytes(), *precision, *scale),
            Ok(*value),
            "{text} as DECIMAL({precision},{scale})"
        );
    }
    let tiny = format!("-0.{nines}");
    assert_eq!(code(tiny.as_bytes(), 38, 38), Ok(-all_nines));
    let both = format!("{}.{}", &nines[..20], &nines[..18]);
    assert_eq!(code(both.as_bytes(), 38, 18), Ok(all_nines));
}

#[test]
fn anything_but_a_plain_number_is_rejected() {
    let table = [
        "",
        " ",
        "-",
        "+",
        ".",
        "-.",
        "+-1",
        "--1",
        "- 1",
        "1-",
        "1 2",
        "1e3",
        "1E3",
        "1.5e-2",
        "1,234.50",
        "1.234,50",
        "1_000",
        "1'000",
        "NaN",
        "inf",
        "$1",
        "1 USD",
        "(1.00)",
        "0x1F",
        "1.2.3",
        "..",
        "\t1",
        "1\t",
        "\u{a0}1",
        "１２",
        "−1",
        "1\0",
        "null",
        "1.5%",
        "¥5",
        "123456789012345678901234567890x",
        "1._5",
    ];
    for text in table {
        assert_eq!(
            code(text.as_bytes(), 18, 4),
            Err(InvalidDecimal),
            "{text:?}"
        );
    }
    assert_eq!(code(b"\xFF\xFE1", 18, 4), Err(InvalidDecimal));
}

#[test]
fn digits_beyond_the_contract_are_rejected_not_rounded() {
    let table = [
        ("1.239", 10, 2, ExcessScale),
        ("0.00001", 18, 4, ExcessScale),
        ("0.5", 10, 0, ExcessScale),
        ("123456789.00", 10, 2, ExcessPrecision),
        ("-100000000000000", 18, 4, ExcessPrecision),
        ("1", 2, 2, ExcessPrecision),
        (
            "100000000000000000000000000000000000000",
            38,
            0,
            ExcessPrecision,
        ),
        ("1e40", 38, 0, InvalidDecimal),
        ("123456789.001", 10, 2, ExcessScale),
    ];
    for (text, precision, scale, expected) in table {
        assert_eq!(
            code(text.as_bytes(), precision, scale),
            Err(expected),
            "{text} as DECIMAL({precision},{scale})"
        );
    }
}

#[test]
fn messages_count_and_never_quote() {
    let message = |cell: &[u8], precision, scale, min, max| {
        decimal(cell, precision, scale, min, max)
            .expect_err("a fault")
            .message
    };
    assert_eq!(
        message(b"7.12900", 10, 2, None, None),
        "3 decimals where 2 are allowed"
    );
    assert_eq!(
        message(b"7.1", 10, 0, None, None),
        "1 decimal where none are allowed"
    );
    assert_eq!(
        message(b"777777777", 10, 2, None, None),
        "9 digits before the point where 8 are allowed"
    );
    assert_eq!(message(b"-7", 10, 2, Some(0), None), "less than 0");
    assert_eq!(message(b"7", 10, 2, None, Some(650)), "more than 6.5");
    assert_eq!(
        message(b"7", 10, 2, Some(-5), Some(100)),
        "not from -0.05 to 1"
    );
    assert!(message(b"7e5", 10, 2, None, None).contains("exponent"));
    assert!(message(b"7,000", 10, 2, None, None).contains("separator"));
}

#[test]
fn bounds_are_inclusive() {
    let bounded =
        |cell: &[u8]| decimal(cell, 10, 2, Some(-150), Some(0)).map_err(|fault| fault.code);
    assert_eq!(bounded(b"-1.5"), Ok(-150));
    assert_eq!(bounded(b"0"), Ok(0));
    assert_eq!(bounded(b"-1.51"), Err(OutOfRange));
    assert_eq!(bounded(b"0.01"), Err(OutOfRange));
}

/// What a cell is worth, by moving characters only: the number's digits at `scale`, as text.
fn by_text(text: &str, precision: u8, scale: u8) -> Result<i128, RejectionCode> {
    let text = text.trim_matches(' ');
    let (sign, number) = match text.chars().next() {
        Some('-') => ("-", &text[1..]),
        Some('+') => ("", &text[1..]),
        _ => ("", text),
    };
    let parts: Vec<&str> = number.split('.').collect();
    let (whole, decimals) = match parts[..] {
        [whole] => (whole, ""),
        [whole, decimals] => (whole, decimals),
        _ => return Err(InvalidDecimal),
    };
    let all = format!("{whole}{decimals}");
    if all.is_empty() || !all.chars().all(|c| c.is_ascii_digit()) {
        return Err(InvalidDecimal);
    }
    let (whole, decimals) = (
        whole.trim_start_matches('0'),
        decimals.trim_end_matches('0'),
    );
    if decimals.len() > usize::from(scale) {
        return Err(ExcessScale);
    }
    if whole.len() > usize::from(precision - scale) {
        return Err(ExcessPrecision);
    }
    let digits = format!(
        "{sign}{whole}{decimals:0<width$}",
        width = usize::from(scale)
    );
    match digits.trim_start_matches('-').is_empty() {
        true => Ok(0),
        false => Ok(digits.parse().expect("at most 38 digits")),
    }
}

fn near_numbers() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => r" {0,2}[+-]?[0-9]{0,22}\.?[0-9]{0,22} {0,2}",
        2 => r"[+-]?0{0,30}[0-9]{0,12}\.?[0-9]{0,6}0{0,30}",
        2 => r"[+-]?[0-9]{0,12}\.?[0-9]{0,6}",
        1 => r"[-+0-9._eE, ]{0,24}",
        1 => r"\PC{0,16}",
    ]
}

fn contracts() -> impl Strategy<Value = (u8, u8)> {
    (1_u8..=38).prop_flat_map(|precision| (Just(precision), 0..=precision))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn moving_characters_gives_the_same(text in near_numbers(), (precision, scale) in contracts()) {
        prop_assert_eq!(code(text.as_bytes(), precision, scale), by_text(&text, precision, scale));
    }

    #[test]
    fn rust_decimal_takes_the_same_numbers_for_the_same_values(text in near_numbers()) {
        let text = text.trim_matches(' ');
        let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        if decimals > 28 || digits > 28 || text.contains('_') {
            return Ok(());
        }
        let reference = Decimal::from_str_exact(text).ok();
        // 38 digits hold any 28 before the point only at a scale of 10.
        let scale = if decimals <= 10 { 10 } else { 28 };
        let ours = code(text.as_bytes(), 38, scale);
        match (reference, ours) {
            (None, ours) => prop_assert_eq!(ours, Err(InvalidDecimal)),
            (Some(_), Err(fault)) => prop_assert!(
                fault == ExcessPrecision && digits - decimals > usize::from(38 - scale),
                "{} is {}", text, fault
            ),
            (Some(reference), Ok(ours)) => {
                let scaled = reference.mantissa() * 10_i128.pow(u32::from(scale) - reference.scale());
                prop_assert_eq!(ours, scaled);
            }
        }
    }

    #[test]
    fn the_short_way_agrees_with_the_long_way(text in near_numbers(), (precision, scale) in contracts()) {
        if let Some(value) = short(text.as_bytes(), precision, scale) {
            prop_assert_eq!(long(text.as_bytes(), precision, scale), Ok(value));
        }
    }

    #[test]
    fn no_bytes_and_no_type_panic(
        cell in prop::collection::vec(any::<u8>(), 0..64),
        precision: u8, scale: u8, min: Option<i128>, max: Option<i128>,
    ) {
        let _ = decimal(&cell, precision, scale, min, max);
    }

    #[test]
    fn any_digits_and_any_type_do_not_panic(text in near_numbers(), precision: u8, scale: u8) {
        let _ = decimal(text.as_bytes(), precision, scale, Some(1), Some(0));
    }
}
