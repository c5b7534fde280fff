//! What a scheduled run does with the inbox.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, time::SystemTime};

use serde_json::{Value, json};

use super::{inline, mode, names, outcomes, page, receive, report};
use crate::support::{
    program::Workspace,
    server::{Reply, Server},
};

const RUN: [&str; 3] = ["run", "--format", "json"];

/// `hook` in an envelope that says when it was made.
fn made_at(hook: &Value, millis: u64) -> Value {
    json!({"resource": hook, "createTime": millis.to_string(), "id": millis.to_string()})
}

/// What must not change: the warehouse's inode, time of change and bytes.
fn warehouse(workspace: &Workspace) -> (u64, SystemTime, Vec<u8>) {
    let path = workspace.data().join("warehouse.duckdb");
    let metadata = fs::metadata(&path).expect("a warehouse");
    (
        metadata.ino(),
        metadata.modified().expect("a time"),
        fs::read(&path).expect("a warehouse"),
    )
}

#[test]
fn batches_are_loaded_in_the_order_they_were_announced_in() {
    let workspace = Workspace::new();
    receive(
        &workspace,
        &[
            made_at(&inline("THIRD", 1), 1_774_888_600_003),
            made_at(&inline("FIRST", 1), 1_774_888_600_001),
            made_at(&inline("SECOND", 1), 1_774_888_600_002),
        ],
    );
    let ran = workspace.run(&RUN);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert_eq!(
        outcomes(&ran),
        ["FIRST loaded", "SECOND loaded", "THIRD loaded"]
    );
    // Where one does not say when it was made, they go by arrival.
    let workspace = Workspace::new();
    receive(
        &workspace,
        &[
            made_at(&inline("FIRST", 1), 1_774_888_600_003),
            inline("SECOND", 1),
        ],
    );
    assert_eq!(
        outcomes(&workspace.run(&RUN)),
        ["FIRST loaded", "SECOND loaded"]
    );
    let told = workspace.query(
        "SELECT epoch_ms(announced_at)::VARCHAR FROM redledger.batch WHERE batch_no = 'FIRST'",
    );
    assert_eq!(told, ["1774888600003"]);
}

#[test]
fn a_batch_announced_again_ends_as_its_newest_announcement_says() {
    let workspace = Workspace::new();
    let (mut old, mut new) = (inline("B1", 2), inline("B1", 2));
    old["list"][0]["cardNegative"] = "-1.00".into();
    new["list"][0]["cardNegative"] = "-2.00".into();
    // The newer one arrives first.
    receive(
        &workspace,
        &[
            made_at(&new, 1_774_888_600_002),
            made_at(&old, 1_774_888_600_001),
        ],
    );
    let ran = workspace.run(&RUN);
    assert_eq!(outcomes(&ran), ["B1 loaded", "B1 loaded"]);
    let query = "SELECT card_negative::VARCHAR FROM account_negative ORDER BY line LIMIT 1";
    assert_eq!(workspace.query(query), ["-2.0000"]);
}

