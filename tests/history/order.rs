//! Announcements that come late or again: what was announced last stands, and each batch knows the newest announcement
//! that was accepted, also one that changed nothing.

use super::{announced, by_hand, command, history, hook, ingest, lose, run, stands};
use crate::support::program::Workspace;

#[test]
fn content_announced_again_keeps_out_what_was_announced_between() {
    let workspace = Workspace::new();
    run(&workspace, &announced("-1", 0)).loaded(1);
    run(&workspace, &announced("-1", 20)).unchanged(0);
    run(&workspace, &announced("-2", 10)).refused_as_older(0);
    stands(&workspace, "-1");
    ingest(&workspace, &announced("-2", 10)).refused_as_older(1);
    stands(&workspace, "-1");
    // Later than both is news.
    run(&workspace, &announced("-2", 30)).loaded(2);
    stands(&workspace, "-2");
    // And what was never accepted has no revision.
    assert_eq!(history(&workspace), ["1 superseded", "2 loaded"]);
}

#[test]
fn that_holds_in_place_too() {
    let workspace = Workspace::new().set("WAREHOUSE__MODE", "in-place");
    run(&workspace, &announced("-1", 0)).loaded(1);
    run(&workspace, &announced("-1", 20)).unchanged(0);
    run(&workspace, &announced("-2", 10)).refused_as_older(0);
    stands(&workspace, "-1");
}

#[test]
fn that_holds_when_the_warehouse_was_lost_in_between() {
    let workspace = Workspace::new();
    run(&workspace, &announced("-1", 0)).loaded(1);
    run(&workspace, &announced("-2", 10)).loaded(2);
    run(&workspace, &announced("-1", 20)).loaded(3);
    lose(&workspace);
    command(&workspace, &["backfill", "*"], 0);
    stands(&workspace, "-1");
    run(&workspace, &announced("-2", 15)).refused_as_older(0);
    stands(&workspace, "-1");
}

#[test]
fn a_correction_by_hand_stays_when_the_announcement_before_it_comes_again() {
    let workspace = Workspace::new();
    run(&workspace, &announced("-1", 0)).loaded(1);
    by_hand(&workspace, "-5").loaded(2);
    run(&workspace, &announced("-1", 0)).refused_as_older(0);
    ingest(&workspace, &announced("-1", 0)).refused_as_older(1);
    stands(&workspace, "-5");
    // One that was made later than the correction is news.
    let later = jiff::Timestamp::now().as_millisecond() + 1;
    run(&workspace, &super::made_at(&hook("-6"), later)).loaded(3);
    stands(&workspace, "-6");
}

#[test]
fn by_hand_counts_as_now_also_where_it_says_the_same() {
    let workspace = Workspace::new();
    ingest(&workspace, &announced("-1", 0)).loaded(1);
    ingest(&workspace, &announced("-2", 10)).loaded(2);
    // Somebody has looked, and says that the first was right.
    by_hand(&workspace, "-1").loaded(3);
    ingest(&workspace, &announced("-2", 11)).refused_as_older(1);
    stands(&workspace, "-1");
}

#[test]
fn an_announcement_without_a_time_is_as_old_as_its_receipt_and_not_older_than_everything() {
    let workspace = Workspace::new();
    ingest(&workspace, &hook("-1")).loaded(1);
    // Made long before the other one was received.
    ingest(&workspace, &announced("-2", 0)).refused_as_older(1);
    stands(&workspace, "-1");
    ingest(&workspace, &hook("-3")).loaded(2);
    run(&workspace, &hook("-4")).loaded(3);
    stands(&workspace, "-4");
}
