//! What a delivered cell should be in the table, as text.

use crate::contract::{Field, FieldType, TimeUnit};

/// What a cell should be in the table: one of these texts, or NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// NULL: nothing was delivered.
    Null,
    /// This text, as [`expected`] says.
    Text(String),
    /// Nothing that the table can have: the row should not be there.
    Nothing,
}

impl Expected {
    /// Whether the table has it; decimals are compared by their value.
    pub(super) fn is(&self, kind: &FieldType, loaded: Option<&str>) -> bool {
        match (self, loaded) {
            (Self::Null, None) => true,
            (Self::Text(expected), Some(loaded)) => match kind {
                FieldType::Decimal { .. } => decimal(loaded).as_ref() == Some(expected),
                _ => expected == loaded,
            },
            _ => false,
        }
    }
}

/// By the rules of docs/reading.md. Text is itself, UUIDs have hyphens and small letters, timestamps are epoch
/// microseconds, decimals have no zeros that say nothing, URLs no query and no credentials.
pub(super) fn expected(field: &Field, cell: Option<&str>) -> Expected {
    let Some(cell) = cell.filter(|cell| !cell.is_empty()) else {
        return Expected::Null;
    };
    let blank_counts = matches!(
        field.kind,
        FieldType::Text { .. } | FieldType::Currency { .. }
    );
    let cell = match blank_counts {
        true => cell,
        false => cell.trim_matches(' '),
    };
    if cell.is_empty() {
        return Expected::Null;
    }
    let freed = freed(cell);
    let read = match &field.kind {
        FieldType::Text { .. } => Some(freed.to_owned()),
        FieldType::Currency { .. } => Some(cell.to_owned()),
        FieldType::Uuid => uuid::Uuid::try_parse(freed.trim_matches(' '))
            .ok()
            .map(|id| id.hyphenated().to_string()),
        FieldType::Integer { .. } => freed
            .trim_matches(' ')
            .parse::<i64>()
            .ok()
            .map(|number| number.to_string()),
        FieldType::Decimal { .. } => decimal(cell),
        FieldType::Timestamp { unit } => microseconds(cell, *unit),
        FieldType::Enum { values, numeric } => values
            .iter()
            .map(|(code, _)| code.as_str())
            .find(|code| *code == cell)
            .or(numeric.then_some(cell))
            .map(|code| match code.parse::<u8>() {
                Ok(number) if *numeric => number.to_string(),
                _ => code.to_owned(),
            }),
        FieldType::Url => Some(without_secrets(cell)),
        FieldType::Boolean => match cell.to_ascii_lowercase().as_str() {
            "true" | "1" => Some("true".to_owned()),
            "false" | "0" => Some("false".to_owned()),
            _ => None,
        },
    };
    read.map_or(Expected::Nothing, Expected::Text)
}

/// The id within what spreadsheets put around it: `="…"`, tabs, an apostrophe; else the cell.
fn freed(cell: &str) -> &str {
    let within = cell.trim_matches('\t');
    let is_plain = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
    };
    let is_id = |text: &str| {
        is_plain(text)
            && (text.starts_with(|c: char| c.is_ascii_digit())
                || uuid::Uuid::try_parse(text).is_ok())
    };
    let formula = within
        .strip_prefix("=\"")
        .and_then(|rest| rest.strip_suffix('"'));
    match (formula, within.strip_prefix('\'')) {
        (Some(inner), _) if is_plain(inner) => inner,
        (None, Some(inner)) if is_id(inner) => inner,
        _ if within.len() < cell.len() && is_id(within) => within,
        _ => cell,
    }
}

/// `-12.50` is `-12.5`, `+0.00` and `-0` are `0`; `None` for anything but a sign, digits and a point.
fn decimal(text: &str) -> Option<String> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let (whole, fraction) = (
        whole.trim_start_matches('0'),
        fraction.trim_end_matches('0'),
    );
    let sign = match is_negative && !(whole.is_empty() && fraction.is_empty()) {
        true => "-",
        false => "",
    };
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

fn microseconds(cell: &str, unit: TimeUnit) -> Option<String> {
    let count: i64 = cell.parse().ok()?;
    let each = match unit {
        TimeUnit::Seconds => 1_000_000,
        TimeUnit::Milliseconds => 1_000,
        TimeUnit::Microseconds => 1,
    };
    Some(count.checked_mul(each)?.to_string())
}

fn without_secrets(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = &url[..end];
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_compared_by_their_value() {
        for (text, value) in [
            ("-12.50", Some("-12.5")),
            ("+0.00", Some("0")),
            ("-0", Some("0")),
            (".5", Some("0.5")),
            ("5.", Some("5")),
            ("00042.0001", Some("42.0001")),
            (
                "99999999999999999999999999999999999999",
                Some("99999999999999999999999999999999999999"),
            ),
            ("1e3", None),
            ("1,0", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(decimal(text).as_deref(), value, "{text}");
        }
    }

    #[test]
    fn what_spreadsheets_put_around_ids_is_no_part_of_them() {
        for (cell, id) in [
            ("=\"0001234\"", "0001234"),
            ("0000042\t", "0000042"),
            ("\t'7", "7"),
            ("'s-Hertogenbosch", "'s-Hertogenbosch"),
            ("\tnote", "\tnote"),
            ("=SUM(A1)", "=SUM(A1)"),
            ("=\"\"", "=\"\""),
        ] {
            assert_eq!(freed(cell), id, "{cell:?}");
        }
    }

    #[test]
    fn urls_are_kept_without_what_signs_them() {
        assert_eq!(
            without_secrets("https://u:p@h.example/a/b.csv?X-Sig=1#x"),
            "https://h.example/a/b.csv"
        );
        assert_eq!(without_secrets("https://h.example?x"), "https://h.example");
    }
}
