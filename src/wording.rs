//! Figures and times as people read them.

use serde_json::Value;

/// `1 row`, `2 rows`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

/// Epoch microseconds as ISO 8601 in UTC.
pub(crate) fn iso(micros: i64) -> Value {
    jiff::Timestamp::from_microsecond(micros)
        .map_or(Value::Null, |time| Value::String(time.to_string()))
}

/// How long before `now` something was, both in epoch microseconds: `3h ago`.
pub(crate) fn age(then: i64, now: i64) -> String {
    let seconds = now.saturating_sub(then) / 1_000_000;
    match seconds {
        ..60 => "just now".into(),
        60..3_600 => format!("{}m ago", seconds / 60),
        3_600..86_400 => format!("{}h ago", seconds / 3_600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_in_the_largest_unit() {
        let now = 1_000_000_000_000_000;
        let ago = |seconds: i64| age(now - seconds * 1_000_000, now);
        assert_eq!(
            [
                ago(-5),
                ago(59),
                ago(60),
                ago(3_599),
                ago(3_600),
                ago(86_399),
                ago(86_400 * 40)
            ],
            [
                "just now", "just now", "1m ago", "59m ago", "1h ago", "23h ago", "40d ago"
            ]
        );
    }

    #[test]
    fn times_are_iso_in_utc() {
        assert_eq!(iso(1_774_888_560_000_000), "2026-03-30T16:36:00Z");
    }
}
