//! What a download does when the network or the server misbehaves: the right bytes, or an error that says
//! what happened; never a cut file that looks whole.

pub(crate) mod content;
mod guard;
mod limits;
mod protocol;
mod resume;
mod status;
mod tls;

use std::time::Duration;

use futures_util::StreamExt as _;
use redledger::{
    config::DownloadConfig,
    error::{FetchError, FetchKind},
    source::{Fetcher, Opened, Proof},
    source_url::SourceUrl,
};

use crate::support::{pace::TestPace, server::Server};

/// Settings for loopback, with time-outs that tests can afford.
fn config() -> DownloadConfig {
    DownloadConfig {
        allow_http: true,
        allow_private: vec!["127.0.0.0/8".into()],
        idle_timeout: Duration::from_millis(300),
        connect_timeout: Duration::from_secs(2),
        ..DownloadConfig::default()
    }
}

fn fetcher(config: &DownloadConfig) -> (Fetcher, TestPace) {
    let pace = TestPace::new();
    let fetcher =
        Fetcher::with_pace(config, std::sync::Arc::new(pace.clone())).expect("valid settings");
    (fetcher, pace)
}

fn url(text: &str) -> SourceUrl {
    SourceUrl::parse(text).expect("a URL")
}

/// A file that arrived.
#[derive(Debug)]
struct Arrived {
    bytes: Vec<u8>,
    proof: Proof,
}

async fn drain(mut opened: Opened) -> Result<Arrived, FetchError> {
    let mut bytes = Vec::new();
    while let Some(piece) = opened.body.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(Arrived {
        bytes,
        proof: opened.wholeness.get(),
    })
}

/// Fetches `server`'s `/a.csv`, with a secret in the query that no error may show.
async fn fetch_with(server: &Server, config: &DownloadConfig) -> Result<Arrived, FetchError> {
    let (fetcher, _) = fetcher(config);
    let result = match fetcher
        .open(&url(&server.url("/a.csv?signature=SECRET")))
        .await
    {
        Ok(opened) => drain(opened).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &result {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("SECRET"), "{shown}");
    }
    for request in server.requests() {
        assert_eq!(request.method, "GET", "presigned URLs refuse anything else");
    }
    result
}

async fn fetch(server: &Server) -> Result<Arrived, FetchError> {
    fetch_with(server, &config()).await
}

#[track_caller]
fn assert_whole(result: &Result<Arrived, FetchError>, expected: &[u8]) {
    match result {
        Ok(arrived) => {
            assert!(
                arrived.bytes == expected,
                "other bytes: {} of {}",
                arrived.bytes.len(),
                expected.len()
            );
            assert_eq!(arrived.proof, Proof::Proven);
        }
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn assert_fails(result: Result<Arrived, FetchError>, kind: FetchKind, words: &str) {
    match result {
        Ok(arrived) => panic!("{} bytes arrived, {:?}", arrived.bytes.len(), arrived.proof),
        Err(error) => {
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message.contains(words), "{error}");
        }
    }
}

/// A CSV with all that makes a cut dangerous: quoted line breaks, CRLF, multi-byte characters.
fn csv(rows: usize) -> Vec<u8> {
    let mut text = String::from("accountId,accountName,cardNegative\r\n");
    for row in 0..rows {
        text.push_str(&format!(
            "{row:08},\"名称 \"\"{row}\"\"\r\nsecond line, naïve\",{}.25\r\n",
            row * 7919 % 100_003
        ));
    }
    text.into_bytes()
}
