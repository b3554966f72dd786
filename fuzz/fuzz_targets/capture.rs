//! Any bytes as a capture file, whole and through a window that grows byte by byte: the same frames, and an end.
#![no_main]

use decode::packet::capture::{Capture, RECORD_MAX, Step};
use libfuzzer_sys::fuzz_target;

fn frames(file: &[u8], at_once: usize) -> Vec<(i64, Vec<u8>, u32)> {
    let (mut capture, mut found) = (Capture::new(), Vec::new());
    let (mut start, mut end) = (0, at_once.min(file.len()));
    loop {
        match capture.step(&file[start..end]) {
            Err(_) => return found,
            Ok(Step::Record { record, used }) => {
                assert!(record.bytes.len() <= used && used <= RECORD_MAX);
                found.push((record.at, record.bytes.to_vec(), record.orig_len));
                start += used;
            }
            Ok(Step::Skip { used }) => {
                assert!(used > 0);
                if start as u64 + used > file.len() as u64 {
                    return found;
                }
                start += used as usize;
                end = end.max(start);
            }
            Ok(Step::More { needed }) => {
                assert!(needed <= RECORD_MAX && needed > end - start);
                if end == file.len() {
                    return found;
                }
                end = (end + at_once).min(file.len());
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(frames(bytes, bytes.len()), frames(bytes, 1));
});
