//! Datasets that come regularly are missed when they do not.

use serde_json::{Value, json};

use super::{inline, outcomes, page, receive, report};
use crate::support::program::Workspace;

const RUN: [&str; 3] = ["run", "--format", "json"];
const HOUR: i64 = 3_600_000;

/// With a batch announced `hours` ago for `account_negative`, which is expected every day.
fn announced(hours: i64) -> Workspace {
    let workspace = Workspace::new().set("EXPECTED_EVERY__ACCOUNT_NEGATIVE", "1d");
    let at = jiff::Timestamp::now().as_millisecond() - hours * HOUR;
    let older = at - 24 * HOUR;
    receive(
        &workspace,
        &[
            json!({"resource": inline("B1", 1), "createTime": older}),
            json!({"resource": inline("B2", 1), "createTime": at}),
        ],
    );
    workspace
}

#[test]
fn a_dataset_is_late_when_its_newest_batch_is_older_than_the_interval() {
    let workspace = announced(23);
    let ran = workspace.run(&[&RUN[..], &["--strict"]].concat());
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert_eq!(report(&ran)["late"], json!([]));
    assert_eq!(workspace.run(&["status", "--strict"]).exit, Some(0));

    let workspace = announced(27);
    let ran = workspace.run(&RUN);
    assert_eq!(
        ran.exit,
        Some(0),
        "reported, not more, unless it is asked for"
    );
    let report = report(&ran);
    let late = &report["late"][0];
    assert_eq!(
        (
            &late["dataset"],
            &late["expected_every"],
            &late["newest_batch"]
        ),
        (&json!("account_negative"), &json!("1day"), &json!("B2"))
    );
    let seconds = late["late_seconds"].as_i64().expect("a number");
    assert!((3 * 3_600..3 * 3_600 + 600).contains(&seconds), "{late}");

    // Without anything to load as well.
    let ran = workspace.run(&["run"]);
    assert_eq!(ran.exit, Some(0));
    let said =
        "account_negative is 3h late: a batch is expected every 1day, and the newest, B2, is of ";
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
    assert_eq!(workspace.run(&["run", "--strict"]).exit, Some(1));

    let shown = workspace.run(&["status"]);
    assert_eq!(shown.exit, Some(0));
    assert!(shown.stdout.contains(said), "{}", shown.stdout);
    assert_eq!(workspace.run(&["status", "--strict"]).exit, Some(1));
    let elsewhere = ["status", "--strict", "--dataset", "account_repayment"];
    assert_eq!(workspace.run(&elsewhere).exit, Some(0));
    let shown = workspace.run(&["status", "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&shown.stdout).expect("JSON");
    let states: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["state"].as_str())
        .collect();
    assert_eq!(states, ["loaded", "loaded", "late"]);
    assert_eq!(
        (&rows[2]["dataset"], &rows[2]["batch_no"]),
        (&json!("account_negative"), &Value::Null)
    );
    assert!(
        rows[2]["message"]
            .as_str()
            .is_some_and(|message| message.starts_with(said))
    );
    let shown = workspace.run(&["status", "--format", "csv"]);
    assert_eq!(shown.stdout.lines().count(), 4, "{}", shown.stdout);
}

#[test]
fn a_strict_run_enters_its_exit_status_in_the_ledger_and_worse_ones_win() {
    let workspace = announced(27);
    let ran = workspace.run(&[&RUN[..], &["--strict"]].concat());
    assert_eq!((ran.exit, &report(&ran)["exit_code"]), (Some(1), &json!(1)));
    assert_eq!(outcomes(&ran), ["B1 loaded", "B2 loaded"]);
    assert_eq!(
        workspace.query("SELECT exit_code::VARCHAR FROM redledger.run"),
        ["1"]
    );
    receive(&workspace, &[page("P", 1, 5)]);
    assert_eq!(workspace.run(&["run", "--strict"]).exit, Some(3));
}

#[test]
fn a_dataset_of_which_nothing_was_ever_loaded_is_late() {
    let workspace = Workspace::new().set("EXPECTED_EVERY__ACCOUNT_REPAYMENT", "1d");
    std::fs::create_dir_all(workspace.data().join("inbox")).expect("an inbox");
    let said =
        "account_repayment is late: a batch is expected every 1day, and none was ever loaded";
    for arguments in [["run", "--strict"], ["status", "--strict"]] {
        let ran = workspace.run(&arguments);
        assert_eq!(ran.exit, Some(1), "{}", ran.stderr);
        assert!(ran.stdout.contains(said), "{}", ran.stdout);
    }
    let late = &report(&workspace.run(&RUN))["late"][0];
    assert_eq!(
        (&late["newest_batch"], &late["late_seconds"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn an_announcement_that_does_not_say_when_counts_from_when_it_was_loaded() {
    let workspace = Workspace::new().set("EXPECTED_EVERY__ACCOUNT_NEGATIVE", "1h");
    receive(&workspace, &[inline("B1", 1)]);
    assert_eq!(workspace.run(&["run", "--strict"]).exit, Some(0));
    // A sender whose clock is ahead can't keep its dataset from ever being late.
    let far = jiff::Timestamp::now().as_millisecond() + 1_000 * HOUR;
    receive(
        &workspace,
        &[json!({"resource": inline("B2", 1), "createTime": far})],
    );
    let workspace = workspace.set("EXPECTED_EVERY__ACCOUNT_NEGATIVE", "1ms");
    assert_eq!(workspace.run(&["run", "--strict"]).exit, Some(1));
}

#[test]
fn intervals_are_of_datasets_that_are_announced() {
    for (name, hint) in [
        ("account_negativ", "did you mean `account_negative`?"),
        ("account_negative_bill_line", "has no batches of its own"),
    ] {
        let workspace = Workspace::new();
        std::fs::create_dir_all(workspace.data().join("inbox")).expect("an inbox");
        let settings = format!("[expected_every]\n{name} = \"1d\"\n");
        workspace.write("redledger.toml", settings);
        for arguments in [&["run"][..], &["status"], &["config", "check"]] {
            let ran = workspace.run(arguments);
            assert_eq!(ran.exit, Some(2), "{arguments:?}");
            assert!(
                ran.stderr.contains(&format!("[expected_every] `{name}`")),
                "{}",
                ran.stderr
            );
            assert!(ran.stderr.contains(hint), "{}", ran.stderr);
        }
    }
    let workspace = Workspace::new().set("EXPECTED_EVERY__ACCOUNT_NEGATIVE", "0s");
    assert_eq!(workspace.run(&["status"]).exit, Some(2));
}
