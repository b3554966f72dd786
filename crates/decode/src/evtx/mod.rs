//! Windows event records, in every shape they come in: chunks of EVTX files, XML and JSON of collectors, findings of other tools.
//!
//! All of them become the same [`LogRecord`](schema::LogRecord), flattened by the tables in `fields`, so that a rule sees no
//! difference between a record of the machine itself and one that three collectors have passed on. What is damaged is named and
//! counted, and the rest goes on.

mod auth;
mod chunks;
mod fault;
mod fields;
mod flat;
mod forwarded;
mod imported;
mod json;
mod line;
mod reason;
#[cfg(test)]
mod tests;
mod time;
mod xml;

pub use auth::auth;
pub use chunks::{CHUNK_LEN, HEADER_LEN, Header, Item};
pub use fault::{Damage, EvtxFault};
pub use line::{Text, text};

use flat::Flat;

/// One record in text (a line of JSON, an element of XML) is taken up to this length: more than the 10 MB a record may honestly have.
pub const TEXT_MAX: usize = 16 << 20;

/// Reads records, with memory that is used again and again; one for each thread.
#[derive(Default)]
pub struct Reader {
    flat: Flat,
    buffer: Vec<u8>,
}

impl Reader {
    /// One that has read nothing yet.
    pub fn new() -> Reader {
        Reader::default()
    }
}
