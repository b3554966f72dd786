//! Any file under any name, with a password: looking into it must neither panic nor pass its bounds.
#![no_main]

use decode::attachment::{Limits, look, passwords_in};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    let (name, bytes) = input;
    let limits = Limits { depth: 3, entries: 64, bytes: 4 << 20, ratio: 100 };
    let look = look(name, bytes, &limits, &["infected"]);
    // The file itself, then the entries.
    assert!(look.looked_at >= 1 && look.looked_at as usize <= limits.entries + 1);
    assert!(look.marks.len() < 256);
    assert!(passwords_in(name).len() <= 8);
});
