//! Settings: defaults, then a file, then the environment; flags come last, in `commands`.
//!
//! `config/redledger.toml` documents every key and holds the defaults. Unknown keys are errors, wherever
//! they come from. No secret is ever a setting: settings name the variable or the file that holds it.

mod quantities;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use self::quantities::duration;
pub use self::quantities::{ByteSize, Interval, Rate};
use crate::{
    error::{Error, Result},
    toml_file,
};

/// The prefix of environment variables; `__` separates a section from its key.
pub const ENV_PREFIX: &str = "REDLEDGER_";

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
    /// Attempts for one file.
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
    /// Address and port.
    pub listen: std::net::SocketAddr,
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

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "./data".into(),
            datasets_dir: PathBuf::new(),
            warehouse: WarehouseConfig::default(),
            load: LoadConfig::default(),
            download: DownloadConfig::default(),
            hook: HookConfig::default(),
            expected_every: BTreeMap::new(),
            serve: ServeConfig::default(),
            inbox: InboxConfig::default(),
            archive: ArchiveConfig::default(),
            provider: ProviderConfig::default(),
        }
    }
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
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 8080)),
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

impl Config {
    /// Defaults, then `file` (or `./redledger.toml` when there is one), then the environment.
    ///
    /// # Errors
    /// [`Error::Settings`] names the file and line, or the variable; [`Error::Io`] an unreadable file.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self> {
        let implicit = Path::new("redledger.toml");
        let file = file.or_else(|| implicit.is_file().then_some(implicit));
        let mut table = toml::Table::new();
        if let Some(path) = file {
            let text =
                std::fs::read_to_string(path).map_err(Error::io("read the configuration", path))?;
            // Alone first: a mistake in the file is reported with its line.
            let _: Self = toml_file::parse(&path.display().to_string(), &text)?;
            table = toml_file::parse(&path.display().to_string(), &text)?;
        }
        for (name, value) in environment {
            let Some(key) = setting_key(&name) else {
                continue;
            };
            table = with_variable(table, &name, key, &value)?;
        }
        let config: Self = table.try_into().map_err(|error: toml::de::Error| {
            toml_file::settings_error("settings".into(), error.message())
        })?;
        config.check()
    }

    fn check(self) -> Result<Self> {
        let wrong = |place: &str, message: &str| Error::Settings {
            place: place.into(),
            message: message.into(),
            hint: None,
        };
        if self.download.concurrency == 0
            || self.download.per_host == 0
            || self.download.attempts == 0
        {
            return Err(wrong(
                "[download]",
                "`concurrency`, `per_host` and `attempts` must be at least 1",
            ));
        }
        if self.expected_every.values().any(|every| every.0.is_zero()) {
            return Err(wrong("[expected_every]", "an interval must not be zero"));
        }
        if self.warehouse.keep_previous > 1 {
            return Err(wrong("[warehouse]", "`keep_previous` is 0 or 1"));
        }
        if self.load.memory_limit.0 < 64_000_000 {
            return Err(wrong("[load]", "`memory_limit` must be at least 64MB"));
        }
        Ok(self)
    }

    /// `datasets_dir`, unless it is empty.
    #[must_use]
    pub fn datasets_dir(&self) -> Option<&Path> {
        (!self.datasets_dir.as_os_str().is_empty()).then_some(self.datasets_dir.as_path())
    }

    /// The file that analysts open; where it is a link, the file that this leads to: that one is replaced.
    #[must_use]
    pub fn warehouse_path(&self) -> PathBuf {
        let path = self.data_dir.join("warehouse.duckdb");
        match path.is_symlink() {
            // One that leads nowhere is refused by whoever opens it.
            true => path.canonicalize().unwrap_or(path),
            false => path,
        }
    }

    /// Where delivered files are kept.
    #[must_use]
    pub fn archive_dir(&self) -> PathBuf {
        self.data_dir.join("archive")
    }
}

/// The setting that an environment variable names, if it is meant for one.
pub(crate) fn setting_key(variable: &str) -> Option<&str> {
    let key = variable.strip_prefix(ENV_PREFIX)?;
    // REDLEDGER_HOOK_SECRET and its like hold secrets, not settings.
    let is_setting = !key.ends_with("_SECRET") && !key.ends_with("_TOKEN") && key != "LOG";
    is_setting.then_some(key)
}

