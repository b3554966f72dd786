//! Files below /proc, bounded.

use std::fs::File;
use std::io::Read;

const PROC_FILE_MAX: u64 = 4 << 20;

/// At most [`PROC_FILE_MAX`] bytes of a file below /proc.
pub(super) fn bytes(path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(PROC_FILE_MAX).read_to_end(&mut bytes);
    }
    bytes
}

pub(super) fn text(path: &str) -> String {
    String::from_utf8_lossy(&bytes(path)).into_owned()
}
