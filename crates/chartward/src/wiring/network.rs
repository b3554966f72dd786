//! Captures judged offline: observe makes flows of their packets, judge weighs these.

pub(crate) mod activity;
mod flow_line;

use std::ops::ControlFlow;
use std::path::Path;

use judge::network::{Detectors, Rules};
use observe::network::file::CaptureFile;
use observe::network::{Pipeline, Settings};
use schema::{Finding, NetCoverage, NetEvent, Sight};
use serde_json::Value;

/// Events are judged so many at a time: they stay in the processor's cache between the two.
const BATCH: usize = 256;
/// Packets after which somebody is told how far it is.
const PROGRESS_EVERY: u64 = 1 << 16;
/// Packets that are handed on together.
const PACKETS: usize = 64;

/// What a capture has to say while it is read.
pub(crate) enum Told {
    /// A detector spoke.
    Finding(Box<Finding>),
    /// A flow's sums, as an OCSF line.
    Flow(Value),
    /// So many packets were read.
    Packets(u64),
}

/// What a capture came to.
pub(crate) struct Outcome {
    pub(crate) coverage: NetCoverage,
    /// One direction of most flows is missing: silence means nothing then.
    pub(crate) one_way: bool,
    pub(crate) findings: u64,
    /// Why it was not read to its end.
    pub(crate) failure: Option<observe::Error>,
}

/// Judges one capture file by itself; `-` is the standard input. `flows`: flows are told too.
///
/// # Errors
/// What `tell` fails with. A capture that cannot be read is no error: the outcome names it.
pub(crate) fn scan(
    path: &Path,
    rules: &Rules,
    flows: bool,
    tell: &mut dyn FnMut(Told) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let mut scan = Scan {
        pipeline: Pipeline::new(Settings::default()),
        detectors: Detectors::new(rules),
        rules,
        flows,
        events: Vec::with_capacity(2 * BATCH),
        found: Vec::new(),
        findings: 0,
        tell,
    };
    let failure = scan.read(path)?;
    while scan.pipeline.finish_some(BATCH, &mut scan.events) {
        scan.judge()?;
    }
    scan.judge()?;
    scan.detectors.flush(scan.pipeline.coverage().last, &mut scan.found);
    scan.hand_on()?;
    let (coverage, one_way) = (scan.pipeline.coverage(), scan.pipeline.is_one_way());
    Ok(Outcome { coverage, one_way, findings: scan.findings, failure })
}

struct Scan<'a> {
    pipeline: Pipeline,
    detectors: Detectors,
    rules: &'a Rules,
    flows: bool,
    events: Vec<NetEvent>,
    found: Vec<Finding>,
    findings: u64,
    tell: &'a mut dyn FnMut(Told) -> anyhow::Result<()>,
}

impl Scan<'_> {
    /// All packets; why it ended too soon, where it did.
    fn read(&mut self, path: &Path) -> anyhow::Result<Option<observe::Error>> {
        let mut capture = match CaptureFile::open(path) {
            Ok(capture) => capture,
            Err(error) => return Ok(Some(error)),
        };
        let (mut number, mut told) = (0_u64, Ok(()));
        let read = capture.batches(PACKETS, |records| {
            self.pipeline.packets(number + 1, records, &mut self.events);
            let before = number / PROGRESS_EVERY;
            number += records.len() as u64;
            if self.events.len() >= BATCH {
                told = self.judge();
            }
            if number / PROGRESS_EVERY != before && told.is_ok() {
                told = (self.tell)(Told::Packets(number));
            }
            if told.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        self.pipeline.dropped(capture.dropped());
        told.map(|()| read.err())
    }

    fn judge(&mut self) -> anyhow::Result<()> {
        let now = self.events.first().map_or(0, |event| event.at);
        self.detectors.step(&self.events, now, &mut self.found);
        if self.flows {
            for event in &self.events {
                if let Sight::Traffic { traffic, end } = &event.sight {
                    (self.tell)(Told::Flow(flow_line::line(event, traffic, *end, &self.rules.internal)))?;
                }
            }
        }
        self.events.clear();
        self.hand_on()
    }

    fn hand_on(&mut self) -> anyhow::Result<()> {
        for finding in self.found.drain(..) {
            self.findings += 1;
            (self.tell)(Told::Finding(Box::new(finding)))?;
        }
        Ok(())
    }
}
