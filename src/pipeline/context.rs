//! What every step of a load is done with.

use std::{sync::Arc, time::Duration};

use duckdb::InterruptHandle;

use crate::{
    contract::Contracts,
    error::{Error, Result},
    feed::Feed,
    stop::Stop,
};

/// How often a statement that is to end is told again: between two statements nobody hears it.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(20);

/// What every step of a load is done with.
pub(super) struct LoadContext<'a> {
    pub(super) contracts: &'a Contracts,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) feed: Feed,
    pub(super) run_id: String,
    pub(super) stop: Stop,
}

impl LoadContext<'_> {
    /// Waits for what runs on the runtime, unless the process is asked to end.
    pub(super) fn wait_for<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T>
    where
        Error: From<E>,
    {
        self.runtime.block_on(self.stop.unless(work))
    }

    /// Runs `work`, whose statements end early when the process is asked to end. What comes after it, such as
    /// a commit, does not.
    pub(super) fn interruptible<T>(
        &self,
        handle: Arc<InterruptHandle>,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let stop = self.stop.clone();
        let watch = self.runtime.spawn(async move {
            stop.requested().await;
            loop {
                handle.interrupt();
                tokio::time::sleep(INTERRUPT_AGAIN).await;
            }
        });
        let result = work();
        watch.abort();
        // Until it is over it may still interrupt.
        let _ = self.runtime.block_on(watch);
        self.stop.check()?;
        result
    }
}
