//! Says what the files below a folder hold together as, and names those that begin as a format and break its rules: for finding
//! files that are whole and taken for broken. Usage: `kinds DIR…`.
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use decode::content::{Chunk, Sample, Structure, places};

fn main() {
    let mut folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let mut kinds: BTreeMap<String, (u64, u64, Duration)> = BTreeMap::new();
    let (mut broken, mut files) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let Some(sample) = read(&entry.path()) else { continue };
                let start = Instant::now();
                let found = Structure::of(&sample, &[]);
                let took = start.elapsed();
                files += 1;
                if found.broken || found.spells_noise {
                    broken += u64::from(found.broken);
                    println!("{} {}", if found.broken { "broken" } else { "noise" }, entry.path().display());
                }
                let opened = if found.opened { " opened" } else { "" };
                let sum = kinds.entry(format!("{:?}{opened}", found.kind)).or_default();
                *sum = (
                    sum.0 + 1,
                    sum.1 + sample.chunks.iter().map(|c| c.bytes.len() as u64).sum::<u64>(),
                    sum.2 + took,
                );
            }
        }
    }
    for (kind, (files, bytes, took)) in kinds {
        println!(
            "{kind:20} {files:6} files {bytes:12} bytes {:8} µs each",
            took.as_micros() / u128::from(files)
        );
    }
    println!("{broken} of {files} broken");
}

fn read(path: &Path) -> Option<Sample> {
    let bytes = std::fs::read(path).ok()?;
    let len = bytes.len() as u64;
    let chunks = places(len, 0).into_iter().filter(|(_, len)| *len > 0).map(|(offset, len)| {
        let start = usize::try_from(offset).ok()?;
        Some(Chunk { offset, bytes: bytes.get(start..start + usize::try_from(len).ok()?)?.to_vec() })
    });
    Some(Sample { len, chunks: chunks.collect::<Option<_>>()? })
}
