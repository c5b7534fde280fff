//! Getting hold of what is to be loaded.

use crate::{
    batch_no::BatchNo,
    config::Config,
    error::{Error, Result},
    hook::Announcement,
    provider::Provider,
    source::Fetcher,
    source_url::SourceUrl,
    stop::Stop,
};

/// Asks, fetches and waits for others; a signal ends every wait.
pub(crate) struct Intake<'a> {
    pub(super) config: &'a Config,
    pub(super) fetcher: Fetcher,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) stop: Stop,
}

impl Intake<'_> {
    /// Opens an announcement by URL.
    ///
    /// # Errors
    /// [`Error::Fetch`] when it can't be had; [`Error::Stopped`].
    pub(crate) fn fetch_announcement(&self, url: &SourceUrl) -> Result<Vec<u8>> {
        const LARGEST: u64 = 64 << 20;
        let read = self.fetcher.read_all(url, LARGEST);
        self.runtime.block_on(self.stop.unless(read))
    }

    /// All that the configured provider has of a batch.
    pub(crate) fn ask_provider(&self, batch_no: &BatchNo) -> Result<Vec<Announcement>> {
        let provider = Provider::new(&self.config.provider, |name| std::env::var(name).ok())?;
        let provider = provider.ok_or_else(|| Error::Usage {
            message: format!("{batch_no}: no provider is configured to ask for it"),
            hint: Some("set [provider] url, or give the announcement to `redledger ingest`".into()),
        })?;
        let asked = provider.ask(&self.fetcher, batch_no);
        self.runtime.block_on(self.stop.unless(asked))
    }

    /// Runs `future` on the runtime that the downloads run on.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Runs `work`, which can't be dropped half-way, on a thread of its own; a signal ends only the wait for it.
    pub(crate) fn wait_for<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || sender.send(work()));
        let answer = async {
            receiver
                .await
                .unwrap_or_else(|_| Err(Error::Internal("a reading thread has panicked".into())))
        };
        self.runtime.block_on(self.stop.unless(answer))
    }
}
