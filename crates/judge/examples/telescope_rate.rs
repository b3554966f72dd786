//! How many packets a second of one core the telescope counts: SYNs of ten million forged sources.
//!
//! `cargo run --release -p judge --example telescope_rate`
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement"
)]

use std::time::Instant;

use decode::packet::{Link, read};
use judge::telescope::{Counter, Filter, Probe};

const SYNS: u32 = 10_000_000;

fn main() {
    let mut syn = vec![0x45, 0, 0, 44, 0, 0, 0x40, 0, 118, 6, 0, 0];
    syn.extend([0; 4]);
    syn.extend([198, 51, 100, 3, 0x10, 0, 0x01, 0xbd]);
    syn.extend([0; 8]);
    syn.extend([0x60, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4]);
    let mut counter = Counter::new(Filter { watched: vec!["198.51.100.0/28".parse().unwrap()] });
    let (begun, mut batch) = (Instant::now(), Vec::with_capacity(4096));
    for number in 0..SYNS {
        syn[12..16].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
        let packet = read(Link::Ip, &syn, syn.len() as u32).unwrap();
        batch.push(Probe::of(i64::from(number) * 300, &packet));
        if batch.len() == 4096 {
            counter.step(&batch);
            batch.clear();
        }
    }
    tell("forged sources", SYNS as usize, begun);
    let days = counter.drain_all("rate");
    let rows: usize = days.iter().map(|day| day.sources.rows.len()).sum();
    println!(
        "  {rows} sources listed, {} packets not",
        days.iter().map(|day| day.sources.unlisted).sum::<u64>()
    );
}

fn tell(what: &str, packets: usize, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{what}: {packets} packets in {seconds:.2} s, {:.2} million a second",
        packets as f64 / seconds / 1e6
    );
}
