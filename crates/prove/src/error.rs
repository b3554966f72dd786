use std::io;
use std::path::PathBuf;

use crate::ledger::Fault;

/// What can go wrong in this room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the ledger could not be made, read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried: `open`, `write` and so on.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The state database could not be opened, read or written.
    #[error("cannot {action} the state database")]
    State {
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// The folder that should hold a ledger has none.
    #[error("there is no ledger at {}", .0.display())]
    NoLedger(PathBuf),
    /// The ledger has lines and the key that signed them is gone. Nothing is appended, since a new key would
    /// make the old lines look forged.
    #[error("the signing key {} is missing while the ledger has entries", .0.display())]
    KeyMissing(PathBuf),
    /// The key file holds something else.
    #[error("{} does not hold a signing key: 64 hexadecimal digits are expected", .0.display())]
    KeyMalformed(PathBuf),
    /// The operating system gave no random bytes.
    #[error("cannot draw a signing key")]
    Random(#[source] getrandom::Error),
    /// A fact that would make a line longer than readers accept.
    #[error("the fact takes {bytes} bytes; a ledger line has at most {limit}")]
    FactTooLong {
        /// Bytes of the line.
        bytes: usize,
        /// What a line may have.
        limit: usize,
    },
    /// A value that cannot be written as JSON.
    #[error("cannot write {what} as JSON")]
    Json {
        /// The value.
        what: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The ledger is not what was written.
    #[error("line {line} of the ledger {} is not intact", path.display())]
    NotIntact {
        /// The ledger.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong there.
        #[source]
        fault: Fault,
    },
    /// The line to append to is not intact. Nothing is appended until the ledger was verified and set aside.
    #[error("the last line of the ledger {} is not intact", path.display())]
    LastLine {
        /// The ledger.
        path: PathBuf,
        /// What is wrong there.
        #[source]
        fault: Fault,
    },
    /// An export would have replaced a file.
    #[error("{} is already there and is not replaced", .0.display())]
    TargetExists(PathBuf),
}

impl Error {
    /// For `map_err` of an operation on the state database.
    pub(crate) fn state(action: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::State { action, source }
    }

    /// What an operator can do about it, where there is something.
    pub fn next_step(&self) -> Option<&'static str> {
        Some(match self {
            Error::File {
                action: "make the state folder" | "open" | "append to" | "write the signing key",
                source,
                ..
            } if cannot_write_there(source) => "use --state DIR to name a state folder that you may write to",
            Error::NoLedger(_) => {
                "use --state DIR to name the state folder of the backups; each first command that writes makes its ledger"
            }
            Error::KeyMissing(_) | Error::KeyMalformed(_) => {
                "put ledger.key back from a copy of the state folder; without one, move ledger.jsonl aside as evidence, and the next command begins a new ledger"
            }
            Error::NotIntact { .. } | Error::LastLine { .. } => {
                "keep the ledger and ledger.key unchanged as evidence and run `chartward prove verify`; moved aside, the next command begins a new ledger"
            }
            Error::TargetExists(_) => "name a file that does not exist yet",
            _ => return None,
        })
    }

    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::File { action, path, source }
    }
}

fn cannot_write_there(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | NotADirectory | AlreadyExists)
}
