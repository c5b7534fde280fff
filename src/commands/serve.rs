//! `redledger serve`: announcements into the inbox. It needs neither the warehouse nor a lock.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::signal::unix::{SignalKind, signal};

use super::{Context, output::say};
use crate::{
    cli::Serve,
    config::{ServeConfig, SignatureScheme},
    error::{Error, ExitStatus, Result},
    hook,
    inbox::{Envelope, Inbox, Stored},
    ledger,
    signature::{Signed, is_genuine, secret_bytes},
};

/// After the longest time that an announcement may take, for those that have just arrived.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// What the requests share.
struct Receiver {
    inbox: Inbox,
    scheme: SignatureScheme,
    header: String,
    secrets: Vec<Vec<u8>>,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    stored: AtomicU64,
    duplicates: AtomicU64,
    unsigned: AtomicU64,
    malformed: AtomicU64,
    not_stored: AtomicU64,
    not_understood: AtomicU64,
    store_micros: AtomicU64,
}

pub(super) fn run(context: &Context, arguments: &Serve) -> Result<ExitStatus> {
    let config = &context.config.serve;
    let listen = arguments.listen.as_ref().unwrap_or(&config.listen);
    let secrets = secrets(config)?;
    if config.signature == SignatureScheme::None {
        tracing::warn!(
            "signature = \"none\": anybody who reaches this address can announce batches"
        );
    }
    let header = match (config.signature_header.as_str(), config.signature) {
        ("", SignatureScheme::StandardWebhooks) => "webhook-signature",
        ("", _) => "Signature",
        (header, _) => header,
    };
    let receiver = Arc::new(Receiver {
        inbox: Inbox::new(&context.config.data_dir),
        scheme: config.signature,
        header: header.to_owned(),
        secrets,
        counters: Counters::default(),
    });
    receiver
        .inbox
        .create()
        .map_err(Error::io("make the inbox in", &context.config.data_dir))?;
    receiver.inbox.remove_leftovers()?;
    let timeout = config.timeout;
    let max_body = usize::try_from(config.max_body.0).unwrap_or(usize::MAX);
    let router = Router::new()
        .route(
            &config.path,
            post(receive)
                .layer(DefaultBodyLimit::max(max_body))
                .layer(middleware::from_fn(move |request, next: Next| {
                    within(timeout, next.run(request))
                })),
        )
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .with_state(receiver);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("the runtime does not start: {error}")))?;
    runtime.block_on(async {
        let addresses = listen
            .addresses()
            .map_err(Error::io("find the address", listen.to_string()))?;
        let listener = tokio::net::TcpListener::bind(&*addresses)
            .await
            .map_err(Error::io("listen on", listen.to_string()))?;
        let address = listener
            .local_addr()
            .map_err(Error::io("listen on", listen.to_string()))?;
        let reach = match address.ip() {
            ip if ip.is_loopback() => "this machine only; put a TLS proxy in front",
            ip if ip.is_unspecified() => {
                "every address of this machine, without TLS; put a TLS proxy in front"
            }
            _ => "without TLS; put a TLS proxy in front",
        };
        say!(
            "receiving announcements on http://{address}{} ({reach})",
            config.path
        );
        let (stopping, stop) = tokio::sync::watch::channel(false);
        let asked = asked_to_stop()?;
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            asked.await;
            let _ = stopping.send(true);
        });
        tokio::select! {
            served = serving => served.map_err(Error::io("serve on", address.to_string())),
            () = has_lasted(stop, timeout + LAST_ANSWERS) => {
                tracing::warn!("closing connections whose senders have fallen silent");
                Ok(())
            }
        }
    })?;
    say!("stopped; everything that was acknowledged is in the inbox");
    Ok(ExitStatus::Success)
}

