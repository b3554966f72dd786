//! A file of JSON lines that only grows. Each line carries the hash of the one before, so that a line which was changed, taken out
//! or put in later is found. Several processes may write to it: each holds the file's lock while it does, and reads first what the others added.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;

/// No line that is written here is longer.
const LINE_MAX: u64 = 64 << 10;

#[derive(Serialize, Deserialize)]
struct Line<T> {
    /// Number of the line, from 1.
    n: u64,
    #[serde(flatten)]
    record: T,
    /// SHA-256 of the line before, without its end; zeros for the first.
    prev: String,
}

#[derive(Debug)]
pub(super) struct Chain {
    file: File,
    path: PathBuf,
    read_to: u64,
    lines: u64,
    head: [u8; 32],
    broken_at: Option<u64>,
}

/// Held while lines are read and written; the next holder sees all of them.
pub(super) struct Held<'c>(&'c mut Chain);

impl Chain {
    pub(super) fn open(path: &Path) -> Result<Chain, Error> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc_nofollow())
            .open(path)
            .map_err(|source| Error::Io { op: "open", path: path.to_owned(), source })?;
        // A line is as durable as the name of its file.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| Error::Io {
            op: "flush",
            path: folder.to_owned(),
            source,
        })?;
        Ok(Chain { file, path: path.to_owned(), read_to: 0, lines: 0, head: [0; 32], broken_at: None })
    }

    /// The first line that does not follow from the one before, or cannot be read.
    pub(super) fn broken_at(&self) -> Option<u64> {
        self.broken_at
    }

    /// Takes the file's lock and hands over the lines that are new since the last time.
    pub(super) fn hold<T: DeserializeOwned>(&mut self, each: impl FnMut(u64, T)) -> Result<Held<'_>, Error> {
        let failed = |source| Error::Io { op: "read", path: self.path.clone(), source };
        flock(&self.file, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
        match self.catch_up(each) {
            Ok(()) => Ok(Held(self)),
            Err(source) => {
                let _ = flock(&self.file, FlockOperation::Unlock);
                Err(Error::Io { op: "read", path: self.path.clone(), source })
            }
        }
    }

    fn catch_up<T: DeserializeOwned>(&mut self, mut each: impl FnMut(u64, T)) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        reader.seek(SeekFrom::Start(self.read_to))?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line)? as u64;
            if length == 0 {
                return Ok(());
            }
            if line.pop_if(|end| *end == b'\n').is_none() {
                if length == LINE_MAX {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a line is longer than any may be",
                    ));
                }
                // A writer was killed within a line, which nobody was told about.
                return self.file.set_len(self.read_to);
            }
            self.read_to += length;
            self.lines += 1;
            match serde_json::from_slice::<Line<T>>(&line) {
                Ok(parsed) => {
                    if parsed.n != self.lines || parsed.prev != hex::encode(self.head) {
                        self.broken_at.get_or_insert(self.lines);
                    }
                    each(self.lines, parsed.record);
                }
                Err(_) => _ = self.broken_at.get_or_insert(self.lines),
            }
            self.head = Sha256::digest(&line).into();
        }
    }
}

impl Held<'_> {
    /// Number of the last line.
    pub(super) fn lines(&self) -> u64 {
        self.0.lines
    }

    /// Writes lines and makes them durable; all of them or none.
    pub(super) fn append<T: Serialize>(&mut self, records: &[T]) -> Result<(), Error> {
        let chain = &mut *self.0;
        let (mut lines, mut head) = (chain.lines, chain.head);
        let mut text = Vec::new();
        for record in records {
            lines += 1;
            let start = text.len();
            serde_json::to_writer(&mut text, &Line { n: lines, record, prev: hex::encode(head) })
                .map_err(|e| Error::Engine { op: "serialise a receipt", source: e.into() })?;
            head = Sha256::digest(&text[start..]).into();
            text.push(b'\n');
        }
        let mut file = &chain.file;
        if let Err(source) = file.write_all(&text).and_then(|()| chain.file.sync_data()) {
            let _ = chain.file.set_len(chain.read_to);
            return Err(Error::Io { op: "write", path: chain.path.clone(), source });
        }
        chain.read_to += text.len() as u64;
        (chain.lines, chain.head) = (lines, head);
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let _ = flock(&self.0.file, FlockOperation::Unlock);
    }
}

fn libc_nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Said {
        what: String,
    }

    fn said(what: &str) -> Said {
        Said { what: what.to_owned() }
    }

    fn read(path: &Path) -> (Vec<String>, Option<u64>) {
        let mut chain = Chain::open(path).unwrap();
        let mut all = Vec::new();
        chain.hold(|_, said: Said| all.push(said.what)).unwrap();
        (all, chain.broken_at())
    }

    #[test]
    fn two_writers_make_one_chain() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chain");
        let (mut one, mut two) = (Chain::open(&path).unwrap(), Chain::open(&path).unwrap());
        for round in 0..5 {
            one.hold(|_, _: Said| ()).unwrap().append(&[said(&format!("one {round}"))]).unwrap();
            two.hold(|_, _: Said| ()).unwrap().append(&[said("two"), said("三")]).unwrap();
        }
        let (all, broken) = read(&path);
        assert_eq!((all.len(), broken), (15, None));
    }

    #[test]
    fn a_changed_a_missing_and_a_half_written_line_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chain");
        let mut chain = Chain::open(&path).unwrap();
        let all: Vec<Said> = ["a", "b", "c", "d"].map(said).into();
        chain.hold(|_, _: Said| ()).unwrap().append(&all).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        for (text, lines, broken) in [
            (whole.clone(), 4, None),
            (whole.replacen("\"b\"", "\"x\"", 1), 4, Some(3)),
            (
                whole.lines().filter(|line| !line.contains("\"b\"")).map(|l| format!("{l}\n")).collect(),
                3,
                Some(2),
            ),
            (whole[..whole.len() - 5].to_owned(), 3, None),
            (format!("{whole}garbage\n"), 4, Some(5)),
        ] {
            fs::write(&path, text).unwrap();
            let (all, found) = read(&path);
            assert_eq!((all.len(), found), (lines, broken));
        }
    }
}
