//! How many downloads run at once: in total, and from one host.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hosts are forgotten once there are so many and nothing is asked of them.
const HOSTS_KEPT: usize = 256;

/// Both limits.
pub(super) struct Limits {
    total: Arc<Semaphore>,
    per_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The right to one download, given back when dropped.
pub(super) struct Permits {
    total: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    _host: Option<OwnedSemaphorePermit>,
}

impl Limits {
    pub(super) fn new(total: usize, per_host: usize) -> Self {
        Self {
            total: Arc::new(Semaphore::new(total)),
            per_host,
            hosts: Mutex::default(),
        }
    }

    /// Waits for a turn. The host comes first: whoever waits for a busy host must not hold up the rest.
    pub(super) async fn acquire(&self, host: &str) -> Permits {
        let host = self.host(host);
        // A semaphore fails only when closed, and these never are.
        let host = host.acquire_owned().await.ok();
        let mut permits = Permits {
            total: Arc::clone(&self.total),
            held: None,
            _host: host,
        };
        permits.resume().await;
        permits
    }

    fn host(&self, name: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS_KEPT {
            // The map's own handle is the only one left: no download, nobody waiting.
            hosts.retain(|_, host| {
                Arc::strong_count(host) > 1 || host.available_permits() < self.per_host
            });
        }
        let host = hosts
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Semaphore::new(self.per_host)));
        Arc::clone(host)
    }
}

impl Permits {
    /// Lets others run while this download waits for its next attempt; the host is still spared.
    pub(super) fn pause(&mut self) {
        self.held = None;
    }

    /// Takes the place back.
    pub(super) async fn resume(&mut self) {
        if self.held.is_none() {
            self.held = Arc::clone(&self.total).acquire_owned().await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_host_does_not_hold_up_others() {
        let limits = Limits::new(3, 2);
        let first = limits.acquire("a").await;
        let _second = limits.acquire("a").await;
        let mut third = Box::pin(limits.acquire("a"));
        assert!(futures_util::poll!(&mut third).is_pending());
        let mut other = Box::pin(limits.acquire("b"));
        assert!(futures_util::poll!(&mut other).is_ready());
        drop(first);
        drop(other);
        assert!(futures_util::poll!(&mut third).is_ready());
    }

    #[tokio::test]
    async fn a_paused_download_leaves_its_place_in_the_total_only() {
        let limits = Limits::new(1, 1);
        let mut first = limits.acquire("a").await;
        let mut second = Box::pin(limits.acquire("b"));
        assert!(futures_util::poll!(&mut second).is_pending());
        first.pause();
        let second = second.await;
        let mut back = Box::pin(first.resume());
        assert!(futures_util::poll!(&mut back).is_pending());
        drop(second);
        back.await;
    }

    #[tokio::test]
    async fn hosts_without_downloads_are_forgotten() {
        let limits = Limits::new(1, 1);
        for number in 0..10_000 {
            drop(limits.acquire(&number.to_string()).await);
        }
        assert!(limits.hosts.lock().expect("unpoisoned").len() <= HOSTS_KEPT);
    }
}
