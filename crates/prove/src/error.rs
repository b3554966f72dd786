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
    /// Another process has the folder open for writing.
    #[error("{} is locked by process {pid}", path.display())]
    InUse {
        /// The lock's file.
        path: PathBuf,
        /// That process; 0 when it did not say.
        pid: i32,
    },
    /// The database was written by a newer program.
    #[error("the state database has version {version}, which this program does not know")]
    NewerState {
        /// That version.
        version: u32,
    },
    /// A state folder opened for reading was to be changed.
    #[error("the state database was opened for reading only")]
    ReadOnly,
    /// A Parquet file of the lake could not be written or read.
    #[error("cannot {action} the lake's file {}", path.display())]
    Parquet {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: parquet::errors::ParquetError,
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
    /// A file of the observation network is not what was written.
    #[error("the observations in {} cannot be read", path.display())]
    Observation {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: crate::observation::Fault,
    },
    /// There is no letter of that number.
    #[error("there is no letter {0:?}")]
    NoLetter(String),
    /// What was to be said of a letter does not follow from how it stands.
    #[error("letter {id} is {state}, so it cannot become {wanted}")]
    LetterStep {
        /// Its number.
        id: String,
        /// How it stands.
        state: &'static str,
        /// What it should have become.
        wanted: &'static str,
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
            Error::File { source, .. } if is_full(source) => {
                "make room on that disk: nothing was changed, and the same is tried again by itself"
            }
            Error::State { source, .. } if state_is_full(source) => {
                "make room on the disk of the state folder: nothing was changed, and the same is tried again by itself"
            }
            Error::State { source, .. } if state_is_damaged(source) => {
                "end the hub and start it again: it sets the damaged database aside and makes it anew from its change log"
            }
            Error::State { action: "replay the change log into", .. } => {
                "put the files state.db and state-* back from a copy of the state folder; moved aside, the next start begins with an empty database, and backups, proofs and the ledger are not touched"
            }
            Error::NewerState { .. } => {
                "run the newer version of Chartward again; a copy of the state folder from before it can be used with this one"
            }
            Error::InUse { .. } => {
                "a hub runs on this folder already: end that process first, or name another folder with --state DIR"
            }
            Error::NoLedger(_) => {
                "use --state DIR to name the state folder of the backups; each first command that writes makes its ledger"
            }
            Error::KeyMissing(_) | Error::KeyMalformed(_) => {
                "put ledger.key back from a copy of the state folder; without one, move ledger.jsonl aside as evidence, and the next command begins a new ledger"
            }
            Error::NotIntact { .. } | Error::LastLine { .. } => {
                "keep the ledger and ledger.key unchanged as evidence and run `chartward prove verify`; moved aside, the next command begins a new ledger"
            }
            Error::Observation { .. } => {
                "put the file back from a copy of the state folder, or move it aside: its day then counts as not observed"
            }
            Error::NoLetter(_) => "`chartward telescope letters list` shows what there is",
            Error::LetterStep { .. } => "a letter is approved first, then sent, then answered",
            Error::TargetExists(_) => "name a file that does not exist yet",
            _ => return None,
        })
    }

    /// For `map_err` of an operation on a Parquet file.
    pub(crate) fn parquet(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.into();
        move |source| Error::Parquet { action, path, source }
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

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn state_is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

fn state_is_damaged(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}
