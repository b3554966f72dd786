//! DNS: the names that are asked for (RFC 1035 §4).

use schema::{NameSource, Sight};

use super::bytes::{be16, host};
use super::frame::{Framer, Step};
use super::{Next, index};

const HEADER: usize = 12;
/// Labels of a name: 127 fit into 255 bytes. Jumps of compression, each of which must lead backwards.
const LABELS_MAX: usize = 128;
const JUMPS_MAX: usize = 16;
/// The question stands at the beginning; what follows it is not needed.
const SHOWN_MAX: usize = HEADER + 255 + 6;

/// Whether the header is that of a plain query with one question.
pub(super) fn is_query(message: &[u8]) -> bool {
    // QR and opcode 0, TC 0; one question, no answer; at most an EDNS or TSIG record beside it.
    message.len() >= HEADER
        && message[2] & 0xfa == 0
        && message[3] & 0x4f == 0
        && message[4..10] == [0, 1, 0, 0, 0, 0]
        && message[10] == 0
        && message[11] <= 2
}

/// Whether the header is that of an answer to one question.
pub(super) fn is_answer(message: &[u8]) -> bool {
    message.len() >= HEADER + 5 && message[2] & 0xf8 == 0x80 && message[4..6] == [0, 1]
}

/// The question's name of a query, if it has one that is well formed and asks for the Internet.
pub(super) fn question(message: &[u8]) -> Option<Box<str>> {
    let (name, end) = name(message, HEADER)?;
    let class = be16(message, end + 2)? & 0x7fff;
    let name = host(&name)?;
    (class == 1).then_some(name)
}

/// The labels from `at` with dots between them, and where the name ends in the message.
fn name(message: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let mut name = Vec::with_capacity(64);
    let mut end = None;
    let mut jumps = 0;
    for _ in 0..LABELS_MAX + JUMPS_MAX {
        let length = *message.get(at)?;
        match length >> 6 {
            0 if length == 0 => return Some((name, end.unwrap_or(at + 1))),
            0 => {
                if !name.is_empty() {
                    name.push(b'.');
                }
                name.extend_from_slice(message.get(at + 1..at + 1 + usize::from(length))?);
                at += 1 + usize::from(length);
            }
            3 => {
                let target = usize::from(be16(message, at)? & 0x3fff);
                end = end.or(Some(at + 2));
                jumps += 1;
                // A pointer forwards, or to itself, is a loop.
                if target >= at || jumps > JUMPS_MAX {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
        if name.len() > 255 {
            return None;
        }
    }
    None
}

/// DNS over TCP: each message behind its length.
#[derive(Debug, Default)]
pub(super) struct Dns {
    sides: [Framer; 2],
    asked: u32,
}

/// A connection that asks more than this has been read enough.
const ASKED_MAX: u32 = 4_096;

impl Dns {
    pub(super) fn feed(&mut self, side: schema::Side, bytes: &[u8], out: &mut Vec<Sight>) -> Next {
        let asked = &mut self.asked;
        let fed = self.sides[index(side)].feed(bytes, 2, |message| {
            let length = usize::from(be16(message, 0).unwrap_or_default());
            let shown = 2 + length.min(SHOWN_MAX);
            if message.len() < shown {
                return Step::More(shown);
            }
            if is_query(&message[2..]) {
                *asked += 1;
                let name = question(&message[2..]);
                out.extend(name.map(|name| Sight::Named { name, source: NameSource::Dns }));
            }
            if *asked > ASKED_MAX { Step::Stop } else { Step::Next(2 + length as u64) }
        });
        if fed == super::frame::Fed::All { Next::On } else { Next::Done }
    }

    pub(super) fn pass(&mut self, side: schema::Side, bytes: u64) -> bool {
        self.sides[index(side)].pass(bytes)
    }

    /// Without the length of what is missing nothing can be read any more.
    pub(super) fn gap(&mut self) -> Next {
        Next::Done
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.sides.iter().map(Framer::room).sum()
    }
}
