//! TLS against openssl's own server; skipped where the tool is missing.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use redledger::error::FetchKind;

use super::{assert_whole, config, csv, drain, fetcher, url};
use crate::support::{certificate, skipped};

struct TlsServer {
    child: Child,
    port: u16,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A private authority (`ca.pem`) and a server of its for 127.0.0.1 that serves the files of `folder`,
/// each a whole response.
async fn start(folder: &Path) -> Option<TlsServer> {
    if !certificate::make(folder) {
        return None;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let child = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-HTTP",
            "-cert",
            "server.pem",
            "-key",
            "server.key",
        ])
        .args(["-accept", &format!("127.0.0.1:{port}")])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let server = TlsServer { child, port };
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
        {
            return Some(server);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("openssl's server does not listen");
}

#[tokio::test]
async fn private_authority_is_trusted_only_when_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let body = csv(1_000);
    let head = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    std::fs::write(
        folder.path().join("a.csv"),
        [head.as_bytes(), &body].concat(),
    )
    .expect("to write");
    std::fs::write(
        folder.path().join("down"),
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/a.csv\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    )
    .expect("to write");
    let Some(server) = start(folder.path()).await else {
        return skipped("TLS with a private authority", "there is no openssl here");
    };
    let mut config = config();
    config.idle_timeout = Duration::from_secs(5);
    config.allow_http = false;
    let address = url(&format!("https://127.0.0.1:{}/a.csv", server.port));

    let (stranger, pace) = fetcher(&config);
    let error = stranger
        .open(&address)
        .await
        .expect_err("an unknown authority");
    assert_eq!(error.kind, FetchKind::Refused, "{error}");
    assert!(
        error.message.contains("invalid peer certificate"),
        "{error}"
    );
    assert!(pace.sleeps().is_empty(), "another attempt would not help");

    config.ca_file = folder.path().join("ca.pem");
    let (friend, _) = fetcher(&config);
    let opened = friend.open(&address).await.expect("a known authority");
    assert_whole(&drain(opened).await, &body);

    config.allow_http = true;
    let (friend, _) = fetcher(&config);
    let down = url(&format!("https://127.0.0.1:{}/down", server.port));
    let error = friend.open(&down).await.expect_err("https to http");
    assert_eq!(error.kind, FetchKind::Refused);
    assert!(error.message.contains("from https to http"), "{error}");
}

#[test]
fn authorities_that_are_none_are_a_settings_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config();
    config.ca_file = folder.path().join("missing.pem");
    let missing = redledger::source::Fetcher::new(&config).expect_err("missing");
    assert!(missing.to_string().contains("missing.pem"), "{missing}");
    config.ca_file = folder.path().join("empty.pem");
    std::fs::write(&config.ca_file, "no certificate").expect("to write");
    let empty = redledger::source::Fetcher::new(&config).expect_err("empty");
    assert!(
        empty.to_string().starts_with("[download] ca_file"),
        "{empty}"
    );
}
