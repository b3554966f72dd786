//! What this machine remembers of its media, in a file of its state folder. Lost, it is learnt again from the media's own receipts as they
//! are put in; until then they do not count.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::identity::{self, Identity, Receipt};
use crate::Error;

const FILE: &str = "media.json";

/// All media that are known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    /// Each once.
    #[serde(default)]
    pub media: Vec<Known>,
    /// The last time that something was to be written, by rotation.
    #[serde(default)]
    pub attempts: BTreeMap<String, Attempt>,
}

/// A medium.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Who it is.
    pub identity: Identity,
    /// What was last written to it and read back; `None`: nothing ever was.
    pub last: Option<Receipt>,
    /// Name of its file system among the disks that are plugged in, where it has one.
    #[serde(default)]
    pub disk: Option<String>,
    /// Where it was last seen.
    #[serde(default)]
    pub path: Option<PathBuf>,
}

/// What came of an attempt to write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// The set that it was about.
    pub set: String,
    /// `None`: it is written and was read back.
    pub trouble: Option<Trouble>,
    /// The trouble's cause as it was found.
    #[serde(default)]
    pub cause: String,
}

/// Why a medium does not hold what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// There is none.
    Absent,
    /// Nothing is on it, not even who it is.
    Blank,
    /// It is no medium of ours.
    Foreign,
    /// Another set's turn is now.
    WrongSet,
    /// It carries an identity that is not its own, or holds less than was written to it.
    Swapped,
    /// There is no room left.
    Full,
    /// It is write-protected.
    ReadOnly,
    /// What was written does not read back.
    ReadsBackWrong,
    /// It was taken out before it was done.
    PulledOut,
    /// The vault itself has damage, so that not everything could be copied.
    Incomplete,
    /// Something else.
    Other,
}

impl Book {
    /// Reads it; an empty one if there is none yet.
    pub fn load(state: &Path) -> Result<Book, Error> {
        let path = file(state);
        let failed = |source| Error::Io { op: "read", path: path.clone(), source };
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|e| failed(e.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Book::default()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes it durable.
    pub fn save(&self, state: &Path) -> Result<(), Error> {
        let path = file(state);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::Engine { op: "serialise the book of media", source: e.into() })?;
        fs::create_dir_all(state).and_then(|()| identity::replace(&path, &text)).map_err(|source| Error::Io {
            op: "write",
            path,
            source,
        })
    }

    /// The medium of that id.
    pub fn known(&self, id: &str) -> Option<&Known> {
        self.media.iter().find(|known| known.identity.id == id)
    }

    /// The medium of that identity, entered if it is new.
    pub(super) fn enter(&mut self, identity: &Identity) -> &mut Known {
        let at = self.media.iter().position(|known| known.identity.id == identity.id);
        let at = at.unwrap_or_else(|| {
            self.media.push(Known { identity: identity.clone(), last: None, disk: None, path: None });
            self.media.len() - 1
        });
        &mut self.media[at]
    }

    /// Enters a medium that was just prepared.
    pub fn add(&mut self, identity: &Identity, path: &Path) {
        self.enter(identity).path = Some(path.to_owned());
    }
}

fn file(state: &Path) -> PathBuf {
    state.join(FILE)
}
