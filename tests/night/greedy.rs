//! Senders that nobody knows: slow ones, greedy ones, and many of them, beside one that means it.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{inline, names, unsigned};
use crate::support::{program::Workspace, receiver::Receiver};

/// Connections that begin a request in every way that there is and never end it.
async fn half_open(receiver: &Receiver, count: usize) -> Vec<TcpStream> {
    let mut senders = Vec::new();
    for number in 0..count {
        let mut sender = TcpStream::connect(receiver.address())
            .await
            .expect("to connect");
        let said: &[u8] = match number % 4 {
            0 => b"",
            1 => b"POST /hooks HTT",
            2 => b"POST /hooks HTTP/1.1\r\nHost: x\r\nX: y",
            _ => b"POST /hooks HTTP/1.1\r\nHost: x\r\nContent-Length: 15000000\r\n\r\n{\"batchNo\"",
        };
        sender.write_all(said).await.expect("to send");
        senders.push(sender);
    }
    senders
}

/// The longest that an announcement takes beside `count` half-open senders, but for one in a hundred.
async fn wait_beside(count: usize, announcements: usize) -> Duration {
    let workspace = unsigned();
    let receiver = Receiver::start(&workspace);
    let held = half_open(&receiver, count).await;
    let mut waits = Vec::new();
    for number in 0..announcements {
        let body = inline(&format!("B{number}"), 3).to_string();
        let started = Instant::now();
        assert_eq!(receiver.post(body, &[]).await.0, 200);
        waits.push(started.elapsed());
    }
    drop(held);
    assert_eq!(names(&workspace, "inbox").len(), announcements);
    waits.sort();
    waits[(announcements * 99 / 100).min(announcements - 1)]
}

#[tokio::test]
async fn half_open_senders_keep_nobody_waiting() {
    let longest = wait_beside(120, 20).await;
    assert!(longest < Duration::from_secs(5), "{longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "opens 2,000 connections and measures: `just receiver`"]
async fn two_thousand_half_open_senders_keep_nobody_waiting() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(4_000);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).expect("files enough");
    let longest = wait_beside(2_000, 300).await;
    println!("p99 beside 2,000 half-open senders: {longest:?}");
    assert!(longest < Duration::from_millis(250), "{longest:?}");
}

/// More connections than may be open: those that have said nothing for the longest time make room.
#[tokio::test]
async fn a_sender_gets_in_when_all_connections_are_taken_by_silent_ones() {
    let workspace = unsigned();
    let mut command = workspace.command("sh");
    let serve = "ulimit -n 300; exec \"$0\" serve --listen 127.0.0.1:0";
    command.args(["-c", serve, env!("CARGO_BIN_EXE_redledger")]);
    let receiver = Receiver::of(command);
    let mut held = Vec::new();
    for _ in 0..120 {
        held.push(
            TcpStream::connect(receiver.address())
                .await
                .expect("to connect"),
        );
    }
    let started = Instant::now();
    assert_eq!(receiver.post(inline("B1", 1).to_string(), &[]).await.0, 200);
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "it did not wait for their time to run out"
    );
    // The first one was closed.
    let mut first = held.remove(0);
    let closed = first.read(&mut [0; 8]).await;
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
}

/// Bodies of sixteen megabytes that take more than their size to be understood.
fn greedy_bodies() -> Vec<Vec<u8>> {
    let of = |before: &str, what: &[u8], after: &str| {
        let what = what.repeat(15_900_000 / what.len());
        [before.as_bytes(), &what, after.as_bytes()].concat()
    };
    vec![
        of(r#"{"resource":""#, b"x", r#""}"#),
        of(r#"{"resource":""#, br#"\""#, r#""}"#),
        of(r#"{"resource":""#, br"\ud800", r#""}"#),
        of(r#"{"resource":""#, b"\xff", r#""}"#),
        of(
            r#"{"resource":""#,
            &[&[b'x'; 99][..], b"\xff"].concat(),
            r#""}"#,
        ),
        of(r#"{"resource":{}"#, br#","a":1"#, "}"),
        of(r#"{"resource":{}"#, br#","id":1"#, "}"),
        of(r#"{"resource":["#, b"[],", "[]]}"),
        of("", b"[", ""),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_senders_of_sixteen_megabytes_take_little_memory_before_they_are_known() {
    let workspace = Workspace::new().set("HOOK_SECRET", "s");
    let receiver = Receiver::start(&workspace);
    let bodies = greedy_bodies();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..60 {
        let body = bodies[sender % bodies.len()].clone();
        senders.spawn(receiver.posting(body, &[("Signature", "AAAA")]));
    }
    let mut answers = senders.join_all().await;
    answers.sort();
    answers.dedup();
    let peak = receiver.peak_kilobytes();
    println!("peak memory {} MB", peak / 1_000);
    let is_refused = |status: &_| matches!(status, Some(400 | 401 | 503));
    assert!(answers.iter().all(is_refused), "{answers:?}");
    assert!(answers.contains(&Some(401)), "{answers:?}");
    assert!((1_000..150_000).contains(&peak), "{peak} kB");
    let ran = receiver.stop();
    let logged = ran.stderr.matches("without a valid signature").count();
    assert!((1..60).contains(&logged), "{}", ran.stderr);
    assert!(ran.stderr.contains("peer=127.0.0.1:"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_second_signal_ends_the_receiver_at_once() {
    let workspace = unsigned();
    let receiver = Receiver::start(&workspace);
    let mut held = half_open(&receiver, 4).await;
    // Its head is read for certain once it is told to go on.
    let mut sender = TcpStream::connect(receiver.address())
        .await
        .expect("to connect");
    let head =
        b"POST /hooks HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n";
    sender.write_all(head).await.expect("to send");
    let mut said = [0; 64];
    assert!(sender.read(&mut said).await.expect("an answer") > 0);
    held.push(sender);
    let started = Instant::now();
    let address = receiver.address();
    receiver.terminate();
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    receiver.terminate();
    let ran = receiver.ended();
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "not after the timeout of 30 s"
    );
}

#[tokio::test]
async fn every_answer_is_json_and_health_is_the_truth() {
    let workspace = unsigned().set("SERVE__MAX_BODY", "2KB");
    let receiver = Receiver::start(&workspace);
    let large = inline("B1", 20).to_string();
    assert_eq!(receiver.get("/healthz").await.0, 200);
    let mut answers = vec![receiver.post(large, &[]).await];
    for path in ["/healthz", "/hooks", "/elsewhere"] {
        answers.push(receiver.get(path).await);
    }
    let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [413, 200, 405, 404]);
    std::fs::remove_dir_all(workspace.data().join("inbox")).expect("to remove");
    std::fs::write(
        workspace.data().join("inbox"),
        "a file in the folder's place",
    )
    .expect("to write");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let health = receiver.get("/healthz").await;
    assert_eq!(health.0, 503, "{}", health.1);
    answers.push(health);
    for (status, text) in answers {
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(json.is_object(), "{status}: {text}");
    }
    let (_, metrics) = receiver.get("/metrics").await;
    assert!(metrics.contains("redledger_inbox_waiting NaN"), "{metrics}");
}
