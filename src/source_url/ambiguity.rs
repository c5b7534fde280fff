//! URLs that two programs read differently: one that checks sees one host, one that fetches goes to another.
//!
//! Where the WHATWG URL Standard (browsers, this program) and RFC 3986 (most libraries, proxies, people) disagree
//! about where a URL leads, nobody can say what was meant, and the difference is how checks are passed
//! (Orange Tsai, "A New Era of SSRF", 2017). Such URLs are refused, whatever this program would make of them.

use std::net::Ipv4Addr;

use reqwest::Url;

use crate::characters::{code_point, is_invisible};

/// What every refusal begins with.
const READ_DIFFERENTLY: &str = "a URL that programs read differently";

/// Why programs may read `text` differently, if they may: a phrase that names the rule and nothing of the URL.
///
/// `text` is a URL, or a reference to one as redirects have it; `taken` is what this program takes it for, if it is one.
#[must_use]
pub fn ambiguity(text: &str, taken: Option<&Url>) -> Option<String> {
    let why = in_characters(text).or_else(|| {
        let reference = Reference::of(text);
        in_authority(&reference, taken.and_then(Url::host_str)).or_else(|| in_path(reference.path))
    })?;
    Some(format!("{READ_DIFFERENTLY}: {why}"))
}

fn in_characters(text: &str) -> Option<String> {
    if let Some(c) = text.chars().find(|c| is_invisible(*c)) {
        // Parsers leave out tabs and line breaks, blanks and controls at the ends, or nothing.
        return Some(format!("{} in it, which is not seen", code_point(c)));
    }
    text.contains('\\')
        .then(|| "a backslash in it, which some take for a slash".to_owned())
}

/// A URL's parts by RFC 3986, appendix B: where they end does not hang on what is in them.
struct Reference<'a> {
    /// `http` or `https` (any case) stands before it, or nothing, as in a redirect's `//host/path`.
    is_http: bool,
    has_scheme: bool,
    authority: Option<&'a str>,
    path: &'a str,
    /// Query and fragment, with their `?` or `#`.
    rest: &'a str,
}

impl<'a> Reference<'a> {
    fn of(text: &'a str) -> Self {
        let end = text.find([':', '/', '?', '#']).unwrap_or(text.len());
        let scheme = text[end..].starts_with(':').then(|| &text[..end]);
        let rest = scheme.map_or(text, |scheme| &text[scheme.len() + 1..]);
        let (authority, rest) = match rest.strip_prefix("//") {
            None => (None, rest),
            Some(rest) => {
                let (authority, rest) =
                    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
                (Some(authority), rest)
            }
        };
        let (path, rest) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        Self {
            is_http: scheme.is_none_or(|scheme| {
                scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
            }),
            has_scheme: scheme.is_some(),
            authority,
            path,
            rest,
        }
    }
}

/// `host` is what the URL's host was taken for.
fn in_authority(reference: &Reference<'_>, host: Option<&str>) -> Option<String> {
    if !reference.is_http {
        return None;
    }
    let why = |text: &str| Some(text.to_owned());
    let Some(authority) = reference
        .authority
        .filter(|authority| !authority.is_empty())
    else {
        // `http:/host`, `http:host`, `http:///host`; a reference to a path of the same host is none.
        return (reference.has_scheme || reference.authority.is_some())
            .then(|| "its host does not stand between `//` and the next `/`".to_owned());
    };
    if reference.path.is_empty() && reference.rest.contains('@') {
        return why("an `@` behind a host that no `/` follows");
    }
    let (user, address) = match authority.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, authority),
    };
    if let Some(user) = user {
        // RFC 3986, section 3.2.1.
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:%".contains(c);
        if user.contains('@') {
            return why("more than one `@` before its path");
        }
        if user.trim_matches(':').is_empty() || !user.chars().all(allowed) {
            return why("a user name that is none before its `@`");
        }
    }
    if address.starts_with('[') {
        return None;
    }
    let name = address.split(':').next().unwrap_or_default();
    in_host(name, host?)
}

/// Compares a host as it is written with what it was taken for.
fn in_host(written: &str, host: &str) -> Option<String> {
    if written.contains('%') {
        return Some("a `%` escape in its host".to_owned());
    }
    if host.parse::<Ipv4Addr>().is_ok() && written != host {
        return Some(
            "a number for a host that is no address of four plain decimal numbers".to_owned(),
        );
    }
    let (mut labels, mut taken) = (written.split('.'), host.split('.'));
    let is_same = labels.by_ref().zip(taken.by_ref()).all(|(label, taken)| {
        if label.is_ascii() {
            label.eq_ignore_ascii_case(taken)
        } else {
            // ß and ς are letters of their own since IDNA 2008 and were others before.
            taken.starts_with("xn--") && !label.contains(['ß', 'ẞ', 'ς'])
        }
    });
    (!is_same || labels.next().is_some() || taken.next().is_some())
        .then(|| "characters in its host that stand for others".to_owned())
}

