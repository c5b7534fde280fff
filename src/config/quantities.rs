//! Settings that are amounts: of bytes, of bytes a second, of time.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A number of bytes, written `"512MB"`, `"16MiB"` or as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Bytes a second, written `"1KB/s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub u64);

/// The time from one batch to the next, written `"1d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interval(#[serde(with = "duration")] pub Duration);

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", humantime::format_duration(self.0))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", exact_size(self.0))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", exact_size(self.0))
    }
}

/// The shortest spelling that means exactly so many bytes.
fn exact_size(bytes: u64) -> String {
    for (unit, name) in [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}B")
}

impl Serialize for ByteSize {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let size: SizeText = Deserialize::deserialize(deserializer)?;
        size.bytes().map(Self).map_err(serde::de::Error::custom)
    }
}

/// The most that a record may have: places within a chunk are numbers of 32 bits, and a chunk ends behind its
/// first megabyte.
const LONGEST_RECORD: ByteSize = ByteSize(4_000_000_000);

/// The length of a record: above 4 GB it is 4 GB.
pub(super) fn record<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<ByteSize, D::Error> {
    ByteSize::deserialize(deserializer).map(|size| size.min(LONGEST_RECORD))
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let size = match SizeText::deserialize(deserializer)? {
            SizeText::Text(text) => SizeText::Text(text.trim().trim_end_matches("/s").to_owned()),
            number @ SizeText::Number(_) => number,
        };
        size.bytes().map(Self).map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a size such as \"512MB\"")]
enum SizeText {
    Number(u64),
    Text(String),
}

impl SizeText {
    fn bytes(self) -> Result<u64, String> {
        match self {
            Self::Number(bytes) => Ok(bytes),
            Self::Text(text) => text
                .parse::<bytesize::ByteSize>()
                .map(|size| size.as_u64())
                .map_err(|_| format!("`{text}` is not a size such as \"512MB\"")),
        }
    }
}

/// A thousand years, which can be added to any clock.
const LONGEST: Duration = Duration::from_secs(1_000 * 365 * 24 * 60 * 60);

/// A duration such as `500ms`, `30s` or `15m`; of a thousand years at most.
///
/// # Errors
/// Says why `text` is none.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time <= LONGEST => Ok(time),
        Ok(_) => Err(format!("`{text}` is longer than a thousand years")),
        Err(_) => Err(format!(
            "`{text}` is not a duration such as \"500ms\", \"30s\" or \"15m\""
        )),
    }
}

pub(super) mod duration {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in crate::config) fn serialize<S: Serializer>(
        value: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*value))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_duration(&text).map_err(D::Error::custom)
    }
}
