//! Statuses, error documents, `Retry-After`.

use std::time::Duration;

use redledger::error::FetchKind;

use super::{assert_fails, assert_whole, config, csv, fetch, fetch_with, fetcher, url};
use crate::support::server::{Fault, Object, Reply, Server};

#[tokio::test]
async fn each_status_means_one_kind_of_failure() {
    for (status, kind, requests) in [
        (204, FetchKind::Malformed, 1),
        (304, FetchKind::Malformed, 1),
        (400, FetchKind::Malformed, 1),
        (401, FetchKind::Expired, 1),
        (403, FetchKind::Expired, 1),
        (404, FetchKind::Gone, 1),
        (405, FetchKind::Malformed, 1),
        (408, FetchKind::Passing, 8),
        (410, FetchKind::Gone, 1),
        (416, FetchKind::Malformed, 1),
        (429, FetchKind::Passing, 8),
        (500, FetchKind::Passing, 8),
        (502, FetchKind::Passing, 8),
        (503, FetchKind::Passing, 8),
        (504, FetchKind::Passing, 8),
    ] {
        let server = Server::script([Reply::new(status, "")]).await;
        assert_fails(
            fetch(&server).await,
            kind,
            &format!("the server answered {status}"),
        );
        assert_eq!(server.requests().len(), requests, "{status}");
    }
}

#[tokio::test]
async fn storm_of_server_errors_passes() {
    let body = csv(100);
    let server = Server::script([
        Reply::new(500, "oops"),
        Reply::new(502, "<html>bad gateway</html>"),
        Reply::new(503, ""),
        Reply::new(504, "").fault(Fault::Reset(0)),
        Reply::new(429, ""),
        Object::new(body.clone()).whole(),
    ])
    .await;
    assert_whole(&fetch(&server).await, &body);
}

#[tokio::test]
async fn store_error_documents_are_understood() {
    let document = |code: &str, message: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><Resource>SECRET</Resource></Error>"
        )
    };
    for (status, body, kind, words) in [
        (
            403,
            document("AccessDenied", "Request has expired"),
            FetchKind::Expired,
            "(AccessDenied)",
        ),
        (
            400,
            document("ExpiredToken", "x"),
            FetchKind::Expired,
            "(ExpiredToken)",
        ),
        (
            403,
            document("NoSuchKey", "x"),
            FetchKind::Gone,
            "(NoSuchKey)",
        ),
        (
            404,
            document("NoSuchBucket", "x"),
            FetchKind::Gone,
            "(NoSuchBucket)",
        ),
        (
            400,
            document("RequestTimeout", "x"),
            FetchKind::Passing,
            "(RequestTimeout)",
        ),
        (
            503,
            document("SlowDown", "x"),
            FetchKind::Passing,
            "(SlowDown)",
        ),
        (
            200,
            document("AccessDenied", "Request has expired"),
            FetchKind::Expired,
            "an error document (AccessDenied)",
        ),
        (
            200,
            document("InternalError", "x"),
            FetchKind::Passing,
            "an error document (InternalError)",
        ),
        (
            200,
            document("Odd", "x"),
            FetchKind::Malformed,
            "an error document (Odd)",
        ),
    ] {
        let server =
            Server::script([Reply::new(status, body).header("Content-Type", "application/xml")])
                .await;
        assert_fails(fetch(&server).await, kind, words);
    }
}

#[tokio::test]
async fn error_body_that_never_ends_does_not_hold_anything_up() {
    let server = Server::script([Reply::new(403, "<Error><Code>NoSuchKey</Code></Error>")
        .framing(crate::support::server::Framing::Chunked(100))
        .endless("x".repeat(10_000))])
    .await;
    assert_fails(fetch(&server).await, FetchKind::Gone, "(NoSuchKey)");
}

#[tokio::test]
async fn error_body_that_drips_does_not_hold_anything_up() {
    let body = "<Error><Code>NoSuchKey</Code></Error>".to_owned() + &" ".repeat(10_000);
    let server =
        Server::script([Reply::new(403, body).fault(Fault::Drip(40, Duration::from_millis(50)))])
            .await;
    let started = std::time::Instant::now();
    assert_fails(fetch(&server).await, FetchKind::Gone, "(NoSuchKey)");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn retry_after_is_obeyed_as_seconds_and_as_a_date() {
    let body = csv(10);
    for (status, value, waits) in [
        (429, "7", 7),
        (503, "100", 100),
        // The test's calendar says 08:49:37.
        (503, "Sun, 06 Nov 1994 08:50:37 GMT", 60),
        (500, "3", 3),
    ] {
        let server = Server::script([
            Reply::new(status, "").header("Retry-After", value),
            Object::new(body.clone()).whole(),
        ])
        .await;
        let (fetcher, pace) = fetcher(&config());
        let opened = fetcher
            .open(&url(&server.url("/a.csv")))
            .await
            .expect("the second answer");
        assert_eq!(super::drain(opened).await.expect("whole").bytes, body);
        assert_eq!(pace.sleeps(), [Duration::from_secs(waits)], "{value}");
    }
}

#[tokio::test]
async fn retry_after_beyond_the_limit_is_left_to_the_next_run() {
    for value in [
        "121",
        "86400",
        "99999999999999999999",
        "Sun, 06 Nov 1994 09:50:37 GMT",
    ] {
        let server = Server::script([Reply::new(503, "").header("Retry-After", value)]).await;
        assert_fails(
            fetch(&server).await,
            FetchKind::Passing,
            "more than `max_retry_after`",
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn url_that_expires_between_attempts_is_expired() {
    let server = Server::script([
        Object::new(csv(500)).whole().fault(Fault::Close(5000)),
        Reply::new(
            403,
            "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
        ),
    ])
    .await;
    assert_fails(fetch(&server).await, FetchKind::Expired, "(AccessDenied)");
}

#[tokio::test]
async fn endless_response_head_is_given_up() {
    let mut config = config();
    config.attempts = 2;
    let server = Server::script([Reply::endless_head()]).await;
    assert_fails(
        fetch_with(&server, &config).await,
        FetchKind::Passing,
        "after 2 attempts",
    );
}

#[tokio::test]
async fn nothing_listening_is_passing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let (fetcher, _) = fetcher(&config());
    let error = fetcher
        .open(&url(&format!("http://127.0.0.1:{port}/a.csv?SECRET")))
        .await
        .expect_err("nobody there");
    assert_eq!(error.kind, FetchKind::Passing);
    assert!(error.message.contains("no connection"), "{error}");
    assert!(!format!("{error:?}").contains("SECRET"));
}
