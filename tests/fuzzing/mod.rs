//! The fuzz targets without a fuzzer: each is given its committed corpus, and inputs made of that by chance.
//! `just fuzz` looks further, led by coverage (docs/fuzzing.md).

#[path = "../../fuzz/targets/announcements.rs"]
mod announcements;
#[path = "../../fuzz/targets/contracts.rs"]
mod contracts;
#[path = "../../fuzz/targets/decimals.rs"]
mod decimals;
#[path = "../../fuzz/targets/records.rs"]
pub(crate) mod records;
#[path = "../../fuzz/targets/rows.rs"]
mod rows;
#[path = "../../fuzz/targets/timestamps.rs"]
mod timestamps;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::{Duration, Instant},
};

use crate::support::{checkout::checkout, random::Random};

/// Longest input made.
const LONGEST: usize = 4096;

#[test]
fn announcements_keep_their_promises_on_any_input() {
    replay("announcements", announcements::check);
}

#[test]
fn contracts_keep_their_promises_on_any_input() {
    replay("contracts", contracts::check);
}

#[test]
fn decimals_keep_their_promises_on_any_input() {
    // A second reading says what is to be refused.
    replay("decimals", |cell| {
        decimals::check(cell);
        true
    });
}

#[test]
fn records_keep_their_promises_on_any_input() {
    replay("records", records::check);
}

#[test]
fn rows_keep_their_promises_on_any_input() {
    replay("rows", rows::check);
}

#[test]
fn timestamps_keep_their_promises_on_any_input() {
    // A second reading says what is to be refused.
    replay("timestamps", |cell| {
        timestamps::check(cell);
        true
    });
}

/// `REDLEDGER_FUZZ_SECONDS` says for how long inputs are made (1), `REDLEDGER_TEST_SEED` makes the same again.
///
/// Refusing is always safe: of the committed inputs half must be understood all the same.
fn replay(target: &str, check: fn(&[u8]) -> bool) {
    let corpus = checkout("fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(corpus)
        .expect("a corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let inputs: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| fs::read(path).expect("an input"))
        .collect();
    let mut understood = 0;
    for (path, input) in paths.iter().zip(&inputs) {
        understood += usize::from(run(check, input, || path.display().to_string()));
    }
    assert!(
        2 * understood >= inputs.len(),
        "{target}: only {understood} of {} inputs are understood",
        inputs.len()
    );
    let seconds = std::env::var("REDLEDGER_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let end = Instant::now() + Duration::from_secs(seconds);
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let mut made = 0;
    while Instant::now() < end {
        let input = changed(&inputs, &mut random);
        run(check, &input, || format!("input {made} of seed {seed}"));
        made += 1;
    }
    println!(
        "{target}: {} inputs kept, {understood} of them understood, {made} made with seed {seed}",
        inputs.len()
    );
}

/// Checks one input and says which it was if it fails.
fn run(check: fn(&[u8]) -> bool, input: &[u8], name: impl Fn() -> String) -> bool {
    catch_unwind(AssertUnwindSafe(|| check(input))).unwrap_or_else(|panic| {
        eprintln!("{}: b\"{}\"", name(), input.escape_ascii());
        resume_unwind(panic)
    })
}

/// An input with a few changes: bytes changed, taken out, put in or doubled, parts of another put in.
fn changed(inputs: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = inputs[random.below(inputs.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        let to = (at + 1 + random.below(8)).min(input.len());
        match random.below(6) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = b"\"\"\r\n,;0=.-\0\xFF"[random.below(12)],
            2 => drop(input.drain(at..to)),
            3 => drop(input.splice(at..at, input[at..to].to_vec())),
            4 => input.insert(at, b"\"\"\r\n,;0=.-\0\xFF"[random.below(12)]),
            _ => {
                let other = &inputs[random.below(inputs.len())];
                let from = random.below(other.len() + 1);
                let length = random.below(other.len() - from + 1).min(64);
                drop(input.splice(at..at, other[from..from + length].to_vec()));
            }
        }
    }
    input.truncate(LONGEST);
    input
}
