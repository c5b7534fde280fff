//! One request: through the guard, along redirects, to a response or a reason.

use std::{path::Path, time::Duration};

use reqwest::{
    Client, Response, StatusCode, Url,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_RANGE, LOCATION, RANGE},
    redirect,
};

use super::{
    guard::{Denied, Guard, GuardedResolver},
    retry::{Attempts, Failure, retry_after},
    store_error::{StoreError, status_kind},
};
use crate::{
    config::DownloadConfig,
    error::{Error, FetchKind, Result},
    source_url::{SourceUrl, ambiguity},
};

/// Redirects followed for one request.
const MAX_REDIRECTS: usize = 5;
/// How much of an error's body is read to find the store's code.
const MAX_ERROR_BODY: usize = 16 * 1024;
/// How long an error's body is waited for: the status is known already.
const ERROR_BODY_TIME: Duration = Duration::from_secs(2);

/// What is asked: a plain GET, or a question of the configured provider.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// POST with this body; `None`: GET.
    pub body: Option<String>,
    /// Headers, which may hold a token: they are sent to the URL's own origin only.
    pub headers: HeaderMap,
}

/// A continuation: from which byte, of which version.
pub(super) struct RangeRequest {
    pub(super) from: u64,
    pub(super) validator: HeaderValue,
}

/// Builds the client that every download shares.
pub(super) fn client(config: &DownloadConfig, guard: &std::sync::Arc<Guard>) -> Result<Client> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    // Stores send the length, a strong ETag and ranges for the bytes they keep; compressing on the way
    // costs all three (nginx and OSS do so when asked), and with them resuming. What is stored compressed
    // still arrives compressed.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let mut builder = Client::builder()
        .user_agent(concat!("redledger/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(redirect::Policy::none())
        .referer(false)
        // The environment of a nightly job is no place to decide where signatures are sent.
        .no_proxy()
        // HTTP/2 would save nothing here, and its RST_STREAM(NO_ERROR) passes for the end of a body without length.
        // The feature is not compiled in either; this holds where another crate asks for it.
        .http1_only()
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(config.per_host)
        .pool_idle_timeout(Duration::from_secs(30))
        .dns_resolver(GuardedResolver(std::sync::Arc::clone(guard)));
    let authorities = authorities(&config.ca_file)?;
    if !authorities.is_empty() {
        builder = builder.tls_certs_merge(authorities);
    }
    builder.build().map_err(|error| Error::Settings {
        place: "[download]".into(),
        message: format!("the HTTP client can't be set up ({})", deepest(&error)),
        hint: Some("check the system's certificate authorities, or name some as `ca_file`".into()),
    })
}

/// The certificate authorities of `[download] ca_file`, besides the system's; none where it names no file.
///
/// # Errors
/// [`Error::Io`] if it can't be read, [`Error::Settings`] if no certificate is in it.
pub fn authorities(ca_file: &Path) -> Result<Vec<reqwest::Certificate>> {
    if ca_file.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let settings = |message: &str| Error::Settings {
        place: "[download] ca_file".into(),
        message: format!("{}: {message}", ca_file.display()),
        hint: None,
    };
    let pem = std::fs::read(ca_file)
        .map_err(Error::io("read the certificate authorities in", ca_file))?;
    let authorities = reqwest::Certificate::from_pem_bundle(&pem)
        .map_err(|_| settings("not a PEM file of certificates"))?;
    match authorities.is_empty() {
        true => Err(settings("no certificate in it")),
        false => Ok(authorities),
    }
}

/// Asks for `url`, following redirects; any final status is a response.
pub(super) async fn request(
    client: &Client,
    guard: &Guard,
    config: &DownloadConfig,
    attempts: &mut Attempts,
    url: &SourceUrl,
    question: &Question,
    range: Option<&RangeRequest>,
) -> Result<Response, Failure> {
    let asked = url.secret().origin();
    let mut target = url.secret().clone();
    target.set_fragment(None);
    let mut body = question.body.as_ref();
    for _ in 0..=MAX_REDIRECTS {
        guard
            .check(&target)
            .map_err(|denied| Failure::refused(denied.0))?;
        let mut request = match body {
            Some(body) => client.post(target.clone()).body(body.clone()),
            None => client.get(target.clone()),
        };
        if target.origin() == asked {
            request = request.headers(question.headers.clone());
        } else if body.is_some() {
            return Err(Failure::refused(
                "a redirect leads a POST to another origin",
            ));
        }
        if let Some(range) = range {
            request = request
                .header(RANGE, format!("bytes={}-", range.from))
                .header(IF_RANGE, range.validator.clone());
        }
        let limit = config.connect_timeout + config.idle_timeout;
        let (sent, _) = attempts.timed(limit, "response", request.send()).await?;
        let response = sent.map_err(|error| describe(&error))?;
        match redirected(&response) {
            None => return Ok(response),
            Some(location) => target = next_hop(&target, location)?,
        }
        // "See other": the answer is there to be asked for (RFC 9110, section 15.4.4).
        if response.status() == StatusCode::SEE_OTHER {
            body = None;
        }
    }
    Err(Failure::refused(format!(
        "more than {MAX_REDIRECTS} redirects"
    )))
}

fn redirected(response: &Response) -> Option<&HeaderValue> {
    matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308)
        .then(|| response.headers().get(LOCATION))
        .flatten()
}

