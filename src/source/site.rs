//! What all downloads share.

use std::sync::Arc;

use super::{guard, permits, retry::Pace};
use crate::config::DownloadConfig;

/// The client, the rules and the limits of `[download]`.
pub(super) struct Site {
    pub(super) client: reqwest::Client,
    pub(super) guard: Arc<guard::Guard>,
    pub(super) config: Arc<DownloadConfig>,
    pub(super) pace: Arc<dyn Pace>,
    pub(super) limits: permits::Limits,
}
