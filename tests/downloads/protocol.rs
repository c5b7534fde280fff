//! What is spoken: HTTP/1.1, where a cut body can't pass for a whole one.

use std::time::Duration;

use redledger::{error::FetchKind, source::Fetcher, source_url::SourceUrl};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{assert_fails, config, csv, drain, fetcher, url};

/// A listener, who asks it once, and for what.
async fn listening(scheme: &str) -> (TcpListener, Fetcher, SourceUrl) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut config = config();
    config.attempts = 1;
    let (fetcher, _) = fetcher(&config);
    let address = url(&format!("{scheme}://127.0.0.1:{port}/a.csv"));
    (listener, fetcher, address)
}

/// What a client sends first to a listener, once `enough` says that it is all there.
async fn first_bytes(
    listener: &TcpListener,
    enough: impl Fn(&[u8]) -> bool,
) -> (Vec<u8>, TcpStream) {
    let (mut stream, _) = listener.accept().await.expect("a client");
    let mut bytes = Vec::new();
    while !enough(&bytes) {
        let read = stream.read_buf(&mut bytes).await.expect("to read");
        assert!(read > 0, "the client has gone");
    }
    (bytes, stream)
}

/// The protocols that a ClientHello offers (RFC 7301): extension 16 of the list behind the compression methods.
fn offered(hello: &[u8]) -> Vec<String> {
    let number = |at: usize| usize::from(hello[at]) << 8 | usize::from(hello[at + 1]);
    // Record header, handshake header, version, random.
    let mut at = 5 + 4 + 2 + 32;
    at += 1 + usize::from(hello[at]);
    at += 2 + number(at);
    at += 1 + usize::from(hello[at]);
    let end = at + 2 + number(at);
    at += 2;
    while at < end {
        let (kind, length) = (number(at), number(at + 2));
        at += 4;
        if kind == 16 {
            let mut names = &hello[at + 2..at + length];
            let mut found = Vec::new();
            while let [length, rest @ ..] = names {
                let (name, more) = rest.split_at(usize::from(*length));
                found.push(String::from_utf8_lossy(name).into_owned());
                names = more;
            }
            return found;
        }
        at += length;
    }
    Vec::new()
}

#[tokio::test]
async fn tls_offers_nothing_but_http_1_1() {
    let (listener, fetcher, address) = listening("https").await;
    let client = tokio::spawn(async move { fetcher.open(&address).await.map(drop) });
    let (hello, stream) = first_bytes(&listener, |bytes| {
        bytes.len() >= 5 && bytes.len() >= 5 + (usize::from(bytes[3]) << 8 | usize::from(bytes[4]))
    })
    .await;
    assert_eq!(offered(&hello), ["http/1.1"]);
    drop(stream);
    let error = client.await.expect("no panic").expect_err("no server");
    assert_eq!(error.kind, FetchKind::Passing);
}

#[tokio::test]
async fn in_clear_text_http_1_1_is_spoken_and_an_answer_in_http_2_is_none() {
    let (listener, fetcher, address) = listening("http").await;
    let client = tokio::spawn(async move {
        match fetcher.open(&address).await {
            Ok(opened) => drain(opened).await,
            Err(error) => Err(error),
        }
    });
    let (request, mut stream) = first_bytes(&listener, |bytes| bytes.ends_with(b"\r\n\r\n")).await;
    let request = String::from_utf8_lossy(&request);
    assert!(request.starts_with("GET /a.csv HTTP/1.1\r\n"), "{request}");
    assert!(
        !request.to_ascii_lowercase().contains("upgrade"),
        "{request}"
    );
    // Settings, headers with `:status: 200`, part of the rows, then RST_STREAM(NO_ERROR).
    let rows = csv(40);
    let mut frames = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\x88".to_vec();
    frames.extend_from_slice(&(rows.len() as u32).to_be_bytes()[1..]);
    frames.extend_from_slice(b"\0\0\0\0\0\x01");
    frames.extend_from_slice(&rows);
    frames.extend_from_slice(b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\0");
    // The client may have gone by then.
    let _ = stream.write_all(&frames).await;
    tokio::time::timeout(Duration::from_secs(20), async {
        assert_fails(client.await.expect("no panic"), FetchKind::Passing, "");
    })
    .await
    .expect("an end");
}
