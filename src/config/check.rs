//! Values that are understood and would still fail later, each by itself: no file and no network is asked.

use std::{ops::RangeInclusive, time::Duration};

use reqwest::header::HeaderName;

use super::Config;
use crate::{
    error::{Error, Result},
    toml_file::nearest,
};

/// Files at once, and threads: far more than a machine has use for, and what it can still make.
const AT_ONCE: RangeInclusive<usize> = 1..=4_096;
const MOST_THREADS: usize = 1_024;
/// The engine's memory: what it can begin with, and a million gigabytes.
const MEMORY: RangeInclusive<u64> = 64_000_000..=1_000_000_000_000_000;

/// Paths that the receiver answers itself.
const TAKEN: [&str; 2] = ["/healthz", "/metrics"];

pub(super) fn check(config: &Config) -> Result<()> {
    if config.data_dir.as_os_str().is_empty() {
        return Err(wrong("data_dir", "it must name a folder"));
    }
    check_load(config)?;
    check_download(config)?;
    check_serve(config)?;
    check_time_zone(&config.reporting.time_zone)?;
    if config
        .expected_every
        .values()
        .any(|every| every.0.is_zero())
    {
        return Err(wrong("[expected_every]", "an interval must not be zero"));
    }
    if config.provider.first_page > u64::from(u32::MAX) {
        return Err(wrong("[provider] first_page", "no page has such a number"));
    }
    config
        .provider
        .headers
        .keys()
        .try_for_each(|name| header("[provider] headers", name))?;
    check_variable("[provider] token_env", &config.provider.token_env)
}

fn check_time_zone(name: &str) -> Result<()> {
    let known = jiff::tz::TimeZoneDatabase::bundled();
    if known.get(name).is_ok() {
        return Ok(());
    }
    let names: Vec<String> = known.available().map(|name| name.to_string()).collect();
    let near = nearest(name, names.iter().map(String::as_str));
    let near = near.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    let message = format!("`{name}` is no time zone of the IANA database{near}");
    Err(wrong("[reporting] time_zone", &message))
}

fn check_load(config: &Config) -> Result<()> {
    if config.warehouse.keep_previous > 1 {
        return Err(wrong("[warehouse]", "`keep_previous` is 0 or 1"));
    }
    if config.load.threads > MOST_THREADS {
        let message = format!("it must be at most {MOST_THREADS}, or 0 for all cores");
        return Err(wrong("[load] threads", &message));
    }
    if !MEMORY.contains(&config.load.memory_limit.0) {
        return Err(wrong(
            "[load] memory_limit",
            "it must be at least 64MB, and at most 1000TB",
        ));
    }
    Ok(())
}

fn check_download(config: &Config) -> Result<()> {
    let download = &config.download;
    for (key, value) in [
        ("concurrency", download.concurrency),
        ("per_host", download.per_host),
    ] {
        if !AT_ONCE.contains(&value) {
            let message = format!("it must be at least 1 and at most {}", AT_ONCE.end());
            return Err(wrong(&format!("[download] {key}"), &message));
        }
    }
    let figures = [
        ("attempts", u64::from(download.attempts)),
        ("max_bytes", download.max_bytes.0),
        ("max_ratio", download.max_ratio),
        ("max_record", download.max_record.0),
    ];
    for (key, value) in figures {
        if value == 0 {
            let message = "it must be at least 1: with 0 every download fails";
            return Err(wrong(&format!("[download] {key}"), message));
        }
    }
    for (key, value) in [
        ("deadline", download.deadline),
        ("connect_timeout", download.connect_timeout),
        ("idle_timeout", download.idle_timeout),
    ] {
        not_zero(&format!("[download] {key}"), value)?;
    }
    Ok(())
}

fn check_serve(config: &Config) -> Result<()> {
    let serve = &config.serve;
    check_path(&serve.path).map_err(|message| wrong("[serve] path", &message))?;
    if !serve.signature_header.is_empty() {
        header("[serve] signature_header", &serve.signature_header)?;
    }
    if serve.max_body.0 == 0 {
        return Err(wrong("[serve] max_body", "it must be at least 1"));
    }
    not_zero("[serve] timeout", serve.timeout)?;
    check_variable("[serve] secret_env", &serve.secret_env)
}

/// A path that senders can post to and the receiver does not take for a pattern.
fn check_path(path: &str) -> Result<(), String> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(format!("`{path}` does not begin with `/`"));
    };
    if TAKEN.contains(&path) {
        return Err(format!("`{path}` is answered by the receiver itself"));
    }
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=@/".contains(&byte);
    if let Some(other) = rest.chars().find(|c| !u8::try_from(*c).is_ok_and(is_safe)) {
        return Err(format!(
            "`{}` can't be in it: letters, digits and -._~!$&'()+,;=@ can",
            other.escape_default()
        ));
    }
    if rest.split('/').any(|part| matches!(part, "." | "..")) {
        return Err("senders leave out `.` and `..`".into());
    }
    Ok(())
}

fn header(place: &str, name: &str) -> Result<()> {
    HeaderName::try_from(name).map(drop).map_err(|_| {
        wrong(
            place,
            &format!("`{}` is no header's name", name.escape_default()),
        )
    })
}

fn check_variable(place: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(wrong(place, "no variable can have such a name"));
    }
    Ok(())
}

fn not_zero(place: &str, time: Duration) -> Result<()> {
    if time.is_zero() {
        return Err(wrong(
            place,
            "it must not be zero: nothing would be in time",
        ));
    }
    Ok(())
}

fn wrong(place: &str, message: &str) -> Error {
    Error::Settings {
        place: place.into(),
        message: message.into(),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_no_router_takes_or_no_sender_sends_are_refused() {
        for path in ["/hooks", "/", "/a/b", "/a.b/~c", "/hooks/"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        for path in [
            "", "hooks", "/{id}", "/{*rest}", "/:id", "/*rest", "/a b", "/ü", "/a?b", "/a#b",
            "/../a", "/healthz", "/metrics", "/a\n", "/%zz",
        ] {
            assert!(check_path(path).is_err(), "{path}");
        }
    }
}
