//! What stood in the policy before each change.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Hand;

/// Beyond this only the newest are kept.
const BYTES_MAX: u64 = 4 << 20;
const KEPT: usize = 100;
const TEXT_MAX: usize = 300;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Counts from 1.
    pub(crate) number: u64,
    pub(crate) at: Timestamp,
    pub(crate) by: String,
    pub(crate) because: String,
    /// In a few words: `lower link.shortener by 1`.
    pub(crate) what: String,
    /// What stood there before, whoever wrote it.
    pub(crate) before: String,
    /// Of what stood there after, in hexadecimal digits.
    pub(crate) after_sha256: String,
    /// The change that this one takes back.
    pub(crate) undoes: Option<u64>,
}

/// The file of all changes: one line of JSON each.
#[derive(Debug)]
pub(super) struct History {
    pub(super) file: PathBuf,
}

impl History {
    /// Lets nobody else change the policy while the result lives.
    pub(super) fn lock(&self) -> anyhow::Result<File> {
        let file = self.open()?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
            .with_context(|| format!("lock {}", self.file.display()))?;
        Ok(file)
    }

    /// The first one first. A line that the power cut is left out.
    pub(super) fn versions(&self) -> anyhow::Result<Vec<Version>> {
        let file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.file.display())),
        };
        let mut text = Vec::new();
        file.take(4 * BYTES_MAX)
            .read_to_end(&mut text)
            .with_context(|| format!("cannot read {}", self.file.display()))?;
        let lines = text.split(|byte| *byte == b'\n');
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    pub(super) fn add(
        &self,
        before: &str,
        after_sha256: String,
        what: String,
        undoes: Option<u64>,
        hand: Hand<'_>,
    ) -> anyhow::Result<Version> {
        let versions = self.versions()?;
        let version = Version {
            number: versions.last().map_or(0, |last| last.number) + 1,
            at: hand.at,
            by: hand.by.chars().take(TEXT_MAX).collect(),
            because: hand.because.chars().take(TEXT_MAX).collect(),
            what,
            before: before.to_owned(),
            after_sha256,
            undoes,
        };
        let mut line = serde_json::to_vec(&version)?;
        line.push(b'\n');
        let mut file = self.open()?;
        if file.metadata().is_ok_and(|meta| meta.len() > BYTES_MAX) {
            self.shorten(&versions)?;
            file = self.open()?;
        }
        // A line that was cut off before must not swallow this one.
        line.insert(0, b'\n');
        file.write_all(&line)
            .and_then(|()| file.sync_all())
            .with_context(|| format!("write {}", self.file.display()))?;
        Ok(version)
    }

    fn open(&self) -> anyhow::Result<File> {
        if let Some(dir) = self.file.parent() {
            fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
        }
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.file);
        opened.with_context(|| format!("open {}", self.file.display()))
    }

    /// Keeps the newest; in place, since others may wait for the lock on this very file.
    fn shorten(&self, versions: &[Version]) -> anyhow::Result<()> {
        let mut text = Vec::new();
        for version in versions.iter().skip(versions.len().saturating_sub(KEPT)) {
            serde_json::to_writer(&mut text, version)?;
            text.push(b'\n');
        }
        fs::write(&self.file, text).with_context(|| format!("write {}", self.file.display()))
    }
}

/// The last change that is no taking back and was not taken back.
pub(super) fn to_undo(versions: &[Version]) -> Option<&Version> {
    let undone = |number: u64| versions.iter().any(|later| later.undoes == Some(number));
    versions.iter().rev().find(|version| version.undoes.is_none() && !undone(version.number))
}

impl Version {
    /// Whether the next undo takes this one back.
    pub(crate) fn is_next(&self, versions: &[Version]) -> bool {
        to_undo(versions).is_some_and(|next| next.number == self.number)
    }
}
