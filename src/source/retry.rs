//! When to try again: attempts and time are both bounded, time and randomness come from outside.

use std::{
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::BoxFuture;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::{
    config::DownloadConfig,
    error::{FetchError, FetchKind},
};

/// Time and chance, passed in so that tests neither sleep nor depend on luck.
pub trait Pace: Send + Sync + 'static {
    /// A clock that only goes forward, for elapsed time.
    fn now(&self) -> Instant;
    /// The calendar, for a `Retry-After` that is a date.
    fn wall(&self) -> SystemTime;
    /// A number from 0 to 1: the share of a backoff that is waited.
    fn jitter(&self) -> f64;
    /// Waits before the next attempt.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The system's time and chance.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemPace;

impl Pace for SystemPace {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    #[allow(clippy::cast_precision_loss)]
    fn jitter(&self) -> f64 {
        // Seeded by the system; spreading out clients needs no better randomness.
        let random = RandomState::new().hash_one(0_u8);
        random as f64 / u64::MAX as f64
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A failed attempt, not yet tied to an origin.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: FetchKind,
    pub(super) message: String,
    /// How long the server asks to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(kind: FetchKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(super) fn passing(message: impl Into<String>) -> Self {
        Self::new(FetchKind::Passing, message)
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(FetchKind::Malformed, message)
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::new(FetchKind::Refused, message)
    }

    pub(super) fn changed(message: impl Into<String>) -> Self {
        Self::new(FetchKind::Changed, message)
    }

    pub(super) fn at(self, origin: &str) -> FetchError {
        FetchError {
            origin: origin.to_owned(),
            kind: self.kind,
            message: self.message,
            source: None,
        }
    }
}

/// The attempts made for one file and the time they took.
///
/// Only time spent on the network and between attempts counts: a slow reader above is not the source's
/// fault.
pub(super) struct Attempts {
    config: Arc<DownloadConfig>,
    pace: Arc<dyn Pace>,
    made: u32,
    spent: Duration,
}

impl Attempts {
    pub(super) fn new(config: Arc<DownloadConfig>, pace: Arc<dyn Pace>) -> Self {
        Self {
            config,
            pace,
            made: 1,
            spent: Duration::ZERO,
        }
    }

    pub(super) fn made(&self) -> u32 {
        self.made
    }

    pub(super) fn wall(&self) -> SystemTime {
        self.pace.wall()
    }

    /// Runs `future` for at most `limit` and what is left of the deadline; returns how long it took.
    pub(super) async fn timed<T>(
        &mut self,
        limit: Duration,
        waiting_for: &'static str,
        future: impl Future<Output = T>,
    ) -> Result<(T, Duration), Failure> {
        let left = self.config.deadline.saturating_sub(self.spent);
        let started = self.pace.now();
        let result = tokio::time::timeout(limit.min(left), future).await;
        let elapsed = self.pace.now().saturating_duration_since(started);
        self.spent += elapsed;
        match result {
            Ok(value) => Ok((value, elapsed)),
            Err(_) if left <= limit => {
                // Nothing is left for another attempt; `again` says so.
                self.spent = self.spent.max(self.config.deadline);
                Err(Failure::passing(format!("still waiting for {waiting_for}")))
            }
            Err(_) => Err(Failure::passing(format!(
                "no {waiting_for} for {}",
                humantime::format_duration(limit)
            ))),
        }
    }

    /// The last attempt has brought the download on: only those that bring nothing are counted. The deadline bounds
    /// them all.
    pub(super) fn progressed(&mut self) {
        self.made = 0;
    }

    /// Decides whether `failure` is worth another attempt, and how long to wait before it.
    ///
    /// # Errors
    /// The failure itself, with the reason for stopping added.
    pub(super) fn again(&mut self, mut failure: Failure) -> Result<Duration, Failure> {
        if !failure.kind.policy().retry {
            return Err(failure);
        }
        if self.made >= self.config.attempts {
            if self.made > 1 {
                failure.message = format!("{} (after {} attempts)", failure.message, self.made);
            }
            return Err(failure);
        }
        let mut wait = backoff(&self.config, self.made, self.pace.jitter());
        if let Some(asked) = failure.retry_after {
            if asked > self.config.max_retry_after {
                failure.message = format!(
                    "{}; the server asks to wait {}, more than `max_retry_after`",
                    failure.message,
                    humantime::format_duration(whole_seconds(asked))
                );
                return Err(failure);
            }
            wait = wait.max(asked);
        }
        if self.spent + wait >= self.config.deadline {
            failure.message = format!(
                "{}; the deadline of {} leaves no time for another attempt",
                failure.message,
                humantime::format_duration(self.config.deadline)
            );
            return Err(failure);
        }
        self.made += 1;
        self.spent += wait;
        Ok(wait)
    }

    pub(super) async fn sleep(&self, wait: Duration) {
        if !wait.is_zero() {
            self.pace.sleep(wait).await;
        }
    }
}

/// The wait after attempt number `made`: exponential with full jitter, so that many clients that failed
/// together do not come back together.
fn backoff(config: &DownloadConfig, made: u32, jitter: f64) -> Duration {
    let doubled = 1_u32 << made.saturating_sub(1).min(30);
    config
        .backoff
        .saturating_mul(doubled)
        .min(config.max_backoff)
        .mul_f64(jitter.clamp(0.0, 1.0))
}

fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
}