/// Where a redirect leads; the guard judges it before it is followed.
fn next_hop(from: &Url, location: &HeaderValue) -> Result<Url, Failure> {
    let text = std::str::from_utf8(location.as_bytes()).map(str::trim);
    let no_url = || Failure::malformed("a redirect leads to something that is not a URL");
    let text = text.map_err(|_| no_url())?;
    let next = from.join(text);
    if let Some(why) = ambiguity(text, next.as_ref().ok()) {
        return Err(Failure::malformed(format!("a redirect leads to {why}")));
    }
    let mut next = next.map_err(|_| no_url())?;
    if from.scheme() == "https" && next.scheme() == "http" {
        return Err(Failure::refused("a redirect leads from https to http"));
    }
    if next.origin() != from.origin() {
        // Can only fail for URLs without a host, which the guard refuses.
        let _ = next.set_username("");
        let _ = next.set_password(None);
    }
    next.set_fragment(None);
    Ok(next)
}

/// Why a response that is neither 200 nor an expected 206 is a failure.
pub(super) async fn refusal(mut response: Response, attempts: &mut Attempts) -> Failure {
    let status = response.status();
    let asked = retry_after(response.headers(), attempts.wall());
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(piece)) = response.chunk().await {
            let room = MAX_ERROR_BODY - body.len();
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if body.len() == MAX_ERROR_BODY {
                break;
            }
        }
    };
    // Whatever has arrived by then is looked at.
    let _ = attempts.timed(ERROR_BODY_TIME, "error's body", read).await;
    let store = StoreError::parse(&body);
    let kind = store
        .as_ref()
        .and_then(StoreError::kind)
        .unwrap_or_else(|| status_kind(status));
    let mut failure = Failure::new(kind, said(status, store.as_ref()));
    failure.retry_after = asked;
    failure
}

fn said(status: StatusCode, store: Option<&StoreError>) -> String {
    let name = status.canonical_reason().unwrap_or("unknown status");
    match store {
        Some(store) => format!(
            "the server answered {} {name} ({})",
            status.as_u16(),
            store.code
        ),
        None => format!("the server answered {} {name}", status.as_u16()),
    }
}

/// What a failed exchange means. reqwest's own text holds the URL with its signature and is never used.
pub(super) fn describe(error: &reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(denied) = inner.downcast_ref::<Denied>() {
            return Failure::refused(denied.0.clone());
        }
        // An io::Error shows its content's source as its own; look at the content itself.
        if let Some(denied) = inner
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<Denied>())
        {
            return Failure::refused(denied.0.clone());
        }
        cause = inner.source();
    }
    let why = deepest(error);
    let message = if error.is_connect() {
        format!("no connection ({why})")
    } else if error.is_timeout() {
        "no connection in time".to_owned()
    } else {
        format!("the connection broke ({why})")
    };
    // rustls has no type here; its text is the standard's (RFC 8446) and holds no URL.
    let untrusted = why.contains("invalid peer certificate");
    Failure::new(
        if untrusted {
            FetchKind::Refused
        } else {
            FetchKind::Passing
        },
        message,
    )
}

/// The innermost cause's text, which is the system's or the protocol's; anything like a URL is left out.
fn deepest(error: &reqwest::Error) -> String {
    let mut text = None;
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = Some(inner.to_string());
        cause = inner.source();
    }
    text.filter(|text| !text.contains("://") && !text.contains('?'))
        .unwrap_or_else(|| "no further detail".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(from: &str, location: &'static str) -> Result<String, FetchKind> {
        let from = Url::parse(from).expect("a URL");
        next_hop(&from, &HeaderValue::from_static(location))
            .map(String::from)
            .map_err(|failure| failure.kind)
    }

    #[test]
    fn hops_keep_the_scheme_and_lose_foreign_credentials() {
        let from = "https://u:p@a.example/x/y?s=1#f";
        for (location, expected) in [
            ("z", Ok("https://u:p@a.example/x/z")),
            ("/z?q", Ok("https://u:p@a.example/z?q")),
            ("//b.example/z", Ok("https://b.example/z")),
            ("https://v:q@b.example/z#f", Ok("https://b.example/z")),
            ("https://a.example:8443/z", Ok("https://a.example:8443/z")),
            ("http://a.example/z", Err(FetchKind::Refused)),
            ("https://", Err(FetchKind::Malformed)),
            ("https://[::1/", Err(FetchKind::Malformed)),
            ("/a\\..\\b", Err(FetchKind::Malformed)),
            ("//b.example\t/z", Err(FetchKind::Malformed)),
            ("/x/%2e%2E/z", Err(FetchKind::Malformed)),
            ("https://c@d@b.example/z", Err(FetchKind::Malformed)),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(hop(from, location), expected, "{location}");
        }
        assert_eq!(
            hop("http://a.example/", "https://a.example/z"),
            Ok("https://a.example/z".to_owned())
        );
    }
}
