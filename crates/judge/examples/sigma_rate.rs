//! How many records a second all rules take: `cargo run --release -p judge --example sigma_rate -- RULES LOGS…`, with a folder of Sigma
//! rules and EVTX files. Records are flattened first and then judged again and again, so that the judging alone is measured; the last
//! line adds the flattening.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout, reason = "it measures")]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use decode::evtx::{HEADER_LEN, Item, Reader};
use judge::sigma::{Engine, Filter};
use schema::LogRecord;

fn rules(dir: &Path, into: &mut Vec<(String, String)>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            rules(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            into.push((path.display().to_string(), fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

fn memory_mb() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
    };
    format!("{} MB now, {} MB at most", line("VmRSS:"), line("VmHWM:"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1).map(PathBuf::from);
    let dir = arguments.next().ok_or("the folder of the rules is missing")?;
    let mut files = Vec::new();
    rules(&dir, &mut files)?;
    let count = files.len();
    let begun = Instant::now();
    let (mut engine, not_loaded) = Engine::load(files, &Filter::default());
    println!(
        "{count} files, {} rules, {} not loaded, {:?}",
        engine.rules().count(),
        not_loaded.len(),
        begun.elapsed()
    );
    println!("{}", memory_mb());
    let logs: Vec<Vec<u8>> = arguments.map(fs::read).collect::<Result<_, _>>()?;
    let (mut reader, mut record) = (Reader::new(), LogRecord::default());
    let (mut records, mut hits, mut flattening) = (Vec::new(), Vec::new(), Duration::ZERO);
    for log in &logs {
        let begun = Instant::now();
        let mut count = 0_u32;
        let _ = reader.chunks(log.get(HEADER_LEN..).unwrap_or_default(), 0, &mut record, |item| {
            count += u32::from(matches!(item, Item::Record(_)));
            ControlFlow::Continue(())
        });
        flattening += begun.elapsed();
        let _ = reader.chunks(log.get(HEADER_LEN..).unwrap_or_default(), 0, &mut record, |item| {
            if let Item::Record(record) = item {
                records.push(record.clone());
            }
            ControlFlow::Continue(())
        });
    }
    let mut best = Duration::MAX;
    for _ in 0..5 {
        hits.clear();
        let begun = Instant::now();
        for record in &records {
            engine.step(record, i64::MAX / 2, &mut hits);
        }
        best = best.min(begun.elapsed());
    }
    let rate = |time: Duration| records.len() as f64 / time.as_secs_f64();
    println!("{} records, {} hits", records.len(), hits.len());
    println!("judging: {best:?}, {:.0} records/s", rate(best));
    println!(
        "flattening: {flattening:?}, {:.0} records/s; both: {:.0} records/s",
        rate(flattening),
        rate(best + flattening)
    );
    println!("{}", memory_mb());
    Ok(())
}
