//! A request, and what it is answered.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use axum::{body::Body, response::Response};
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::{Body as _, Incoming},
    header::{ALLOW, CONNECTION, HeaderValue},
};
use serde_json::json;
use tokio::sync::oneshot;

use super::{
    answer::{answer, refusal},
    arriving::{Arrived, Arriving},
    health::{HEALTH, Health, METRICS},
};
use crate::{
    clock,
    commands::connections::Answers,
    config::{Config, SignatureScheme},
    hook,
    inbox::{Envelope, Inbox, Stored},
    signature::{Signed, is_genuine},
};

/// Refused signatures are logged no more often than this.
const LOGGED: Duration = Duration::from_secs(1);
/// Announcements above this are judged by one thread, one after the other: that takes several times their size, and
/// each thread keeps for a while what it had.
const LARGE: usize = 1 << 20;

/// What the requests share.
pub(super) struct Receiver {
    pub(super) health: Arc<Health>,
    path: String,
    scheme: SignatureScheme,
    header: String,
    secrets: Vec<Vec<u8>>,
    arriving: Arriving,
    large: mpsc::Sender<Large>,
    refused: Refused,
}

/// A large announcement, and who waits for its answer.
type Large = (Delivered, oneshot::Sender<Response>);

/// When a refused signature was logged last, and how many were not since.
#[derive(Default)]
struct Refused(Mutex<(Option<Instant>, u64)>);

impl Refused {
    fn log(&self, peer: SocketAddr) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0.is_some_and(|at| at.elapsed() < LOGGED) {
            last.1 += 1;
            return;
        }
        let unlogged = std::mem::take(&mut last.1);
        last.0 = Some(Instant::now());
        tracing::warn!(%peer, unlogged, "an announcement without a valid signature was refused");
    }
}

/// What is checked of an announcement.
struct Delivered {
    arrived: Arrived,
    headers: HeaderMap,
    peer: SocketAddr,
}

impl Receiver {
    pub(super) fn new(config: &Config, secrets: Vec<Vec<u8>>) -> Arc<Self> {
        let serve = &config.serve;
        let header = match (serve.signature_header.as_str(), serve.signature) {
            ("", SignatureScheme::StandardWebhooks) => "webhook-signature",
            ("", _) => "Signature",
            (header, _) => header,
        };
        let max_body = usize::try_from(serve.max_body.0).unwrap_or(usize::MAX);
        let (large, waiting) = mpsc::channel::<Large>();
        let receiver = Arc::new(Self {
            health: Arc::new(Health::new(Inbox::new(&config.data_dir))),
            path: serve.path.clone(),
            scheme: serve.signature,
            header: header.to_owned(),
            secrets,
            arriving: Arriving::new(max_body, serve.timeout),
            large,
            refused: Refused::default(),
        });
        let judge = Arc::downgrade(&receiver);
        std::thread::spawn(move || {
            for (request, sender) in waiting {
                let Some(receiver) = judge.upgrade() else {
                    break;
                };
                let _ = sender.send(receiver.judge(request));
            }
        });
        receiver
    }

    async fn receive(self: &Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Response {
        let (parts, body) = request.into_parts();
        let declared = body.size_hint().exact();
        let arrived = match self.arriving.read(Body::new(body), declared).await {
            Ok(arrived) => arrived,
            Err((status, message)) => {
                count(&self.health.counters.not_arrived);
                let mut answer = refusal(status, message);
                // The rest of the body is not read.
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
                return answer;
            }
        };
        let request = Delivered {
            arrived,
            headers: parts.headers,
            peer,
        };
        let judged = if request.arrived.length() > LARGE {
            let (sender, judged) = oneshot::channel();
            let _ = self.large.send((request, sender));
            judged.await.ok()
        } else {
            let receiver = Arc::clone(self);
            let judged = tokio::task::spawn_blocking(move || receiver.judge(request));
            judged.await.ok()
        };
        judged.unwrap_or_else(|| {
            count(&self.health.counters.not_stored);
            tracing::error!("storing an announcement has failed");
            refusal(StatusCode::SERVICE_UNAVAILABLE, "not stored, try again")
        })
    }

    fn judge(&self, request: Delivered) -> Response {
        let (body, _room) = request.arrived.whole();
        let body = body.as_slice();
        let Ok(wrapping) = hook::wrapping("announcement", body) else {
            count(&self.health.counters.malformed);
            return refusal(StatusCode::BAD_REQUEST, "the body is not JSON");
        };
        let text = |name: &str| request.headers.get(name)?.to_str().ok();
        let signed = Signed {
            body,
            resource: wrapping.resource.as_deref(),
            signature: text(&self.header),
            id: text("webhook-id"),
            timestamp: text("webhook-timestamp"),
            now: clock::now() / 1_000_000,
        };
        if !is_genuine(self.scheme, &self.secrets, &signed) {
            count(&self.health.counters.unsigned);
            self.refused.log(request.peer);
            return refusal(
                StatusCode::UNAUTHORIZED,
                "the signature is missing or wrong",
            );
        }
        if let Err(error) = hook::index("announcement", body) {
            // Signed and JSON: the provider means something by it. The run puts it aside with a note.
            count(&self.health.counters.not_understood);
            tracing::warn!(reason = %error, "an announcement is not understood; stored all the same");
        }
        let envelope = Envelope {
            id: wrapping.id.as_deref(),
            resource: match self.scheme {
                SignatureScheme::ResourceHmacSha256 => wrapping.resource.as_deref(),
                _ => None,
            },
        };
        self.store(body, envelope)
    }

    fn store(&self, body: &[u8], envelope: Envelope<'_>) -> Response {
        let started = Instant::now();
        let stored = self.health.inbox.store(body, envelope, clock::now());
        self.health.counters.store_micros.fetch_add(
            u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        match stored {
            Ok(stored) => {
                count(match stored {
                    Stored::New => &self.health.counters.stored,
                    Stored::Duplicate => &self.health.counters.duplicates,
                });
                answer(StatusCode::OK, &json!({"received": true}))
            }
            Err(error) => {
                count(&self.health.counters.not_stored);
                tracing::error!(%error, "an announcement could not be stored; its sender is told to try again");
                refusal(StatusCode::SERVICE_UNAVAILABLE, "not stored, try again")
            }
        }
    }
}

impl Answers for Receiver {
    async fn answer(self: &Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Response {
        let allowed = match request.uri().path() {
            path if path == self.path => &[Method::POST][..],
            HEALTH | METRICS => &[Method::GET, Method::HEAD],
            _ => return refusal(StatusCode::NOT_FOUND, "nothing is here"),
        };
        if !allowed.contains(request.method()) {
            let mut answer = refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "announcements are posted, anything else is only read",
            );
            let methods: Vec<&str> = allowed.iter().map(Method::as_str).collect();
            if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
                answer.headers_mut().insert(ALLOW, methods);
            }
            return answer;
        }
        match request.uri().path() {
            path if path == self.path => self.receive(request, peer).await,
            METRICS => self.health.metrics(),
            _ => self.health.answer().await,
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
