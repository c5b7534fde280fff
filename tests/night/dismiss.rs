//! `redledger dismiss`: what a person has decided not to load is closed.

use serde_json::json;

use super::{inline, names, outcomes, receive, report};
use crate::support::{
    program::Workspace,
    server::{Reply, Server},
};

const RUN: [&str; 3] = ["run", "--format", "json"];

/// A batch that says another number of rows than it has.
fn wrong(batch_no: &str, rows: usize) -> serde_json::Value {
    let mut hook = inline(batch_no, rows);
    hook["total"] = 9.into();
    hook
}

fn state(workspace: &Workspace, batch_no: &str) -> Vec<String> {
    workspace.query(&format!(
        "SELECT state || ': ' || coalesce(message, '') FROM redledger.batch WHERE batch_no = '{batch_no}' ORDER BY revision"
    ))
}

#[test]
fn what_is_dismissed_is_listed_no_more_and_the_ledger_says_when_and_why() {
    let workspace = Workspace::new();
    receive(&workspace, &[inline("FINE", 1), wrong("TEST", 1)]);
    assert_eq!(workspace.run(&RUN).exit, Some(1));
    let why = "a test of the platform's";
    let ran = workspace.run(&["dismiss", "TEST", "--why", why, "--format", "json"]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(outcomes(&ran), ["TEST dismissed"]);
    let said = state(&workspace, "TEST").concat();
    assert!(said.starts_with("dismissed: dismissed at 20"), "{said}");
    assert!(
        said.contains(why) && said.contains("it was failed: "),
        "{said}"
    );

    let status = workspace.run(&["status"]).stdout;
    assert!(!status.contains("TEST"), "{status}");
    assert!(status.contains("1 dismissed, not listed"), "{status}");
    for format in ["json", "csv"] {
        let status = workspace.run(&["status", "--format", format]).stdout;
        assert!(!status.contains("TEST"), "{status}");
    }
    let one = workspace.run(&["status", "TEST"]).stdout;
    assert!(one.contains("dismissed") && one.contains(why), "{one}");
    // Nor does its announcement lie among those that wait for a person.
    assert_eq!(names(&workspace, "inbox/bad"), Vec::<String>::new());
    assert_eq!(names(&workspace, "inbox/done").len(), 2);
    assert_eq!(workspace.run(&RUN).exit, Some(0));
}

#[test]
fn it_survives_a_rollback() {
    let workspace = Workspace::new();
    receive(&workspace, &[inline("FINE", 1), wrong("TEST", 1)]);
    workspace.run(&RUN);
    assert_eq!(
        workspace.run(&["dismiss", "TEST", "--why", "no"]).exit,
        Some(0)
    );
    // The warehouse before knows the batch as failed.
    assert_eq!(workspace.run(&["rollback"]).exit, Some(0));
    let status = workspace.run(&["status"]).stdout;
    assert!(!status.contains("TEST"), "{status}");
    let one = workspace
        .run(&["status", "TEST", "--format", "json"])
        .stdout;
    assert!(one.contains("\"dismissed\""), "{one}");
    // The next run that writes writes it there, too.
    receive(&workspace, &[inline("NEXT", 1)]);
    assert_eq!(workspace.run(&RUN).exit, Some(0));
    assert!(state(&workspace, "TEST").concat().starts_with("dismissed"));
}

#[test]
fn a_newer_announcement_opens_it_again_and_an_older_one_does_not() {
    let workspace = Workspace::new();
    let made = |minute: i64, hook: &serde_json::Value| json!({"resource": hook, "createTime": 1_774_888_600_000 + minute * 60_000});
    receive(&workspace, &[made(5, &wrong("B1", 1))]);
    assert_eq!(workspace.run(&RUN).exit, Some(1));
    workspace.run(&["dismiss", "B1", "--why", "not ours"]);

    receive(&workspace, &[made(4, &inline("B1", 2))]);
    let ran = workspace.run(&RUN);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["B1 unchanged".into()])
    );
    assert!(ran.stdout.contains("not ours"), "{}", ran.stdout);
    assert!(state(&workspace, "B1").concat().starts_with("dismissed"));

    receive(&workspace, &[made(6, &wrong("B1", 2))]);
    let ran = workspace.run(&RUN);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(1), vec!["B1 failed".into()])
    );
    let status = workspace.run(&["status"]).stdout;
    assert!(status.contains("B1 failed: "), "{status}");
    receive(&workspace, &[made(7, &inline("B1", 2))]);
    let ran = workspace.run(&RUN);
    assert_eq!(
        (ran.exit, outcomes(&ran)),
        (Some(0), vec!["B1 loaded".into()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_in_the_inbox_is_settled_by_the_next_run() {
    let server = Server::start(|_| Reply::new(404, "")).await;
    let workspace = Workspace::new().with("ALLOW_HTTP", "false");
    let url = server.url("/a.csv");
    let mut list = inline("UNKNOWN", 1);
    list["list"] = json!([{"shop": "A"}]);
    let mut page = inline("PAGE", 1);
    page["lastPage"] = false.into();
    page["page"] = 2.into();
    receive(
        &workspace,
        &[
            json!({"batchNo": "HELD", "lastPage": true, "fileUrl": url}),
            list,
            page,
        ],
    );
    workspace.run(&RUN);
    assert_eq!(names(&workspace, "inbox").len(), 3);
    let ran = workspace.run(&["dismiss", "HELD", "UNKNOWN", "PAGE", "--why", "no"]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    let ran = workspace.run(&RUN);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(
        outcomes(&ran),
        ["HELD unchanged", "UNKNOWN unchanged", "PAGE unchanged"]
    );
    assert_eq!(names(&workspace, "inbox"), Vec::<String>::new());
    assert_eq!(workspace.run(&RUN).exit, Some(0));
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn rows_that_stand_stay_when_a_later_content_is_dismissed() {
    let workspace = Workspace::new();
    receive(&workspace, &[inline("B1", 2)]);
    workspace.run(&RUN);
    receive(&workspace, &[wrong("B1", 3)]);
    assert_eq!(workspace.run(&RUN).exit, Some(1));
    assert_eq!(
        workspace.run(&["dismiss", "B1", "--why", "no"]).exit,
        Some(0)
    );
    let status = workspace.run(&["status", "--format", "json"]);
    let rows: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    assert_eq!(rows[0]["state"], "loaded", "{rows:#}");
    assert_eq!(rows[0]["rows_loaded"], 2);
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
    assert_eq!(workspace.rows("account_negative").len(), 2);
}

#[test]
fn what_is_loaded_or_unknown_or_without_a_reason_is_refused() {
    let workspace = Workspace::new();
    receive(&workspace, &[inline("FINE", 1), wrong("TEST", 1)]);
    workspace.run(&RUN);
    for (arguments, says) in [
        (
            ["dismiss", "FINE", "--why", "no"],
            "is loaded: there is nothing to dismiss",
        ),
        (["dismiss", "TSET", "--why", "no"], "did you mean `TEST`?"),
        (["dismiss", "TEST", "--why", "  "], "--why wants a reason"),
    ] {
        let ran = workspace.run(&arguments);
        assert_eq!(ran.exit, Some(2), "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    assert!(state(&workspace, "TEST").concat().starts_with("failed"));
    workspace.run(&["dismiss", "TEST", "--why", "no"]);
    let again = workspace.run(&["dismiss", "TEST", "--why", "no"]);
    assert!(again.stderr.contains("is dismissed"), "{}", again.stderr);
    assert_eq!(report(&workspace.run(&RUN))["exit_code"], 0);
}
