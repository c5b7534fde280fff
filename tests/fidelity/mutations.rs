//! Files damaged in every way that files are: each row is loaded exactly, rejected with its reason, or the
//! file is refused. Never a cell that differs, and never a row that is neither loaded nor reported.
//!
//! What counts is the damaged file as a strict reader has it (`oracle`): damage may make another valid
//! document. Where only the form is damaged (delimiter, line ends, encoding, lines around the rows) no other
//! document is meant, and only rows as they were meant may be loaded.

use std::collections::BTreeMap;

use super::{
    Bench, Loaded,
    damage::{Damaged, Document, KINDS, damage},
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

/// `REDLEDGER_MUTATIONS` says how many; `REDLEDGER_TEST_SEED` repeats one run.
#[test]
fn damaged_files_are_loaded_exactly_rejected_or_refused() {
    let count = std::env::var("REDLEDGER_MUTATIONS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(240);
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let mut bench = Bench::new();
    // Per kind: files, of them refused; rows loaded and rejected.
    let mut tally: BTreeMap<&str, [u64; 4]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for number in 0..count {
        let kind = number % KINDS;
        let document = Document::new(&mut random, kind == 15);
        let damaged = damage(&document, kind, &mut random);
        let rows = document.records.len() as u64 - 1;
        let total = (random.below(2) == 0).then_some(rows);
        let delivered = bench.deliver(&damaged.bytes, total);
        let Damaged {
            kind,
            bytes,
            rows_as_meant,
            other_encoding,
        } = damaged;
        let mut verdict = Ok(());
        if !other_encoding {
            let guessed = delivered
                .encoding
                .as_deref()
                .is_some_and(|name| name != "UTF-8");
            verdict = if guessed {
                Err(format!("read as {:?}", delivered.encoding))
            } else {
                let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
                oracle::judge(text, &delivered)
            };
        }
        if rows_as_meant
            && let Some(row) = delivered.rows.iter().find(|row| !is_meant(&document, row))
        {
            verdict = Err(format!("nobody sent {row:?}"));
        }
        let outcome = &delivered.outcome;
        if total.is_some_and(|total| {
            outcome.outcome == redledger::pipeline::Ending::Loaded && outcome.rows_read != total
        }) {
            verdict = Err(format!(
                "{} rows where {rows} are announced",
                outcome.rows_read
            ));
        }
        let of_kind = tally.entry(kind).or_default();
        of_kind[0] += 1;
        of_kind[1] += u64::from(outcome.outcome != redledger::pipeline::Ending::Loaded);
        of_kind[2] += delivered.rows.len() as u64;
        of_kind[3] += delivered.rejections.len() as u64;
        if let Err(why) = verdict {
            wrong.push(format!(
                "{number}, {kind}: {why}\n{:?} {:?}\n{}",
                outcome.outcome.as_str(),
                delivered.rejections,
                String::from_utf8_lossy(&bytes)
            ));
        }
    }
    for (kind, [files, refused, loaded, rejected]) in &tally {
        println!(
            "{kind}: {files} files, {refused} refused; {loaded} rows loaded, {rejected} rejected"
        );
    }
    println!("{count} damaged files, seed {seed}");
    assert!(
        wrong.is_empty(),
        "seed {seed}: {} of {count} are wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(4)].join("\n\n")
    );
}
