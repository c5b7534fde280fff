//! What looks like a number and is read as none: each kind has a sentence that names what is seen and what mends it.
//!
//! Nothing here changes what is accepted. `1,234` is a thousand to some and one and a bit to others; whoever wrote
//! it knows, and nobody else.

use std::borrow::Cow;

use crate::characters::{code_point, is_invisible};

/// Signs that stand for a currency and may be beside an amount.
const CURRENCY_SIGNS: &str = "$¢£¤¥฿₡₦₩₪₫€₭₮₱₲₴₵₸₹₺₼₽₾₿﷼﹩＄￠￡￥￦";
/// What looks like a minus sign.
const MINUS_SIGNS: &str = "‐‑‒–—―−﹘﹣－";
/// What looks like an apostrophe.
const APOSTROPHES: &str = "'’‘ʼ´`′＇";
/// What people write where there is no number.
const PLACEHOLDERS: [&str; 14] = [
    "-", "--", "—", "–", "nan", "null", "nil", "none", "n/a", "na", "inf", "+inf", "-inf",
    "infinity",
];

/// What is seen in `number`, which is none; `None` where no kind is known. The cell itself is not repeated.
#[cold]
pub(super) fn lookalike(number: &[u8]) -> Option<Cow<'static, str>> {
    let Ok(text) = std::str::from_utf8(number) else {
        return Some("bytes that are no text: see [csv] encoding in the contract".into());
    };
    not_seen(text)
        .or_else(|| placeholder(text).map(Cow::from))
        .or_else(|| other_characters(text))
        .or_else(|| arrangement(text).map(Cow::from))
}

fn not_seen(text: &str) -> Option<Cow<'static, str>> {
    let c = text.chars().find(|c| is_invisible(*c))?;
    let name = match c {
        '\t' => "a tab",
        '\u{a0}' => "a no-break space",
        '\u{2007}' => "a figure space",
        '\u{2009}' => "a thin space",
        '\u{202f}' => "a narrow no-break space",
        '\u{3000}' => "an ideographic space",
        '\u{200b}' => "a zero-width space",
        '\u{feff}' => "a byte order mark",
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            "a mark of direction"
        }
        _ => "a character that is not seen",
    };
    let point = code_point(c);
    let before = text.split(c).next().unwrap_or_default();
    let has_digit = |text: &str| text.contains(|c: char| c.is_ascii_digit());
    let place = match (has_digit(before), has_digit(&text[before.len()..])) {
        (true, true) => "between the digits of the number",
        (true, false) => "behind the number",
        (false, _) => "before the number",
    };
    Some(
        format!("{point} ({name}) {place}: ask for numbers of digits, a point and a sign alone")
            .into(),
    )
}

fn placeholder(text: &str) -> Option<&'static str> {
    let word = text.to_lowercase();
    PLACEHOLDERS.contains(&word.as_str()).then_some(
        "a word or a dash that stands for no number: ask for an empty cell, which is NULL where the field is not required",
    )
}

/// A character that no plain number has.
fn other_characters(text: &str) -> Option<Cow<'static, str>> {
    let find = |set: &str| text.chars().find(|c| set.contains(*c));
    if let Some(c) = text.chars().find(|c| c.is_numeric() && !c.is_ascii()) {
        let width = if ('０'..='９').contains(&c) {
            "full-width digits"
        } else {
            "digits of another script"
        };
        return Some(format!("{width} ({}): ask for the digits 0 to 9", code_point(c)).into());
    }
    if let Some(sign) = find(CURRENCY_SIGNS) {
        return Some(
            format!(
                "a currency sign ({sign}, {}) with the number: ask for numbers alone, the currency has a column of its own",
                code_point(sign)
            )
            .into(),
        );
    }
    if let Some(c) = find(MINUS_SIGNS) {
        return Some(
            format!(
                "{} ({c}) for a minus sign: ask for `-`, U+002D",
                code_point(c)
            )
            .into(),
        );
    }
    if let Some(c) = text
        .chars()
        .find(|c| !c.is_ascii() && !c.is_alphabetic() && !APOSTROPHES.contains(*c))
    {
        return Some(
            format!(
                "{} ({c}) in the number: ask for numbers of digits, a point and a sign alone",
                code_point(c)
            )
            .into(),
        );
    }
    None
}

/// ASCII characters, arranged as other programs and people write numbers.
fn arrangement(text: &str) -> Option<&'static str> {
    let has_digit = text.contains(|c: char| c.is_ascii_digit());
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    if text.starts_with('=') {
        return Some("a spreadsheet's formula: ask for values instead of formulas");
    }
    if !has_digit {
        return None;
    }
    if text.starts_with("0x") || text.starts_with("0X") {
        return Some("a hexadecimal number: ask for decimal ones");
    }
    if text.contains('%') {
        return Some(
            "a percent sign: ask for the number that it stands for, such as 0.05 for 5 percent",
        );
    }
    if letters > 0 {
        let is_exponent = letters == 1
            && text.contains(['e', 'E'])
            && text
                .chars()
                .all(|c| c.is_ascii_digit() || "eE+-.".contains(c));
        return Some(if is_exponent {
            "an exponent where a plain number is expected: a spreadsheet may have rewritten it; ask for a file that none has saved"
        } else {
            "letters beside the digits, such as a currency's code: ask for numbers alone, the currency has a column of its own"
        });
    }
    if text.starts_with('(') && text.ends_with(')') {
        return Some(
            "parentheses, as accountants write negative numbers: ask for a minus sign before the number",
        );
    }
    if text.ends_with(['-', '+']) {
        return Some("a sign behind the number: ask for it before the number");
    }
    if text.starts_with(|c| APOSTROPHES.contains(c)) {
        return Some(
            "an apostrophe before the number, by which spreadsheets mark text: ask for numbers alone",
        );
    }
    separators(text)
}

