//! Which page an address is of.

use hyper::Uri;
use percent_encoding::percent_decode_str;

/// A page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Of the nights.
    Nights,
    /// Of the lines of a file around one.
    File { file_id: i64, line: u64 },
    /// Of a batch.
    Batch {
        batch_no: String,
        dataset: Option<String>,
    },
}

impl Asked {
    /// `None`: no page has this address.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let path = uri.path();
        if let Some(file_id) = path.strip_prefix("/file/") {
            let line = parameter(uri, "line").and_then(|line| line.parse().ok());
            return Some(Self::File {
                file_id: file_id.parse().ok()?,
                line: line.unwrap_or(1),
            });
        }
        match path {
            "/" => Some(Self::Nights),
            path => Some(Self::Batch {
                batch_no: decoded(path.strip_prefix("/batch/")?)?,
                dataset: parameter(uri, "dataset").and_then(decoded),
            }),
        }
    }
}

/// A parameter of the query, as it is written there.
pub(super) fn parameter<'u>(uri: &'u Uri, name: &str) -> Option<&'u str> {
    let pairs = uri
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs
        .into_iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}

fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_pages() {
        let of = |text: &'static str| Asked::of(&Uri::from_static(text));
        assert_eq!(of("/"), Some(Asked::Nights));
        assert_eq!(of("/?x=1"), Some(Asked::Nights));
        assert_eq!(
            of("/batch/B%201?dataset=own"),
            Some(Asked::Batch {
                batch_no: "B 1".into(),
                dataset: Some("own".into()),
            })
        );
        assert_eq!(
            of("/file/7?line=4182"),
            Some(Asked::File {
                file_id: 7,
                line: 4182
            })
        );
        assert_eq!(of("/file/../etc"), None);
        assert_eq!(of("/batch/%FF"), None);
        assert_eq!(of("/favicon.ico"), None);
    }
}
