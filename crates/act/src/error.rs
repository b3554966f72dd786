use std::io;
use std::path::PathBuf;

/// What can go wrong while acting; the variant says the operation, the source says why.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder of evidence or of plans could not be made.
    #[error("make the folder {path}")]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of evidence or a plan could not be written.
    #[error("write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A plan could not be read.
    #[error("read the plan {path}")]
    ReadPlan {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A plan is not one.
    #[error("understand the plan {path}")]
    ParsePlan {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// No plan froze this process.
    #[error("find a plan that froze process {pid} in {state}")]
    NoPlan {
        /// The process.
        pid: i32,
        /// Where plans are kept.
        state: PathBuf,
    },
    /// A plan could not be put into words.
    #[error("write down a plan")]
    Encode(#[source] serde_json::Error),
    /// A content or a name could not be put back.
    #[error("put back a file ({step})")]
    PutBack {
        /// What was being done.
        step: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What was put back does not read as it was.
    #[error("verify a file that was put back")]
    Differs,
}

impl Error {
    /// What an operator can do about it, where there is something.
    pub fn next_step(&self) -> Option<&'static str> {
        match self {
            Error::MakeFolder { .. } => Some("use --state DIR to name a state folder that you may write to"),
            Error::NoPlan { .. } => Some(
                "use --state DIR to name the state folder that the guard used, as its line about the process says",
            ),
            _ => None,
        }
    }
}
