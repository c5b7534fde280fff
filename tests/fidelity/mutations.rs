//! Files damaged in every way that files are: each row is loaded exactly, rejected with its reason, or the
//! file is refused. Never a cell that differs, and never a row that is neither loaded nor reported.
//!
//! What counts is the damaged file as a strict reader has it (`oracle`): damage may make another valid
//! document. Where only the form is damaged (delimiter, line ends, encoding, lines around the rows) no other
//! document is meant, and only rows as they were meant may be loaded.

use std::collections::BTreeMap;

use redledger::pipeline::Ending;

use super::{
    Bench, Delivered, Loaded,
    damage::{Damaged, Document, Harm, KINDS, LATIN, damage},
    oracle,
};
use crate::{fuzzing::records::strict::Strict, support::random::Random};

/// Whether a loaded row is one of the document's.
fn is_meant(document: &Document, row: &Loaded) -> bool {
    let bytes = |record: &Vec<String>| -> Vec<Vec<u8>> {
        record
            .iter()
            .map(|cell| cell.clone().into_bytes())
            .collect()
    };
    let header = bytes(&document.records[0]);
    document.records.iter().skip(1).any(|record| {
        let record = Strict {
            cells: bytes(record),
            lines: 1,
        };
        // Line ends within cells are written as they are.
        oracle::same(row, &header, &record).is_ok()
    })
}

/// What became of the files of a kind.
#[derive(Default)]
struct Tally {
    files: u64,
    /// Files that were loaded, if only in part.
    loaded: u64,
    /// Rows as they were meant.
    sent: u64,
    rows: u64,
    rejected: u64,
    harm: Harm,
}

/// Reads a file that states so many rows, if it does.
type Reader<'r> = &'r mut dyn FnMut(&[u8], Option<u64>) -> Delivered;

/// Gives so many files to the reader; what became of each kind, and what was wrong.
fn tally(
    count: usize,
    seed: u64,
    read: Reader<'_>,
) -> (BTreeMap<&'static str, Tally>, Vec<String>) {
    let mut random = Random::new(seed);
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut wrong = Vec::new();
    for number in 0..count {
        let kind = number % KINDS;
        let document = Document::new(&mut random, kind == LATIN);
        let damaged = damage(&document, kind, &mut random);
        let sent = document.records.len() as u64 - 1;
        let total = (random.below(2) == 0).then_some(sent);
        let delivered = read(&damaged.bytes, total);
        let (kind, outcome) = (damaged.kind, &delivered.outcome);
        let of_kind = tallies.entry(kind).or_default();
        of_kind.files += 1;
        of_kind.loaded += u64::from(outcome.outcome == Ending::Loaded);
        of_kind.sent += sent;
        of_kind.rows += delivered.rows.len() as u64;
        of_kind.rejected += delivered.rejections.len() as u64;
        of_kind.harm = damaged.harm;
        if let Err(why) = judge(&document, &damaged, total, &delivered) {
            wrong.push(format!(
                "{number}, {kind}: {why}\n{:?} {:?}\n{}",
                outcome.outcome.as_str(),
                delivered.rejections,
                String::from_utf8_lossy(&damaged.bytes)
            ));
        }
    }
    wrong.extend(too_little(&tallies));
    (tallies, wrong)
}

fn judge(
    document: &Document,
    damaged: &Damaged,
    total: Option<u64>,
    delivered: &Delivered,
) -> Result<(), String> {
    let outcome = &delivered.outcome;
    if total.is_some_and(|total| outcome.outcome == Ending::Loaded && outcome.rows_read != total) {
        return Err(format!(
            "{} rows where {total:?} are announced",
            outcome.rows_read
        ));
    }
    let other = |row: &&Loaded| damaged.rows_as_meant && !is_meant(document, row);
    if let Some(row) = delivered.rows.iter().find(other) {
        return Err(format!("nobody sent {row:?}"));
    }
    if damaged.other_encoding {
        return Ok(());
    }
    if delivered
        .encoding
        .as_deref()
        .is_some_and(|name| name != "UTF-8")
    {
        return Err(format!("read as {:?}", delivered.encoding));
    }
    let bytes = &damaged.bytes;
    oracle::judge(
        bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes),
        delivered,
    )
}

