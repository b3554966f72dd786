//! Kerberos (RFC 4120): who asks for which ticket, and how it is refused.

use kerberos_parser::krb5::{EncryptionType, KdcReq, PrincipalName};
use kerberos_parser::krb5_parser::{parse_as_req, parse_tgs_req};
use schema::{KerberosSight, Side, Sight};

use super::bytes::{account_hash, be16, be24, be32};
use super::frame::{Fed, Framer, HELD_MAX, Step};
use super::{Next, index};

const AS_REQUEST: u8 = 0x6a;
const AS_REPLY: u8 = 0x6b;
const TGS_REQUEST: u8 = 0x6c;
const TGS_REPLY: u8 = 0x6d;
const ERROR: u8 = 0x7e;

/// Whether `message` begins as one of Kerberos' with as many bytes as were announced. Four of its bytes suffice.
pub(super) fn is_whole(message: &[u8], announced: u32) -> bool {
    let length = match message.get(1) {
        Some(short @ 0..=0x7f) => u32::from(*short) + 2,
        Some(0x81) => u32::from(message.get(2).copied().unwrap_or(0)) + 3,
        Some(0x82) => u32::from(be16(message, 2).unwrap_or(0)) + 4,
        Some(0x83) => match be24(message, 2) {
            Some(length) => length + 5,
            // Only so much of it is there yet: its highest byte is 0 or 1, as a message has at most 128 KiB.
            None => return message.get(2).is_some_and(|high| *high <= 1),
        },
        _ => return false,
    };
    length == announced && matches!(message[0], AS_REQUEST..=TGS_REPLY | ERROR)
}

/// What a whole message shows.
pub(super) fn read(message: &[u8]) -> Option<KerberosSight> {
    match *message.first()? {
        AS_REQUEST => {
            let (_, request) = parse_as_req(message).ok()?;
            let account = hash(&request.req_body.realm.0, request.req_body.cname.as_ref());
            Some(KerberosSight::AsRequest { account, weak: is_weak(&request) })
        }
        AS_REPLY => Some(KerberosSight::AsReply),
        TGS_REQUEST => {
            let (_, request) = parse_tgs_req(message).ok()?;
            let service = hash(&request.req_body.realm.0, request.req_body.sname.as_ref());
            Some(KerberosSight::TgsRequest { service, weak: is_weak(&request) })
        }
        TGS_REPLY => Some(KerberosSight::TgsReply),
        ERROR => {
            #[allow(
                deprecated,
                reason = "the trait that replaces it belongs to a crate that nothing else here needs"
            )]
            let (_, error) = kerberos_parser::krb5_parser::parse_krb_error(message).ok()?;
            let realm = error.crealm.as_ref().unwrap_or(&error.realm);
            let account = hash(&realm.0, error.cname.as_ref());
            Some(KerberosSight::Error { code: u32::try_from(error.error_code.0).unwrap_or(0), account })
        }
        _ => None,
    }
}

fn hash(realm: &str, name: Option<&PrincipalName>) -> u64 {
    name.map_or(0, |name| account_hash(realm, &name.name_string.join("/")))
}

/// Whether RC4 and DES are all that is offered; Microsoft's own numbers for them are negative.
fn is_weak(request: &KdcReq<'_>) -> bool {
    let offered = &request.req_body.etype;
    !offered.is_empty() && offered.iter().all(|EncryptionType(kind)| matches!(kind, 1..=3 | 23 | 24 | ..=-1))
}

/// Kerberos over TCP: each message behind its length.
#[derive(Debug, Default)]
pub(super) struct Kerberos {
    sides: [Framer; 2],
}

impl Kerberos {
    pub(super) fn feed(&mut self, side: Side, bytes: &[u8], out: &mut Vec<Sight>) -> Next {
        let fed = self.sides[index(side)].feed(bytes, 8, |view| {
            let length = be32(view, 0).unwrap_or_default();
            if !is_whole(&view[4..], length) {
                return Step::Lost;
            }
            let whole = 4 + length as usize;
            // A reply's kind is all that is needed of it.
            let is_reply = matches!(view[4], AS_REPLY | TGS_REPLY);
            if !is_reply && view.len() < whole && whole <= HELD_MAX {
                return Step::More(whole);
            }
            out.extend(read(&view[4..]).map(Sight::Kerberos));
            Step::Next(whole as u64)
        });
        if fed == Fed::All { Next::On } else { Next::Done }
    }

    pub(super) fn pass(&mut self, side: Side, bytes: u64) -> bool {
        self.sides[index(side)].pass(bytes)
    }

    /// Clients mostly make a connection for each message.
    pub(super) fn gap(&mut self) -> Next {
        Next::Done
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.sides.iter().map(Framer::room).sum()
    }
}