#[test]
fn pages_are_put_together_from_several_deliveries_and_wait_for_each_other_across_runs() {
    let workspace = Workspace::new();
    let first = receive(&workspace, &[page("B1", 3, 5), page("B1", 1, 5)]);
    let ran = workspace.run(&RUN);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(3), vec!["B1 waiting".into()])
    );
    let message = report(&ran)["batches"][0]["message"].to_string();
    assert!(message.contains("page 2 of 3"), "{message}");
    assert!(first.iter().all(|path| path.exists()), "they stay");

    // The next night it is still missing, and another batch is not kept waiting by that.
    receive(&workspace, &[inline("B2", 1)]);
    let ran = workspace.run(&RUN);
    assert_eq!(ran.exit, Some(3));
    assert_eq!(outcomes(&ran), ["B1 waiting", "B2 loaded"]);

    receive(&workspace, &[page("B1", 2, 5)]);
    let ran = workspace.run(&RUN);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["B1 loaded".into()])
    );
    assert_eq!(report(&ran)["batches"][0]["rows_loaded"], 5);
    assert_eq!(names(&workspace, "inbox"), Vec::<String>::new());
    assert_eq!(names(&workspace, "inbox/done").len(), 4);
    let states = workspace.query("SELECT state FROM redledger.batch WHERE batch_no = 'B1'");
    assert_eq!(states, ["loaded"], "no trace of the waiting is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_in_passing_is_tried_again_and_a_dead_link_is_not() {
    let csv = format!("{HEADER}\n{}", ROW);
    let server = Server::start(move |request| match &*request.path {
        "/dead.csv" => Reply::new(403, ""),
        "/down.csv" if request.number < 3 => Reply::new(503, ""),
        _ => Reply::new(200, csv.clone()),
    })
    .await;
    let hook = |batch_no: &str, name: &str| json!({"batchNo": batch_no, "lastPage": true, "fileUrl": server.url(name)});
    let workspace = Workspace::new().with("ATTEMPTS", "2");
    receive(
        &workspace,
        &[
            hook("DEAD", "/dead.csv"),
            hook("DOWN", "/down.csv"),
            inline("FINE", 1),
        ],
    );
    let ran = workspace.run(&RUN);
    assert_eq!(ran.exit, Some(3));
    assert_eq!(
        outcomes(&ran),
        ["DEAD expired", "DOWN waiting", "FINE loaded"]
    );
    assert_eq!(names(&workspace, "inbox").len(), 1);

    let bad = names(&workspace, "inbox/bad");
    assert_eq!(bad.len(), 2, "{bad:?}");
    let note = workspace.data().join("inbox/bad").join(&bad[1]);
    let note = fs::read_to_string(note).expect("a note");
    assert!(note.starts_with("DEAD expired: "), "{note}");
    assert!(
        note.contains("hint: the link no longer works: ask for the batch to be announced again"),
        "{note}"
    );

    let ran = workspace.run(&RUN);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["DOWN loaded".into()])
    );
    let asked: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.path.clone())
        .collect();
    assert_eq!(asked, ["/dead.csv", "/down.csv", "/down.csv", "/down.csv"]);
}

#[test]
fn one_bad_batch_does_not_stop_the_others_and_is_put_aside_with_a_note() {
    let workspace = Workspace::new();
    let mut broken = inline("BROKEN", 3);
    broken["total"] = 9.into();
    let stored = receive(
        &workspace,
        &[
            inline("A", 1),
            json!({"no": "hook"}),
            broken,
            json!([inline("C", 1), inline("D", 1)]),
        ],
    );
    fs::write(&stored[1], "{\"no\": \"hook\"}").expect("to write");
    let ran = workspace.run(&RUN);
    assert_eq!(ran.exit, Some(2), "what can't be understood is a fault");
    assert_eq!(
        outcomes(&ran),
        ["A loaded", "BROKEN failed", "C loaded", "D loaded"]
    );
    assert_eq!(report(&ran)["errors"].as_array().map(Vec::len), Some(1));
    assert_eq!(names(&workspace, "inbox"), Vec::<String>::new());
    assert_eq!(names(&workspace, "inbox/done").len(), 2);

    let bad = workspace.data().join("inbox/bad");
    let names = names(&workspace, "inbox/bad");
    let notes: Vec<String> = names
        .iter()
        .filter(|name| name.ends_with(".txt"))
        .map(|name| fs::read_to_string(bad.join(name)).expect("a note"))
        .collect();
    assert_eq!((names.len(), notes.len()), (4, 2), "{names:?}");
    assert!(notes[0].contains("batchNo"), "{}", notes[0]);
    assert!(notes[1].starts_with("BROKEN failed: "), "{}", notes[1]);
    assert!(
        names.iter().all(|name| mode(&bad.join(name)) == 0o600),
        "{names:?}"
    );
    assert_eq!(mode(&bad), 0o700);

    let ran = workspace.run(&RUN);
    assert_eq!((ran.exit, outcomes(&ran)), (Some(0), vec![]), "said once");
}

