//! A time that is taken is its digits times its unit, and belongs to one unit alone; what is refused is refused
//! for the reason that its digits give.
#![cfg_attr(fuzzing, no_main)]

use redledger::{contract::TimeUnit, normalize::timestamp, rejection::RejectionCode};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|cell: &[u8]| check(cell));

/// `input` is one cell.
pub(crate) fn check(cell: &[u8]) {
    let units = [
        (TimeUnit::Seconds, 1_000_000, 9..=11),
        (TimeUnit::Milliseconds, 1_000, 12..=14),
        (TimeUnit::Microseconds, 1, 15..=17),
    ];
    let mut taken = 0;
    for (unit, microseconds, lengths) in units {
        let found = timestamp(cell, unit).map_err(|fault| fault.code);
        taken += u32::from(found.is_ok());
        let text = cell.iter().copied().skip_while(|byte| *byte == b' ');
        let mut text: Vec<u8> = text.collect();
        while text.last() == Some(&b' ') {
            text.pop();
        }
        let (negative, digits) = match text.as_slice() {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        let expected = if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            Err(RejectionCode::InvalidTimestamp)
        } else if negative {
            Err(RejectionCode::OutOfRange)
        } else {
            match digits.len() - zeros {
                ..=8 | 20.. => Err(RejectionCode::OutOfRange),
                length if lengths.contains(&length) => {
                    let number = digits.iter().fold(0_i128, |number, digit| {
                        number * 10 + i128::from(digit - b'0')
                    });
                    Ok(i64::try_from(number * microseconds).expect("the year 5138 at most"))
                }
                _ => Err(RejectionCode::TimestampUnit),
            }
        };
        assert_eq!(found, expected, "in {unit:?}");
    }
    assert!(taken <= 1);
}
