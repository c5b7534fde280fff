//! Time that passes only when somebody waits between attempts.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::BoxFuture;
use redledger::source::Pace;

/// A pace whose sleeps take no time, are remembered, and move its clocks.
#[derive(Clone)]
pub(crate) struct TestPace {
    started: Instant,
    sleeps: Arc<Mutex<Vec<Duration>>>,
}

impl TestPace {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            sleeps: Arc::default(),
        }
    }

    /// The waits so far.
    pub(crate) fn sleeps(&self) -> Vec<Duration> {
        self.sleeps.lock().expect("unpoisoned").clone()
    }

    /// The calendar's start: Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
    pub(crate) fn epoch() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn passed(&self) -> Duration {
        self.sleeps().iter().sum()
    }
}

impl Pace for TestPace {
    fn now(&self) -> Instant {
        // Idle time-outs and rates are real, only much shorter than in life.
        self.started + self.started.elapsed() + self.passed()
    }

    fn wall(&self) -> SystemTime {
        Self::epoch() + self.passed()
    }

    fn jitter(&self) -> f64 {
        1.0
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleeps.lock().expect("unpoisoned").push(duration);
        Box::pin(std::future::ready(()))
    }
}
