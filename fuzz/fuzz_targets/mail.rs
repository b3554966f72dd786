//! Any bytes as a mail and as a mailbox: no panic, and everything that is told stays within its bounds.
#![no_main]

use decode::mail::{Limits, Mailbox, messages, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let small = Limits { bytes: 4 << 10, headers: 8, depth: 3, parts: 8, text: 512, links: 8 };
    for limits in [Limits::default(), small] {
        let message = read(bytes, &limits);
        assert_eq!(message.length, bytes.len() as u64);
        assert!(message.links.len() <= limits.links);
        assert!(message.parts.len() + message.bodies.len() <= limits.parts + 1);
        assert!(message.parts.iter().map(|part| part.bytes.len()).sum::<usize>() <= bytes.len());
        assert!(message.links.iter().all(|link| link.url.chars().count() <= 2_048));
    }
    let whole: usize = messages(bytes).map(<[u8]>::len).sum();
    assert!(whole <= bytes.len() && whole + 3 >= bytes.len());
    assert!(Mailbox::of(bytes) == Mailbox::Mbox || messages(bytes).count() <= 1);
});
