//! Where `run --lineage` tells what it does.

use std::{fmt, path::PathBuf, str::FromStr};

use reqwest::Url;

/// A file, or a server that takes OpenLineage events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineageTarget {
    /// Gets a line an event.
    File(PathBuf),
    /// Gets a POST an event.
    Url(Url),
}

impl FromStr for LineageTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_url = ["http://", "https://"].iter().any(|scheme| {
            let start = text.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        match is_url {
            true => Url::parse(text)
                .map(Self::Url)
                .map_err(|error| format!("no URL: {error}")),
            false if text.contains("://") => {
                Err("a server is named by a http:// or https:// URL".into())
            }
            false => Ok(Self::File(text.into())),
        }
    }
}

/// Without what may be secret in it.
impl fmt::Display for LineageTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => {
                write!(f, "{}{}", url.origin().ascii_serialization(), url.path())
            }
        }
    }
}
