//! What the receiver says of itself: whether it can store anything, and what it has counted.

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::response::{IntoResponse as _, Response};
use hyper::{StatusCode, header::CONTENT_TYPE};

use super::answer::{answer, refusal};
use crate::inbox::Inbox;

/// Where it says whether it can store announcements.
pub(super) const HEALTH: &str = "/healthz";
/// Where Prometheus reads its counters.
pub(super) const METRICS: &str = "/metrics";

/// For so long an attempt to store something speaks for those after it.
const TRIED: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Counters {
    pub(super) stored: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) unsigned: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) not_stored: AtomicU64,
    pub(super) not_understood: AtomicU64,
    pub(super) not_arrived: AtomicU64,
    pub(super) store_micros: AtomicU64,
}

/// What the receiver knows of itself.
pub(super) struct Health {
    pub(super) inbox: Inbox,
    pub(super) counters: Counters,
    tried: Tried,
}

/// Whether something could be stored when that was tried last, and else why not.
#[derive(Default)]
struct Tried(Mutex<Option<(Instant, Result<(), String>)>>);

impl Tried {
    fn store(&self, inbox: &Inbox) -> Result<(), String> {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*tried {
            Some((at, outcome)) if at.elapsed() < TRIED => outcome.clone(),
            _ => {
                let outcome = inbox.try_to_store();
                let outcome = outcome.map_err(|error| error.to_string());
                *tried = Some((Instant::now(), outcome.clone()));
                outcome
            }
        }
    }
}

impl Health {
    pub(super) fn new(inbox: Inbox) -> Self {
        Self {
            inbox,
            counters: Counters::default(),
            tried: Tried::default(),
        }
    }

    /// Whether announcements can be stored.
    pub(super) async fn answer(self: &Arc<Self>) -> Response {
        let trying = Arc::clone(self);
        let tried = tokio::task::spawn_blocking(move || trying.tried.store(&trying.inbox)).await;
        match tried {
            Ok(Ok(())) => answer(StatusCode::OK, &serde_json::json!({"status": "ok"})),
            Ok(Err(error)) => {
                let error = format!("announcements can't be stored: {error}");
                refusal(StatusCode::SERVICE_UNAVAILABLE, &error)
            }
            Err(_) => refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "announcements can't be stored",
            ),
        }
    }

    /// The counters as Prometheus reads them.
    pub(super) fn metrics(&self) -> Response {
        let counters = &self.counters;
        // What can't be read is not empty.
        let waiting = self.inbox.waiting();
        let waiting = waiting.map_or_else(|_| "NaN".to_owned(), |paths| paths.len().to_string());
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed).to_string();
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, values: &[(&str, String)]| {
            let _ = writeln!(
                text,
                "# HELP redledger_{name} {help}\n# TYPE redledger_{name} {kind}"
            );
            for (labels, value) in values {
                let _ = writeln!(text, "redledger_{name}{labels} {value}");
            }
        };
        metric(
            "announcements_total",
            "counter",
            "Announcements posted, by what became of them.",
            &[
                ("{outcome=\"stored\"}", load(&counters.stored)),
                ("{outcome=\"duplicate\"}", load(&counters.duplicates)),
                ("{outcome=\"bad_signature\"}", load(&counters.unsigned)),
                ("{outcome=\"bad_json\"}", load(&counters.malformed)),
                ("{outcome=\"not_arrived\"}", load(&counters.not_arrived)),
                ("{outcome=\"not_stored\"}", load(&counters.not_stored)),
            ],
        );
        metric(
            "announcements_not_understood_total",
            "counter",
            "Announcements that were stored although they are no Batch Hook.",
            &[("", load(&counters.not_understood))],
        );
        let seconds = counters.store_micros.load(Ordering::Relaxed) as f64 / 1e6;
        metric(
            "store_seconds_total",
            "counter",
            "Time spent storing announcements durably.",
            &[("", format!("{seconds:.6}"))],
        );
        metric(
            "inbox_waiting",
            "gauge",
            "Announcements waiting in the inbox; NaN where it can't be read.",
            &[("", waiting)],
        );
        ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
    }
}
