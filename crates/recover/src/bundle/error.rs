use std::io;
use std::path::PathBuf;

use crate::downtime::signed;

/// Why a bundle cannot be written or opened. [`Error::next_step`] says what an operator can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder above the bundle's is not there: a stick that is not plugged in or not mounted.
    #[error("the medium for the bundle is absent: {} does not exist", dir.display())]
    Absent {
        /// The folder that is not there.
        dir: PathBuf,
    },
    /// Nothing is ever written beside files that are not ours.
    #[error("{} holds something that is no part of a bundle: {name}", dir.display())]
    NotOurs {
        /// The folder.
        dir: PathBuf,
        /// The first name that is not ours.
        name: String,
    },
    /// Another export writes there now.
    #[error("another export writes into {}", dir.display())]
    Busy {
        /// The folder.
        dir: PathBuf,
    },
    /// The bundle in the folder does not open with the passphrase.
    #[error("the passphrase does not open the bundle in {}", dir.display())]
    WrongPassphrase {
        /// The folder.
        dir: PathBuf,
    },
    /// The bundle in the folder is damaged or of a version that is not known here.
    #[error("the bundle in {} cannot be read: {cause}", dir.display())]
    Damaged {
        /// The folder.
        dir: PathBuf,
        /// What was found.
        cause: &'static str,
    },
    /// The passphrase is empty, too long or no text.
    #[error("the passphrase of a bundle must be text of 1 to 1000 characters")]
    Passphrase,
    /// A file of the bundle.
    #[error("cannot {op} {}", path.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("cannot draw a random key")]
    Random(#[source] getrandom::Error),
    /// The cipher refused; it never does.
    #[error("cannot encrypt {what}")]
    Cipher {
        /// What.
        what: &'static str,
    },
    /// A value of ours that is no JSON; it always is.
    #[error("cannot write {what} down")]
    Json {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The key pair for notes.
    #[error("cannot use the key pair that signs notes")]
    Signer(#[source] signed::Invalid),
}

impl Error {
    /// What an operator can do now.
    pub fn next_step(&self) -> Option<&'static str> {
        Some(match self {
            Error::Absent { .. } => "plug in and mount the stick, then export again",
            Error::NotOurs { .. } => "name an empty or a new folder, or one that holds a bundle alone",
            Error::Busy { .. } => "wait until it has ended, then export again",
            Error::WrongPassphrase { .. } => {
                "use the bundle's own passphrase (not the vault's), or --new-key to make the bundle anew under this one"
            }
            Error::Damaged { .. } => {
                "export with --new-key to make it anew; notes in browsers should be exported first"
            }
            Error::Io { .. } => "look whether the stick is full, write-protected or defective",
            _ => return None,
        })
    }
}
