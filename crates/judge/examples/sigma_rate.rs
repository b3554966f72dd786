//! What all rules cost: `cargo run --release -p judge --example sigma_rate -- RULES LOGS… [--hits FILE]`, with a folder of Sigma rules
//! and EVTX files. As in `chartward scan evtx`, rules are loaded, records are flattened and judged, and what was found is told as lines;
//! each step is measured by itself, in CPU seconds of this thread. `--hits` writes the lines down, to compare two builds.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout, reason = "it measures")]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use decode::evtx::{HEADER_LEN, Item, Reader};
use judge::sigma::{Engine, Filter, SigmaHit};
use schema::LogRecord;

const ROUNDS: usize = 5;

fn rules(dir: &Path, into: &mut Vec<(String, String)>) -> Result<(), Box<dyn Error>> {
    let mut entries =
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    entries.sort();
    for path in entries {
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

/// CPU time of this thread so far: the time of a clock also passes while others have the processor.
fn cpu() -> Duration {
    let told = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// The shortest of some rounds.
fn best(mut round: impl FnMut()) -> Duration {
    let timed = |_| {
        let begun = cpu();
        round();
        cpu() - begun
    };
    (0..ROUNDS).map(timed).min().unwrap_or_default()
}

fn flatten(logs: &[Vec<u8>], mut take: impl FnMut(&LogRecord)) {
    let (mut reader, mut record) = (Reader::new(), LogRecord::default());
    for log in logs {
        let _ = reader.chunks(log.get(HEADER_LEN..).unwrap_or_default(), 0, &mut record, |item| {
            if let Item::Record(record) = item {
                take(record);
            }
            ControlFlow::Continue(())
        });
    }
}

fn tell(hits: &[SigmaHit], line: &mut Vec<u8>, mut take: impl FnMut(&[u8], &SigmaHit)) {
    for hit in hits {
        line.clear();
        let written = serde_json::to_writer(&mut *line, &decode::ocsf::Written::new(&hit.finding()));
        written.unwrap_or_default();
        take(line, hit);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<PathBuf> = env::args().skip(1).map(PathBuf::from).collect();
    let wanted = arguments.iter().position(|argument| argument == Path::new("--hits"));
    let hits_file = wanted.and_then(|at| arguments.drain(at..).nth(1));
    let (dir, logs) = arguments.split_first().ok_or("the folder of the rules is missing")?;
    let mut files = Vec::new();
    rules(dir, &mut files)?;
    let count = files.len();
    let begun = cpu();
    let (mut engine, not_loaded) = Engine::load(files, &Filter::default());
    let loading = cpu() - begun;
    println!(
        "{count} files, {} rules, {} not loaded: {loading:.3?}",
        engine.rules().count(),
        not_loaded.len()
    );
    println!("{}", memory_mb());
    let logs: Vec<Vec<u8>> = logs.iter().map(fs::read).collect::<Result<_, _>>()?;
    let (mut records, mut hits, mut line) = (Vec::new(), Vec::new(), Vec::new());
    flatten(&logs, |record| records.push(record.clone()));
    let flattening = best(|| flatten(&logs, |_| ()));
    let judging = best(|| {
        hits.clear();
        records.iter().for_each(|record| engine.step(record, i64::MAX / 2, &mut hits));
    });
    let telling = best(|| tell(&hits, &mut line, |_, _| ()));
    println!("{} records, {} hits", records.len(), hits.len());
    for (step, time) in [
        ("flattening", flattening),
        ("judging", judging),
        ("telling", telling),
        ("all three", flattening + judging + telling),
    ] {
        let each = time.as_secs_f64() / records.len() as f64;
        println!("{step}: {time:.3?}, {:.2} µs a record, {:.0} records/s", each * 1e6, 1.0 / each);
    }
    println!("{}", memory_mb());
    if let Some(path) = hits_file {
        let mut written = Vec::new();
        tell(&hits, &mut line, |line, hit| {
            written.extend_from_slice(line);
            written.extend_from_slice(
                format!(" {} {:?} {:?}\n", hit.rule.file, hit.fields, hit.together).as_bytes(),
            );
        });
        fs::write(path, written)?;
    }
    Ok(())
}