#[test]
fn loaded_announcements_are_kept_privately_and_not_for_ever() {
    let workspace = Workspace::new().set("INBOX__KEEP_DONE", "10days");
    receive(&workspace, &[inline("OLD", 1), inline("NEW", 1)]);
    workspace.run(&RUN);
    let done = workspace.data().join("inbox/done");
    let kept = names(&workspace, "inbox/done");
    assert_eq!(kept.len(), 2);
    assert_eq!(mode(&done), 0o700);
    let age = |name: &str, days: u64| {
        let file = fs::File::options()
            .append(true)
            .open(done.join(name))
            .expect("a file");
        let then = SystemTime::now() - std::time::Duration::from_secs(days * 86_400);
        file.set_modified(then).expect("to set");
    };
    age(&kept[0], 11);
    age(&kept[1], 9);
    // A run with nothing to load tidies up as well.
    assert_eq!(workspace.run(&RUN).exit, Some(0));
    assert_eq!(names(&workspace, "inbox/done"), [kept[1].clone()]);
}

#[test]
fn an_announcement_that_has_waited_for_long_is_kept_as_long_as_any_other_from_when_it_was_done() {
    let workspace = Workspace::new().set("INBOX__KEEP_DONE", "10days");
    let paths = receive(&workspace, &[inline("LATE", 1)]);
    let file = fs::File::options().append(true).open(&paths[0]);
    let then = SystemTime::now() - std::time::Duration::from_secs(100 * 86_400);
    file.and_then(|file| file.set_modified(then))
        .expect("to set");
    for _ in 0..2 {
        assert_eq!(workspace.run(&RUN).exit, Some(0));
        assert_eq!(names(&workspace, "inbox/done").len(), 1);
    }
}

#[test]
fn a_run_with_limits_says_what_it_leaves_and_that_it_is_incomplete() {
    let workspace = Workspace::new();
    receive(
        &workspace,
        &[inline("A", 1), inline("B", 1), inline("C", 1)],
    );
    let limited = |limit: &[&str]| workspace.run(&[&RUN, limit].concat());
    let ran = limited(&["--deadline", "0s"]);
    assert_eq!((ran.exit, outcomes(&ran)), (Some(3), vec![]));
    assert_eq!(report(&ran)["left"], 3);
    assert!(!workspace.data().join("warehouse.duckdb").exists());

    let ran = limited(&["--max-batches", "2"]);
    assert_eq!(ran.exit, Some(3));
    assert_eq!(outcomes(&ran), ["A loaded", "B loaded"]);
    assert_eq!(report(&ran)["summary"], "2 loaded, 1 left to load");
    assert_eq!(names(&workspace, "inbox").len(), 1);

    let ran = limited(&["--max-batches", "2", "--deadline", "1h"]);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["C loaded".into()])
    );
    assert_eq!(report(&ran)["left"], 0);
}

#[test]
fn a_batch_that_waits_does_not_use_up_the_limit() {
    let workspace = Workspace::new();
    receive(
        &workspace,
        &[page("WAITS", 1, 5), inline("A", 1), inline("B", 1)],
    );
    for (loaded, exit) in [("A loaded", Some(3)), ("B loaded", Some(3))] {
        let ran = workspace.run(&[&RUN[..], &["--max-batches", "1"]].concat());
        assert_eq!(
            (ran.exit, outcomes(&ran)),
            (exit, vec!["WAITS waiting".into(), loaded.into()])
        );
    }
}

