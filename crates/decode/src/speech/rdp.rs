//! RDP before it encrypts ([MS-RDPBCGR] §2.2.1): X.224's connection request and confirm, and the client's core data.

use memchr::memmem;
use schema::{RdpSight, Side, Sight};

use super::bytes::{account_hash, be16, le16, le32};
use super::frame::{Fed, Framer, Step};
use super::{Next, index};

const TPKT: usize = 4;
/// X.224's header with its class.
const X224: usize = 7;
const REQUEST: u8 = 0xe0;
const CONFIRM: u8 = 0xd0;
const DATA: u8 = 0xf0;
/// The client's core data stands near the beginning of MCS Connect-Initial.
const INITIAL_MAX: usize = 1_024;
/// `CS_CORE`, and where in it the build stands.
const CORE: u16 = 0xc001;
const BUILD: usize = 20;

/// Whether X.224's connection request or confirm begins so. Other protocols over it name their ends where RDP has its cookie and its
/// negotiation. Twelve bytes suffice.
pub(super) fn is_connection(head: &[u8]) -> bool {
    let (Some(length), [_, _, _, _, indicator, kind, ..]) = (be16(head, 2), head) else { return false };
    let is_sound = length >= 11 && usize::from(*indicator) + 5 == usize::from(length);
    let variable = head.get(TPKT + X224).filter(|_| length > 11);
    is_sound
        && match kind & 0xf0 {
            REQUEST => matches!(variable, None | Some(1 | b'C' | b't')),
            CONFIRM => matches!(variable, None | Some(2 | 3)),
            _ => false,
        }
}

/// A connection of RDP.
#[derive(Debug, Default)]
pub(super) struct Rdp {
    sides: [Framer; 2],
    asked: bool,
    messages: u8,
}

/// MCS comes within so many messages.
const MESSAGES_MAX: u8 = 16;

impl Rdp {
    pub(super) fn feed(&mut self, side: Side, bytes: &[u8], out: &mut Vec<Sight>) -> Next {
        let Self { sides, asked, messages } = self;
        let fed = sides[index(side)].feed(bytes, TPKT, |view| {
            let length = usize::from(be16(view, 2).unwrap_or_default());
            // After the confirm TLS begins, or RDP's own short packets.
            if view[..2] != [3, 0] || length < TPKT + 3 {
                return Step::Stop;
            }
            let shown = length.min(INITIAL_MAX);
            if view.len() < shown {
                return Step::More(shown);
            }
            *messages += 1;
            let told = match view[5] & 0xf0 {
                REQUEST => request(view, asked),
                CONFIRM => confirm(view),
                DATA => build(view),
                _ => None,
            };
            out.extend(told.map(Sight::Rdp));
            let is_secure = matches!(told, Some(RdpSight::Chosen { protocol }) if protocol != 0);
            if is_secure || matches!(told, Some(RdpSight::Build { .. })) || *messages >= MESSAGES_MAX {
                Step::Stop
            } else {
                Step::Next(length as u64)
            }
        });
        if fed == Fed::All { Next::On } else { Next::Done }
    }

    /// The few messages in the clear are not read with a hole.
    pub(super) fn gap(&mut self) -> Next {
        Next::Done
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.sides.iter().map(Framer::room).sum()
    }
}

/// A cookie with the user's name, then what the client can do. A client that asks a second time says the same.
fn request(view: &[u8], asked: &mut bool) -> Option<RdpSight> {
    let variable = view.get(TPKT + X224..)?;
    let line = memmem::find(variable, b"\r\n");
    let cookie = line.and_then(|end| variable[..end].strip_prefix(b"Cookie: mstshash="));
    let account = cookie.map_or(0, |name| account_hash("", String::from_utf8_lossy(name).trim()));
    let negotiation = &variable[line.map_or(0, |end| end + 2)..];
    let protocols = if negotiation.first() == Some(&1) { le32(negotiation, 4).unwrap_or(0) } else { 0 };
    let is_first = !std::mem::replace(asked, true);
    is_first.then_some(RdpSight::Asked { protocols, account })
}

/// What the server chose; nothing when it refused, and RDP's own encryption when it says nothing.
fn confirm(view: &[u8]) -> Option<RdpSight> {
    match view.get(TPKT + X224) {
        Some(2) => Some(RdpSight::Chosen { protocol: le32(view, TPKT + X224 + 4)? }),
        Some(3) => None,
        _ => Some(RdpSight::Chosen { protocol: 0 }),
    }
}

/// The build in the client's core data, behind the mark of H.221.
fn build(view: &[u8]) -> Option<RdpSight> {
    let mark = memmem::find(view, b"Duca")? + 4;
    // The length of what follows has one byte or two.
    let begin = if view.get(mark)? & 0x80 == 0 { mark + 1 } else { mark + 2 };
    let mut at = begin;
    while let (Some(kind), Some(length)) = (le16(view, at), le16(view, at + 2)) {
        if kind == CORE {
            return Some(RdpSight::Build { build: le32(view, at + BUILD)? });
        }
        if length < 4 {
            return None;
        }
        at += usize::from(length);
    }
    None
}
