//! An amount that is taken is what `rust_decimal` reads, in units of the scale.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rust_decimal::Decimal;

fuzz_target!(|text: &str| {
    for scale in [0, 2, 4, 10] {
        let Ok(units) = redledger::normalize::decimal(text.as_bytes(), 38, scale, None, None)
        else {
            continue;
        };
        let text = text.trim_matches(' ');
        let Ok(reference) = Decimal::from_str_exact(text) else {
            // More digits than 96 bits hold.
            assert!(
                text.bytes().filter(u8::is_ascii_digit).count() > 27,
                "{text}"
            );
            continue;
        };
        let reference = reference.normalize();
        let power = u32::from(scale) - reference.scale();
        assert_eq!(units, reference.mantissa() * 10_i128.pow(power), "{text}");
    }
});
