//! LDAP (RFC 4511), as far as the log-on that it carries.

use schema::{NtlmStep, Side, Sight};

use super::bytes::{be16, be24, be32};
use super::frame::{Fed, Framer, Step};
use super::probe::{Kind, Verdict};
use super::{Next, index, ntlm};

/// Bytes that a message's length, number and kind fit into.
const HEAD: usize = 18;
const BIND_MAX: usize = 4 << 10;
const BIND_REQUEST: u8 = 0x60;
const BIND_ANSWER: u8 = 0x61;
/// A connection that says more than this is read no further.
const MESSAGES_MAX: u16 = 64;

/// One message's frame: its bytes as a whole, and the kind of operation in it.
struct Frame {
    length: u64,
    kind: u8,
    /// Where the operation begins.
    at: usize,
}

/// Reads a frame; `None` where there is none, or too few bytes for one.
fn frame(head: &[u8]) -> Option<Frame> {
    let (inside, begin) = length(head, 1)?;
    let [2, digits @ 1..=4] = *head.get(begin..begin + 2)? else { return None };
    let at = begin + 2 + usize::from(digits);
    let kind = *head.get(at)?;
    let is_operation = matches!(
        kind,
        0x60 | 0x61 | 0x42 | 0x63 | 0x64 | 0x65 | 0x73 | 0x66..=0x6f | 0x4a | 0x50 | 0x77 | 0x78 | 0x79
    );
    (head[0] == 0x30 && is_operation).then_some(Frame { length: begin as u64 + u64::from(inside), kind, at })
}

/// A length of BER at `at`, and where it ends.
fn length(head: &[u8], at: usize) -> Option<(u32, usize)> {
    match *head.get(at)? {
        short @ 0..=0x7f => Some((u32::from(short), at + 1)),
        0x81 => Some((u32::from(*head.get(at + 1)?), at + 2)),
        0x82 => Some((u32::from(be16(head, at + 1)?), at + 3)),
        0x83 => Some((be24(head, at + 1)?, at + 4)),
        0x84 => Some((be32(head, at + 1)?, at + 5)),
        _ => None,
    }
}

/// Tells LDAP by a first message that a client or a server can begin with.
pub(super) fn probe(head: &[u8]) -> Verdict {
    match frame(head) {
        Some(frame) if matches!(frame.kind, 0x60 | 0x61 | 0x63 | 0x64 | 0x65 | 0x73 | 0x77 | 0x78) => {
            Verdict::Is(Kind::Ldap)
        }
        Some(_) => Verdict::Not,
        None if head.len() >= HEAD => Verdict::Not,
        None => {
            // The number must stand where it would.
            let begins = |(_, begin): (u32, usize)| head.get(begin).is_none_or(|tag| *tag == 2);
            if length(head, 1).is_none_or(begins) { Verdict::Maybe } else { Verdict::Not }
        }
    }
}

/// Whether a datagram is a message of LDAP without a connection.
pub(super) fn is_datagram(bytes: &[u8]) -> bool {
    frame(bytes).is_some_and(|frame| frame.length == bytes.len() as u64 && matches!(frame.kind, 0x63..=0x65))
}

/// A connection of LDAP.
#[derive(Debug, Default)]
pub(super) struct Ldap {
    sides: [Framer; 2],
    messages: u16,
    /// The client has shown who it is.
    shown: bool,
}

impl Ldap {
    pub(super) fn feed(&mut self, side: Side, bytes: &[u8], out: &mut Vec<Sight>) -> Next {
        let Self { sides, messages, shown } = self;
        let fed = sides[index(side)].feed(bytes, 2, |view| {
            if view[0] != 0x30 {
                return Step::Lost;
            }
            let Some(frame) = frame(view) else {
                // As many bytes as the length takes, then number and kind, one by one.
                return if view.len() < HEAD { Step::More(view.len() + 1) } else { Step::Lost };
            };
            let is_bind = matches!(frame.kind, BIND_REQUEST | BIND_ANSWER);
            let needed = usize::try_from(frame.length).unwrap_or(usize::MAX).min(BIND_MAX);
            if is_bind && view.len() < needed {
                return Step::More(needed);
            }
            *messages += 1;
            if is_bind {
                let found = ntlm::find(view);
                *shown |= found.is_some_and(|found| found.step == NtlmStep::Authenticate);
                out.extend(found.map(Sight::Ntlm));
            }
            let is_over = frame.kind == BIND_ANSWER && *shown && result(view, &frame) == Some(0);
            if is_over || *messages >= MESSAGES_MAX { Step::Stop } else { Step::Next(frame.length) }
        });
        if fed == Fed::All { Next::On } else { Next::Done }
    }

    pub(super) fn pass(&mut self, side: Side, bytes: u64) -> bool {
        self.sides[index(side)].pass(bytes)
    }

    /// What follows a hole is not read.
    pub(super) fn gap(&mut self) -> Next {
        Next::Done
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.sides.iter().map(Framer::room).sum()
    }
}

/// An answer's result: 0 success, 14 it goes on, 49 wrong password.
fn result(view: &[u8], frame: &Frame) -> Option<u8> {
    let (_, begin) = length(view, frame.at + 1)?;
    match view.get(begin..begin + 3)? {
        [0x0a, 1, code] => Some(*code),
        _ => None,
    }
}
