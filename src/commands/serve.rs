//! `redledger serve`: announcements into the inbox. It needs neither the warehouse nor a lock.
//!
//! Anybody may connect, and nobody is known before a signature is checked. So senders cost little until then: heads
//! and silence have a time limit, connections a number, large bodies a room that they wait for (see `arriving`, and the
//! connections beside).

mod answer;
mod arriving;
mod health;
mod receive;

use std::time::Duration;

use tokio::sync::watch;

use self::receive::Receiver;
use super::{connections::Connections, context::Context, output::say, signals::Signals};
use crate::{
    cli::Serve,
    config::{ServeConfig, SignatureScheme},
    error::{Error, ExitStatus, Result},
    signature::secret_bytes,
};

/// After the longest time that an announcement may take, for those that have just arrived.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Threads that store, at most; each has a few files open.
const STORING_THREADS: usize = 32;

pub(super) fn run(context: &Context, arguments: &Serve) -> Result<ExitStatus> {
    let config = &context.config.serve;
    let listen = arguments.listen.as_ref().unwrap_or(&config.listen);
    let secrets = secrets(config)?;
    if config.signature == SignatureScheme::None {
        tracing::warn!(
            "signature = \"none\": anybody who reaches this address can announce batches"
        );
    }
    let receiver = Receiver::new(&context.config, secrets);
    receiver
        .health
        .inbox
        .create()
        .map_err(Error::io("make the inbox in", &context.config.data_dir))?;
    receiver.health.inbox.remove_leftovers()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(STORING_THREADS)
        .build()
        .map_err(|error| Error::Internal(format!("the runtime does not start: {error}")))?;
    let ended = runtime.block_on(async {
        let addresses = listen
            .addresses()
            .map_err(Error::io("find the address", listen.to_string()))?;
        let listener = tokio::net::TcpListener::bind(&*addresses)
            .await
            .map_err(Error::io("listen on", listen.to_string()))?;
        let address = listener
            .local_addr()
            .map_err(Error::io("listen on", listen.to_string()))?;
        let mut signals = Signals::new()?;
        let connections = Connections::new();
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
        let (stopping, stop) = watch::channel(false);
        let serving = connections.serve(listener, receiver, stop);
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => return Ok(Ended::Whole),
            () = signals.next() => {}
        }
        let _ = stopping.send(true);
        let ended = tokio::select! {
            () = &mut serving => Ended::Whole,
            () = tokio::time::sleep(config.timeout + LAST_ANSWERS) => Ended::Late,
            () = signals.next() => Ended::AtOnce,
        };
        Ok::<_, Error>(ended)
    })?;
    match ended {
        Ended::Whole => {}
        Ended::Late => tracing::warn!("closing connections whose senders have fallen silent"),
        Ended::AtOnce => tracing::warn!("asked again: closing connections without an answer"),
    }
    // Whoever still waits for the disk was never told that anything is stored.
    runtime.shutdown_background();
    say!("stopped; everything that was acknowledged is in the inbox");
    Ok(ExitStatus::Success)
}

/// How serving has ended.
enum Ended {
    /// Every request under way was answered.
    Whole,
    /// Some took too long.
    Late,
    /// By a second signal.
    AtOnce,
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
