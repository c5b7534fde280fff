use proptest::prelude::*;

use super::{Codes, Currencies, boolean, iso_minor_units, minor_units};
use crate::rejection::RejectionCode::NotAllowed;

fn codes(values: &[(&str, &str)], numeric: bool) -> Codes {
    let values: Vec<_> = values
        .iter()
        .map(|(code, meaning)| ((*code).to_owned(), (*meaning).to_owned()))
        .collect();
    Codes::new(&values, numeric)
}

#[test]
fn numeric_codes_are_their_numbers() {
    let codes = codes(
        &[
            ("0", "Api Client"),
            ("1", "Api Client Customer"),
            ("42", ""),
            ("255", ""),
        ],
        true,
    );
    for (cell, number) in [("0", 0), ("1", 1), (" 1 ", 1), ("42", 42), ("255", 255)] {
        assert_eq!(codes.number(cell.as_bytes()), Ok(number), "{cell}");
    }
    for cell in [
        "",
        " ",
        "00",
        "01",
        "0.0",
        "1.0",
        "+1",
        "-1",
        "2",
        "256",
        "298",
        "1e0",
        "042",
        "\t1",
        "1\u{a0}",
        "１",
        "Api Client",
        "99999999999999999999999",
    ] {
        let fault = codes.number(cell.as_bytes()).expect_err(cell);
        assert_eq!(fault.code, NotAllowed, "{cell:?}");
        assert_eq!(
            fault.message,
            "none of the codes 0 (Api Client), 1 (Api Client Customer), 42, 255"
        );
    }
    assert_eq!(codes.text(b"1"), Ok("1"));
}

#[test]
fn text_codes_match_exactly() {
    let codes = codes(
        &[("open", ""), ("closed", "no more"), ("", "unknown")],
        false,
    );
    assert_eq!(codes.text(b"open"), Ok("open"));
    assert_eq!(codes.text(b" closed"), Ok("closed"));
    assert_eq!(codes.text(b""), Ok(""));
    for cell in [&b"Open"[..], b"ope", b"openn", b"open\t", b"\xFF"] {
        assert!(codes.text(cell).is_err(), "{cell:?}");
    }
    assert!(codes.number(b"0").is_err());
}

#[test]
fn long_lists_are_cut_in_messages() {
    let values: Vec<_> = (0..100).map(|n| (n.to_string(), String::new())).collect();
    let fault = Codes::new(&values, true)
        .number(b"100")
        .expect_err("no such code");
    assert!(
        fault.message.ends_with(", 19 and 80 more"),
        "{}",
        fault.message
    );
}

#[test]
fn currencies_are_exact() {
    let iso = Currencies::new(&[]);
    for code in [
        "USD", "EUR", "CNY", "JPY", "HKD", "XXX", "XAU", "AED", "ZWG", "HRK",
    ] {
        assert_eq!(iso.check(code.as_bytes()), Ok(()), "{code}");
    }
    let table = [
        (
            "usd",
            "a currency code in lower case where upper case is expected",
        ),
        (
            " Usd",
            "a currency code in lower case where upper case is expected",
        ),
        ("USD ", "a currency code with blanks around it"),
        ("\tUSD", "a currency code with blanks around it"),
        ("AAA", "not an ISO 4217 code of three letters"),
        ("US", "not an ISO 4217 code of three letters"),
        ("USDT", "not an ISO 4217 code of three letters"),
        ("840", "not an ISO 4217 code of three letters"),
        ("$", "not an ISO 4217 code of three letters"),
        ("人民币", "not an ISO 4217 code of three letters"),
        ("", "not an ISO 4217 code of three letters"),
    ];
    for (cell, message) in table {
        let fault = iso.check(cell.as_bytes()).expect_err(cell);
        assert_eq!(
            (fault.code, &*fault.message),
            (NotAllowed, message),
            "{cell:?}"
        );
    }
}

#[test]
fn a_contract_adds_codes_of_any_shape() {
    let also = Currencies::new(&["USDT".into(), "RMB".into()]);
    for code in ["USD", "USDT", "RMB"] {
        assert_eq!(also.check(code.as_bytes()), Ok(()), "{code}");
    }
    let fault = also.check(b"BTC").expect_err("not listed");
    assert!(fault.message.contains("contract"), "{}", fault.message);
    let fault = also.check(b"usdt").expect_err("lower case");
    assert!(fault.message.contains("upper case"), "{}", fault.message);
}

#[test]
fn minor_units_are_those_of_iso_4217() {
    for (code, units) in [
        ("USD", Some(2)),
        ("JPY", Some(0)),
        ("KWD", Some(3)),
        ("CLF", Some(4)),
        ("XAU", None),
        ("XXX", None),
        ("usd", None),
        ("USDT", None),
        ("", None),
    ] {
        assert_eq!(minor_units(code), units, "{code}");
    }
}

#[test]
fn every_iso_code_is_known_once_whichever_way_it_is_found() {
    let iso = Currencies::new(&[]);
    let mut found = 0;
    for number in 0..26_u32.pow(3) {
        let letter = |n: u32| char::from(b'A' + u8::try_from(n % 26).expect("a letter"));
        let code = String::from_iter([letter(number / 676), letter(number / 26), letter(number)]);
        let known = iso_currency::Currency::from_code(&code).is_some();
        assert_eq!(iso.check(code.as_bytes()).is_ok(), known, "{code}");
        found += usize::from(known);
    }
    assert!(found > 170);
    let mut listed: Vec<_> = iso_minor_units().collect();
    assert!(
        listed
            .iter()
            .all(|(code, units)| minor_units(code) == Some(*units))
    );
    listed.sort_unstable();
    listed.dedup_by_key(|(code, _)| *code);
    assert_eq!(listed.len(), iso_minor_units().count());
}

#[test]
fn booleans_have_four_words() {
    for (cell, value) in [
        ("true", true),
        ("TRUE", true),
        ("True", true),
        (" 1", true),
        ("false", false),
        ("FALSE ", false),
        ("0", false),
    ] {
        assert_eq!(boolean(cell.as_bytes()), Ok(value), "{cell}");
    }
    for cell in ["", "yes", "no", "t", "2", "01", "1.0", "-1", "\ttrue", "是"] {
        let fault = boolean(cell.as_bytes()).expect_err(cell);
        assert_eq!(fault.code, NotAllowed, "{cell:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(cell in prop::collection::vec(any::<u8>(), 0..16)) {
        let codes = codes(&[("0", ""), ("255", "")], true);
        let _ = (codes.number(&cell), codes.text(&cell), boolean(&cell));
        let _ = Currencies::new(&["X".into()]).check(&cell);
    }

    #[test]
    fn numbers_are_found_only_as_they_are_written(number: u16) {
        let codes = codes(&[("0", ""), ("7", ""), ("70", ""), ("255", "")], true);
        let known = [0, 7, 70, 255].contains(&number);
        prop_assert_eq!(codes.number(number.to_string().as_bytes()).is_ok(), known);
    }
}
