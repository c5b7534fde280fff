//! What is sent in order comes back as it was sent: text byte for byte, amounts to the last digit, times to the
//! millisecond.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::Bench;
use crate::support::random::Random;

/// Text that tools like to make something else of.
const TREACHEROUS: [&str; 24] = [
    "NULL",
    "null",
    "NaN",
    "true",
    "FALSE",
    "1E5",
    "1e400",
    "0x1F",
    "0001234",
    "-0",
    "1,234.5",
    "2024-03-30",
    "30/03/2024",
    "=SUM(A1:A9)",
    "+1",
    "@cmd",
    "\\N",
    "\\",
    "\"",
    "\"\"",
    " ",
    "\u{feff}",
    "שלום",
    "e\u{301}",
];

fn quoted(cell: &str) -> String {
    format!("\"{}\"", cell.replace('"', "\"\""))
}

/// A row of two texts, an amount in ten-thousandths, a time.
fn rows() -> impl Strategy<Value = Vec<(String, String, i128, i64)>> {
    let treacherous = prop::sample::select(&TREACHEROUS[..]).prop_map(str::to_owned);
    let any = prop_oneof![
        // Everything but NUL, line breaks and quotes included.
        any::<Vec<char>>().prop_map(|text| text.into_iter().filter(|c| *c != '\0').collect()),
        treacherous,
        "[0-9]{1,30}",
        "[a-z,\"\r\n;\t']{0,20}",
    ];
    let largest = 10_i128.pow(38) - 1;
    let amount = prop_oneof![-largest..=largest, -100_000..100_000_i128];
    prop::collection::vec(
        (
            any.clone(),
            any,
            amount,
            100_000_000_000..99_999_999_999_999_i64,
        ),
        1..40,
    )
}

fn amount(units: i128) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let units = units.unsigned_abs();
    format!("{sign}{}.{:04}", units / 10_000, units % 10_000)
}

/// As docs/reading.md says: an id's spreadsheet wrapping is undone, an empty cell is NULL.
fn meant(text: &str) -> Option<String> {
    let inner = redledger::normalize::unwrap_spreadsheet(text.as_bytes());
    let text = inner.map_or(text, |inner| std::str::from_utf8(inner).expect("ASCII"));
    (!text.is_empty()).then(|| text.to_owned())
}

#[test]
fn text_amounts_and_times_come_back_as_they_were_sent() {
    let seed = Random::seed();
    println!("seed {seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng =
        prop::test_runner::TestRng::from_seed(prop::test_runner::RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases: 80,
        failure_persistence: None,
        ..Config::default()
    };
    let bench = std::cell::RefCell::new(Bench::new());
    TestRunner::new_with_rng(config, rng)
        .run(&rows(), |rows| {
            let mut text = String::from("id,name,amount,at,note\n");
            for (number, (name, note, units, at)) in rows.iter().enumerate() {
                text += &format!(
                    "{number:030},{},{},{at},{}\n",
                    quoted(name),
                    amount(*units),
                    quoted(note)
                );
            }
            let delivered = bench
                .borrow_mut()
                .deliver(text.as_bytes(), Some(rows.len() as u64));
            prop_assert_eq!(delivered.outcome.outcome.as_str(), "loaded");
            prop_assert_eq!(&delivered.rejections, &vec![]);
            prop_assert_eq!(delivered.rows.len(), rows.len());
            for (number, (row, (name, note, units, at))) in
                delivered.rows.iter().zip(&rows).enumerate()
            {
                prop_assert_eq!(&row.id, &format!("{number:030}"));
                prop_assert_eq!(&row.name, &meant(name));
                prop_assert_eq!(&row.note, &meant(note));
                prop_assert_eq!(&row.amount, &amount(*units));
                prop_assert_eq!(&row.at, &Some(at.to_string()));
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
}

#[test]
fn a_cell_of_a_megabyte_comes_back_whole_and_one_with_a_nul_is_rejected() {
    let mut bench = Bench::new();
    let large = "账\"户,\n".repeat(120_000);
    assert!(large.len() > 1_000_000);
    let text = format!(
        "id,name,amount,at,note\n1,{},1,1711785600123,\n2,a\0b,1,1711785600123,\n3,\"\0\",1,1711785600123,\n",
        quoted(&large)
    );
    let delivered = bench.deliver(text.as_bytes(), None);
    assert_eq!(
        delivered.outcome.outcome.as_str(),
        "loaded",
        "{:?}",
        delivered.outcome.message
    );
    assert_eq!(delivered.rows.len(), 1);
    assert!(delivered.rows[0].name.as_deref() == Some(large.as_str()));
    let rejected: Vec<_> = delivered
        .rejections
        .iter()
        .map(|(_, code, field)| (code.as_str(), field.as_deref()))
        .collect();
    assert_eq!(rejected, [("not-allowed", Some("name")); 2]);
}

/// What is taken: 12 to 14 digits, 1973-03-03T09:46:40Z to 5138-11-16T09:46:39.999Z, each millisecond exact.
#[test]
fn times_are_exact_to_both_ends_of_what_is_taken_and_beyond_it_rejected() {
    let mut bench = Bench::new();
    let taken = [
        "100000000000",
        "100000000001",
        "999999999999",
        "1711785600123",
        "99999999999999",
    ];
    let not = [
        ("0", "out-of-range"),
        ("-1", "out-of-range"),
        ("99999999", "out-of-range"),
        ("-62135596800000", "out-of-range"),
        ("99999999999999999999", "out-of-range"),
        ("1711785600", "timestamp-unit"),
        ("99999999999", "timestamp-unit"),
        ("100000000000000", "timestamp-unit"),
        ("9223372036854775807", "timestamp-unit"),
        ("1711785600123.0", "invalid-timestamp"),
        ("2024-03-30", "invalid-timestamp"),
    ];
    let mut text = String::from("id,name,amount,at,note\n");
    for (number, at) in taken.iter().chain(not.iter().map(|(at, _)| at)).enumerate() {
        text += &format!("{number},,1,{at},\n");
    }
    let delivered = bench.deliver(text.as_bytes(), None);
    let loaded: Vec<_> = delivered
        .rows
        .iter()
        .filter_map(|row| row.at.as_deref())
        .collect();
    assert_eq!(loaded, taken);
    let rejected: Vec<_> = delivered
        .rejections
        .iter()
        .map(|(_, code, _)| code.as_str())
        .collect();
    assert_eq!(rejected, not.map(|(_, code)| code));
}
