//! What is delivered twice is loaded once, whoever restarts when; what could not be loaded may come again.

use serde_json::json;

use super::{inline, names, outcomes, receive, unsigned};
use crate::support::{
    program::{Workspace, finish},
    receiver::Receiver,
    server::{Reply, Server},
};

const RUN: [&str; 3] = ["run", "--format", "json"];

/// In an envelope with this `id`.
fn with_id(id: &str, hook: &serde_json::Value) -> String {
    json!({"id": id, "eventType": "x", "resource": hook.to_string()}).to_string()
}

#[tokio::test]
async fn a_second_delivery_is_stored_once_also_after_a_restart_and_after_it_was_loaded() {
    let workspace = unsigned();
    let body = with_id("1", &inline("B1", 2));
    let receiver = Receiver::start(&workspace);
    assert_eq!(receiver.post(body.clone(), &[]).await.0, 200);
    assert_eq!(receiver.post(body.clone(), &[]).await.0, 200);
    assert_eq!(names(&workspace, "inbox").len(), 1);
    receiver.kill();

    let receiver = Receiver::start(&workspace);
    assert_eq!(receiver.post(body.clone(), &[]).await.0, 200);
    assert_eq!(names(&workspace, "inbox").len(), 1);

    // A run while the receiver goes on.
    let ran = workspace.run(&RUN);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["B1 loaded".into()])
    );
    assert_eq!(receiver.post(body.clone(), &[]).await.0, 200);
    assert_eq!(names(&workspace, "inbox"), Vec::<String>::new());
    assert_eq!(names(&workspace, "inbox/done").len(), 1);
    receiver.stop();

    let receiver = Receiver::start(&workspace);
    assert_eq!(receiver.post(body, &[]).await.0, 200);
    assert_eq!(names(&workspace, "inbox"), Vec::<String>::new());
    let (_, metrics) = receiver.get("/metrics").await;
    assert!(metrics.contains("{outcome=\"duplicate\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_b_and_then_a_word_for_word_ends_as_a() {
    for envelope in [false, true] {
        let workspace = unsigned();
        let receiver = Receiver::start(&workspace);
        let say = |rows: usize| match envelope {
            true => with_id("1", &inline("B1", rows)),
            false => inline("B1", rows).to_string(),
        };
        for (rows, loaded) in [
            (2, "loaded"),
            (3, "loaded"),
            (2, "loaded"),
            (2, "unchanged"),
        ] {
            assert_eq!(receiver.post(say(rows), &[]).await.0, 200);
            let ran = workspace.run(&RUN);
            // An `id` whose last word this was is not even stored.
            let expected = match (envelope, loaded) {
                (true, "unchanged") => vec![],
                _ => vec![format!("B1 {loaded}")],
            };
            assert_eq!((ran.exit, outcomes(&ran)), (Some(0), expected));
            let count = "SELECT count(*)::VARCHAR FROM account_negative";
            assert_eq!(workspace.query(count), [rows.to_string()]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_hook_that_comes_again_after_its_file_changed_is_loaded_again() {
    let server = Server::start(|request| match request.number {
        0 => Reply::new(200, CSV),
        _ => Reply::new(200, CSV.replace("-12.50", "-13.50")),
    })
    .await;
    let workspace = unsigned();
    let receiver = Receiver::start(&workspace);
    let url = server.url("/a.csv");
    let body = json!({"batchNo": "B1", "lastPage": true, "fileUrl": url}).to_string();
    for amount in ["-12.5000", "-13.5000"] {
        assert_eq!(receiver.post(body.clone(), &[]).await.0, 200);
        let ran = workspace.run(&RUN);
        assert_eq!(
            (ran.exit, outcomes(&ran)),
            (Some(0), vec!["B1 loaded".into()])
        );
        let query = "SELECT card_negative::VARCHAR FROM account_negative";
        assert_eq!(workspace.query(query), [amount]);
    }
}

/// A clock that was right when the receiver before this one stamped what it stored.
#[tokio::test]
async fn what_arrives_later_stands_although_the_clock_has_stepped_back() {
    let workspace = unsigned();
    let ahead = jiff::Timestamp::now().as_microsecond() + 3_600_000_000;
    let inbox = workspace.data().join("inbox");
    std::fs::create_dir_all(&inbox).expect("a folder");
    let before = inbox.join(format!("{ahead:020}-{:032x}.json", 1));
    std::fs::write(before, inline("B1", 2).to_string()).expect("to write");
    let receiver = Receiver::start(&workspace);
    for rows in [3, 4] {
        let body = inline("B1", rows).to_string();
        assert_eq!(receiver.post(body, &[]).await.0, 200);
    }
    let ran = workspace.run(&RUN);
    assert_eq!(outcomes(&ran), ["B1 loaded"; 3]);
    let count = "SELECT count(*)::VARCHAR FROM account_negative";
    assert_eq!(workspace.query(count), ["4"]);
}

/// What can't be read here stands for a file that is not ours to read: root may read any.
#[test]
fn an_announcement_that_can_not_be_read_stays_and_the_others_are_loaded() {
    let workspace = unsigned();
    receive(&workspace, &[inline("B1", 1), inline("B2", 2)]);
    let inbox = workspace.data().join("inbox");
    let (link, folder) = (inbox.join("0-link.json"), inbox.join("1-folder.json"));
    std::os::unix::fs::symlink("nowhere", &link).expect("a link");
    std::fs::create_dir(&folder).expect("a folder");
    let dry = workspace.run(&["run", "--dry-run"]);
    assert!(dry.stdout.contains("0-link.json"), "{}", dry.stdout);
    for outcome in [vec!["B1 loaded".to_owned(), "B2 loaded".to_owned()], vec![]] {
        let ran = workspace.run(&RUN);
        assert_eq!((ran.exit, outcomes(&ran)), (Some(2), outcome));
        for name in ["0-link.json", "1-folder.json"] {
            assert!(ran.stdout.contains(name), "{}", ran.stdout);
        }
    }
    assert!(link.is_symlink() && folder.is_dir());
    let status = workspace.run(&["status"]);
    for name in ["0-link.json", "1-folder.json"] {
        let said = format!("{name} can't be read");
        assert!(status.stdout.contains(&said), "{}", status.stdout);
    }
    let backfill = workspace.run(&["backfill", "B1", "--refetch", "--dry-run"]);
    assert!(
        backfill.stderr.contains("0-link.json"),
        "{}",
        backfill.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_whose_file_was_gone_may_come_again_word_for_word() {
    let server = Server::start(|request| match request.number {
        0 => Reply::new(404, "not yet"),
        _ => Reply::new(200, CSV),
    })
    .await;
    let workspace = unsigned();
    let body = format!(
        "{{\"batchNo\": \"B1\", \"lastPage\": true, \"fileUrl\": \"{}\"}}",
        server.url("/a.csv")
    );
    let receiver = Receiver::start(&workspace);
    receiver.post(body.clone(), &[]).await;
    let ran = workspace.run(&RUN);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(3), vec!["B1 expired".into()])
    );
    assert_eq!(names(&workspace, "inbox").len(), 1, "it is young");

    // The same link works now. Nothing in the announcement tells it from the first one.
    receiver.post(body, &[]).await;
    let ran = workspace.run(&RUN);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["B1 loaded".into()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_come_in_while_a_run_is_under_way() {
    let (open, gate) = tokio::sync::watch::channel(false);
    let server = Server::start(move |_| Reply::new(200, CSV).held(gate.clone())).await;
    let workspace = unsigned();
    let receiver = Receiver::start(&workspace);
    let body = format!(
        "{{\"batchNo\": \"B1\", \"lastPage\": true, \"fileUrl\": \"{}\"}}",
        server.url("/a.csv")
    );
    receiver.post(body, &[]).await;
    let running = workspace.start(&RUN);
    until(|| !server.requests().is_empty()).await;
    // The run has begun and is held up by its file.
    assert_eq!(receiver.post(inline("B2", 1).to_string(), &[]).await.0, 200);
    assert_eq!(names(&workspace, "inbox").len(), 2);
    open.send(true).expect("the server listens");
    let ran = finish(running);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["B1 loaded".into()])
    );
    let ran = workspace.run(&RUN);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["B2 loaded".into()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waited_for_another_one_takes_what_that_has_left() {
    let (open, gate) = tokio::sync::watch::channel(false);
    let server = Server::start(move |_| Reply::new(200, CSV).held(gate.clone())).await;
    let workspace: Workspace = unsigned();
    let receiver = Receiver::start(&workspace);
    let body = format!(
        "{{\"batchNo\": \"B1\", \"lastPage\": true, \"fileUrl\": \"{}\"}}",
        server.url("/a.csv")
    );
    receiver.post(body, &[]).await;
    let first = workspace.start(&RUN);
    until(|| !server.requests().is_empty()).await;
    let second = workspace.start(&["-vv", "run", "--format", "json"]);
    receiver.post(inline("B2", 1).to_string(), &[]).await;
    open.send(true).expect("the server listens");
    let first = finish(first);
    assert_eq!(
        (first.exit, outcomes(&first)),
        (Some(0), vec!["B1 loaded".into()])
    );
    let second = finish(second);
    assert_eq!(
        (second.exit, outcomes(&second)),
        (Some(0), vec!["B2 loaded".into()]),
        "{}",
        second.stderr
    );
    assert_eq!(
        server.requests().len(),
        1,
        "the file of B1 is asked for once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_run_was_killed_the_next_one_loads_what_is_missing() {
    // In place every batch stays that was committed; else the run is published as a whole or not at all.
    for (mode, stays) in [("replace", &["B1"][..]), ("in-place", &["B1", "B2"])] {
        let (open, gate) = tokio::sync::watch::channel(false);
        let server = Server::start(move |_| Reply::new(200, CSV).held(gate.clone())).await;
        let workspace = unsigned().set("WAREHOUSE__MODE", mode);
        receive(&workspace, &[inline("B1", 1)]);
        assert_eq!(workspace.run(&RUN).exit, Some(0));
        let held = json!({"batchNo": "B3", "lastPage": true, "fileUrl": server.url("/a.csv")});
        receive(&workspace, &[inline("B2", 2), held]);
        let mut running = workspace.start(&RUN);
        until(|| !server.requests().is_empty()).await;
        // B2 is loaded by now, and B3 is under way.
        running.kill().expect("to kill");
        running.wait().expect("to wait");
        let loaded = "SELECT DISTINCT batch_no FROM account_negative ORDER BY batch_no";
        assert_eq!(workspace.query(loaded), stays, "{mode}");
        assert_eq!(names(&workspace, "inbox").len(), 2, "{mode}");

        open.send(true).expect("the server listens");
        let ran = workspace.run(&RUN);
        assert_eq!(ran.exit, Some(0), "{mode}: {}", ran.stderr);
        let second = if stays.contains(&"B2") {
            "B2 unchanged"
        } else {
            "B2 loaded"
        };
        assert_eq!(outcomes(&ran), [second, "B3 loaded"], "{mode}");
        assert_eq!(workspace.query(loaded), ["B1", "B2", "B3"], "{mode}");
        assert!(
            workspace.leftovers().is_empty(),
            "{mode}: {:?}",
            workspace.leftovers()
        );
    }
}

/// Waits until `holds`.
async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), waiting)
        .await
        .expect("it holds in time");
}

const CSV: &str = "accountId,accountName,accountEn,displayId,type,cardNegative,budgetNegative,currency,statTime\n\
    6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be001,Alpha,Alpha,0001,0,-12.50,0,USD,1711785600000\n";
