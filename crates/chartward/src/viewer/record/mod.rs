//! Who came in, looked for whom and opened which chart: written down before the page is shown.
//!
//! One file for each run of the viewer, only ever written on to. Each line is sealed (XChaCha20-Poly1305) under a key
//! that stands in the vault's place, and bound to the line before it, so that none can be read by whoever finds the
//! disk, and none be changed, taken out or moved without its being told. What nobody can tell from the files alone is
//! that the last lines, or the last whole files, are missing; the hub's ledger counts with them.

mod file;
#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::thread;

use crossbeam_channel::{Sender, bounded};
use jiff::Timestamp;
use schema::PatientId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::door::{Reader, Way};
use crate::access::Role;
pub(crate) use file::{Written, read};

/// Lines that are written with one flush.
const GROUP_MAX: usize = 256;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// When.
    pub(crate) at: Timestamp,
    /// Who: an account's name, or the name that somebody gave; empty for the viewer itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) who: String,
    /// How they came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) way: Option<Way>,
    /// The account's role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<Role>,
    /// Why, as they said: always there for an emergency access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<IpAddr>,
    /// What they did.
    #[serde(flatten)]
    pub(crate) act: Act,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub(crate) enum Act {
    /// The viewer began, with what it shows.
    Started { shows: String },
    /// Somebody came in.
    Entered,
    /// Somebody was not let in.
    Refused,
    /// Somebody went out.
    Left,
    /// Somebody searched.
    Searched { query: String, found: usize },
    /// Somebody looked at a ward's list.
    WardOpened { ward: String },
    /// Somebody opened a chart, or asked for one that there is not.
    ChartOpened { patient: PatientId, found: bool },
    /// An administrator took note of the emergency accesses up to this time.
    EmergenciesNoted { up_to: Timestamp },
    /// Something that another room of the viewer does, such as writing a note.
    Did { what: String, patient: Option<PatientId> },
}

impl Entry {
    /// A line about a reader.
    pub(crate) fn of(reader: &Reader, address: IpAddr, act: Act) -> Entry {
        Entry {
            at: Timestamp::now(),
            who: reader.name.clone(),
            way: Some(reader.way),
            role: reader.role,
            reason: reader.reason.clone(),
            address: Some(address),
            act,
        }
    }

    /// A line about somebody whom nobody knows, or about the viewer itself.
    pub(crate) fn of_nobody(address: Option<IpAddr>, act: Act) -> Entry {
        Entry { at: Timestamp::now(), who: String::new(), way: None, role: None, reason: None, address, act }
    }

    /// Whose chart it is about.
    pub(crate) fn patient(&self) -> Option<&PatientId> {
        match &self.act {
            Act::ChartOpened { patient, .. } => Some(patient),
            Act::Did { patient, .. } => patient.as_ref(),
            _ => None,
        }
    }
}

/// What stands for a patient where an id must not: in the hub's ledger. Whoever has the record's key can tell whose
/// it is, and nobody else.
pub(crate) fn tag(key: &[u8; 32], patient: &PatientId) -> String {
    let digest = Sha256::new().chain_update(b"tag\0").chain_update(key).chain_update(patient.0.as_bytes());
    let mut tag = hex::encode(digest.finalize());
    tag.truncate(16);
    tag
}

type Line = (Entry, Sender<io::Result<()>>);

/// Writes lines down. Cheap to clone; many may wait for one flush of the disk.
#[derive(Clone)]
pub(crate) struct Recorder {
    lines: Sender<Line>,
}

impl Recorder {
    /// Begins a file in `folder`, whose first line says what the viewer shows.
    pub(crate) fn begin(folder: &Path, key: &[u8; 32], shows: &str) -> io::Result<Recorder> {
        let mut file = file::Open::begin(folder, key)?;
        file.write(&[Entry::of_nobody(None, Act::Started { shows: shows.to_owned() })])?;
        let (lines, waiting) = bounded::<Line>(GROUP_MAX);
        thread::Builder::new().name("access-record".into()).spawn(move || {
            while let Ok(first) = waiting.recv() {
                let group: Vec<Line> =
                    std::iter::once(first).chain(waiting.try_iter().take(GROUP_MAX - 1)).collect();
                let (entries, answers): (Vec<Entry>, Vec<_>) = group.into_iter().unzip();
                let written = file.write(&entries);
                for answer in answers {
                    let _ = answer.send(match &written {
                        Ok(()) => Ok(()),
                        Err(error) => Err(error.kind().into()),
                    });
                }
            }
        })?;
        Ok(Recorder { lines })
    }

    /// Writes a line; it is on the disk when this returns.
    pub(crate) fn write(&self, entry: Entry) -> io::Result<()> {
        let (answer, answered) = bounded(1);
        let ended = |_| io::Error::other("the record of access has ended");
        self.lines.send((entry, answer)).map_err(|_| ended(()))?;
        answered.recv().map_err(|_| ended(()))?
    }
}
