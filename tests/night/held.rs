//! What a run can't load and a later one may: it stays in the inbox, and a person is told once.

use std::{fs, time::Duration};

use serde_json::json;

use super::{inline, names, outcomes, receive, report};
use crate::support::{
    program::{Ran, Workspace},
    server::{Reply, Server},
};

const RUN: [&str; 3] = ["run", "--format", "json"];
const CSV: &str = "accountId,accountName,accountEn,displayId,type,cardNegative,budgetNegative,currency,statTime\n\
    6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be001,Alpha,Alpha,0001,0,-12.50,0,USD,1711785600000\n";

fn linked(batch_no: &str, url: &str) -> serde_json::Value {
    json!({"batchNo": batch_no, "lastPage": true, "fileUrl": url})
}

/// An announcement made so many hours ago.
fn hours_ago(hours: i64, hook: &serde_json::Value) -> serde_json::Value {
    let made = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
    json!({"resource": hook, "createTime": made.as_millisecond().to_string(), "id": hook["batchNo"]})
}

#[track_caller]
fn ends(ran: &Ran, exit: i32, expected: &[&str]) {
    assert_eq!(ran.exit, Some(exit), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(outcomes(ran), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_link_of_a_young_announcement_is_tried_by_each_run_until_its_file_is_there() {
    let server = Server::start(|request| match request.number {
        0 | 1 => Reply::new(404, "not yet"),
        _ => Reply::new(200, CSV),
    })
    .await;
    let workspace = Workspace::new();
    receive(
        &workspace,
        &[hours_ago(5, &linked("LATE", &server.url("/a.csv")))],
    );
    for _ in 0..2 {
        ends(&workspace.run(&RUN), 3, &["LATE expired"]);
        assert_eq!(names(&workspace, "inbox").len(), 1);
        let status = workspace.run(&["status"]).stdout;
        assert!(status.contains("LATE expired: "), "{status}");
        assert!(status.contains("tries it again"), "{status}");
    }
    ends(&workspace.run(&RUN), 0, &["LATE loaded"]);
    assert_eq!(names(&workspace, "inbox"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_stays_dead_is_told_once_and_listed_until_the_batch_is_loaded() {
    for (status, patience, age) in [(404, "6h", 7), (403, "6h", 7), (410, "0s", 0)] {
        let server = Server::start(move |request| match request.path.as_str() {
            "/a.csv" => Reply::new(status, ""),
            _ => Reply::new(200, CSV),
        })
        .await;
        let workspace = Workspace::new().with("RETRY_GONE_FOR", patience);
        receive(
            &workspace,
            &[
                hours_ago(age, &linked("DEAD", &server.url("/a.csv"))),
                inline("FINE", 1),
            ],
        );
        ends(&workspace.run(&RUN), 1, &["DEAD expired", "FINE loaded"]);
        assert_eq!(names(&workspace, "inbox/bad").len(), 2, "with a note");
        ends(&workspace.run(&RUN), 0, &[]);
        let said = workspace.run(&["status"]).stdout;
        assert!(said.contains("DEAD expired: "), "{said}");
        assert!(said.contains("inbox/bad: 1 announcement"), "{said}");

        // Announced anew with a link that works, it leaves no trace among what waits for a person.
        receive(&workspace, &[linked("DEAD", &server.url("/b.csv"))]);
        ends(&workspace.run(&RUN), 0, &["DEAD loaded"]);
        assert_eq!(names(&workspace, "inbox/bad"), Vec::<String>::new());
        let said = workspace.run(&["status"]).stdout;
        assert!(!said.contains("inbox/bad"), "{said}");
        assert!(!said.contains("expired"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_a_setting_refuses_stops_its_batch_alone_and_is_told_once_until_the_setting_changes()
 {
    let server = Server::start(|_| Reply::new(200, CSV)).await;
    for (setting, refuses, allows, names_it) in [
        ("ALLOW_HTTP", "false", "true", "allow_http"),
        (
            "ALLOW_HOSTS",
            "files.example.com",
            "127.0.0.1",
            "allow_hosts",
        ),
        (
            "ALLOW_PRIVATE",
            "10.0.0.0/8",
            "127.0.0.0/8",
            "allow_private",
        ),
    ] {
        let mut workspace = Workspace::new().with(setting, refuses);
        receive(
            &workspace,
            &[linked("HELD", &server.url("/a.csv")), inline("FINE", 1)],
        );
        let ran = workspace.run(&RUN);
        ends(&ran, 1, &["HELD failed", "FINE loaded"]);
        ends(&workspace.run(&RUN), 0, &["HELD failed"]);
        assert_eq!(names(&workspace, "inbox").len(), 1, "{setting}");
        assert_eq!(names(&workspace, "inbox/bad"), Vec::<String>::new());
        let said = workspace.run(&["status"]).stdout.replace("\n  ", " ");
        assert!(said.contains("HELD failed: "), "{said}");
        assert!(said.contains(names_it), "{setting}: {said}");

        workspace = workspace.with(setting, allows);
        ends(&workspace.run(&RUN), 0, &["HELD loaded"]);
        assert_eq!(names(&workspace, "inbox"), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_dataset_nothing_shows_is_recorded_and_told_once_until_a_contract_fits() {
    let server = Server::start(|_| Reply::new(200, "shop,city\nA,Bonn\n")).await;
    let mut list = inline("LIST", 1);
    list["list"] = json!([{"shop": "A", "city": "Bonn"}]);
    let mut workspace = Workspace::new();
    receive(
        &workspace,
        &[
            linked("FILE", &server.url("/a.csv")),
            list,
            inline("FINE", 1),
        ],
    );
    ends(
        &workspace.run(&RUN),
        1,
        &["FILE failed", "LIST failed", "FINE loaded"],
    );
    ends(&workspace.run(&RUN), 0, &["FILE failed", "LIST failed"]);
    assert_eq!(names(&workspace, "inbox").len(), 2);
    let said = workspace.run(&["status"]).stdout;
    for number in ["FILE", "LIST"] {
        let why = format!("{number} failed: ");
        assert!(said.contains(&why), "{said}");
        let state = format!("SELECT state FROM redledger.batch WHERE batch_no = '{number}'");
        assert_eq!(workspace.query(&state), ["failed"]);
    }

    fs::create_dir(workspace.path().join("datasets")).expect("a folder");
    workspace.write(
        "datasets/shops.toml",
        "name = \"shops\"\ncomment = \"Shops\"\n\n\
         [[fields]]\nname = \"shop\"\ntype = \"text\"\nrequired = true\ncomment = \"Name\"\n\n\
         [[fields]]\nname = \"city\"\ntype = \"text\"\nrequired = true\ncomment = \"Where\"\n",
    );
    workspace = workspace.set("DATASETS_DIR", "datasets");
    ends(&workspace.run(&RUN), 0, &["FILE loaded", "LIST loaded"]);
    let said = workspace.run(&["status"]).stdout;
    assert!(!said.contains("failed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_cuts_off_the_batch_under_way_which_goes_last_in_the_next_run() {
    let (open, gate) = tokio::sync::watch::channel(false);
    let server = Server::start(move |request| match request.path.as_str() {
        "/slow.csv" => Reply::new(200, CSV).held(gate.clone()),
        _ => Reply::new(200, CSV),
    })
    .await;
    let workspace = Workspace::new();
    receive(
        &workspace,
        &[
            inline("FIRST", 1),
            linked("SLOW", &server.url("/slow.csv")),
            linked("QUICK", &server.url("/quick.csv")),
        ],
    );
    let until = |deadline| ["run", "--format", "json", "--deadline", deadline];
    let begun = std::time::Instant::now();
    let ran = workspace.run(&until("2s"));
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it was waited for"
    );
    ends(&ran, 3, &["FIRST loaded", "SLOW waiting"]);
    assert_eq!(report(&ran)["published"], true);
    assert_eq!(report(&ran)["not_tried"], json!(["QUICK"]));
    let said = workspace.run(&["status"]).stdout;
    assert!(
        said.contains("SLOW waiting: cut off by --deadline"),
        "{said}"
    );

    // It would be cut off again: the other one is not kept waiting for ever.
    let ran = workspace.run(&until("2s"));
    ends(&ran, 3, &["QUICK loaded", "SLOW waiting"]);
    assert_eq!(names(&workspace, "inbox").len(), 1);
    open.send(true).expect("the server listens");
    ends(&workspace.run(&until("1m")), 0, &["SLOW loaded"]);
}
