//! Captures from the pipeline to the detectors: what each has to show and what it must not show.
//!
//! The captures are public ones and some of a laboratory; nobody tuned a threshold to them. `docs/sensor-eval.md` holds the table.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests read files, say what they found and fail where they cannot"
)]

mod expected;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use expected::{CAPTURES, Capture};
use judge::network::{Detectors, Rules};
use observe::network::file::CaptureFile;
use observe::network::{Pipeline, Settings};
use schema::{Finding, FindingClass, NetEvent, Severity};

/// What the detectors say of a capture, and how many events it gave.
fn judged(path: &Path) -> (Vec<Finding>, usize) {
    let mut pipeline = Pipeline::new(Settings { flows_max: 100_000, ..Settings::default() });
    let mut detectors = Detectors::new(&Rules::default());
    let (mut batch, mut said) = (Vec::<NetEvent>::new(), Vec::new());
    let (mut number, mut count) = (0, 0);
    let mut file = CaptureFile::open(path).unwrap();
    let _ = file.each(|record| {
        number += 1;
        pipeline.packet(record.at, number, record.link, record.bytes, record.orig_len, &mut batch);
        if batch.len() >= 256 {
            count += batch.len();
            detectors.step(&batch, record.at, &mut said);
            batch.clear();
        }
        ControlFlow::Continue(())
    });
    pipeline.finish(&mut batch);
    let end = pipeline.coverage().last;
    detectors.step(&batch, end, &mut said);
    detectors.flush(end, &mut said);
    (said, count + batch.len())
}

/// The detectors that spoke, each with the worst that it said.
fn by_detector(said: &[Finding]) -> BTreeMap<&str, (Severity, FindingClass)> {
    let mut found = BTreeMap::new();
    for finding in said {
        let worst = found.entry(finding.detector.as_str()).or_insert((finding.severity_id, finding.class));
        worst.0 = worst.0.max(finding.severity_id);
    }
    found
}

fn row(capture: &Capture, found: &BTreeMap<&str, (Severity, FindingClass)>, events: usize) -> String {
    let said: Vec<String> =
        found.iter().map(|(detector, (severity, _))| format!("{detector} ({severity:?})")).collect();
    let expected = if capture.must.is_empty() { "silence".to_owned() } else { capture.must.join(", ") };
    let said = if said.is_empty() { "–".to_owned() } else { said.join(", ") };
    format!("| {} | {} | {expected} | {said} | {events} |", capture.file, capture.shows)
}

#[test]
fn captures_show_what_they_hold_and_nothing_else() {
    let Some(folder) = testkit::shared("captures_show_what_they_hold_and_nothing_else", "network") else {
        return;
    };
    let mut wrong = Vec::new();
    for capture in CAPTURES {
        let (said, events) = judged(&folder.join(capture.file));
        let found = by_detector(&said);
        println!("{}", row(capture, &found, events));
        for detector in capture.must {
            if !found.contains_key(detector) {
                wrong.push(format!("{}: {detector} is silent", capture.file));
            }
        }
        for (detector, _) in found {
            if !capture.must.contains(&detector) && !capture.may.contains(&detector) {
                wrong.push(format!("{}: {detector} speaks", capture.file));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_same_capture_gives_the_same_findings() {
    let Some(folder) = testkit::shared("the_same_capture_gives_the_same_findings", "network") else { return };
    for name in ["ntop__synscan.pcap", "lab__smb_enc_encrypt.pcap"] {
        assert_eq!(judged(&folder.join(name)), judged(&folder.join(name)), "{name}");
    }
}
