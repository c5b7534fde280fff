//! A nightly run on a disk that is too small, by a page less each time: where it is full is anywhere.

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
    // What an undisturbed run adds, but for the copy, which the old one's place is kept with.
    let Some((undisturbed, disk)) = on_small_disk(&reference) else {
        return;
    };
    let before = disk.taken();
    undisturbed.run(&["run"]);
    let most = (disk.taken() - before) / PAGE;
    drop((disk, undisturbed));
    let pages: Vec<u64> = match all {
        true => (0..=most).collect(),
        false => {
            let seed = Random::seed();
            println!("seed {seed}");
            let mut random = Random::new(seed);
            (0..SAMPLE)
                .map(|_| random.below(usize::try_from(most).expect("few") + 1) as u64)
                .collect()
        }
    };
    let mut enough = 0;
    let mut wrong = Vec::new();
    for pages in &pages {
        match with_pages(&reference, *pages) {
            Ok(published) => enough += usize::from(published),
            Err(why) => wrong.push(format!("{pages} pages: {why}")),
        }
    }
    println!(
        "full disks: {} of {} survived, of which {enough} had room enough (0 to {most} pages beside the copy)",
        pages.len() - wrong.len(),
        pages.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(enough < pages.len() || !all, "no disk was full");
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