fn in_path(path: &str) -> Option<String> {
    let is_hidden = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain.len() < segment.len() && matches!(plain.as_str(), "." | "..")
    };
    path.split('/')
        .any(is_hidden)
        .then(|| "a path segment of dots that are written `%2E`".to_owned())
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    fn ambiguity(text: &str, base: Option<&Url>) -> Option<String> {
        let taken = match base {
            Some(base) => base.join(text),
            None => Url::parse(text),
        };
        super::ambiguity(text, taken.as_ref().ok())
    }

    #[test]
    fn urls_that_mean_one_thing_are_taken() {
        for text in [
            "https://store.example.com/a/b.csv?X-Amz-Signature=a%2Fb&x=a@b#f",
            "HTTPS://Store.Example.Com:8443/a",
            "https://user:pass@h.example/x@y.csv",
            "https://us%40er:p%3Ass@h.example/",
            "https://h.example/o/folder%2Ffile.csv?alt=media",
            "https://h.example/a/../b/./c%2Ecsv/..%2e%2e",
            "https://h.example/negative bill (1).csv?a=[1]&b={c}|d",
            "https://h?q=1",
            "https://h./x",
            "https://127.0.0.1:8080/x",
            "https://[::1]:8443/x",
            "https://bücher.example/账单.csv",
            "https://例子.测试/x",
            "https://my_bucket.example.com/100%.csv",
            "file:///data/a.csv",
        ] {
            assert_eq!(ambiguity(text, None), None, "{text}");
        }
    }

    #[test]
    fn urls_that_programs_read_differently_are_named_by_their_rule() {
        for (text, rule) in [
            ("http://allowed\\@inside/", "backslash"),
            ("http://allowed/a\\..\\b", "backslash"),
            ("https:\\\\inside\\x", "backslash"),
            ("http://all\towed/x", "U+0009"),
            ("http://allowed/a\nb", "U+000A"),
            ("http://allowed/a\rb", "U+000D"),
            ("http://allowed/a\0b", "U+0000"),
            ("http://allowed/\u{7f}", "U+007F"),
            ("http://allo\u{ad}wed/", "U+00AD"),
            ("http://allowed/\u{200b}a", "U+200B"),
            ("http://allowed/\u{202e}a", "U+202E"),
            ("http:/inside/x", "between `//`"),
            ("http:inside/x", "between `//`"),
            ("http:///inside/x", "between `//`"),
            ("HTTP:////inside/x", "between `//`"),
            ("http://allowed#@inside/", "no `/` follows"),
            ("http://allowed?@inside/", "no `/` follows"),
            ("http://a@allowed@inside/", "more than one `@`"),
            ("http://@inside/", "user name"),
            ("http://:@inside/", "user name"),
            ("http://allowed %20@inside/", "user name"),
            ("http://[::1]@inside/", "user name"),
            ("http://用户@inside/", "user name"),
            ("http://a|b@inside/", "user name"),
            ("http://%69nside/", "escape in its host"),
            ("http://127.1/", "four plain decimal"),
            ("http://0x7f000001/", "four plain decimal"),
            ("http://0177.0.0.1/", "four plain decimal"),
            ("http://2130706433/", "four plain decimal"),
            ("http://127.0.0.1./", "four plain decimal"),
            ("http://ｉｎｓｉｄｅ/", "stand for others"),
            ("http://①②⑦.example/", "stand for others"),
            ("http://in。side/", "stand for others"),
            ("http://faß.example/", "stand for others"),
            ("http://allowed/a/%2E%2E/b", "`%2E`"),
            ("http://allowed/%2e%2E", "`%2E`"),
            ("http://allowed/a/.%2e/b?q", "`%2E`"),
            ("http://allowed/%2e/b", "`%2E`"),
        ] {
            let why = ambiguity(text, None).unwrap_or_else(|| panic!("{text:?} was taken"));
            assert!(why.contains(rule), "{text:?}: {why}");
            assert!(!why.contains("inside") && !why.contains("allowed"), "{why}");
        }
    }

    #[test]
    fn references_are_judged_as_what_they_lead_to() {
        let base = Url::parse("https://h.example/a/b").expect("a URL");
        for text in [
            "c.csv",
            "../c?x=a@b",
            "/c",
            "//other.example/c",
            "?x",
            "#f",
            "",
            "https://o.example/",
        ] {
            assert_eq!(ambiguity(text, Some(&base)), None, "{text}");
        }
        for text in [
            "/\\inside/",
            "\\\\inside",
            "/\t/inside/",
            "///inside/",
            "//a@b@inside/",
            "//127.1/",
            "/a/%2e%2e/c",
            "https:inside",
        ] {
            assert!(ambiguity(text, Some(&base)).is_some(), "{text:?} was taken");
        }
    }
}
