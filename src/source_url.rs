//! A URL whose secrets can't be printed by accident.

mod ambiguity;
mod identity;

use std::fmt;

use reqwest::Url;

pub use self::{ambiguity::ambiguity, identity::FileKey};

/// The address of a file, as announced.
///
/// `Display` and `Debug` leave out the query, the fragment and any user name or password: presigned
/// URLs carry their signature in the query. [`SourceUrl::secret`] is the one way to the whole.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SourceUrl(Url);

impl SourceUrl {
    /// Parses an absolute URL that means the same to every program.
    ///
    /// # Errors
    /// A sentence that says what is wrong, without repeating the value: it is no URL, has another scheme, or is one
    /// that programs read differently (see [`ambiguity`]).
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let url = Url::parse(text).map_err(|error| format!("not a URL ({error})"))?;
        if let Some(why) = ambiguity(text, Some(&url)) {
            return Err(why);
        }
        match url.scheme() {
            "http" | "https" if url.host().is_some() => Ok(Self(url)),
            "file" => Ok(Self(url)),
            other => Err(format!(
                "a URL with scheme `{other}` where https was expected"
            )),
        }
    }

    /// The whole URL, secrets included: for the request itself and for nothing that is kept or shown.
    #[must_use]
    pub fn secret(&self) -> &Url {
        &self.0
    }

    /// The path's last segment, for messages and progress.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0
            .path()
            .rsplit('/')
            .next()
            .filter(|name| !name.is_empty())
            .unwrap_or("(no name)")
    }
}

/// `text` up to its query or fragment and without credentials: how a URL is stored in a table.
///
/// A pure text operation on what was delivered, so that nothing else about it changes.
#[must_use]
pub fn without_secrets(text: &str) -> std::borrow::Cow<'_, str> {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let text = &text[..end];
    let Some(scheme_end) = text.find("://").map(|at| at + 3) else {
        return text.into();
    };
    let authority_end = text[scheme_end..]
        .find('/')
        .map_or(text.len(), |at| scheme_end + at);
    match text[scheme_end..authority_end].rfind('@') {
        Some(at) => format!("{}{}", &text[..scheme_end], &text[scheme_end + at + 1..]).into(),
        None => text.into(),
    }
}

/// `text` with every URL in it cut before its query: a record may name files by presigned URLs.
///
/// A URL in quotes ends at the closing quote, any other at a comma, semicolon, quote or blank. A query
/// whose URL lacks its beginning (`host/a.csv?Signature=…`) is cut as well.
#[must_use]
pub fn redacted(text: &str) -> std::borrow::Cow<'_, str> {
    let shown = without_urls(text);
    match without_queries(&shown) {
        Some(shorter) => shorter.into(),
        None => shown,
    }
}

/// Cuts every `?name=value…`; `None` if there is none.
fn without_queries(text: &str) -> Option<String> {
    let mut shown = String::new();
    let mut kept = 0;
    for (at, _) in text.match_indices('?') {
        let query = &text[at + 1..];
        let name = query
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
            .unwrap_or(query.len());
        if at < kept || name == 0 || !query[name..].starts_with('=') {
            continue;
        }
        let quoted = text[..at].matches('"').count() % 2 == 1;
        let is_end = |c: char| c == '"' || (!quoted && (c == ',' || c == ';' || c.is_whitespace()));
        shown.push_str(&text[kept..=at]);
        shown.push('…');
        kept = at + 1 + query.find(is_end).unwrap_or(query.len());
    }
    (kept > 0).then(|| shown + &text[kept..])
}

fn without_urls(text: &str) -> std::borrow::Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let quoted = rest[..at]
            .trim_end_matches(|c: char| c.is_ascii_alphanumeric())
            .ends_with(['"', '\'']);
        let body = &rest[at + 3..];
        let is_end = |c: char| c == '"' || (!quoted && (c == ',' || c == ';' || c.is_whitespace()));
        let end = body.find(is_end).unwrap_or(body.len());
        let bare =
            without_secrets(&rest[at - scheme_length(&rest[..at])..at + 3 + end]).into_owned();
        shown.push_str(&rest[..at - scheme_length(&rest[..at])]);
        let cut = bare.len() < scheme_length(&rest[..at]) + 3 + end;
        shown.push_str(&bare);
        if cut {
            shown.push_str("?…");
        }
        rest = &body[end..];
    }
    if shown.is_empty() {
        return text.into();
    }
    shown.push_str(rest);
    shown.into()
}

/// Length of the URL scheme at the end of `text`.
fn scheme_length(text: &str) -> usize {
    text.len()
        - text
            .trim_end_matches(|c: char| c.is_ascii_alphanumeric())
            .len()
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_secrets(self.0.as_str()))
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::{SourceUrl, without_secrets};

    #[test]
    fn what_is_printed_holds_no_secret() {
        let url =
            SourceUrl::parse("https://user:pass@store.example.com/a/b.csv?X-Amz-Signature=abc#f")
                .expect("a URL");
        assert_eq!(url.to_string(), "https://store.example.com/a/b.csv");
        assert_eq!(
            format!("{url:?}"),
            "SourceUrl(https://store.example.com/a/b.csv)"
        );
        assert_eq!(url.secret().query(), Some("X-Amz-Signature=abc"));
        assert_eq!(url.file_name(), "b.csv");
    }

    #[test]
    fn stored_urls_keep_everything_but_secrets() {
        assert_eq!(without_secrets("https://h/x.csv?s=1"), "https://h/x.csv");
        assert_eq!(
            without_secrets("https://u:p@h/x@y.csv"),
            "https://h/x@y.csv"
        );
        assert_eq!(without_secrets("https://u:p@h"), "https://h");
        assert_eq!(without_secrets("/plain/path.csv#x"), "/plain/path.csv");
    }

    #[test]
    fn records_are_shown_without_the_queries_of_their_urls() {
        for (record, shown) in [
            ("1,https://h/a.csv?sig=x&y=1,3", "1,https://h/a.csv?…,3"),
            (
                "1,\"https://h/a.csv?a,sig=x\",3",
                "1,\"https://h/a.csv?…\",3",
            ),
            (
                "{\"u\":\"https://u:p@h/a.csv\"}",
                "{\"u\":\"https://h/a.csv?…\"}",
            ),
            ("a,https://h/a.csv,b", "a,https://h/a.csv,b"),
            ("户://?x 上", "户://?… 上"),
            ("no url", "no url"),
            ("1,h/a.csv?Signature=x&y=1,3", "1,h/a.csv?…,3"),
            ("1,\"h/a.csv?s=1,sig=x\",3", "1,\"h/a.csv?…\",3"),
            ("why? a = b?, ?=c", "why? a = b?, ?=c"),
            ("https://a?1 http://b?2", "https://a?… http://b?…"),
        ] {
            assert_eq!(super::redacted(record), shown, "{record}");
        }
    }

    #[test]
    fn other_schemes_are_refused() {
        for text in [
            "ftp://h/x",
            "data:text/plain,x",
            "x.csv",
            "https://",
            "javascript:1",
        ] {
            assert!(SourceUrl::parse(text).is_err(), "{text} was taken");
        }
    }
}
