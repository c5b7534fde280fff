//! The reports of loading commands are what `docs/report.schema.json` says.

use serde_json::{Value, json};

use super::{inline, page, receive, report};
use crate::support::{
    program::Workspace,
    server::{Reply, Server},
};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../docs/report.schema.json")).expect("JSON")
}

/// What is wrong with a report.
fn faults(report: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    let faults = validator.iter_errors(report);
    faults
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect()
}

/// One batch of every outcome and an announcement that can't be understood.
async fn report_of_everything() -> Value {
    let server = Server::start(|request| match &*request.path {
        "/dead.csv" => Reply::new(403, ""),
        _ => Reply::new(503, ""),
    })
    .await;
    let hook = |batch_no: &str, name: &str| json!({"batchNo": batch_no, "lastPage": true, "fileUrl": server.url(name)});
    let workspace = Workspace::new().with("ATTEMPTS", "1");
    let known = receive(&workspace, &[inline("UNCHANGED", 1)]);
    workspace.run(&["ingest", &known[0].display().to_string()]);
    let mut rejected = inline("REJECTED", 200);
    rejected["list"][7]["cardNegative"] = "-0.12345".into();
    let mut failed = inline("FAILED", 1);
    failed["total"] = 2.into();
    receive(
        &workspace,
        &[
            inline("LOADED", 1),
            rejected,
            page("PAGES", 1, 5),
            hook("DOWN", "/down.csv"),
            failed,
            hook("DEAD", "/dead.csv"),
            json!({"no": "hook"}),
        ],
    );
    let workspace = workspace.set("EXPECTED_EVERY__ACCOUNT_REPAYMENT", "1d");
    report(&workspace.run(&["run", "--format", "json", "--max-batches", "4"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_is_reported_as_the_schema_says() {
    let report = report_of_everything().await;
    assert_eq!(faults(&report), Vec::<String>::new(), "{report:#}");
    let outcomes: Vec<&str> = report["batches"]
        .as_array()
        .expect("batches")
        .iter()
        .filter_map(|batch| batch["outcome"].as_str())
        .collect();
    assert_eq!(
        outcomes,
        [
            "unchanged",
            "loaded",
            "loaded",
            "waiting",
            "waiting",
            "failed"
        ]
    );
    assert_eq!(report["batches"][2]["rows_rejected"], 1);
    assert_eq!(
        (&report["left"], &report["exit_code"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(report["errors"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_links_and_nothing_to_do_are_reported_as_the_schema_says() {
    let workspace = Workspace::new();
    std::fs::create_dir_all(workspace.data().join("inbox")).expect("an inbox");
    let nothing = report(&workspace.run(&["run", "--format", "json"]));
    assert_eq!(faults(&nothing), Vec::<String>::new(), "{nothing:#}");
    assert_eq!(nothing["summary"], "nothing to do");

    let server = Server::script([Reply::new(403, "")]).await;
    workspace.announce(&server.url("/dead.csv"), None);
    let expired = report(&workspace.run(&["ingest", "--format", "json", "hook.json"]));
    assert_eq!(faults(&expired), Vec::<String>::new(), "{expired:#}");
    assert_eq!(expired["batches"][0]["outcome"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_refuses_every_missing_and_every_unknown_key() {
    let report = report_of_everything().await;
    for place in ["", "/batches/0", "/errors/0", "/late/0"] {
        let keys = report.pointer(place).and_then(Value::as_object);
        for key in keys.expect("an object").keys() {
            let mut less = report.clone();
            let object = less.pointer_mut(place).and_then(Value::as_object_mut);
            object.expect("an object").remove(key);
            assert!(!faults(&less).is_empty(), "{place} without {key}");
        }
        let mut more = report.clone();
        more.pointer_mut(place).expect("an object")["news"] = json!(1);
        assert!(!faults(&more).is_empty(), "{place} with an unknown key");
    }
    let mut wrong = report;
    wrong["batches"][3]["message"] = Value::Null;
    assert!(!faults(&wrong).is_empty(), "failed without a reason");
}

#[test]
fn the_schema_lists_the_exit_statuses_and_outcomes_of_the_program() {
    let schema = schema();
    let codes: Vec<u64> = [
        redledger::error::ExitStatus::Success,
        redledger::error::ExitStatus::Attention,
        redledger::error::ExitStatus::Fault,
        redledger::error::ExitStatus::Incomplete,
    ]
    .map(|status| u64::from(status.code()))
    .to_vec();
    assert_eq!(schema["properties"]["exit_code"]["enum"], json!(codes));
}
