//! What the receiver answers, and that it answers 200 only for what is safe on the disk.

use std::fs;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{inline, mode, names, outcomes, unsigned};
use crate::support::{program::Workspace, receiver::Receiver, small_disk::SmallDisk};

#[tokio::test]
async fn what_is_no_announcement_is_refused_and_not_stored() {
    let workspace = unsigned().set("SERVE__MAX_BODY", "2KB");
    let receiver = Receiver::start(&workspace);
    for body in ["", "not JSON", "{\"batchNo\": ", "{} {}", "\u{feff}"] {
        let (status, text) = receiver.post(body, &[]).await;
        assert_eq!(
            (status, &*text),
            (400, "{\"error\": \"the body is not JSON\"}"),
            "{body}"
        );
    }
    let large = inline("B1", 20).to_string();
    assert!(large.len() > 2_000);
    assert_eq!(receiver.post(large, &[]).await.0, 413);
    assert_eq!(receiver.get("/hooks").await.0, 405);
    assert_eq!(receiver.get("/elsewhere").await.0, 404);
    assert_eq!(names(&workspace, "inbox"), Vec::<String>::new());

    let small = inline("B1", 1).to_string();
    let (status, text) = receiver.post(small.clone(), &[]).await;
    assert_eq!((status, &*text), (200, "{\"received\": true}"));
    let stored = names(&workspace, "inbox");
    let path = workspace.data().join("inbox").join(&stored[0]);
    assert_eq!(
        fs::read_to_string(&path).expect("a file"),
        small,
        "word for word"
    );
    assert_eq!(
        (mode(&path), mode(&workspace.data().join("inbox"))),
        (0o600, 0o700)
    );
}

#[tokio::test]
async fn what_can_not_be_stored_is_answered_with_503_and_may_come_again() {
    let workspace = unsigned();
    let receiver = Receiver::start(&workspace);
    let inbox = workspace.data().join("inbox");
    fs::remove_dir(&inbox).expect("it is empty");
    fs::write(&inbox, "a file in the folder's place").expect("to write");
    let body = inline("B1", 1).to_string();
    let (status, text) = receiver.post(body.clone(), &[]).await;
    assert_eq!(
        (status, &*text),
        (503, "{\"error\": \"not stored, try again\"}")
    );

    fs::remove_file(&inbox).expect("to remove");
    assert_eq!(receiver.post(body.clone(), &[]).await.0, 200);
    assert_eq!(names(&workspace, "inbox").len(), 1);

    let mut permissions = fs::metadata(&inbox).expect("metadata").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&inbox, permissions).expect("to set");
    // Root writes where nobody may, but not on a file system that takes nothing.
    let is_root = fs::write(inbox.join("probe"), "").is_ok();
    let mounted = is_root
        .then(|| SmallDisk::mount(&inbox, 1 << 20))
        .flatten()
        .inspect(SmallDisk::forbid_writing);
    if mounted.is_some() || !is_root {
        assert_eq!(receiver.post(inline("B2", 1).to_string(), &[]).await.0, 503);
    }
    drop(mounted);
    let ran = receiver.stop();
    assert!(
        ran.stderr
            .contains("could not be stored; its sender is told to try again"),
        "{}",
        ran.stderr
    );
}

/// The kernel cuts the write short, as on a full disk: the limit on a file's size stands in for it.
#[tokio::test]
async fn a_write_that_is_cut_short_leaves_nothing_and_is_answered_with_503() {
    let workspace = unsigned();
    let mut command = workspace.command("sh");
    let serve = "trap '' XFSZ; ulimit -f 4; exec \"$0\" serve --listen 127.0.0.1:0";
    command.args(["-c", serve, env!("CARGO_BIN_EXE_redledger")]);
    let receiver = Receiver::of(command);
    let large = inline("LARGE", 40).to_string();
    assert!(large.len() > 8_192);
    assert_eq!(receiver.post(large.clone(), &[]).await.0, 503);
    assert_eq!(
        names(&workspace, "inbox"),
        Vec::<String>::new(),
        "not even a half of it"
    );
    assert_eq!(
        receiver.post(inline("SMALL", 1).to_string(), &[]).await.0,
        200
    );
    assert_eq!(names(&workspace, "inbox").len(), 1);
    receiver.stop();
    // With room again it is stored, as if for the first time.
    let receiver = Receiver::start(&workspace);
    assert_eq!(receiver.post(large, &[]).await.0, 200);
    assert_eq!(names(&workspace, "inbox").len(), 2);
}