/// Ends at SIGTERM or SIGINT; requests under way are answered before the server stops.
fn asked_to_stop() -> Result<impl Future<Output = ()> + Send> {
    let listen = |kind| signal(kind).map_err(Error::io("listen for", "signals"));
    let (mut terminate, mut interrupt) = (
        listen(SignalKind::terminate())?,
        listen(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ends `time` after `stop` has become true.
async fn has_lasted(mut stop: tokio::sync::watch::Receiver<bool>, time: Duration) {
    let _ = stop.wait_for(|stop| *stop).await;
    tokio::time::sleep(time).await;
}

/// `answer`, or that the announcement has not arrived in time.
async fn within(timeout: Duration, answer: impl Future<Output = Response>) -> Response {
    tokio::time::timeout(timeout, answer)
        .await
        .unwrap_or_else(|_| {
            self::answer(
                StatusCode::REQUEST_TIMEOUT,
                "{\"error\": \"the announcement has not arrived in time\"}",
            )
        })
}

/// The secrets in force: those of the variable, then those of the file. None is an error: fail closed.
pub(super) fn secrets(config: &ServeConfig) -> Result<Vec<Vec<u8>>> {
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    let wrong = |place: &str, message: String| Error::Settings {
        place: place.into(),
        message,
        hint: None,
    };
    if let Some(value) = std::env::var_os(&config.secret_env) {
        let value = value.into_string().map_err(|_| {
            let message = format!("the value of {} is not UTF-8", config.secret_env);
            wrong("[serve] secret_env", message)
        })?;
        secrets.extend(value.split_ascii_whitespace().map(secret_bytes));
    }
    if !config.secret_file.as_os_str().is_empty() {
        let text = std::fs::read_to_string(&config.secret_file).map_err(|error| {
            let file = config.secret_file.display();
            wrong(
                "[serve] secret_file",
                format!("{file} can't be read: {error}"),
            )
        })?;
        secrets.extend(
            text.lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(secret_bytes),
        );
    }
    if secrets.is_empty() && config.signature != SignatureScheme::None {
        return Err(Error::Settings {
            place: "[serve]".into(),
            message: format!(
                "no secret to check signatures with: {} is not set and secret_file names none",
                config.secret_env
            ),
            hint: Some("set the variable, or signature = \"none\" if anybody may announce".into()),
        });
    }
    Ok(secrets)
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let counters = &receiver.counters;
    let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    let Ok(wrapping) = hook::wrapping("announcement", &body) else {
        count(&counters.malformed);
        return answer(
            StatusCode::BAD_REQUEST,
            "{\"error\": \"the body is not JSON\"}",
        );
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let request = Signed {
        body: &body,
        resource: wrapping.resource.as_deref(),
        signature: text(&receiver.header),
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        now: ledger::now() / 1_000_000,
    };
    if !is_genuine(receiver.scheme, &receiver.secrets, &request) {
        count(&counters.unsigned);
        tracing::warn!("an announcement without a valid signature was refused");
        return answer(
            StatusCode::UNAUTHORIZED,
            "{\"error\": \"the signature is missing or wrong\"}",
        );
    }
    if let Err(error) = hook::parse("announcement", &body) {
        // Signed and JSON: the provider means something by it. The run puts it aside with a note.
        count(&counters.not_understood);
        tracing::warn!(reason = %error, "an announcement is not understood; stored all the same");
    }
    let started = Instant::now();
    let storing = Arc::clone(&receiver);
    let stored = tokio::task::spawn_blocking(move || {
        let envelope = Envelope {
            id: wrapping.id.as_deref(),
            resource: match storing.scheme {
                SignatureScheme::ResourceHmacSha256 => wrapping.resource.as_deref(),
                _ => None,
            },
        };
        storing.inbox.store(&body, envelope, ledger::now())
    })
    .await;
    counters.store_micros.fetch_add(
        u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        Ordering::Relaxed,
    );
    match stored {
        Ok(Ok(Stored::New)) => {
            count(&counters.stored);
            answer(StatusCode::OK, "{\"received\": true}")
        }
        Ok(Ok(Stored::Duplicate)) => {
            count(&counters.duplicates);
            answer(StatusCode::OK, "{\"received\": true}")
        }
        Ok(Err(error)) => {
            count(&counters.not_stored);
            tracing::error!(%error, "an announcement could not be stored; its sender is told to try again");
            answer(
                StatusCode::SERVICE_UNAVAILABLE,
                "{\"error\": \"not stored, try again\"}",
            )
        }
        Err(error) => {
            count(&counters.not_stored);
            tracing::error!(%error, "storing an announcement has failed");
            answer(
                StatusCode::SERVICE_UNAVAILABLE,
                "{\"error\": \"not stored, try again\"}",
            )
        }
    }
}

fn answer(status: StatusCode, json: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], json).into_response()
}

async fn metrics(State(receiver): State<Arc<Receiver>>) -> Response {
    let counters = &receiver.counters;
    let waiting = receiver
        .inbox
        .waiting()
        .map(|paths| paths.len() as u64)
        .unwrap_or_default();
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
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
            ("{outcome=\"stored\"}", load(&counters.stored).to_string()),
            (
                "{outcome=\"duplicate\"}",
                load(&counters.duplicates).to_string(),
            ),
            (
                "{outcome=\"bad_signature\"}",
                load(&counters.unsigned).to_string(),
            ),
            (
                "{outcome=\"bad_json\"}",
                load(&counters.malformed).to_string(),
            ),
            (
                "{outcome=\"not_stored\"}",
                load(&counters.not_stored).to_string(),
            ),
        ],
    );
    metric(
        "announcements_not_understood_total",
        "counter",
        "Announcements that were stored although they are no Batch Hook.",
        &[("", load(&counters.not_understood).to_string())],
    );
    metric(
        "store_seconds_total",
        "counter",
        "Time spent storing announcements durably.",
        &[(
            "",
            format!("{:.6}", load(&counters.store_micros) as f64 / 1e6),
        )],
    );
    metric(
        "inbox_waiting",
        "gauge",
        "Announcements waiting in the inbox.",
        &[("", waiting.to_string())],
    );
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
