//! A rollback goes back one run that changed something, and never loses the newest file.

use std::fs;

use serde_json::json;

use super::{amounts, identity, live, load, previous};
use crate::support::{
    program::Workspace,
    server::{Reply, Server},
};

/// The first of two pages.
fn page() -> String {
    let row = json!({"accountId": "936da01f-9abd-4d9d-80c7-02af85c822a8", "type": 0, "cardNegative": "-7",
                     "budgetNegative": 0, "currency": "USD", "statTime": 1_711_785_600_000_i64});
    json!({"batchNo": "WAITS", "page": 1, "size": 1, "total": 2, "lastPage": false, "list": [row]})
        .to_string()
}

#[test]
fn a_run_that_only_says_again_what_waits_publishes_nothing() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let down = runtime.block_on(Server::start(|_| Reply::new(503, "")));
    let hook = json!({"batchNo": "DOWN", "lastPage": true, "fileUrl": down.url("/x.csv?a=b")});
    for (what, waiting) in [("a page", page()), ("a server", hook.to_string())] {
        for command in ["run", "ingest"] {
            let workspace = Workspace::new().with("ATTEMPTS", "1");
            load(&workspace, "B1", "-1");
            load(&workspace, "B1", "-2");
            workspace.write("hook.json", &waiting);
            if command == "run" {
                workspace.receive("1.json", &waiting);
            }
            let again = || {
                let ran = match command {
                    "run" => workspace.run(&["run"]),
                    _ => workspace.run(&["ingest", "hook.json"]),
                };
                assert_eq!(ran.exit, Some(3), "{what}: {}{}", ran.stdout, ran.stderr);
            };
            again();
            let before = (identity(&live(&workspace)), identity(&previous(&workspace)));
            for _ in 0..2 {
                again();
            }
            let after = (identity(&live(&workspace)), identity(&previous(&workspace)));
            assert!(after == before, "{what}, {command}: published again");
            // One run back is before the waiting, not before the correction.
            let ran = workspace.run(&["rollback"]);
            assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
            assert_eq!(amounts(&workspace), ["B1-2.0000"], "{what}, {command}");
        }
    }
}

#[test]
fn a_run_that_fails_in_the_same_way_again_publishes_nothing() {
    let workspace = Workspace::new();
    load(&workspace, "B1", "-1");
    workspace.write("bad.csv", super::csv("1e5"));
    let fails = || {
        let ran = workspace.run(&["ingest", "bad.csv", "--batch-no", "BAD"]);
        assert_eq!(ran.exit, Some(1), "{}", ran.stderr);
    };
    fails();
    let before = (identity(&live(&workspace)), identity(&previous(&workspace)));
    fails();
    let after = (identity(&live(&workspace)), identity(&previous(&workspace)));
    assert!(after == before, "published again");
}

#[test]
fn what_keep_previous_0_no_longer_keeps_is_removed_and_not_rolled_back_to() {
    let workspace = Workspace::new();
    load(&workspace, "B1", "-1");
    load(&workspace, "B1", "-2");
    assert!(previous(&workspace).exists());
    let workspace = workspace.set("WAREHOUSE__KEEP_PREVIOUS", "0");
    load(&workspace, "B1", "-3");
    assert!(!previous(&workspace).exists(), "it is two runs old");
    let ran = workspace.run(&["rollback"]);
    assert_eq!(ran.exit, Some(2), "{}", ran.stdout);
    assert_eq!(amounts(&workspace), ["B1-3.0000"]);
}

#[test]
fn what_was_kept_before_a_load_in_place_is_not_rolled_back_to_unsaid() {
    let workspace = Workspace::new();
    load(&workspace, "B1", "-1");
    load(&workspace, "B1", "-2");
    let workspace = workspace.set("WAREHOUSE__MODE", "in-place");
    load(&workspace, "B1", "-3");
    load(&workspace, "B1", "-4");
    let ran = workspace.run(&["rollback"]);
    // Either there is nothing to go back to, or what is undone is kept and named.
    match ran.exit {
        Some(2) => assert_eq!(amounts(&workspace), ["B1-4.0000"]),
        Some(0) => {
            assert!(ran.stdout.contains("B1"), "{}", ran.stdout);
            let ran = workspace.run(&["rollback"]);
            assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
            assert_eq!(amounts(&workspace), ["B1-4.0000"]);
        }
        _ => panic!("{}{}", ran.stdout, ran.stderr),
    }
}

#[test]
fn a_rollback_never_loses_the_newest_file() {
    let workspace = Workspace::new();
    load(&workspace, "B1", "-1");
    load(&workspace, "B1", "-2");
    for _ in 0..3 {
        let (newest, before) = (fs::read(live(&workspace)), fs::read(previous(&workspace)));
        let ran = workspace.run(&["rollback"]);
        assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
        assert!(fs::read(previous(&workspace)).ok() == newest.ok());
        assert!(fs::read(live(&workspace)).ok() == before.ok());
    }
}
