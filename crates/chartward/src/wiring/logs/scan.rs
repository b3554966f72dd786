//! Logs judged offline: several files go on side by side, so that their events come in the order of their times.

use std::path::{Path, PathBuf};
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use observe::logs::evtx::{self, Limits, Piece};
use observe::logs::{FileLines, Source, Stopped, files};
use schema::Micros;

use super::Settings;
use super::pipeline::{Pipeline, Told};
use judge::logins::Detectors;

/// Blocks of a Windows log that are read ahead: a megabyte each.
const AHEAD: usize = 4;

/// What files came to.
pub(crate) struct Outcome {
    pub(crate) pipeline: Pipeline,
    /// Files, and those of them that were not read to their end.
    pub(crate) files: u64,
    pub(crate) failed: Vec<String>,
    /// Lines that were cut.
    pub(crate) cut: u64,
    pub(crate) not_loaded: Vec<judge::sigma::NotLoaded>,
}

struct Reading {
    path: PathBuf,
    source: Source,
    input: Input,
    /// The latest time in it so far.
    at: Micros,
    number: u64,
}

enum Input {
    Lines(Box<FileLines>),
    /// Windows records, read ahead by a thread of their own.
    Events(Receiver<Piece>),
}

impl Input {
    fn open(path: &Path) -> Result<Self, observe::Error> {
        if !evtx::is_it(path) {
            return FileLines::open(path).map(|lines| Input::Lines(Box::new(lines)));
        }
        let (send, pieces) = bounded(AHEAD);
        let path = path.to_owned();
        thread::spawn(move || evtx::read(&path, &Limits::default(), &mut |piece| send.send(piece).is_ok()));
        Ok(Input::Events(pieces))
    }
}

/// Reads everything below the paths. `told` gets what was found with the file that its last line stands in.
///
/// # Errors
/// When the rules cannot be read, or `told` fails.
pub(crate) fn scan(
    paths: &[PathBuf],
    settings: &Settings,
    now: Micros,
    told: &mut dyn FnMut(&Path, Told) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let (engine, not_loaded) = settings.engine()?;
    let pipeline = Pipeline::new(settings.zone.clone(), Detectors::new(&settings.logins), engine);
    let mut outcome = Outcome { pipeline, files: 0, failed: Vec::new(), cut: 0, not_loaded };
    let mut going = Vec::new();
    for path in paths {
        for file in
            files(path, &mut |path, error| outcome.failed.push(format!("{}: {error}", path.display())))
        {
            outcome.files += 1;
            match Input::open(&file) {
                Ok(input) => {
                    let source = Source::new(&file.to_string_lossy());
                    going.push(Reading { path: file, source, input, at: Micros::MIN, number: 0 });
                }
                Err(error) => outcome.failed.push(failure(&error)),
            }
        }
    }
    // The file that is furthest behind goes on.
    while let Some(at) = (0..going.len()).min_by_key(|at| going.get(*at).map(|reading| reading.at)) {
        let Some(reading) = going.get_mut(at) else { break };
        if !step(reading, &mut outcome, now) {
            let reading = going.swap_remove(at);
            if let Input::Lines(lines) = &reading.input {
                outcome.cut += lines.counts().0;
            }
            hand_on(&mut outcome.pipeline, Micros::MIN, &reading.path, told)?;
        } else {
            hand_on(&mut outcome.pipeline, Micros::MIN, &reading.path, told)?;
        }
    }
    let last = paths.last().cloned().unwrap_or_default();
    hand_on(&mut outcome.pipeline, Micros::MAX, &last, told)?;
    Ok(outcome)
}

/// A piece of a file; `false` once it is over.
fn step(reading: &mut Reading, outcome: &mut Outcome, now: Micros) -> bool {
    let (source, number, pipeline) = (&reading.source, &mut reading.number, &mut outcome.pipeline);
    let lines = match &mut reading.input {
        Input::Lines(lines) => lines,
        Input::Events(pieces) => {
            match pieces.recv() {
                Ok(Piece::Block(block)) => pipeline.block(source, &block, now, false),
                Ok(Piece::Failed(error)) => outcome.failed.push(failure(&error)),
                Err(_) => return false,
            }
            reading.at = pipeline.last_of(source).unwrap_or(Micros::MAX);
            return true;
        }
    };
    let written = if lines.written > 0 { lines.written } else { now };
    let read = lines.some(&mut |line| {
        *number += 1;
        pipeline.line(source, line, written, false, *number);
    });
    let name = || reading.path.display();
    match read {
        Ok(Ok(true)) => {
            // One that says no time at all does not hold up the others.
            reading.at = outcome.pipeline.last_of(&reading.source).unwrap_or(Micros::MAX);
            true
        }
        Ok(Ok(false)) => false,
        Ok(Err(Stopped::Bomb)) => {
            outcome.failed.push(format!("{}: it unpacks to more than any log does", name()));
            false
        }
        Err(error) => {
            outcome.failed.push(format!("{}: {error}", name()));
            false
        }
    }
}

/// An error with what is behind it.
fn failure(error: &observe::Error) -> String {
    let cause = std::error::Error::source(error).map_or_else(String::new, ToString::to_string);
    format!("{error}: {cause}")
}

fn hand_on(
    pipeline: &mut Pipeline,
    until: Micros,
    path: &Path,
    told: &mut dyn FnMut(&Path, Told) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut result = Ok(());
    pipeline.settle(until, |it| {
        if result.is_ok() {
            result = told(path, it);
        }
    });
    result
}
