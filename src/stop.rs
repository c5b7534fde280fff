//! A request to end, from SIGTERM, SIGINT or a deadline: long work asks for it between its steps and waits for it beside
//! its waits.
//!
//! The first signal asks; a second one ends the process where it stands, as if nothing had been listening.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// Whether this process is asked to end. Clones ask the same.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    requested: CancellationToken,
    by: Arc<OnceLock<By>>,
}

/// Who has asked.
#[derive(Debug, Clone, Copy)]
enum By {
    Signal(&'static str),
    Deadline,
}

impl Stop {
    /// One that is requested by the first SIGTERM or SIGINT from now on.
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system does not let the process listen.
    pub fn on_signals(runtime: &tokio::runtime::Handle) -> Result<Self> {
        let failed = Error::io("listen for", "signals");
        let listen = || {
            let asked = Arc::new(AtomicBool::new(false));
            for kind in [SIGTERM, SIGINT] {
                // In this order: the first signal finds `asked` false, and only then sets it.
                flag::register_conditional_default(kind, Arc::clone(&asked))?;
                flag::register(kind, Arc::clone(&asked))?;
            }
            let _inside = runtime.enter();
            let terminate = signal(SignalKind::terminate())?;
            let interrupt = signal(SignalKind::interrupt())?;
            // It may have come between the two ways to listen.
            Ok((terminate, interrupt, asked.load(Ordering::SeqCst)))
        };
        let (mut terminate, mut interrupt, asked) = listen().map_err(failed)?;
        let stop = Self::default();
        if asked {
            stop.request("a signal");
        }
        let waiting = stop.clone();
        runtime.spawn(async move {
            let by = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!("stopped by {by}: nothing new is begun; once more ends it at once");
            waiting.request(by);
        });
        Ok(stop)
    }

    /// Asks for the end, in the name of `by`.
    pub fn request(&self, by: &'static str) {
        self.by.get_or_init(|| By::Signal(by));
        self.requested.cancel();
    }

    /// Asks for the end of what is under way at `deadline`.
    pub fn request_at(&self, deadline: Instant, runtime: &tokio::runtime::Handle) {
        let stop = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            stop.by.get_or_init(|| By::Deadline);
            stop.requested.cancel();
        });
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Returns when the end is asked for.
    pub async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Goes on unless the end was asked for.
    ///
    /// # Errors
    /// [`Error::Stopped`] when it was, or [`Error::Late`] at a deadline.
    pub fn check(&self) -> Result<()> {
        if self.is_requested() {
            return Err(self.error());
        }
        Ok(())
    }

    /// Runs `future` to its end, or drops it when the end of the process is asked for.
    ///
    /// # Errors
    /// [`Error::Stopped`] when it was, or [`Error::Late`] at a deadline, else what `future` returns.
    pub async fn unless<T, E>(&self, future: impl Future<Output = Result<T, E>>) -> Result<T>
    where
        Error: From<E>,
    {
        tokio::select! {
            biased;
            () = self.requested() => Err(self.error()),
            result = future => Ok(result?),
        }
    }

    /// What ends because of it.
    #[must_use]
    pub fn error(&self) -> Error {
        match self.by.get() {
            Some(By::Deadline) => Error::Late,
            Some(By::Signal(by)) => Error::Stopped { by },
            None => Error::Stopped { by: "a signal" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_is_dropped_when_the_end_is_asked_for() {
        let stop = Stop::default();
        assert!(stop.check().is_ok());
        assert_eq!(
            stop.unless(async { Ok::<_, Error>(7) })
                .await
                .expect("a number"),
            7
        );
        let waiting = stop.clone();
        let waiting =
            tokio::spawn(async move { waiting.unless(std::future::pending::<Result<()>>()).await });
        stop.request("SIGTERM");
        let error = waiting.await.expect("a task").expect_err("stopped");
        assert_eq!(error.to_string(), "stopped by SIGTERM");
        assert!(stop.check().is_err());
    }
}
