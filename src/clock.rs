//! What time it is.

use std::sync::atomic::{AtomicI64, Ordering};

/// Microseconds that are added to the system's time: none, but for the demo, which plays nights that are past.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// The current time in epoch microseconds.
#[must_use]
pub fn now() -> i64 {
    system() + AHEAD.load(Ordering::Relaxed)
}

fn system() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// Lets it be `now`, in epoch microseconds, and time go on from there; with `None` it is what the system says. For the
/// whole process: only a command that plays times may use it.
pub(crate) fn play(now: Option<i64>) {
    let ahead = now.map_or(0, |now| now - system());
    AHEAD.store(ahead, Ordering::Relaxed);
}
