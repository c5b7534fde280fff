//! A time that is taken is its digits times its unit, and belongs to one unit alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redledger::{contract::TimeUnit, normalize::timestamp};

fuzz_target!(|cell: &[u8]| {
    let units = [
        (TimeUnit::Seconds, 1_000_000),
        (TimeUnit::Milliseconds, 1_000),
        (TimeUnit::Microseconds, 1),
    ];
    let taken: Vec<_> = units
        .into_iter()
        .filter_map(|(unit, microseconds)| Some((timestamp(cell, unit).ok()?, microseconds)))
        .collect();
    assert!(taken.len() <= 1);
    for (instant, microseconds) in taken {
        let text = std::str::from_utf8(cell).expect("digits").trim_matches(' ');
        let number: i64 = text.parse().expect("digits");
        assert_eq!(instant, number * microseconds);
    }
});