/// What `Retry-After` (RFC 9110, section 10.2.3) asks for: seconds, or a date.
///
/// A date is read against the response's own `Date`, so that clocks need not agree; `wall` stands in.
pub(super) fn retry_after(headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
        // More digits than fit are still a wish for a very long wait.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = headers
        .get(DATE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| httpdate::parse_http_date(value).ok())
        .unwrap_or(wall);
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    reqwest::header::HeaderName::from_static(name),
                    reqwest::header::HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let wall = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:00 GMT").expect("a date");
        let date = ("date", "Sun, 06 Nov 1994 08:49:30 GMT");
        for (value, with_date, expected) in [
            ("120", false, Some(120)),
            (" 7 ", false, Some(7)),
            ("0", false, Some(0)),
            ("99999999999999999999999", false, Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", false, Some(37)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", true, Some(7)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", false, Some(37)),
            ("Sun Nov  6 08:49:37 1994", false, Some(37)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", false, Some(0)),
            ("soon", false, None),
            ("-5", false, None),
            ("1.5", false, None),
            ("", false, None),
        ] {
            let mut pairs = vec![("retry-after", value)];
            if with_date {
                pairs.push(date);
            }
            assert_eq!(
                retry_after(&headers(&pairs), wall).map(|wait| wait.as_secs()),
                expected,
                "{value:?}"
            );
        }
        assert_eq!(retry_after(&headers(&[]), wall), None);
    }

    #[test]
    fn backoff_doubles_up_to_its_limit_and_jitter_takes_a_share() {
        let config = DownloadConfig::default();
        let waits: Vec<u128> = (1..=9)
            .map(|made| backoff(&config, made, 1.0).as_millis())
            .collect();
        assert_eq!(
            waits,
            [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
        );
        assert_eq!(backoff(&config, 2, 0.25), Duration::from_millis(250));
        assert_eq!(backoff(&config, u32::MAX, 0.0), Duration::ZERO);
    }

    #[test]
    fn attempts_and_elapsed_time_are_both_bounded() {
        struct Still;
        impl Pace for Still {
            fn now(&self) -> Instant {
                Instant::now()
            }
            fn wall(&self) -> SystemTime {
                SystemTime::UNIX_EPOCH
            }
            fn jitter(&self) -> f64 {
                1.0
            }
            fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
                Box::pin(std::future::ready(()))
            }
        }
        let config = |attempts, deadline| {
            Arc::new(DownloadConfig {
                attempts,
                deadline: Duration::from_secs(deadline),
                ..DownloadConfig::default()
            })
        };
        let count = |config| {
            let mut attempts = Attempts::new(config, Arc::new(Still));
            let mut total = Duration::ZERO;
            loop {
                match attempts.again(Failure::passing("x")) {
                    Ok(wait) => total += wait,
                    Err(failure) => return (attempts.made(), total, failure.message),
                }
            }
        };
        let (made, _, message) = count(config(8, 900));
        assert_eq!((made, message.as_str()), (8, "x (after 8 attempts)"));
        let (made, total, message) = count(config(100, 10));
        assert_eq!((made, total), (5, Duration::from_millis(7500)));
        assert!(message.contains("the deadline of 10s"), "{message}");
        let mut attempts = Attempts::new(config(8, 900), Arc::new(Still));
        let mut long = Failure::passing("503");
        long.retry_after = Some(Duration::from_secs(121));
        let stopped = attempts.again(long).expect_err("too long");
        assert!(
            stopped.message.contains("asks to wait 2m 1s"),
            "{stopped:?}"
        );
        let mut short = Failure::passing("503");
        short.retry_after = Some(Duration::from_secs(9));
        assert_eq!(attempts.again(short).ok(), Some(Duration::from_secs(9)));
        assert!(attempts.again(Failure::malformed("x")).is_err());
    }
}