/// What stands between digits.
fn separators(text: &str) -> Option<&'static str> {
    if text.contains(|c| APOSTROPHES.contains(c)) {
        return Some(
            "an apostrophe between digits, a thousands separator: ask for numbers without separators",
        );
    }
    let (comma, point) = (text.rfind(','), text.rfind('.'));
    match (comma, point) {
        (Some(comma), Some(point)) if comma > point => {
            return Some(
                "a comma for the decimal point and a point as thousands separator: ask for a decimal point and no separators",
            );
        }
        (Some(_), Some(_)) => {
            return Some(
                "a comma between digits, a thousands separator: ask for numbers without separators",
            );
        }
        (Some(_), None) => {
            return Some(
                "a comma between digits, a thousands separator or a decimal comma: ask for a decimal point and no separators",
            );
        }
        _ => {}
    }
    if text.matches('.').count() > 1 {
        return Some(
            "more than one point, thousands separators perhaps: ask for a decimal point and no separators",
        );
    }
    if text.contains('_') {
        return Some(
            "an underscore between digits, a separator: ask for numbers without separators",
        );
    }
    if text.contains(' ') {
        return Some(
            "a space inside the number, a thousands separator perhaps: ask for numbers without separators",
        );
    }
    if text.contains('/') {
        return Some("a fraction or a date: ask for plain numbers");
    }
    if text.chars().skip(1).any(|c| matches!(c, '-' | '+')) {
        return Some("more than one sign, a calculation or a date: ask for plain numbers");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::lookalike;

    #[test]
    fn each_kind_is_named_by_what_is_seen() {
        for (cell, words) in [
            ("1.234,56", "comma for the decimal point"),
            ("-1.234.567,8", "comma for the decimal point"),
            ("1,234.56", "thousands separator"),
            ("1,234", "thousands separator or a decimal comma"),
            ("12,5", "decimal comma"),
            ("1.234.567", "more than one point"),
            ("(5.00)", "parentheses"),
            ("5.00-", "a sign behind"),
            ("￥5", "currency sign (￥, U+FFE5)"),
            ("¥5", "currency sign (¥, U+00A5)"),
            ("-$5", "currency sign"),
            ("5 €", "currency sign"),
            ("USD 5.00", "currency's code"),
            ("5.00CR", "currency's code"),
            ("5.00元", "currency's code"),
            ("５.００", "full-width digits (U+FF15)"),
            ("٥", "digits of another script (U+0665)"),
            ("−5", "U+2212 (−) for a minus sign"),
            ("–5", "U+2013 (–) for a minus sign"),
            ("－5", "U+FF0D"),
            ("5．0", "U+FF0E"),
            ("5，0", "U+FF0C"),
            ("\u{a0}5", "U+00A0 (a no-break space) before"),
            ("5\u{a0}", "U+00A0 (a no-break space) behind"),
            ("1\u{a0}234", "U+00A0 (a no-break space) between"),
            ("1\u{202f}234", "U+202F"),
            ("5\u{200b}", "U+200B"),
            ("\u{feff}5", "U+FEFF"),
            ("5\t", "U+0009 (a tab)"),
            ("\u{200e}-5", "U+200E"),
            ("5\0", "U+0000"),
            ("1'234", "apostrophe between"),
            ("1’234.50", "apostrophe between"),
            ("'5.00", "apostrophe before"),
            ("1 234", "a space inside"),
            ("- 5", "a space inside"),
            ("1_000", "underscore"),
            ("5%", "percent"),
            ("1e3", "exponent"),
            ("1.5E-2", "exponent"),
            ("0x1F", "hexadecimal"),
            ("=1+1", "formula"),
            ("NaN", "stands for no number"),
            ("N/A", "stands for no number"),
            ("-", "stands for no number"),
            ("null", "stands for no number"),
            ("2024-03-30", "date"),
            ("1/2", "fraction"),
            ("--1", "more than one sign"),
        ] {
            let said = lookalike(cell.as_bytes()).unwrap_or_else(|| panic!("{cell:?}"));
            assert!(said.contains(words), "{cell:?}: {said}");
        }
        assert!(lookalike(b"\xFF").is_some_and(|said| said.contains("encoding")));
        for cell in ["", "abc", ".", "+"] {
            assert_eq!(lookalike(cell.as_bytes()), None, "{cell}");
        }
    }
}
