//! Prints how many messages a second are parsed by this crate and by `hl7-parser`: the same files, one thread, each
//! decoded from ISO-2022-JP, split into segments, and read for the patient's name (PID-5) and for every OBX-5.
//!
//! `cargo run --release -p decode --example hl7_rate -- DIR`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use encoding_rs::ISO_2022_JP;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).map(PathBuf::from).ok_or("hl7_rate DIR")?;
    let mut messages = Vec::new();
    collect(&dir, &mut messages)?;
    for round in 0..3 {
        report("decode", round, &messages, ours);
        report("hl7-parser", round, &messages, theirs);
    }
    Ok(())
}

fn ours(bytes: &[u8]) -> Option<usize> {
    let message = decode::hl7::Message::parse(bytes).ok()?;
    let name = message.get("PID", 5, 1).text().len();
    Some(name + message.all("OBX").map(|obx| obx.field(5).text().len()).sum::<usize>())
}

fn theirs(bytes: &[u8]) -> Option<usize> {
    let (text, _, is_damaged) = ISO_2022_JP.decode(bytes);
    if is_damaged {
        return None;
    }
    let message = hl7_parser::Message::parse_with_lenient_newlines(&text, true).ok()?;
    let name = message.query("PID.5.1").map_or(0, |found| found.raw_value().len());
    let obx = message.segments().filter(|segment| segment.name == "OBX");
    Some(name + obx.filter_map(|segment| Some(segment.field(5)?.raw_value().len())).sum::<usize>())
}

fn report(who: &str, round: u32, messages: &[Vec<u8>], parse: impl Fn(&[u8]) -> Option<usize>) {
    let (begun, used) = (Instant::now(), processor_seconds());
    let parsed = messages.iter().filter_map(|bytes| parse(std::hint::black_box(bytes))).count();
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), processor_seconds() - used);
    let bytes: usize = messages.iter().map(Vec::len).sum();
    println!(
        "{{\"what\":\"parse\",\"who\":\"{who}\",\"round\":{round},\"messages\":{},\"parsed\":{parsed},\"seconds\":{seconds:.3},\"per_cpu_second\":{:.0},\"mb_per_cpu_second\":{:.1}}}",
        messages.len(),
        messages.len() as f64 / cpu,
        bytes as f64 / cpu / 1e6
    );
}

/// User and system time so far: what a busy machine spoils least.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// At most 50,000 files.
fn collect(dir: &Path, into: &mut Vec<Vec<u8>>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if into.len() >= 50_000 {
            return Ok(());
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), into)?;
        } else {
            into.push(fs::read(entry.path())?);
        }
    }
    Ok(())
}
