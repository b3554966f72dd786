//! Any bytes as a path: whatever is taken for a record's name must read the same after writing it back.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use decode::ssmix2::{RecordName, locate, locate_document, resembles_record_name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new(OsStr::from_bytes(bytes));
    let _ = (locate(path), locate_document(path), resembles_record_name(bytes));
    let _ = RecordName::parse_extended(bytes);
    if let Some(name) = RecordName::parse(bytes) {
        assert_eq!(name.file_name().as_bytes(), bytes);
        let _ = name.recorded_at();
    }
});