/// `table` with one environment variable laid over it, checked by itself so that errors name it.
fn with_variable(table: toml::Table, name: &str, key: &str, value: &str) -> Result<toml::Table> {
    let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
    let mut failure = None;
    // A variable has no type: read as TOML if that fits the setting, else as plain text.
    let parsed = value.parse::<toml::Value>().ok();
    for candidate in parsed
        .into_iter()
        .chain([toml::Value::String(value.to_owned())])
    {
        let mut only = toml::Table::new();
        insert(&mut only, &path, candidate.clone());
        match only.try_into::<Config>() {
            Ok(_) => {
                let mut table = table;
                insert(&mut table, &path, candidate);
                return Ok(table);
            }
            Err(error) => {
                failure = Some(toml_file::settings_error(name.to_owned(), error.message()))
            }
        }
    }
    Err(failure.unwrap_or_else(|| Error::Internal("a variable without candidates".into())))
}

fn insert(table: &mut toml::Table, path: &[String], value: toml::Value) {
    match path {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [section, rest @ ..] => {
            let entry = table
                .entry(section.clone())
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if !entry.is_table() {
                *entry = toml::Value::Table(toml::Table::new());
            }
            if let toml::Value::Table(inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("to write");
        file
    }

    #[test]
    fn the_shipped_file_states_the_defaults() {
        let shipped: Config =
            toml::from_str(include_str!("../config/redledger.toml")).expect("valid");
        assert_eq!(shipped, Config::default());
    }

    #[test]
    fn a_record_has_four_gigabytes_at_most_whatever_is_set() {
        for (set, kept) in [
            ("\"5GB\"", 4_000_000_000),
            ("18446744073709551615", 4_000_000_000),
            ("\"32MB\"", 32_000_000),
        ] {
            let config: Config =
                toml::from_str(&format!("[download]\nmax_record = {set}")).expect("valid");
            assert_eq!(config.download.max_record, ByteSize(kept), "{set}");
        }
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let file = file("[download]\nattempts = 5\nbackoff = \"1s\"\n");
        let config = Config::load(
            Some(file.path()),
            env(&[
                ("REDLEDGER_DOWNLOAD__ATTEMPTS", "3"),
                ("REDLEDGER_DATA_DIR", "/tmp/x"),
                ("REDLEDGER_DOWNLOAD__ALLOW_HOSTS", "[\"a.example.com\"]"),
                ("REDLEDGER_DOWNLOAD__MAX_BACKOFF", "7s"),
                ("REDLEDGER_HOOK_SECRET", "not a setting"),
                ("PATH", "/bin"),
            ]),
        )
        .expect("valid");
        assert_eq!(config.download.attempts, 3);
        assert_eq!(config.download.backoff, Duration::from_secs(1));
        assert_eq!(config.download.max_backoff, Duration::from_secs(7));
        assert_eq!(config.download.allow_hosts, ["a.example.com"]);
        assert_eq!(config.data_dir, Path::new("/tmp/x"));
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line_and_the_nearest_key() {
        let file = file("data_dir = \"x\"\n[download]\nattemps = 5\n");
        let error = Config::load(Some(file.path()), env(&[])).expect_err("misspelt");
        assert!(
            error.to_string().contains(":3: unknown field `attemps`"),
            "{error}"
        );
        assert_eq!(error.hint(), Some("did you mean `attempts`?"));
    }

    #[test]
    fn a_misspelt_variable_is_named() {
        let error =
            Config::load(None, env(&[("REDLEDGER_DOWNLOAD__ATTEMPS", "5")])).expect_err("misspelt");
        assert!(
            error
                .to_string()
                .starts_with("REDLEDGER_DOWNLOAD__ATTEMPS: unknown field"),
            "{error}"
        );
        let error = Config::load(None, env(&[("REDLEDGER_DOWNLOAD__BACKOFF", "soon")]))
            .expect_err("not a duration");
        assert!(
            error
                .to_string()
                .contains("REDLEDGER_DOWNLOAD__BACKOFF: `soon` is not a duration"),
            "{error}"
        );
    }
}
