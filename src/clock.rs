//! What time it is.

/// The current time in epoch microseconds.
#[must_use]
pub fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
