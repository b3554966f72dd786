//! Windows event logs: EVTX files, XML and JSON of collectors, alone, in folders, packed with gzip or in ZIP archives; read once or followed.
//!
//! A file becomes blocks of some hundred records that know nothing of each other, so that all cores can read one log. Nothing of a file
//! is kept but the block that is being filled; what is packed may grow to a bounded multiple only.

mod cut;
mod follow;
mod list;
mod order;
mod source;
#[cfg(test)]
mod tests;
mod zip;

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use decode::evtx::{Damage, EvtxFault, Item, Reader};
use schema::LogRecord;

pub use follow::Follow;
pub use order::InOrder;

use crate::Error;

/// What is read at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files below one folder.
    pub files: usize,
    /// Folders in folders.
    pub depth: usize,
    /// What a packed file may grow to whatever its length.
    pub unpacked: u64,
    /// How many times its length a longer one may grow to. Logs pack 10 to 50 times; a bomb, 1,000 times.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { files: 1_000_000, depth: 64, unpacked: 256 << 20, ratio: 200 }
    }
}

/// How a block's bytes are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Chunks of an EVTX file.
    Chunks,
    /// `<Event>` elements.
    Xml,
    /// JSON objects, one a line.
    Lines,
}

/// A piece of a log that can be read by itself.
#[derive(Debug, Clone)]
pub struct Block {
    /// The file, with ` › ` and the member's name behind it for one of an archive.
    pub name: Arc<str>,
    /// How it is to be read.
    pub kind: Kind,
    /// Number of its first chunk, from 0, or of its first line, from 1.
    pub first: u64,
    /// Chunks of the file that are in use, as far as it says; behind them lies whatever the disk held before.
    in_use: u64,
    /// Records up to this number were given before.
    after: u64,
    /// The highest number of a record in it, where a log is followed: from there it goes on after a restart.
    pub last: Option<u64>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What comes out of a file.
#[derive(Debug)]
pub enum Piece {
    /// Some records.
    Block(Block),
    /// What could not be read; all else was.
    Failed(Error),
}

/// Where pieces go; says whether more are wanted.
pub type Give<'g> = dyn FnMut(Piece) -> bool + 'g;

/// Gives all blocks of a file, or of all logs below a folder in the order of their names, `-` being the standard input; `false` once no
/// more are wanted.
pub fn read(path: &Path, limits: &Limits, give: &mut Give<'_>) -> bool {
    if path == Path::new("-") {
        return source::stream(&mut std::io::stdin().lock(), "-", limits, give);
    }
    list::walk(path, limits, give)
}

/// Whether a file holds Windows records in a form that no reader of lines understands: EVTX, also with a damaged header, XML, or a ZIP
/// archive.
pub fn is_it(path: &Path) -> bool {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("evtx")) {
        return path.is_file();
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut head));
    let head = head.trim_ascii_start();
    let by_head = [&b"ElfFile"[..], b"PK\x03\x04", b"<?xml", b"<Event", b"\xff\xfe<"];
    read.is_ok() && by_head.iter().any(|start| head.starts_with(start))
}

impl Block {
    /// Gives its records to `take`, with what is damaged, until it wants no more.
    pub fn read(
        &self,
        reader: &mut Reader,
        record: &mut LogRecord,
        mut take: impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self.kind {
            Kind::Chunks => reader.chunks(&self.bytes, self.first, record, |item| match item {
                Item::Record(record) if record.number <= self.after && self.after > 0 => {
                    ControlFlow::Continue(())
                }
                Item::Damage(damage) if damage.chunk >= self.in_use => ControlFlow::Continue(()),
                item => take(item),
            }),
            Kind::Xml => reader.xml(&self.bytes, record, |found| match found {
                Ok(record) => take(Item::Record(record)),
                Err(fault) => take(Item::Damage(&self.damage(self.first, &fault))),
            }),
            Kind::Lines => self.lines(reader, record, &mut take),
        }
    }

    fn lines(
        &self,
        reader: &mut Reader,
        record: &mut LogRecord,
        take: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for (number, line) in (self.first..).zip(self.bytes.split(|byte| *byte == b'\n')) {
            // Brackets and commas of an array that was written one object a line.
            let line = line.trim_ascii();
            let line = line.strip_suffix(b",").unwrap_or(line);
            if line.is_empty() || matches!(line, b"[" | b"]") {
                continue;
            }
            match reader.json(line, record) {
                Ok(()) => {
                    if record.number == 0 {
                        record.number = number;
                    }
                    take(Item::Record(record))?;
                }
                Err(fault) => take(Item::Damage(&self.damage(number, &fault)))?,
            }
        }
        ControlFlow::Continue(())
    }

    fn damage(&self, number: u64, fault: &EvtxFault) -> Damage {
        let record = (self.kind == Kind::Lines).then_some(number);
        Damage { chunk: 0, record, is_lost: true, what: fault.to_string() }
    }
}
