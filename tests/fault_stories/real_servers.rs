//! nginx and an S3-compatible store instead of the scripted server, with connections that are cut on the
//! way. `.ci/install-servers` installs both; where they are missing the tests are skipped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

use super::{balances, ingest};
use crate::support::{certificate, program::Workspace, skipped};

/// Rows of a file that is worth cutting.
const ROWS: usize = 5000;
/// Where the first connections end, in bytes of the transport.
const CUTS: [usize; 3] = [100_000, 90_000, 40_000];

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // nginx ends its workers on SIGTERM, not on SIGKILL.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        for _ in 0..100 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `what` is not there.
#[track_caller]
fn without(what: &str) {
    skipped(
        "downloads from a real server",
        &format!("there is no {what} here (see .ci/install-servers)"),
    );
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port()
}

fn start(command: &mut Command, port: u16) -> Option<Process> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut process = Process(child);
    for _ in 0..500 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(process);
        }
        let ended = process.0.try_wait().expect("to wait");
        assert!(ended.is_none(), "{command:?} has ended: {ended:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{command:?} does not listen");
}

/// A way to `port` that cuts its first connections with content after so many bytes towards the client.
async fn cutting(port: u16, cuts: &'static [usize]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let number = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let number = number.fetch_add(1, Ordering::SeqCst);
            let left = cuts.get(number).copied().unwrap_or(usize::MAX);
            tokio::spawn(carry(client, port, left));
        }
    });
    address.port()
}

async fn carry(client: TcpStream, port: u16, mut left: usize) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 8192];
    while left > 0 {
        let room = left.min(buffer.len());
        let read = from_server.read(&mut buffer[..room]).await?;
        if read == 0 {
            break;
        }
        to_client.write_all(&buffer[..read]).await?;
        left -= read;
    }
    up.abort();
    Ok(())
}

fn assert_loaded(workspace: &Workspace, url: &str) {
    let hook = workspace.announce(url, None);
    let ran = ingest(workspace, &hook);
    assert_eq!(ran.exit, Some(0), "{} {}", ran.stdout, ran.stderr);
    let archived = workspace
        .files()
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".csv.zst"))
        .expect("the archive");
    let kept = zstd::decode_all(&*fs::read(archived).expect("to read")).expect("zstd");
    assert!(kept == balances(ROWS, 0), "other bytes");
    let sum =
        workspace.query("SELECT concat(count(*), ' ', sum(card_negative)) FROM account_negative");
    let expected: u64 = (0..ROWS as u64).map(|row| row * 7919 % 100_003).sum();
    assert_eq!(sum, [format!("{ROWS} {expected}.0000")]);
    assert!(workspace.leftovers().is_empty());
}

#[track_caller]
fn assert_not_loaded(workspace: &Workspace, url: &str, exit: i32, state: &str, says: &str) {
    let hook = workspace.announce(url, None);
    let ran = ingest(workspace, &hook);
    assert_eq!(ran.exit, Some(exit), "{} {}", ran.stdout, ran.stderr);
    let ledger = workspace.ledger();
    let (_, found, message) = ledger.last().expect("an entry");
    assert_eq!(found, state);
    assert!(message.contains(says), "{message}");
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("Signature="));
}

/// The configuration of an nginx that keeps to `folder`.
fn nginx_configuration(folder: &Path, port: u16, http2: u16) -> String {
    let folder = folder.display();
    // Started by root, its workers would be somebody who can't read the test's folder.
    let user = if fs::metadata("/proc/self").is_ok_and(|own| is_root(&own)) {
        "user root;"
    } else {
        ""
    };
    format!(
        "{user}
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  log_format short '$server_protocol $status $http_range $sent_http_content_encoding';
  access_log {folder}/access.log short;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  absolute_redirect off; default_type text/csv; gzip on; gzip_types *; gzip_min_length 1;
  server {{
    listen 127.0.0.1:{port} ssl; listen 127.0.0.1:{http2} ssl http2;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    root {folder}/www;
    location /encoded/ {{ add_header Content-Encoding gzip; }}
    location = /old.csv {{ return 302 /a.csv?signature=SECRET; }}
  }}
}}
"
    )
}

#[cfg(unix)]
fn is_root(own: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(own) == 0
}

#[cfg(not(unix))]
fn is_root(_: &fs::Metadata) -> bool {
    false
}