/// Files of a kind, for a share of them to mean something.
const MANY: u64 = 20;

/// Refusing is always safe, so that much must be loaded all the same: where no harm is done, everything; of every
/// other kind that can be read at all, a tenth of the files; of all files and rows, half. Three quarters are today.
fn too_little(tallies: &BTreeMap<&str, Tally>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (kind, of) in tallies {
        let enough = match of.harm {
            Harm::None => of.rows == of.sent,
            Harm::Some => of.files < MANY || of.loaded * 10 >= of.files,
            Harm::All => true,
        };
        if !enough {
            wrong.push(format!(
                "{kind}: {} of {} files and {} of {} rows are loaded",
                of.loaded, of.files, of.rows, of.sent
            ));
        }
    }
    let sum = |figure: fn(&Tally) -> u64| tallies.values().map(figure).sum::<u64>();
    for (what, loaded, all) in [
        ("files", sum(|of| of.loaded), sum(|of| of.files)),
        ("rows", sum(|of| of.rows), sum(|of| of.sent)),
    ] {
        if loaded * 2 < all {
            wrong.push(format!("{loaded} of {all} {what} are loaded"));
        }
    }
    wrong
}

/// `REDLEDGER_MUTATIONS` says how many; `REDLEDGER_TEST_SEED` repeats one run.
#[test]
fn damaged_files_are_loaded_exactly_rejected_or_refused() {
    let count = std::env::var("REDLEDGER_MUTATIONS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10 * KINDS);
    let seed = Random::seed();
    let mut bench = Bench::new();
    let (tallies, wrong) = tally(count, seed, &mut |bytes, total| bench.deliver(bytes, total));
    for (kind, of) in &tallies {
        println!(
            "{kind}: {} files, {} loaded; {} rows, {} loaded, {} rejected",
            of.files, of.loaded, of.sent, of.rows, of.rejected
        );
    }
    println!("{count} files, seed {seed}");
    assert!(
        wrong.is_empty(),
        "seed {seed}: {} of {count} are wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(4)].join("\n\n")
    );
}

/// What a reader that is broken in one way makes of a file; the sound one's answer is at hand.
type Broken = fn(&mut Bench, &[u8], Option<u64>) -> Delivered;

#[test]
fn a_reader_of_damaged_files_that_is_broken_is_found_out() {
    let cases: [(&str, Broken, &str); 5] = [
        (
            "refuses every file",
            |bench, _, total| bench.deliver(b"<html>no rows</html>", total),
            "of 50 files are loaded",
        ),
        (
            "rejects every row",
            |bench, bytes, total| {
                let mut delivered = bench.deliver(bytes, total);
                for row in delivered.rows.drain(..) {
                    delivered.rejections.push((row.line, "no".into(), None));
                }
                delivered.outcome.rows_rejected += delivered.outcome.rows_loaded;
                delivered.outcome.rows_loaded = 0;
                delivered
            },
            "rows are loaded",
        ),
        (
            "refuses a byte order mark",
            |bench, bytes, total| match bytes.starts_with(b"\xEF\xBB\xBF") {
                true => bench.deliver(b"", total),
                false => bench.deliver(bytes, total),
            },
            "a byte order mark: 0 of 2 files",
        ),
        (
            "loses the last row",
            |bench, bytes, _| {
                let mut delivered = bench.deliver(bytes, None);
                if delivered.rows.pop().is_some() {
                    delivered.outcome.rows_read -= 1;
                    delivered.outcome.rows_loaded -= 1;
                }
                delivered
            },
            "is lost",
        ),
        (
            "takes a row for another one's",
            |bench, bytes, total| {
                let mut delivered = bench.deliver(bytes, total);
                if let [first, .., last] = delivered.rows.as_mut_slice() {
                    last.amount.clone_from(&first.amount);
                }
                delivered
            },
            "amount: ",
        ),
    ];
    let mut bench = Bench::new();
    for (what, read, why) in cases {
        let (_, wrong) = tally(2 * KINDS, 7, &mut |bytes, total| {
            read(&mut bench, bytes, total)
        });
        assert!(
            wrong.iter().any(|wrong| wrong.contains(why)),
            "{what}: {wrong:#?}"
        );
    }
}
