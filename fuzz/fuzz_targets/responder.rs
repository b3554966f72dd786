//! A client that says anything to the SMB responder.
#![no_main]

use libfuzzer_sys::fuzz_target;
use observe::responder::{Goes, Session};

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    let mut session = Session::new([7; 8], 1);
    let mut out = Vec::new();
    for piece in &pieces {
        if session.feed(piece, &mut out) == Goes::Over {
            break;
        }
    }
    assert!(out.len() < 16 << 10 && session.heard().len() <= 4);
});