#[test]
fn nginx_over_tls_is_resumed_through_cut_connections() {
    let folder = tempfile::tempdir().expect("a folder");
    let there = Command::new("nginx")
        .arg("-v")
        .stderr(Stdio::null())
        .status();
    if !there.is_ok_and(|status| status.success()) {
        return without("nginx");
    }
    if !certificate::make(folder.path()) {
        return without("openssl");
    }
    let www = folder.path().join("www");
    fs::create_dir_all(www.join("encoded")).expect("a folder");
    let body = balances(ROWS, 0);
    fs::write(www.join("a.csv"), &body).expect("to write");
    let packed = gzip(&body);
    fs::write(www.join("a.csv.gz"), &packed).expect("to write");
    fs::write(www.join("encoded/a.csv"), &packed).expect("to write");
    let (port, http2) = (free_port(), free_port());
    let configuration = folder.path().join("nginx.conf");
    fs::write(
        &configuration,
        nginx_configuration(folder.path(), port, http2),
    )
    .expect("to write");
    let mut command = Command::new("nginx");
    command
        .arg("-p")
        .arg(folder.path())
        .arg("-c")
        .arg(&configuration);
    let Some(_nginx) = start(&mut command, port) else {
        return without("nginx that starts");
    };
    let runtime = Runtime::new().expect("a runtime");
    let workspace = || {
        Workspace::new().with("ALLOW_HTTP", "false").with(
            "CA_FILE",
            &folder.path().join("ca.pem").display().to_string(),
        )
    };
    let log = || fs::read_to_string(folder.path().join("access.log")).unwrap_or_default();
    // The second would speak HTTP/2 with whoever offers it.
    for port in [port, http2] {
        for path in ["a.csv", "old.csv", "a.csv.gz", "encoded/a.csv"] {
            let before = log().len();
            let way = runtime.block_on(cutting(port, &CUTS));
            assert_loaded(
                &workspace(),
                &format!("https://127.0.0.1:{way}/{path}?signature=SECRET"),
            );
            let answers = log()[before..].to_owned();
            let parts = answers
                .lines()
                .filter(|line| line.starts_with("HTTP/1.1 206 bytes="))
                .count();
            // The packed file is smaller than the first cut allows.
            assert!(
                parts >= 1 || path.contains("gz") || path.contains("encoded"),
                "{path}: {answers}"
            );
            let encoded = answers.lines().any(|line| line.ends_with(" gzip"));
            assert_eq!(
                encoded,
                path.contains("encoded"),
                "nginx compresses nothing on the way: {answers}"
            );
        }
    }
    let url = format!("https://127.0.0.1:{port}/missing.csv?signature=SECRET");
    assert_not_loaded(&workspace(), &url, 3, "expired", "404 Not Found");
    let stranger = Workspace::new();
    let url = format!("https://127.0.0.1:{port}/a.csv?signature=SECRET");
    assert_not_loaded(&stranger, &url, 2, "failed", "invalid peer certificate");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut child = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip");
    let mut input = child.stdin.take().expect("piped");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().expect("gzip");
    writer.join().expect("a thread").expect("to write");
    output.stdout
}

/// The store's account: s3rver knows this one only.
const KEY: &str = "S3RVER";

/// A presigned URL (AWS Signature Version 4, in the query) for `path` that is valid for `seconds` from `at`.
fn presigned(method: &str, port: u16, path: &str, at: SystemTime, seconds: u64) -> String {
    let stamp = jiff::Timestamp::try_from(at).expect("a time");
    let (day, time) = (stamp.strftime("%Y%m%d"), stamp.strftime("%Y%m%dT%H%M%SZ"));
    let scope = format!("{day}/us-east-1/s3/aws4_request");
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={time}&X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host",
        format!("{KEY}/{scope}").replace('/', "%2F"),
    );
    let request =
        format!("{method}\n{path}\n{query}\nhost:127.0.0.1:{port}\n\nhost\nUNSIGNED-PAYLOAD");
    let hex = base16ct::lower::encode_string;
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex(&Sha256::digest(request.as_bytes()))
    );
    let sign = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let key = [day.to_string().as_str(), "us-east-1", "s3", "aws4_request"]
        .into_iter()
        .fold(format!("AWS4{KEY}").into_bytes(), |key, part| {
            sign(&key, part)
        });
    format!(
        "http://127.0.0.1:{port}{path}?{query}&X-Amz-Signature={}",
        hex(&sign(&key, &text))
    )
}

/// A presigned URL of the older kind (HMAC-SHA1 over the path and the time of expiry).
fn presigned_v2(port: u16, path: &str, until: SystemTime) -> String {
    use base64::Engine as _;
    let expires = until
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(KEY.as_bytes()).expect("any length");
    mac.update(format!("GET\n\n\n{expires}\n{path}").as_bytes());
    let signature = base64::engine::general_purpose::STANDARD
        .encode(mac.finalize().into_bytes())
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    format!(
        "http://127.0.0.1:{port}{path}?AWSAccessKeyId={KEY}&Expires={expires}&Signature={signature}"
    )
}

fn s3rver() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let installed = cache.join("redledger/servers/node_modules/.bin/s3rver");
    installed.exists().then_some(installed)
}

#[test]
fn presigned_urls_of_a_store_load_until_they_expire() {
    let Some(program) = s3rver() else {
        return without("s3rver");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let mut command = Command::new(program);
    command
        .args(["--address", "127.0.0.1", "--port", &port.to_string()])
        .args(["--configure-bucket", "exports", "--directory"])
        .arg(folder.path());
    let Some(_store) = start(&mut command, port) else {
        return without("node");
    };
    let runtime = Runtime::new().expect("a runtime");
    let now = SystemTime::now();
    let path = "/exports/a.csv";
    let put = |path: &str, body: Vec<u8>| {
        let url = presigned("PUT", port, path, now, 600);
        runtime.block_on(async {
            let client = reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client");
            let answer = client.put(url).body(body).send().await.expect("an answer");
            assert!(
                answer.status().is_success(),
                "{}",
                answer.text().await.unwrap_or_default()
            );
        });
    };
    put(path, balances(ROWS, 0));

    let way = runtime.block_on(cutting(port, &CUTS));
    assert_loaded(&Workspace::new(), &presigned("GET", way, path, now, 600));

    let expired = presigned("GET", port, path, now - Duration::from_secs(60), 30);
    assert_not_loaded(
        &Workspace::new(),
        &expired,
        3,
        "expired",
        "403 Forbidden (AccessDenied)",
    );

    // The store checks no more than the expiry of version 4, and all of version 2, which OSS's is like.
    let until = now + Duration::from_secs(600);
    assert_loaded(&Workspace::new(), &presigned_v2(port, path, until));
    let forged = presigned_v2(port, path, until).replace("Signature=", "Signature=x");
    assert_not_loaded(
        &Workspace::new(),
        &forged,
        3,
        "expired",
        "(SignatureDoesNotMatch)",
    );

    let missing = presigned("GET", port, "/exports/other.csv", now, 600);
    assert_not_loaded(
        &Workspace::new(),
        &missing,
        3,
        "expired",
        "404 Not Found (NoSuchKey)",
    );
}
