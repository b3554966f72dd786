//! Any bytes as a watcher's line: whatever is taken keeps its bounds, and a finding survives being written and read again.
#![no_main]

use decode::ocsf::{LINE_MAX, Line, REASONS_MAX, STRING_MAX, SUBJECTS_MAX, Trust, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let arrived = jiff::Timestamp::constant(1_750_000_000, 0);
    for trust in [Trust::Own, Trust::External] {
        let Ok(Line::Finding(event, finding)) = parse(bytes, "fuzz", trust, arrived) else { continue };
        assert!(event.json.len() <= LINE_MAX && event.title.len() <= STRING_MAX);
        assert!(finding.subjects.len() <= SUBJECTS_MAX && finding.reasons.len() <= REASONS_MAX);
        assert!(trust == Trust::Own || finding.detector.starts_with("external."));
        let written = decode::ocsf::write(&finding).to_string();
        assert!(written.len() > LINE_MAX || parse(written.as_bytes(), "fuzz", trust, arrived).is_ok());
    }
});
