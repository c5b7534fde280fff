//! A nightly run on a disk that is too small, by a page less each time: where it is full is anywhere.
//!
//! Without any page beside the copy the disk is surely full, with twice as many as an undisturbed run takes surely
//! not: both are always tried.

use std::fs;

use super::{Reference, SAMPLE, strace, workspace};
use crate::support::{program::Workspace, random::Random, small_disk::SmallDisk};

const PAGE: u64 = 4096;
/// More than any run here needs.
const PLENTY: u64 = 1 << 30;

/// The reference before its run, on a disk of its own.
fn on_small_disk(reference: &Reference) -> Option<(Workspace, SmallDisk)> {
    let workspace = workspace();
    let disk = SmallDisk::mount(&workspace.data(), PLENTY)?;
    workspace.copy_data_of(&reference.before);
    Some((workspace, disk))
}

/// Runs with room for the copy and so many pages; says whether that was enough.
fn with_pages(reference: &Reference, pages: u64) -> Result<bool, String> {
    let (workspace, disk) = on_small_disk(reference).ok_or("no disk")?;
    let live = workspace.data().join("warehouse.duckdb");
    let before = fs::read(&live).map_err(|error| error.to_string())?;
    let copy = (before.len() as u64).next_multiple_of(PAGE);
    disk.resize(disk.taken() + copy + pages * PAGE);
    let ran = workspace.run(&["run"]);
    let untouched = fs::read(&live).is_ok_and(|after| after == before);
    disk.resize(PLENTY);
    let published = reference.check(&workspace);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    match (published?, ran.exit) {
        (true, Some(1)) => Ok(true),
        (false, Some(2)) if untouched => {
            let data = workspace.data().display().to_string();
            let says_where = [&data, "DuckDB", "archive"];
            match says_where.iter().any(|place| said.contains(*place)) && said.contains("hint: ") {
                true => Ok(false),
                false => Err(format!(
                    "the message does not say where, or what to do: {said}"
                )),
            }
        }
        (published, exit) => Err(format!(
            "{exit:?}, published: {published}, untouched: {untouched}: {said}"
        )),
    }
}

fn full(all: bool) {
    if !strace::works() {
        return;
    }
    let reference = Reference::new();
    let Some((undisturbed, disk)) = on_small_disk(&reference) else {
        return;
    };
    let live = undisturbed.data().join("warehouse.duckdb");
    let copy = fs::metadata(live)
        .expect("the warehouse")
        .len()
        .div_ceil(PAGE);
    let before = disk.taken();
    undisturbed.run(&["run"]);
    // What it adds beside the copy, which takes the old one's place.
    let added = (disk.taken() - before) / PAGE - copy;
    drop((disk, undisturbed));
    let surely = 2 * added;
    let mut pages: Vec<u64> = match all {
        true => (0..=added).collect(),
        false => some_up_to(added),
    };
    pages.push(surely);
    let mut enough = Vec::new();
    let mut wrong = Vec::new();
    for pages in &pages {
        match with_pages(&reference, *pages) {
            Ok(true) => enough.push(*pages),
            Ok(false) => {}
            Err(why) => wrong.push(format!("{pages} pages: {why}")),
        }
    }
    println!(
        "full disks: {} of {} survived, of which {} had room enough (an undisturbed run adds {added} pages to the copy)",
        pages.len() - wrong.len(),
        pages.len(),
        enough.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!enough.contains(&0), "no disk was full");
    assert!(enough.contains(&surely), "every disk was full");
}

/// No pages, and some numbers up to `added` by chance.
fn some_up_to(added: u64) -> Vec<u64> {
    let seed = Random::seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let bound = usize::try_from(added).expect("few") + 1;
    let some = (2..SAMPLE).map(|_| random.below(bound) as u64);
    std::iter::once(0).chain(some).collect()
}

#[test]
fn a_run_on_a_full_disk_says_so_and_goes_on_when_there_is_room() {
    full(false);
}

#[test]
#[ignore = "minutes: just crash"]
fn a_disk_may_be_full_anywhere() {
    full(true);
}
