//! Lines of any bytes, through one reader: no panic, names within their bound, and no more events than a connection can hold.
#![no_main]

use decode::auth::{Clock, Reader};
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use schema::LogRecord;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(Clock::new(1_795_000_000_000_000, TimeZone::UTC));
    let mut record = LogRecord::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let mut events = 0;
        reader.read(line, Some(&mut record), &mut |event| {
            events += 1;
            for name in [event.account, event.workstation, event.domain].into_iter().flatten() {
                assert!(name.len() <= 256);
            }
        });
        assert!(events <= 16, "{events}");
    }
});
