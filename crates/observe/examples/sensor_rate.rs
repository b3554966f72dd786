//! How many packets a second of processor time the sensor's fast path takes: `sensor_rate [--telescope] FILE…`.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "it talks to whoever measures")]

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use observe::network::file::CaptureFile;
use observe::network::{Pipeline, Settings};

fn main() {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let is_telescope = files.first().is_some_and(|first| first == "--telescope");
    if is_telescope {
        files.remove(0);
    }
    for file in files {
        let settings = if is_telescope { Settings::telescope() } else { Settings::default() };
        let mut pipeline = Pipeline::new(settings);
        let (mut events, mut told, mut number) = (Vec::new(), 0, 0);
        let started = Instant::now();
        let mut capture = CaptureFile::open(Path::new(&file)).expect("a capture");
        let read = capture.batches(64, |records| {
            pipeline.packets(number + 1, records, &mut events);
            number += records.len() as u64;
            if events.len() >= 1024 {
                told += events.len();
                events.clear();
            }
            ControlFlow::Continue(())
        });
        while pipeline.finish_some(1024, &mut events) {
            told += events.len();
            events.clear();
        }
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{file}: {number} packets, {seconds:.2} s, {:.3} Mpps, {} events",
            number as f64 / seconds / 1e6,
            told + events.len()
        );
        println!("{:?} {read:?}", pipeline.coverage());
    }
}
