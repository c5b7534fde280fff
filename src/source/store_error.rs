//! What an object store's error document says: S3, OSS, GCS, COS and Azure share one XML shape.

use reqwest::StatusCode;

use crate::error::FetchKind;

/// The code of an error document, and whether its message speaks of expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoreError {
    /// Letters and digits only, so that it is safe to show.
    pub(super) code: String,
    expired: bool,
}

impl StoreError {
    /// Finds `<Error>…<Code>…</Code>` in `body`; the rest of the document is not trusted to be shown.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(body);
        let inside = &text[text.find("<Error")?..];
        let code = element(inside, "Code")?;
        let plain = (1..=64).contains(&code.len())
            && code
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'));
        let message = element(inside, "Message").unwrap_or_default();
        plain.then(|| Self {
            code: code.to_owned(),
            expired: message.to_ascii_lowercase().contains("expired"),
        })
    }

    /// What the code says about trying again; `None` leaves it to the status.
    pub(super) fn kind(&self) -> Option<FetchKind> {
        if self.expired {
            return Some(FetchKind::Expired);
        }
        Some(match self.code.as_str() {
            "AccessDenied"
            | "AccountProblem"
            | "AuthenticationFailed"
            | "AuthorizationFailure"
            | "AuthorizationQueryParametersError"
            | "ExpiredToken"
            | "Forbidden"
            | "InvalidAccessKeyId"
            | "InvalidSecurity"
            | "InvalidSecurityToken"
            | "InvalidToken"
            | "RequestExpired"
            | "SecurityTokenExpired"
            | "SignatureDoesNotMatch"
            | "TokenRefreshRequired" => FetchKind::Expired,
            "BlobNotFound" | "ContainerNotFound" | "NoSuchBucket" | "NoSuchKey"
            | "NoSuchVersion" | "NotFound" | "ResourceNotFound" => FetchKind::Gone,
            "BandwidthLimitExceeded"
            | "InternalError"
            | "OperationAborted"
            | "OperationTimedOut"
            | "QpsLimitExceeded"
            | "RequestLimitExceeded"
            | "RequestTimeout"
            | "RequestTimeTooSkewed"
            | "ServerBusy"
            | "ServiceUnavailable"
            | "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequests" => FetchKind::Passing,
            _ => return None,
        })
    }
}

/// What a status without a known code means.
pub(super) fn status_kind(status: StatusCode) -> FetchKind {
    match status.as_u16() {
        401 | 403 => FetchKind::Expired,
        404 | 410 => FetchKind::Gone,
        408 | 425 | 429 | 500..=599 => FetchKind::Passing,
        _ => FetchKind::Malformed,
    }
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let start = text.find(&format!("<{name}>"))? + name.len() + 2;
    let length = text[start..].find(&format!("</{name}>"))?;
    Some(text[start..start + length].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_error_documents_decide_over_the_status() {
        let document = |code: &str, message: &str| {
            format!(
                "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
            )
        };
        for (code, message, kind) in [
            (
                "AccessDenied",
                "Request has expired",
                Some(FetchKind::Expired),
            ),
            ("AccessDenied", "Access Denied", Some(FetchKind::Expired)),
            ("ExpiredToken", "x", Some(FetchKind::Expired)),
            ("SignatureDoesNotMatch", "x", Some(FetchKind::Expired)),
            ("SecurityTokenExpired", "x", Some(FetchKind::Expired)),
            (
                "InvalidArgument",
                "Request has expired.",
                Some(FetchKind::Expired),
            ),
            ("NoSuchKey", "x", Some(FetchKind::Gone)),
            ("NoSuchBucket", "x", Some(FetchKind::Gone)),
            ("BlobNotFound", "x", Some(FetchKind::Gone)),
            ("SlowDown", "x", Some(FetchKind::Passing)),
            ("InternalError", "x", Some(FetchKind::Passing)),
            ("RequestTimeout", "x", Some(FetchKind::Passing)),
            ("InvalidArgument", "x", None),
        ] {
            let parsed = StoreError::parse(document(code, message).as_bytes()).expect(code);
            assert_eq!((parsed.code.as_str(), parsed.kind()), (code, kind));
        }
    }

    #[test]
    fn other_documents_and_unprintable_codes_are_no_store_errors() {
        for body in [
            &b"<html><Code>AccessDenied</Code></html>"[..],
            b"<Error><Code>has spaces &amp; more</Code></Error>",
            b"<Error><Code></Code></Error>",
            b"<Error><Code>Cut",
            b"{\"Error\": {\"Code\": \"AccessDenied\"}}",
            b"",
            b"\xff\xfe<Error>",
        ] {
            assert_eq!(StoreError::parse(body), None);
        }
    }

    #[test]
    fn a_status_alone_says_what_to_do() {
        for (status, kind) in [
            (400, FetchKind::Malformed),
            (401, FetchKind::Expired),
            (403, FetchKind::Expired),
            (404, FetchKind::Gone),
            (408, FetchKind::Passing),
            (410, FetchKind::Gone),
            (416, FetchKind::Malformed),
            (425, FetchKind::Passing),
            (429, FetchKind::Passing),
            (500, FetchKind::Passing),
            (503, FetchKind::Passing),
            (599, FetchKind::Passing),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(status_kind(status), kind, "{status}");
        }
    }
}
