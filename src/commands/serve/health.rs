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

use super::receive::{Receiver, answer, refusal};

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

/// Whether something could be stored when that was tried last, and else why not.
#[derive(Default)]
pub(super) struct Tried(Mutex<Option<(Instant, Result<(), String>)>>);

impl Tried {
    fn store(&self, receiver: &Receiver) -> Result<(), String> {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*tried {
            Some((at, outcome)) if at.elapsed() < TRIED => outcome.clone(),
            _ => {
                let outcome = receiver.inbox.try_to_store();
                let outcome = outcome.map_err(|error| error.to_string());
                *tried = Some((Instant::now(), outcome.clone()));
                outcome
            }
        }
    }
}

pub(super) async fn health(receiver: &Arc<Receiver>) -> Response {
    let trying = Arc::clone(receiver);
    let tried = tokio::task::spawn_blocking(move || trying.tried.store(&trying)).await;
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

pub(super) fn metrics(receiver: &Receiver) -> Response {
    let counters = &receiver.counters;
    // What can't be read is not empty.
    let waiting = receiver.inbox.waiting();
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
