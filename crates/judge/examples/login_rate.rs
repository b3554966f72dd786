//! How many lines of text logs a second one core reads and weighs with all detectors of logons: `login_rate FILE [TIMES]`. Prints one
//! JSON line; `print` is the same for two versions that find the same.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark, not the library"
)]

use std::time::Instant;

use decode::auth::{Clock, Reader};
use jiff::tz::TimeZone;
use judge::logins::{Detectors, Rules};

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let times = std::env::args().nth(2).map_or(1, |times| times.parse().unwrap());
    let bytes = std::fs::read(&path).unwrap();
    for _ in 0..times {
        let mut reader = Reader::new(Clock::new(jiff::Timestamp::now().as_microsecond(), TimeZone::UTC));
        let mut detectors = Detectors::new(&Rules::default());
        let (mut lines, mut found) = (0_u64, Vec::new());
        let (begun, mut rest) = (Instant::now(), bytes.as_slice());
        while let Some(end) = memchr::memchr(b'\n', rest) {
            reader.read(&rest[..end], None, &mut |event| detectors.step(event, 0, &mut found));
            rest = &rest[end + 1..];
            lines += 1;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let rate = lines as f64 / seconds;
        let print = found.iter().map(|finding| crc32fast::hash(&serde_json::to_vec(finding).unwrap()));
        let print = print.fold(0_u64, |all, one| all.wrapping_mul(31).wrapping_add(one.into()));
        println!(
            "{{\"lines\":{lines},\"findings\":{},\"print\":\"{print:016x}\",\"seconds\":{seconds:.3},\"lines_per_second\":{rate:.0}}}",
            found.len(),
        );
    }
}
