//! Real files through simulated encryptions and through the work of ordinary programs: what the contents alone make the gate say.
//!
//! No name helps here: no suffix, no note, no removal. Each row is one actor that rewrites file after file in place.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests read files, say what they measured and fail where they cannot"
)]

mod corpus;
mod encryption;
mod work;

use decode::content::{Chunk, Sample, measure, places};
use jiff::Timestamp;
use judge::gate::{Gate, Indicator, Indicators};
use schema::{FileEvidence, GateInput, Verdict};

use self::corpus::{Original, corpus};

fn sample(bytes: &[u8]) -> Sample {
    let len = bytes.len() as u64;
    let read = |(offset, len): (u64, u64)| {
        let start = usize::try_from(offset).unwrap();
        Chunk { offset, bytes: bytes[start..start + usize::try_from(len).unwrap()].to_vec() }
    };
    Sample { len, chunks: places(len, 7).into_iter().filter(|place| place.1 > 0).map(read).collect() }
}

fn evidence(file: usize, before: &[u8], after: &[u8]) -> FileEvidence {
    FileEvidence { file: file as u64 + 1, ..measure(&sample(before), &sample(after)) }
}

/// After how many files the gate stops an actor that leaves `evidence`; `None` for never.
fn stopped_after(indicators: Indicators, evidence: &[FileEvidence]) -> Option<usize> {
    let mut gate = Gate::with(indicators);
    let stops = |one: &FileEvidence| {
        let input = GateInput { actor: 1, evidence: vec![*one] };
        matches!(gate.decide(&input, Timestamp::UNIX_EPOCH), Verdict::Stop(_))
    };
    evidence.iter().position(stops).map(|files| files + 1)
}

/// The median of [`stopped_after`] over walks that begin at each of the files in turn.
///
/// What lies on a machine decides which formats come first, and with them the count of one walk.
fn typically_stopped_after(indicators: Indicators, evidence: &[FileEvidence]) -> Option<usize> {
    let mut walk = evidence.to_vec();
    let mut counts: Vec<usize> = (0..walk.len())
        .map(|_| {
            walk.rotate_left(1);
            stopped_after(indicators, &walk).unwrap_or(usize::MAX)
        })
        .collect();
    counts.sort_unstable();
    counts.get(counts.len() / 2).copied().filter(|&files| files < usize::MAX)
}

#[test]
fn encryptions_of_a_mixed_tree_are_stopped_after_a_few_files() {
    let files = corpus();
    let mut late = Vec::new();
    for attack in encryption::ATTACKS {
        let evidence: Vec<_> = files
            .iter()
            .enumerate()
            .map(|(number, file)| evidence(number, &file.bytes, &(attack.change)(&file.bytes, number as u64)))
            .collect();
        let stopped = typically_stopped_after(Indicators::ALL, &evidence);
        let without: Vec<_> = Indicator::ALL
            .into_iter()
            .map(|one| (one, typically_stopped_after(Indicators::without([one]), &evidence)))
            .filter(|(_, then)| *then != stopped)
            .map(|(one, then)| {
                format!("{} {}", one.name(), then.map_or("never".into(), |files| files.to_string()))
            })
            .collect();
        println!("{:28} stopped after {stopped:?}; without {}", attack.name, without.join(", "));
        if stopped.is_none_or(|files| files > attack.files_max) {
            late.push((attack.name, stopped));
        }
    }
    assert!(late.is_empty(), "{late:?}");
}

#[test]
fn encryptions_of_one_format_are_stopped_too() {
    let files = corpus();
    let mut formats: Vec<&str> = files.iter().map(|file| file.format).collect();
    formats.sort_unstable();
    formats.dedup();
    let mut never = Vec::new();
    for attack in encryption::ATTACKS.iter().filter(|attack| attack.every_format) {
        for format in &formats {
            let alike: Vec<&Original> = files.iter().filter(|file| file.format == *format).collect();
            let evidence: Vec<_> = alike
                .iter()
                .enumerate()
                .map(|(number, file)| {
                    evidence(number, &file.bytes, &(attack.change)(&file.bytes, number as u64))
                })
                .collect();
            let stopped = stopped_after(Indicators::ALL, &evidence);
            println!("{:28} {format:8} {:3} files, stopped after {stopped:?}", attack.name, alike.len());
            if alike.len() >= 14 && stopped.is_none() {
                never.push((attack.name, *format));
            }
        }
    }
    assert!(never.is_empty(), "{never:?}");
}

#[test]
fn programs_at_work_are_left_alone() {
    let test = "programs_at_work_are_left_alone";
    let files = corpus();
    let mut stopped = Vec::new();
    for job in work::jobs() {
        if job.tool.is_some_and(|tool| testkit::tool(test, tool).is_none()) {
            continue;
        }
        let done: Vec<(&Original, Vec<u8>)> =
            files.iter().filter_map(|file| Some((file, (job.change)(file)?))).collect();
        let evidence: Vec<_> = done
            .iter()
            .enumerate()
            .map(|(number, (file, after))| evidence(number, &file.bytes, after))
            .collect();
        let speaks = |one: &FileEvidence| {
            let mut gate = Gate::default();
            gate.decide(&GateInput { actor: 1, evidence: vec![*one] }, Timestamp::UNIX_EPOCH)
                != Verdict::Allow
        };
        let spoken: Vec<_> = done
            .iter()
            .zip(&evidence)
            .filter(|(_, one)| speaks(one))
            .map(|((file, _), _)| &file.name)
            .collect();
        println!("{:28} {:4} files, {} look suspicious {spoken:?}", job.name, done.len(), spoken.len());
        if stopped_after(Indicators::ALL, &evidence).is_some() {
            stopped.push((job.name, spoken.len(), done.len()));
        }
    }
    assert!(stopped.is_empty(), "{stopped:?}");
}
