//! Capture files: pcap and pcapng, packed with gzip or not, from disk or the standard input. What they are is told by their contents.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use decode::packet::capture::{Capture, CaptureFault, RECORD_MAX, Record, Step};
use flate2::bufread::MultiGzDecoder;

use crate::Error;

/// Bytes that are read at once: few enough that they are still in the processor's cache when their packets are looked at.
const WINDOW: usize = 256 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A capture file that is being read, a window of it at a time.
pub struct CaptureFile {
    path: PathBuf,
    input: Box<dyn Read + Send>,
    capture: Capture,
    window: Vec<u8>,
    start: usize,
    end: usize,
    is_at_end: bool,
}

impl CaptureFile {
    /// Opens a file; `-` is the standard input.
    ///
    /// # Errors
    /// [`Error::OpenCapture`].
    pub fn open(path: &Path) -> Result<CaptureFile, Error> {
        let opened = if path == Path::new("-") {
            unpacked(BufReader::new(io::stdin()))
        } else {
            File::open(path).and_then(|file| unpacked(BufReader::with_capacity(64 << 10, file)))
        };
        let input = opened.map_err(|source| Error::OpenCapture { path: path.to_owned(), source })?;
        Ok(CaptureFile {
            path: path.to_owned(),
            input,
            capture: Capture::new(),
            window: vec![0; WINDOW + RECORD_MAX],
            start: 0,
            end: 0,
            is_at_end: false,
        })
    }

    /// Gives all frames in their order until the file ends or `take` has enough.
    ///
    /// # Errors
    /// [`Error::ReadCapture`], [`Error::BrokenCapture`], [`Error::CutCapture`]: what came before was given.
    pub fn each(
        &mut self,
        mut take: impl FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        self.batches(1, |records| records.iter().try_for_each(&mut take))
    }

    /// The same, as many frames together as are there, up to `most`.
    ///
    /// # Errors
    /// As [`CaptureFile::each`].
    pub fn batches(
        &mut self,
        most: usize,
        mut take: impl FnMut(&[Record<'_>]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        loop {
            let (records, used, after) = self.gather(most);
            let goes_on = if records.is_empty() { ControlFlow::Continue(()) } else { take(&records) };
            drop(records);
            self.start += used;
            if goes_on.is_break() {
                return Ok(goes_on);
            }
            match after {
                After::Record => {}
                After::Skip(used) => self.skip(used)?,
                After::More(needed) => {
                    if !self.fill(needed)? {
                        return self.ended();
                    }
                }
                After::Broken(source) => {
                    return Err(Error::BrokenCapture { path: self.path.clone(), source });
                }
            }
        }
    }

    /// Frames of the window, how many bytes they take, and what follows.
    fn gather(&mut self, most: usize) -> (Vec<Record<'_>>, usize, After) {
        let Self { window, capture, start, end, .. } = self;
        let mut rest = &window[*start..*end];
        let whole = rest.len();
        let mut records = Vec::with_capacity(most);
        let after = loop {
            if records.len() >= most {
                break After::Record;
            }
            match capture.step(rest) {
                Ok(Step::Record { record, used }) => {
                    records.push(record);
                    rest = &rest[used..];
                }
                Ok(Step::Skip { used }) => break After::Skip(used),
                Ok(Step::More { needed }) => break After::More(needed),
                Err(fault) => break After::Broken(fault),
            }
        };
        (records, whole - rest.len(), after)
    }

    /// Frames that the capturing program itself missed, as far as the file says.
    pub fn dropped(&self) -> u64 {
        self.capture.dropped()
    }

    fn ended(&self) -> Result<ControlFlow<()>, Error> {
        if !self.capture.is_known() {
            return Err(Error::BrokenCapture { path: self.path.clone(), source: CaptureFault::Format });
        }
        if self.start == self.end {
            return Ok(ControlFlow::Continue(()));
        }
        Err(Error::CutCapture { path: self.path.clone() })
    }

    /// Has the window hold that many bytes; `false` where the file ends before.
    fn fill(&mut self, needed: usize) -> Result<bool, Error> {
        self.window.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < needed.min(self.window.len()) && !self.is_at_end {
            match self.input.read(&mut self.window[self.end..]) {
                Ok(0) => self.is_at_end = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::ReadCapture { path: self.path.clone(), source }),
            }
        }
        Ok(self.end >= needed)
    }

    fn skip(&mut self, mut count: u64) -> Result<(), Error> {
        loop {
            let here = usize::try_from(count).unwrap_or(usize::MAX).min(self.end - self.start);
            self.start += here;
            count -= here as u64;
            if count == 0 {
                return Ok(());
            }
            if !self.fill(1)? {
                return Err(Error::CutCapture { path: self.path.clone() });
            }
        }
    }
}

/// What follows frames in the window.
enum After {
    /// Perhaps another one.
    Record,
    Skip(u64),
    More(usize),
    Broken(CaptureFault),
}

fn unpacked(mut input: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let is_packed = input.fill_buf()?.starts_with(&GZIP);
    Ok(if is_packed { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) })
}
