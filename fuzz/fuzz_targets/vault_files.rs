//! Any bytes as a file of a vault, opened: the first byte chooses which kind of file. Whoever holds a key of the vault can write them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recover::vault::untrusted;

const DOORS: [fn(&[u8]); 8] = [
    untrusted::pack_header,
    untrusted::tree,
    untrusted::name,
    untrusted::index,
    untrusted::snapshot,
    untrusted::config,
    untrusted::key_file,
    untrusted::own_files,
];

fuzz_target!(|bytes: &[u8]| {
    if let Some((first, rest)) = bytes.split_first() {
        DOORS[usize::from(*first) % DOORS.len()](rest);
    }
});
