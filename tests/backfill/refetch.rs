//! By the stored announcement's link, then from the provider.

use serde_json::json;

use super::{Workspace, backfill, hook, negatives, outcomes, report};
use crate::support::server::{Reply, Request, Server};

const TOKEN: &str = "SECRETTOKEN";

fn asking(workspace: Workspace, server: &Server) -> Workspace {
    workspace
        .set(
            "PROVIDER__URL",
            &server.url("/batches/{batch_no}?page={page}"),
        )
        .set("PROVIDER__HOOK", "/data/0/hook")
        .set("PROVIDER__HEADERS", "{ X-Auth = \"Bearer {token}\" }")
        .set("PROVIDER_TOKEN", TOKEN)
        .set("PROVIDER__TOKEN_ENV", "REDLEDGER_PROVIDER_TOKEN")
}

/// A provider that has B1 in two pages, and a store whose first link is dead.
fn provider(request: &Request) -> Reply {
    let row = |number: usize| {
        json!({"accountId": format!("6f1b3c1e-0f5b-4a53-9a87-{number:012}"), "accountName": "甲",
               "accountEn": "A", "displayId": "01", "type": 0, "cardNegative": -1.10, "budgetNegative": 0,
               "currency": "USD", "statTime": 1711785600000_i64})
    };
    let page = |page: usize, last: bool| {
        let hook = json!({"batchNo": "B1", "page": page, "size": 1, "total": 2, "lastPage": last, "list": [row(page)]});
        Reply::new(
            200,
            json!({"code": 0, "data": [{"hook": hook}]}).to_string(),
        )
    };
    let allowed = request.header("x-auth") == Some("Bearer SECRETTOKEN");
    match request.path.as_str() {
        path if path.starts_with("/batches") && !allowed => Reply::new(500, "no token"),
        "/batches/B1?page=1" => page(1, false),
        "/batches/B1?page=2" => page(2, true),
        "/batches/B2?page=1" => page(1, true),
        "/moved/B3" => Reply::new(200, negatives(&["-1"])),
        path if path.starts_with("/live.csv") => Reply::new(200, negatives(&["-1", "-2"])),
        _ => Reply::new(404, "gone"),
    }
}

/// "See other": the answer is there to be asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_posted_to_may_answer_that_the_batch_is_elsewhere() {
    for (status, follows) in [
        (303, ["POST", "GET"]),
        (307, ["POST", "POST"]),
        (308, ["POST", "POST"]),
    ] {
        let server = Server::start(move |request| match request.path.as_str() {
            "/batches/B2?page=1" => Reply::new(status, "").header("Location", "/answers/7"),
            "/answers/7" => {
                let mut asked = request.clone();
                asked.path = "/batches/B2?page=1".into();
                provider(&asked)
            }
            _ => Reply::new(404, ""),
        })
        .await;
        let workspace = asking(Workspace::new(), &server)
            .set("PROVIDER__METHOD", "POST")
            .set("PROVIDER__BODY", "{\"no\": \"{batch_no}\"}");
        let ran = workspace.run(&["ingest", "--batch-no", "B2", "--format", "json"]);
        let asked: Vec<String> = server
            .requests()
            .iter()
            .map(|of| of.method.clone())
            .collect();
        assert_eq!(asked, follows, "{status}: {}{}", ran.stdout, ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_asked_for_by_its_number_page_by_page() {
    let server = Server::start(provider).await;
    let workspace = asking(Workspace::new(), &server);
    let ran = workspace.run(&["ingest", "--batch-no", "B1", "--format", "json", "-vvv"]);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["B1 r1 loaded".to_owned()]),
        "{}",
        ran.stderr
    );
    let sum = workspace.query("SELECT sum(card_negative)::VARCHAR FROM account_negative");
    assert_eq!(sum, ["-2.2000"]);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(TOKEN));
    for path in workspace.files() {
        let bytes = std::fs::read(&path).expect("a file");
        assert!(
            memchr::memmem::find(&bytes, TOKEN.as_bytes()).is_none(),
            "{}",
            path.display()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_another_batch_is_refused() {
    let server = Server::start(provider).await;
    let workspace = asking(Workspace::new(), &server);
    let ran = workspace.run(&["ingest", "--batch-no", "B2"]);
    assert_eq!(ran.exit, Some(2), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("about batch B1 where B2 was asked for"),
        "{}",
        ran.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_token_or_provider_it_says_what_to_set() {
    let server = Server::start(provider).await;
    let workspace = Workspace::new();
    let ran = workspace.run(&["ingest", "--batch-no", "B1"]);
    assert_eq!(ran.exit, Some(2));
    assert!(ran.stderr.contains("[provider] url"), "{}", ran.stderr);
    let workspace = asking(workspace, &server).set("PROVIDER_TOKEN", "");
    let ran = workspace.run(&["ingest", "--batch-no", "B1"]);
    assert_eq!(ran.exit, Some(2));
    assert!(
        ran.stderr.contains("`REDLEDGER_PROVIDER_TOKEN` is not set"),
        "{}",
        ran.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_link_is_tried_once_and_then_the_provider_is_asked() {
    let server = Server::start(provider).await;
    let workspace = Workspace::new();
    workspace.receive(
        "1-a.json",
        &hook("B1", &server.url("/dead.csv"), 2).to_string(),
    );
    let ran = workspace.run(&["run", "--format", "json"]);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(3), vec!["B1 r1 expired".to_owned()])
    );

    // Without a provider the link is all there is.
    let ran = backfill(&workspace, &["B1", "--refetch"]);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(3), vec!["B1 r1 expired".to_owned()])
    );
    let dead = || {
        server
            .requests()
            .iter()
            .filter(|of| of.path == "/dead.csv")
            .count()
    };
    assert_eq!(dead(), 2);

    let workspace = asking(workspace, &server);
    let ran = backfill(&workspace, &["B1", "--refetch"]);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["B1 r1 loaded".to_owned()]),
        "{}",
        ran.stderr
    );
    assert_eq!(dead(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_link_of_a_stored_announcement_is_fetched_again() {
    let server = Server::start(provider).await;
    let workspace = Workspace::new();
    let announced = hook("B1", &server.url("/live.csv?Signature=SECRET"), 2).to_string();
    workspace.receive("1-a.json", &announced);
    assert_eq!(workspace.run(&["run"]).exit, Some(0));
    // Neither warehouse nor archive are left, only the announcement under inbox/done.
    std::fs::remove_file(workspace.data().join("warehouse.duckdb")).expect("removed");
    std::fs::remove_dir_all(workspace.data().join("archive")).expect("removed");
    let ran = backfill(&workspace, &["B1"]);
    assert_eq!(ran.exit, Some(2));
    let ran = backfill(&workspace, &["B*", "--refetch"]);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["B1 r1 loaded".to_owned()]),
        "{}",
        ran.stderr
    );
    assert!(!report(&ran).to_string().contains("SECRET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_nobody_knows_is_incomplete_not_loaded() {
    let server = Server::start(provider).await;
    let workspace = asking(Workspace::new(), &server);
    let ran = backfill(&workspace, &["B7", "--refetch"]);
    assert_eq!(ran.exit, Some(3), "{}", ran.stdout);
    assert!(ran.stdout.contains("404"), "{}", ran.stdout);
}
