//! An announcement is understood or refused with a message; batches are put together from whatever it says.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(announcements) = redledger::hook::parse("hook.json", bytes) {
        for assembled in redledger::hook::assemble(announcements) {
            if let Err(error) = assembled.batch {
                assert!(!error.chain().is_empty());
            }
        }
    }
});
