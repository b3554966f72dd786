//! SMB 1, 2 and 3 behind the length of the NetBIOS session service (ports 445 and 139): [MS-CIFS], [MS-SMB2].
//!
//! Each message's header is read and its body counted, so that a capture of a file share costs as much as its messages, not its bytes.

mod name;
mod one;
mod pipe;
mod two;

use memchr::memchr_iter;
use schema::{Side, Sight, SmbSight};

use super::bytes::{be24, le32};
use super::frame::{Fed, Framer, Step};
use super::{Next, index};
use pipe::Pipes;

const LENGTH: usize = 4;
const MAGIC: usize = 4;
/// Header of an encrypted message (SMB2 TRANSFORM_HEADER), by which the message grows.
const TRANSFORM: u32 = 52;
const SMB1: [u8; 4] = *b"\xffSMB";
const SMB2: [u8; 4] = *b"\xfeSMB";
const SEALED: [u8; 4] = *b"\xfdSMB";
const PACKED: [u8; 4] = *b"\xfcSMB";

/// Whether a stream can begin so: a session message with SMB in it. Eight bytes suffice.
pub(super) fn is_message(head: &[u8]) -> bool {
    head.first() == Some(&0)
        && matches!(head.get(4..8), Some([0xfc..=0xff, b'S', b'M', b'B']))
        && be24(head, 1).is_some_and(|length| length >= 32)
}

/// Where in the middle of a stream a message certainly begins.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    memchr_iter(b'S', bytes).filter_map(|at| at.checked_sub(LENGTH + 1)).find(|at| is_certain(&bytes[*at..]))
}

/// Contents can hold the mark by chance; with the fields that never change they do not.
fn is_certain(head: &[u8]) -> bool {
    if !is_message(head) {
        return false;
    }
    let Some(length) = be24(head, 1) else { return false };
    let body = &head[LENGTH..];
    match body[0] {
        0xfe => body.get(4..6) == Some(&[64, 0]) && length >= 64 && two::is_header(body),
        0xfd => le32(body, 36).is_some_and(|inside| inside.checked_add(TRANSFORM) == Some(length)),
        0xff => length >= 35 && one::is_header(body),
        _ => false,
    }
}

/// An SMB connection.
#[derive(Debug, Default)]
pub(super) struct Smb {
    sides: [Place; 2],
    shared: Shared,
}

/// What both sides' messages say together.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pipes: Pipes,
    trees: Trees,
}

/// Where one side is in its stream.
#[derive(Debug, Default)]
struct Place {
    framer: Framer,
    /// Bytes of the session message that are still to come; between messages 0.
    left: u32,
    /// A hole was met, or what was no message: the next beginning is looked for.
    is_lost: bool,
}

impl Smb {
    pub(super) fn feed(&mut self, side: Side, mut bytes: &[u8], out: &mut Vec<Sight>) -> Next {
        let Self { sides, shared } = self;
        let place = &mut sides[index(side)];
        while !bytes.is_empty() {
            if place.is_lost {
                let Some(at) = find(bytes) else { return Next::On };
                bytes = &bytes[at..];
                place.is_lost = false;
            }
            let left = &mut place.left;
            let fed = place.framer.feed(bytes, LENGTH, |view| {
                if *left == 0 {
                    return session(view, left);
                }
                let (step, used) = element(view, *left, side, shared, out);
                *left -= used;
                step
            });
            match fed {
                Fed::All => return Next::On,
                Fed::Stopped => return Next::Done,
                Fed::Lost(rest) => {
                    place.left = 0;
                    place.is_lost = true;
                    // What was taken for a beginning is passed by.
                    bytes = rest.get(1..).unwrap_or_default();
                }
            }
        }
        Next::On
    }

    pub(super) fn pass(&mut self, side: Side, bytes: u64) -> bool {
        let place = &mut self.sides[index(side)];
        !place.is_lost && place.framer.pass(bytes)
    }

    pub(super) fn gap(&mut self, side: Side) -> Next {
        let place = &mut self.sides[index(side)];
        place.framer.begin();
        place.left = 0;
        place.is_lost = true;
        Next::On
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.sides.iter().map(|place| place.framer.room()).sum::<usize>() + self.shared.pipes.room()
    }
}

/// Reads the four bytes before each message (RFC 1002 §4.3); direct transport knows only the first kind.
fn session(view: &[u8], left: &mut u32) -> Step {
    let length = be24(view, 1).unwrap_or_default();
    match view[0] {
        // Shorter than any mark: passed by whole.
        0x00 if length < MAGIC as u32 => Step::Next(LENGTH as u64 + u64::from(length)),
        0x00 => {
            *left = length;
            Step::Next(LENGTH as u64)
        }
        // Request, its answers, keep-alive: their length has 17 bits.
        0x81..=0x85 if length < 1 << 17 => Step::Next(LENGTH as u64 + u64::from(length)),
        _ => Step::Lost,
    }
}

/// Reads one message, or one of several that came together, of which `left` bytes are still to come. Says also how many of these it took.
fn element(view: &[u8], left: u32, side: Side, shared: &mut Shared, out: &mut Vec<Sight>) -> (Step, u32) {
    match *view.first_chunk().unwrap_or(&[0; 4]) {
        SMB2 => two::read(view, left, shared, out),
        SMB1 => one::read(view, left, side, shared, out),
        SEALED if left >= TRANSFORM => {
            let sealed = SmbSight::Sealed { bytes: left - TRANSFORM, from_client: side == Side::Client };
            out.push(Sight::Smb(sealed));
            pass(left)
        }
        // Compressed: what of it is in the clear is not worth its reading.
        PACKED => pass(left),
        _ => (Step::Lost, 0),
    }
}

/// The message is passed by.
fn pass(length: u32) -> (Step, u32) {
    (Step::Next(u64::from(length)), length)
}

/// More of the message is needed; never more than there is of it.
fn more(view: &[u8], needed: usize, length: u32) -> Option<(Step, u32)> {
    let needed = needed.min(length as usize).min(super::frame::HELD_MAX);
    (view.len() < needed).then_some((Step::More(needed), 0))
}

/// Kinds of the trees that were connected lately.
#[derive(Debug, Default)]
struct Trees {
    known: [Option<(u32, bool)>; 12],
    next: usize,
}

impl Trees {
    fn note(&mut self, tree: u32, is_pipes: bool) {
        let place = self.known.iter().position(|known| known.is_some_and(|(id, _)| id == tree));
        self.known[place.unwrap_or(self.next)] = Some((tree, is_pipes));
        if place.is_none() {
            self.next = (self.next + 1) % self.known.len();
        }
    }

    /// Whether its files are pipes; `None` when its beginning was not seen.
    fn is_pipes(&self, tree: u32) -> Option<bool> {
        self.known.iter().flatten().find(|(id, _)| *id == tree).map(|(_, is_pipes)| *is_pipes)
    }
}
