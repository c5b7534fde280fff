//! What a rollback has withdrawn stays withdrawn, until a second rollback, a newer announcement or a load by hand.

use super::{
    announced, by_hand, command, documents, history, hook, ingest, lose, made_at, run, stands,
};
use crate::support::program::Workspace;

/// -1, then -2 an hour later, which is rolled back.
fn rolled_back() -> Workspace {
    let workspace = Workspace::new();
    run(&workspace, &announced("-1", 0)).loaded(1);
    run(&workspace, &announced("-2", 60)).loaded(2);
    command(&workspace, &["rollback"], 0);
    stands(&workspace, "-1");
    workspace
}

#[test]
fn a_backfill_and_the_same_announcement_do_not_bring_it_back() {
    let workspace = rolled_back();
    for arguments in [&["backfill", "*"][..], &["backfill", "B1"], &["run"]] {
        command(&workspace, arguments, 0);
        stands(&workspace, "-1");
    }
    run(&workspace, &announced("-2", 60)).left_alone();
    stands(&workspace, "-1");
    ingest(&workspace, &announced("-2", 60)).left_alone();
    stands(&workspace, "-1");
    workspace.verify();
}

#[test]
fn it_stays_withdrawn_when_the_warehouse_is_lost() {
    let workspace = rolled_back();
    lose(&workspace);
    command(&workspace, &["backfill", "*"], 0);
    stands(&workspace, "-1");
    workspace.verify();
    run(&workspace, &announced("-2", 60)).left_alone();
    stands(&workspace, "-1");
}

#[test]
fn a_second_rollback_brings_it_back_for_good() {
    let workspace = rolled_back();
    command(&workspace, &["rollback"], 0);
    stands(&workspace, "-2");
    command(&workspace, &["backfill", "*"], 0);
    stands(&workspace, "-2");
    run(&workspace, &announced("-2", 60)).unchanged(0);
    run(&workspace, &announced("-1", 0)).refused_as_older(0);
    lose(&workspace);
    command(&workspace, &["backfill", "*"], 0);
    stands(&workspace, "-2");
    workspace.verify();
}

#[test]
fn a_newer_announcement_or_a_load_by_hand_loads_it_under_a_number_of_its_own() {
    for by in ["announcement", "ingest", "hand"] {
        let workspace = rolled_back();
        let second = documents(&workspace)["revision-2.json"].clone();
        match by {
            "announcement" => run(&workspace, &announced("-2", 90)).loaded(3),
            "ingest" => ingest(&workspace, &announced("-2", 90)).loaded(3),
            _ => by_hand(&workspace, "-2").loaded(3),
        }
        stands(&workspace, "-2");
        // It was loaded, and stays written down.
        assert_eq!(documents(&workspace)["revision-2.json"], second);
        assert_eq!(
            history(&workspace).last().map(String::as_str),
            Some("3 loaded")
        );
        lose(&workspace);
        command(&workspace, &["backfill", "*"], 0);
        stands(&workspace, "-2");
        workspace.verify();
    }
}

#[test]
fn other_content_goes_on_with_the_next_number() {
    let workspace = rolled_back();
    run(&workspace, &announced("-3", 70)).loaded(3);
    stands(&workspace, "-3");
    assert!(documents(&workspace).contains_key("revision-2.json"));
    // What was withdrawn is older than that now, too.
    run(&workspace, &announced("-2", 60)).refused_as_older(0);
    command(&workspace, &["backfill", "*"], 0);
    stands(&workspace, "-3");
}

#[test]
fn what_was_announced_before_the_withdrawn_one_comes_too_late() {
    let workspace = rolled_back();
    // Later than what stands, earlier than what was withdrawn: it is no newer announcement than that.
    run(&workspace, &announced("-4", 30)).left_alone();
    stands(&workspace, "-1");
    run(&workspace, &announced("-2", 60)).left_alone();
    stands(&workspace, "-1");
    run(&workspace, &announced("-4", 61)).loaded(3);
    stands(&workspace, "-4");
}

#[test]
fn a_batch_that_came_with_the_run_is_gone_until_it_is_announced_anew() {
    let workspace = Workspace::new();
    let mut other = hook("-9");
    other["batchNo"] = "B0".into();
    run(&workspace, &made_at(&other, super::THAT_NIGHT)).loaded(1);
    run(&workspace, &announced("-1", 0)).loaded(1);
    command(&workspace, &["rollback"], 0);
    let of_it = "SELECT count(*)::VARCHAR FROM redledger.batch WHERE batch_no = 'B1'";
    assert_eq!(workspace.query(of_it), ["0"]);
    command(&workspace, &["backfill", "*"], 0);
    let rows = "SELECT count(*)::VARCHAR FROM account_negative WHERE batch_no = 'B1'";
    assert_eq!(workspace.query(rows), ["0"]);
    run(&workspace, &announced("-1", 0)).left_alone();
    assert_eq!(workspace.query(rows), ["0"]);
    workspace.verify();
    run(&workspace, &announced("-1", 5)).loaded(2);
    stands(&workspace, "-1");
    workspace.verify();
}

/// Killed when it had written down what it withdraws, and had not put the file before back.
#[test]
fn a_rollback_that_was_cut_off_has_withdrawn_nothing() {
    let workspace = Workspace::new();
    run(&workspace, &announced("-1", 0)).loaded(1);
    run(&workspace, &announced("-2", 60)).loaded(2);
    let other = rolled_back();
    let written = other.data().join("archive/withdrawn.json");
    std::fs::copy(written, workspace.data().join("archive/withdrawn.json")).expect("copied");
    stands(&workspace, "-2");
    run(&workspace, &announced("-2", 60)).unchanged(0);
    lose(&workspace);
    command(&workspace, &["backfill", "*"], 0);
    stands(&workspace, "-2");
    assert_eq!(history(&workspace), ["1 superseded", "2 loaded"]);
    workspace.verify();
}
