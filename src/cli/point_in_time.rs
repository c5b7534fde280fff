//! Times as people type them.

/// A date (its first moment, UTC) or a point in time.
pub(super) fn point_in_time(text: &str) -> Result<jiff::Timestamp, String> {
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && text.len() == "2026-03-01".len()
    {
        return date
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map(|zoned| zoned.timestamp())
            .map_err(|error| error.to_string());
    }
    text.parse().map_err(|_| {
        "expected a date such as 2026-03-01 or a time such as 2026-03-01T06:00:00Z".to_owned()
    })
}
