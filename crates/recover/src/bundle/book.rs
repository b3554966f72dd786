//! Which bundles are ours, in a file of the state folder: reconciliation trusts the keys in it, and no others.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::export::Exported;

const FILE: &str = "bundles.json";

/// All bundles that were exported with this state folder, also those that others took the place of: their notes may come late.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// Each once.
    #[serde(default)]
    pub bundles: Vec<Known>,
}

/// A bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its id.
    pub bundle: String,
    /// The key that signs its notes.
    pub public_key: String,
    /// When it was first exported.
    pub since: Timestamp,
}

impl Book {
    /// Reads it; an empty one if there is none yet.
    pub fn load(state: &Path) -> Result<Book, Error> {
        let path = state.join(FILE);
        let failed = |source| Error::Io { op: "read", path: path.clone(), source };
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Book::default()),
            Err(error) => Err(failed(error)),
        }
    }

    /// For [`signed::read`](crate::downtime::signed::read).
    pub fn trusts(&self, public_key: &str) -> bool {
        self.bundles.iter().any(|known| known.public_key == public_key)
    }

    /// Enters a bundle, durably, if it is new.
    pub fn remember(state: &Path, exported: &Exported, now: Timestamp) -> Result<(), Error> {
        let mut book = Book::load(state)?;
        if book.trusts(&exported.public_key) {
            return Ok(());
        }
        let Exported { bundle, public_key, .. } = exported.clone();
        book.bundles.push(Known { bundle, public_key, since: now });
        let text = serde_json::to_vec_pretty(&book)
            .map_err(|source| Error::Json { what: "the book of bundles", source })?;
        let path = state.join(FILE);
        replace(&path, &text).map_err(|source| Error::Io { op: "write", path, source })
    }
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let new: PathBuf = path.with_extension("json.new");
    let mut file = fs::File::create(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)
}
