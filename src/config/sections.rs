//! Every setting. `config/redledger.toml` says what each is for.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    listen::Listen,
    quantities::{self, ByteSize, Interval, Rate, duration},
};

/// All settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where everything lives.
    pub data_dir: PathBuf,
    /// Contracts of the user's own; empty: none.
    pub datasets_dir: PathBuf,
    /// The warehouse file.
    pub warehouse: WarehouseConfig,
    /// The engine while loading.
    pub load: LoadConfig,
    /// Fetching files.
    pub download: DownloadConfig,
    /// Understanding announcements.
    pub hook: HookConfig,
    /// Dataset → longest time from one batch to the next, for those that come regularly.
    pub expected_every: BTreeMap<String, Interval>,
    /// Receiving announcements.
    pub serve: ServeConfig,
    /// Announcements received.
    pub inbox: InboxConfig,
    /// Keeping what was delivered.
    pub archive: ArchiveConfig,
    /// Asking for a batch by its number.
    pub provider: ProviderConfig,
    /// Views for analysts.
    pub reporting: ReportingConfig,
}

/// How the warehouse file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarehouseMode {
    /// Load into a copy and rename it over: readers never notice.
    Replace,
    /// Load straight into the file: readers are locked out meanwhile.
    InPlace,
}

/// `[warehouse]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WarehouseConfig {
    /// How the file is written.
    pub mode: WarehouseMode,
    /// Replaced warehouses that are kept for `rollback`: 1, or 0 for none.
    pub keep_previous: u8,
}

/// `[load]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadConfig {
    /// Threads of the engine; 0: all cores.
    pub threads: usize,
    /// The engine's memory, a tenth of it for what the engine does not count; above it work spills to disk.
    pub memory_limit: ByteSize,
}

/// `[download]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DownloadConfig {
    /// Files fetched at once.
    pub concurrency: usize,
    /// Of these, at most so many from one host.
    pub per_host: usize,
    /// Attempts for one file in a row that bring nothing; one that brings a download on by a range is none of them.
    pub attempts: u32,
    /// Wait before the second attempt, doubled each time.
    #[serde(with = "duration")]
    pub backoff: Duration,
    /// Longest wait between attempts.
    #[serde(with = "duration")]
    pub max_backoff: Duration,
    /// Longest `Retry-After` that is obeyed; a server that asks for more is left to the next run.
    #[serde(with = "duration")]
    pub max_retry_after: Duration,
    /// For one file, all attempts together.
    #[serde(with = "duration")]
    pub deadline: Duration,
    /// How long after it was announced a file that is not there is tried again, by each run.
    #[serde(with = "duration")]
    pub retry_gone_for: Duration,
    /// For one connection to be made.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// Longest silence within a body.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// Slowest acceptable rate over `idle_timeout`, a second.
    pub min_speed: Rate,
    /// Whether plain http is allowed.
    pub allow_http: bool,
    /// Hosts that may be asked, with `*.` wildcards; empty: any public host.
    pub allow_hosts: Vec<String>,
    /// Address ranges (CIDR) let through although they are not public.
    pub allow_private: Vec<String>,
    /// Largest file, decoded.
    pub max_bytes: ByteSize,
    /// Largest ratio of decoded to received bytes.
    pub max_ratio: u64,
    /// Longest record; no more than 4 GB, however much is set.
    #[serde(deserialize_with = "quantities::record")]
    pub max_record: ByteSize,
    /// A PEM file with certificate authorities to trust besides the system's.
    pub ca_file: PathBuf,
}

/// `[hook]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HookConfig {
    /// `eventType` → dataset.
    pub events: BTreeMap<String, String>,
}

/// How an announcement's sender proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureScheme {
    /// Base64(HMAC-SHA256(secret, the decoded string value of `resource`)).
    #[serde(rename = "resource-hmac-sha256")]
    ResourceHmacSha256,
    /// HMAC-SHA256 of the body, in hexadecimal or Base64.
    #[serde(rename = "body-hmac-sha256")]
    BodyHmacSha256,
    /// <https://www.standardwebhooks.com>: id.timestamp.body, within five minutes.
    StandardWebhooks,
    /// Anybody may announce.
    None,
}

