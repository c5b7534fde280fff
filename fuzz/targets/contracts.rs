//! A contract is understood or refused with its place.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = redledger::contract::Contract::parse("x.toml", text) {
        assert!(error.chain().starts_with("x.toml"), "{}", error.chain());
    }
});
