//! What a flow speaks, told by its first bytes and never by its port alone.

use schema::{Contact, Service, Side};

use super::bytes::{be16, be32, le16, le32};
use super::{dns, http, ldap, rdp, rpc, smb, tls};

/// So many first bytes of a side suffice to tell.
pub(super) const HEAD_MAX: usize = 64;

/// What first bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This, and there may be more to read in it.
    Is(Kind),
    /// This, and there is nothing in it to be read.
    Only(Service),
    /// More bytes are needed to tell.
    Maybe,
    /// Nothing that is known.
    Not,
}

/// What has a reader of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Smb,
    Tls,
    Http,
    Rdp,
    Rpc,
    Kerberos,
    Ldap,
    Dns,
    /// `220 …`: FTP or SMTP.
    Greeting,
}

use Verdict::{Is, Maybe, Not, Only};

/// Tells what the first bytes of a side's stream are.
///
/// What it says of a head, it also says of every longer one with the same beginning, unless it was [`Verdict::Maybe`].
pub(super) fn stream(contact: &Contact, side: Side, head: &[u8]) -> Verdict {
    let Some(first) = head.first() else { return Maybe };
    match first {
        0x00 => nothing_first(head),
        0x01 => known(head, &[0x01, 0x00], 42, dicom),
        0x03 => {
            known(head, &[0x03, 0x00], 12, |head| if rdp::is_connection(head) { Is(Kind::Rdp) } else { Not })
        }
        0x05 => known(head, &[0x05, 0x00], 16, |head| if rpc::is_header(head) { Is(Kind::Rpc) } else { Not }),
        0x0b => known(head, b"\x0bMSH", 5, mllp),
        0x11 => known(head, &[0x11, 0x30], 8, teamviewer),
        0x16 => known(head, &[0x16, 0x03], 6, |head| match head.first_chunk() {
            Some(record) if tls::is_hello(record) => Is(Kind::Tls),
            _ => Not,
        }),
        0x17 => known(head, &[0x17], 5, |head| match head.first_chunk() {
            Some(record) if tls::is_sealed(record) => Only(Service::Tls),
            _ => teamviewer(head),
        }),
        0x30 => ldap::probe(head),
        0x81 => known(head, &[0x81, 0x00, 0x00, 0x44, 0x20], 5, |_| Is(Kind::Smb)),
        0xff => telnet(contact, head),
        b'2' if side == Side::Server => known(head, b"220", 4, |head| match head[3] {
            b' ' | b'-' => Is(Kind::Greeting),
            _ => Not,
        }),
        b'E' | b'L' if side == Side::Client => smtp(head),
        // The same without the frame that is meant to be around it.
        b'M' if head[..head.len().min(4)] == b"MSH|"[..head.len().min(4)] => {
            known(head, b"MSH|^~\\&", 8, |_| Only(Service::Mllp))
        }
        b'R' => known(head, b"RFB 00", 12, |head| if head[11] == b'\n' { Only(Service::Vnc) } else { Not }),
        b'S' => known(head, b"SSH-", 7, |head| match &head[4..7] {
            b"2.0" | b"1.9" | b"1.5" | b"1.3" => Only(Service::Ssh),
            _ => Not,
        }),
        b'H' if side == Side::Client && !b"HEAD ".starts_with(&head[..head.len().min(5)]) => smtp(head),
        b'A'..=b'Z' => http::probe(side, head),
        _ => Not,
    }
}

/// Whether a segment of a flow whose beginning was not understood begins something that can be read from here.
pub(super) fn midstream(segment: &[u8]) -> Verdict {
    if smb::find(segment).is_some() {
        return Is(Kind::Smb);
    }
    match segment.first() {
        Some(0x05) if rpc::is_header(segment) => Is(Kind::Rpc),
        Some(0x17) if segment.first_chunk().is_some_and(tls::is_sealed) => Only(Service::Tls),
        Some(0x0b) if segment.starts_with(b"\x0bMSH|") => Only(Service::Mllp),
        _ => Not,
    }
}

/// `told` by `needed` bytes, as far as they begin with `mark`.
fn known(head: &[u8], mark: &[u8], needed: usize, told: impl FnOnce(&[u8]) -> Verdict) -> Verdict {
    let shared = mark.len().min(head.len());
    if head[..shared] != mark[..shared] {
        Not
    } else if head.len() < needed {
        Maybe
    } else {
        told(head)
    }
}

/// SMB behind its length, Kerberos and DNS behind theirs: all of them begin with a zero.
fn nothing_first(head: &[u8]) -> Verdict {
    if head.len() < 8 {
        return Maybe;
    }
    if smb::is_message(head) {
        return Is(Kind::Smb);
    }
    let inside = be32(head, 0).unwrap_or_default();
    if matches!(head[4], 0x6a..=0x6d | 0x7e) && super::kerberos::is_whole(&head[4..], inside) {
        return Is(Kind::Kerberos);
    }
    let length = be16(head, 0).unwrap_or_default();
    // Two bytes of length, two of number, then flags: the rest of the header decides.
    if length >= 17 && head[4] & 0xfa == 0 && head[6..8] == [0, 1] {
        return match head.get(2..2 + 12) {
            Some(header) if dns::is_query(header) => Is(Kind::Dns),
            Some(_) => Not,
            None => Maybe,
        };
    }
    Not
}

/// HL7 v2 in its frame, with any separator of fields.
fn mllp(head: &[u8]) -> Verdict {
    if head[4].is_ascii_punctuation() { Only(Service::Mllp) } else { Not }
}

/// A-ASSOCIATE-RQ: its length, version 1 and the two application entities' titles (DICOM PS3.8 §9.3.2).
fn dicom(head: &[u8]) -> Verdict {
    let is_title = |title: &[u8]| title.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let is_request = be32(head, 2).is_some_and(|length| (68..1 << 20).contains(&length))
        && be16(head, 6).is_some_and(|version| version & 1 == 1)
        && head.get(10..42).is_some_and(is_title);
    if is_request { Only(Service::Dicom) } else { Not }
}

/// TeamViewer's own framing: a mark, a command, and the length in two bytes or in four.
fn teamviewer(head: &[u8]) -> Verdict {
    let is_framed = match head {
        [0x17, 0x24, 0x08..=0x7f, ..] => le16(head, 3).is_some_and(|length| (1..0x2000).contains(&length)),
        [0x11, 0x30, _, 0, ..] => le32(head, 4).is_some_and(|length| length < 1 << 20),
        _ => false,
    };
    if is_framed { Only(Service::TeamViewer) } else { Not }
}

/// Commands of negotiation: two of them, or one on the port that is meant for it (RFC 854).
fn telnet(contact: &Contact, head: &[u8]) -> Verdict {
    let is_command = |at: usize| matches!(head.get(at..at + 3), Some([0xff, 0xfb..=0xfe, 0..=49]));
    if !matches!(head.get(1), None | Some(0xfb..=0xfe)) {
        return Not;
    }
    if matches!(contact.server.port, 23 | 2323) {
        return known(head, &[0xff], 3, |_| if is_command(0) { Only(Service::Telnet) } else { Not });
    }
    known(head, &[0xff], 6, |_| if is_command(0) && is_command(3) { Only(Service::Telnet) } else { Not })
}

fn smtp(head: &[u8]) -> Verdict {
    [b"EHLO ", b"HELO ", b"LHLO "]
        .iter()
        .map(|mark| known(head, *mark, mark.len(), |_| Only(Service::Smtp)))
        .find(|verdict| *verdict != Not)
        .unwrap_or(Not)
}