/// `[serve]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeConfig {
    /// Address or name, and port.
    pub listen: Listen,
    /// Where announcements are posted to.
    pub path: String,
    /// How they are signed.
    pub signature: SignatureScheme,
    /// The header that holds the signature; empty: the scheme's usual one.
    pub signature_header: String,
    /// The environment variable with the secret, or several apart by blanks.
    pub secret_env: String,
    /// A file with a secret a line; empty: none.
    pub secret_file: PathBuf,
    /// Largest announcement.
    pub max_body: ByteSize,
    /// Longest time for an announcement to arrive.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

/// `[inbox]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InboxConfig {
    /// How long announcements are kept under `inbox/done` after they were loaded; they hold signed URLs.
    #[serde(with = "duration")]
    pub keep_done: Duration,
}

/// `[archive]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveConfig {
    /// Whether delivered files are kept.
    pub keep: bool,
    /// Older deliveries are removed.
    #[serde(with = "duration")]
    pub max_age: Duration,
    /// Above it the oldest are removed; 0: no limit.
    pub max_bytes: ByteSize,
    /// Whether what is loaded, and what a rollback would load, is kept whatever the limits say.
    pub keep_current: bool,
}

/// `[reporting]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportingConfig {
    /// The IANA name of the zone whose days are reported.
    pub time_zone: String,
    /// Whether a batch of `account_negative` is all that is negative.
    pub snapshot: bool,
    /// Queries of the user's own, each a file that becomes a view; empty: none.
    pub views_dir: PathBuf,
}

/// `[provider]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderConfig {
    /// Where a batch is asked for, with `{batch_no}` and `{page}`; empty: nowhere.
    pub url: String,
    /// How.
    pub method: Method,
    /// What is posted, with `{batch_no}` and `{page}`.
    pub body: String,
    /// Further headers, with `{token}`.
    pub headers: BTreeMap<String, String>,
    /// The environment variable with the token.
    pub token_env: String,
    /// JSON pointer to the hook in the reply; empty: the reply itself.
    pub hook: String,
    /// Number of the first page.
    pub first_page: u64,
}

/// How a question is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// In the URL alone.
    Get,
    /// With a body.
    Post,
}

impl Default for WarehouseConfig {
    fn default() -> Self {
        Self {
            mode: WarehouseMode::Replace,
            keep_previous: 1,
        }
    }
}

impl Default for LoadConfig {
    fn default() -> Self {
        Self {
            threads: 0,
            memory_limit: ByteSize(512_000_000),
        }
    }
}

impl Default for DownloadConfig {
    fn default() -> Self {
        Self {
            concurrency: 16,
            per_host: 8,
            attempts: 8,
            backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(120),
            deadline: Duration::from_secs(15 * 60),
            retry_gone_for: Duration::from_secs(6 * 3600),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            min_speed: Rate(1_000),
            allow_http: false,
            allow_hosts: Vec::new(),
            allow_private: Vec::new(),
            max_bytes: ByteSize(20_000_000_000),
            max_ratio: 200,
            max_record: ByteSize(16_000_000),
            ca_file: PathBuf::new(),
        }
    }
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 8080)).into(),
            path: "/hooks".into(),
            signature: SignatureScheme::ResourceHmacSha256,
            signature_header: String::new(),
            secret_env: "REDLEDGER_HOOK_SECRET".into(),
            secret_file: PathBuf::new(),
            max_body: ByteSize(16_000_000),
            timeout: Duration::from_secs(30),
        }
    }
}

impl Default for InboxConfig {
    fn default() -> Self {
        Self {
            keep_done: Duration::from_secs(90 * 24 * 60 * 60),
        }
    }
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        Self {
            keep: true,
            max_age: Duration::from_secs(400 * 24 * 60 * 60),
            max_bytes: ByteSize(0),
            keep_current: true,
        }
    }
}

impl Default for ReportingConfig {
    fn default() -> Self {
        Self {
            time_zone: "UTC".into(),
            snapshot: true,
            views_dir: PathBuf::new(),
        }
    }
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            method: Method::Get,
            body: String::new(),
            headers: BTreeMap::new(),
            token_env: "REDLEDGER_PROVIDER_TOKEN".into(),
            hook: String::new(),
            first_page: 1,
        }
    }
}
