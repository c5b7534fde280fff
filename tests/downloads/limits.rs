//! Many downloads at once, slow ones, and ones nobody wants any more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use redledger::error::FetchKind;

use super::{assert_fails, assert_whole, config, csv, drain, fetch_with, fetcher, url};
use crate::support::server::{Fault, Framing, Object, Reply, Server};

#[tokio::test]
async fn dripping_body_is_too_slow() {
    let mut config = config();
    config.attempts = 2;
    let server = Server::script([
        Reply::new(200, csv(100)).fault(Fault::Drip(10, Duration::from_millis(20)))
    ])
    .await;
    // 50 bytes a second, and never silent for long.
    assert_fails(
        fetch_with(&server, &config).await,
        FetchKind::Passing,
        "slower than 1KB/s",
    );
}

#[tokio::test]
async fn drip_after_a_fast_start_is_continued_elsewhere() {
    let body = csv(1_000);
    let object = Object::new(body.clone());
    let server = Server::start(move |request| {
        let reply = object.reply(request);
        if request.number == 0 {
            reply.fault(Fault::Drip(10_000, Duration::from_millis(20)))
        } else {
            reply
        }
    })
    .await;
    assert_whole(&fetch_with(&server, &config()).await, &body);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn silence_is_given_up_in_every_phase() {
    let mut config = config();
    config.attempts = 2;
    config.connect_timeout = Duration::from_millis(50);
    // Accepts and says nothing.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = format!(
        "http://{}/a.csv",
        listener.local_addr().expect("an address")
    );
    let (fetcher, _) = fetcher(&config);
    let error = fetcher.open(&url(&address)).await.expect_err("silence");
    assert_eq!(
        (error.kind, error.message.as_str()),
        (
            FetchKind::Passing,
            "no response for 350ms (after 2 attempts)"
        )
    );
    let server = Server::script([Reply::new(200, csv(10)).fault(Fault::Stall(5))]).await;
    assert_fails(
        fetch_with(&server, &config).await,
        FetchKind::Passing,
        "no byte for 300ms",
    );
}

#[tokio::test]
async fn deadline_covers_waiting_for_bytes() {
    let mut config = config();
    config.deadline = Duration::from_millis(200);
    let server = Server::script([Reply::new(200, csv(10)).fault(Fault::Stall(5))]).await;
    assert_fails(
        fetch_with(&server, &config).await,
        FetchKind::Passing,
        "the deadline of 200ms",
    );
}

#[tokio::test]
async fn slow_reader_is_not_the_servers_fault() {
    let body = csv(30_000);
    let server = Server::script([Object::new(body.clone()).whole()]).await;
    let mut config = config();
    config.deadline = Duration::from_millis(400);
    let (fetcher, _) = fetcher(&config);
    let mut opened = fetcher.open(&url(&server.url("/"))).await.expect("to open");
    let first = opened.body.next().await.expect("a piece").expect("a piece");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let rest = drain(opened).await.expect("whole");
    assert_eq!(first.len() + rest.bytes.len(), body.len());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn downloads_wait_for_their_turn_and_a_slow_one_stalls_nobody() {
    let mut config = config();
    config.concurrency = 8;
    config.per_host = 4;
    config.min_speed = redledger::config::Rate(1);
    let active = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let server = Server::start(|request| {
        let reply = Reply::new(200, csv(5));
        // The first is slow for as long as the others take.
        if request.path == "/0" {
            reply.fault(Fault::Drip(0, Duration::from_millis(1)))
        } else {
            reply
        }
    })
    .await;
    let (fetcher, _) = fetcher(&config);
    let mut done = Vec::new();
    let mut downloads: futures_util::stream::FuturesUnordered<_> = (0..200)
        .map(|number| {
            let (fetcher, address) = (fetcher.clone(), url(&server.url(&format!("/{number}"))));
            let (active, most) = (Arc::clone(&active), Arc::clone(&most));
            async move {
                let opened = fetcher.open(&address).await.expect("to open");
                most.fetch_max(active.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let arrived = drain(opened).await.expect("whole");
                active.fetch_sub(1, Ordering::SeqCst);
                (number, arrived.bytes)
            }
        })
        .collect();
    while let Some((number, bytes)) = downloads.next().await {
        assert_eq!(bytes, csv(5));
        done.push(number);
    }
    assert_eq!(done.len(), 200);
    assert_eq!(done.last(), Some(&0), "the slow one comes last");
    assert!(most.load(Ordering::SeqCst) <= 4);
    assert!(
        server.connections() <= 8,
        "connections are used again: {}",
        server.connections()
    );
}

#[tokio::test]
async fn dropped_body_cancels_its_download_and_frees_its_place() {
    let mut config = config();
    config.concurrency = 1;
    config.per_host = 1;
    let server = Server::start(|request| match request.number {
        0 => Reply::new(200, csv(10))
            .framing(Framing::Chunked(1000))
            .endless(vec![b'x'; 1000]),
        _ => Reply::new(200, csv(10)),
    })
    .await;
    let (fetcher, _) = fetcher(&config);
    let opened = fetcher
        .open(&url(&server.url("/endless")))
        .await
        .expect("to open");
    assert!(
        tokio::time::timeout(
            Duration::from_millis(50),
            fetcher.open(&url(&server.url("/")))
        )
        .await
        .is_err(),
        "one at a time"
    );
    drop(opened);
    let next = fetcher
        .open(&url(&server.url("/next")))
        .await
        .expect("its turn");
    assert_whole(&drain(next).await, &csv(10));
    for _ in 0..100 {
        if server.open() <= 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the dropped download still runs");
}
