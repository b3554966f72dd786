//! How many lines a second one core reads: `auth_rate FILE`. Prints one JSON line.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark, not the library"
)]

use std::time::Instant;

use decode::auth::{Clock, Reader};
use jiff::tz::TimeZone;

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let mut reader = Reader::new(Clock::new(jiff::Timestamp::now().as_microsecond(), TimeZone::UTC));
    let (begun, mut lines, mut events) = (Instant::now(), 0_u64, 0_u64);
    let mut rest = bytes.as_slice();
    while let Some(end) = memchr::memchr(b'\n', rest) {
        reader.read(&rest[..end], None, &mut |_| events += 1);
        rest = &rest[end + 1..];
        lines += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{{\"lines\":{lines},\"events\":{events},\"seconds\":{seconds:.3},\"lines_per_second\":{:.0}}}",
        lines as f64 / seconds
    );
}
