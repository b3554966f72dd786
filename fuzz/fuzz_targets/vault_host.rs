//! Any bytes as what a client of a vault host names, and as lines of the host's receipts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recover::host::untrusted;

fuzz_target!(|bytes: &[u8]| {
    untrusted::name(bytes);
    untrusted::receipts(bytes);
});