#[test]
fn status_says_what_is_in_the_inbox() {
    let workspace = Workspace::new();
    receive(
        &workspace,
        &[page("WAITS", 1, 5), json!({"no": "hook"}), inline("A", 1)],
    );
    let said = workspace.run(&["status"]).stdout;
    assert!(
        said.contains("inbox: 3 announcements for the next run"),
        "{said}"
    );
    let ran = workspace.run(&RUN);
    assert!(
        ran.stderr.contains("put aside in inbox/bad, with a note"),
        "{}",
        ran.stderr
    );
    let said = workspace.run(&["status"]).stdout;
    assert!(
        said.contains("inbox: 1 announcement for the next run"),
        "{said}"
    );
    assert!(
        said.contains("inbox/bad: 1 announcement put aside, each with a note"),
        "{said}"
    );
    let narrowed = workspace
        .run(&["status", "--dataset", "account_negative"])
        .stdout;
    assert!(!narrowed.contains("inbox"), "{narrowed}");
}

#[test]
fn a_dry_run_says_what_would_be_done_and_changes_nothing() {
    let workspace = Workspace::new();
    receive(&workspace, &[inline("A", 1)]);
    workspace.run(&RUN);
    receive(
        &workspace,
        &[
            inline("B", 2),
            page("C", 1, 5),
            json!({"batchNo": "D", "lastPage": true, "fileUrl": "https://example.com/d.csv?sig=5ECRET"}),
            json!({"no": "hook"}),
        ],
    );
    let (before, files) = (warehouse(&workspace), workspace.files());
    let ran = workspace.run(&["run", "--dry-run"]);
    assert_eq!(ran.exit, Some(0));
    for said in [
        "load 2 inline rows",
        "wait for pages 2 and 3",
        "fetch 1 file",
        "put aside as bad",
    ] {
        assert!(ran.stdout.contains(said), "{said}:\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("5ECRET"), "{}", ran.stdout);
    let ran = workspace.run(&["run", "--dry-run", "--format", "json"]);
    assert_eq!(report(&ran).as_array().map(Vec::len), Some(4));
    assert_eq!((warehouse(&workspace), workspace.files()), (before, files));
}

#[test]
fn with_nothing_to_do_nothing_is_touched() {
    let workspace = Workspace::new();
    fs::create_dir_all(workspace.data().join("inbox")).expect("an inbox");
    let ran = workspace.run(&["run"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("nothing to do"), "{}", ran.stdout);
    assert_eq!(workspace.files(), Vec::<PathBuf>::new());

    receive(&workspace, &[inline("A", 3)]);
    workspace.run(&RUN);
    let before = warehouse(&workspace);
    for _ in 0..2 {
        assert_eq!(workspace.run(&RUN).exit, Some(0));
    }
    assert_eq!(warehouse(&workspace), before);

    // The same content under another announcement is nothing to do either.
    receive(&workspace, &[made_at(&inline("A", 3), 1_774_888_600_001)]);
    let ran = workspace.run(&RUN);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["A unchanged".into()])
    );
    assert_eq!(warehouse(&workspace), before);
    assert_eq!(names(&workspace, "inbox"), Vec::<String>::new());
    assert_eq!(workspace.leftovers(), Vec::<PathBuf>::new());
}

#[test]
#[ignore = "says how long it takes: `just night`"]
fn two_hundred_batches_of_a_hundred_rows_are_loaded_in_one_run() {
    for round in 1..=3 {
        let workspace = Workspace::new();
        let batches: Vec<Value> = (0..200)
            .map(|number| inline(&format!("B{number:03}"), 100))
            .collect();
        receive(&workspace, &batches);
        let started = std::time::Instant::now();
        let ran = workspace.run(&RUN);
        println!(
            "round {round}: {:.1} s, peak memory {} MB",
            started.elapsed().as_secs_f64(),
            ran.peak_kilobytes / 1_000
        );
        assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
        assert_eq!(
            workspace.query("SELECT count(*)::VARCHAR FROM account_negative"),
            ["20000"]
        );
        let started = std::time::Instant::now();
        workspace.run(&RUN);
        println!("  nothing to do: {} ms", started.elapsed().as_millis());
    }
}

const HEADER: &str =
    "accountId,accountName,accountEn,displayId,type,cardNegative,budgetNegative,currency,statTime";
const ROW: &str =
    "6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be001,Alpha,Alpha,0001,0,-12.50,0,USD,1711785600000\n";