#[tokio::test]
async fn a_receiver_that_is_asked_to_stop_finishes_what_it_has_begun_to_receive() {
    let workspace = unsigned();
    let receiver = Receiver::start(&workspace);
    let body = inline("B1", 3).to_string();
    let mut stream = TcpStream::connect(receiver.address())
        .await
        .expect("to connect");
    let head = format!(
        "POST /hooks HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("to send");
    let mut said = [0; 64];
    let length = stream.read(&mut said).await.expect("an answer");
    assert!(
        said[..length].starts_with(b"HTTP/1.1 100"),
        "the receiver waits for the body"
    );
    stream
        .write_all(&body.as_bytes()[..40])
        .await
        .expect("to send");

    let address = receiver.address();
    receiver.terminate();
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    stream
        .write_all(&body.as_bytes()[40..])
        .await
        .expect("to send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let ran = receiver.ended();
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("stopped"), "{}", ran.stdout);
    let ran = workspace.run(&["run", "--format", "json"]);
    assert_eq!(outcomes(&ran), ["B1 loaded"]);
}

#[tokio::test]
async fn a_sender_that_stops_in_the_middle_does_not_keep_the_receiver_from_stopping() {
    let workspace = unsigned().set("SERVE__TIMEOUT", "500ms");
    let receiver = Receiver::start(&workspace);
    let mut stream = TcpStream::connect(receiver.address())
        .await
        .expect("to connect");
    let head =
        "POST /hooks HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("to send");
    let mut said = [0; 64];
    let length = stream.read(&mut said).await.expect("an answer");
    assert!(said[..length].starts_with(b"HTTP/1.1 100"));
    // A second one that does not even finish its head.
    let mut halting = TcpStream::connect(receiver.address())
        .await
        .expect("to connect");
    halting.write_all(b"POST /hooks HT").await.expect("to send");

    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let ran = receiver.stop();
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert_eq!(names(&workspace, "inbox"), Vec::<String>::new());
}

#[tokio::test]
async fn it_listens_on_loopback_unless_told_otherwise_and_says_where() {
    let workspace = unsigned();
    let receiver = Receiver::start(&workspace);
    let said = format!("receiving announcements on {}", receiver.url("/hooks"));
    assert!(
        receiver.greeting.starts_with(&said),
        "{}",
        receiver.greeting
    );
    assert!(
        receiver.greeting.contains("this machine only"),
        "{}",
        receiver.greeting
    );
    assert_eq!(
        receiver.get("/healthz").await,
        (200, "{\"status\": \"ok\"}".into())
    );
    // The default, whichever port is free here.
    let shown = workspace.run(&["config", "show"]).stdout;
    assert!(shown.contains("listen = \"127.0.0.1:8080\""), "{shown}");

    let mut command = workspace.command(env!("CARGO_BIN_EXE_redledger"));
    command.args(["serve", "--listen", "0.0.0.0:0"]);
    let open = Receiver::of(command);
    assert!(
        open.greeting
            .contains("every address of this machine, without TLS"),
        "{}",
        open.greeting
    );

    let taken = workspace.run(&["serve", "--listen", &receiver.address().to_string()]);
    assert_eq!(taken.exit, Some(2));
    let said = format!("cannot listen on {}", receiver.address());
    assert!(taken.stderr.contains(&said), "{}", taken.stderr);
}

#[tokio::test]
async fn metrics_are_prometheus_text_and_count_what_happened() {
    let workspace = Workspace::new().set("HOOK_SECRET", "s");
    let receiver = Receiver::start(&workspace);
    let sign = |body: &str| crate::support::receiver::hmac_base64("s", body);
    let resource = inline("B1", 1).to_string();
    let body = format!("{{\"id\": 1, \"resource\": {resource}}}");
    for _ in 0..2 {
        receiver
            .post(body.clone(), &[("Signature", &sign(&resource))])
            .await;
    }
    let strange = "{\"resource\": {\"no\": \"hook\"}}";
    receiver
        .post(strange, &[("Signature", &sign("{\"no\": \"hook\"}"))])
        .await;
    receiver.post(body, &[("Signature", "AAAA")]).await;
    receiver.post("not JSON", &[]).await;
    let (status, text) = receiver.get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "redledger_announcements_total{outcome=\"stored\"} 2",
        "redledger_announcements_total{outcome=\"duplicate\"} 1",
        "redledger_announcements_total{outcome=\"bad_signature\"} 1",
        "redledger_announcements_total{outcome=\"bad_json\"} 1",
        "redledger_announcements_total{outcome=\"not_stored\"} 0",
        "redledger_announcements_not_understood_total 1",
        "redledger_inbox_waiting 2",
    ] {
        assert!(
            text.lines().any(|said| said == line),
            "{line} is not in:\n{text}"
        );
    }
    // The text format 0.0.4: HELP and TYPE before the samples of each name, a number after each.
    let mut typed = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("name and kind");
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert!(text.contains(&format!("# HELP {name} ")), "{line}");
            typed = Some(name.to_owned());
        } else if !line.starts_with("# HELP ") {
            let (sample, value) = line.rsplit_once(' ').expect("a sample and its value");
            let name = sample.split('{').next().map(str::to_owned);
            assert_eq!(name, typed, "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(text.ends_with('\n'));
}
