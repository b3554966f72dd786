//! What is wrong with a record or with a piece of a log.

/// Why text is no Windows event record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvtxFault {
    /// It passes the length that is taken.
    #[error("record of {bytes} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The length allowed.
        limit: usize,
    },
    /// It is no JSON.
    #[error("no JSON, as seen at column {column}")]
    NotJson {
        /// Where it stops being that.
        column: usize,
    },
    /// It is no XML.
    #[error("no XML, as seen at byte {offset}")]
    NotXml {
        /// Where it stops being that.
        offset: u64,
    },
    /// Elements or objects lie too deep in one another.
    #[error("nested deeper than {limit}")]
    TooDeep {
        /// The depth allowed.
        limit: usize,
    },
    /// Nothing in it says that it is a Windows event.
    #[error("no Windows event: neither an event id nor a channel")]
    NotAnEvent,
}

/// A piece of a log that could not be read as it was meant; the rest was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Number of the chunk in its file, counted from 0.
    pub chunk: u64,
    /// Number of the record, when it is known.
    pub record: Option<u64>,
    /// Whether records were lost by it: a wrong checksum alone loses none.
    pub is_lost: bool,
    /// What is wrong, in English, bounded.
    pub what: String,
}

/// Longer descriptions of a fault say nothing more.
const WHAT_MAX: usize = 300;

impl Damage {
    pub(super) fn new(chunk: u64, record: Option<u64>, is_lost: bool, what: String) -> Damage {
        let mut what = what;
        let end = (0..=WHAT_MAX.min(what.len())).rev().find(|end| what.is_char_boundary(*end)).unwrap_or(0);
        what.truncate(end);
        Damage { chunk, record, is_lost, what }
    }
}
