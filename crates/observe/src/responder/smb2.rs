//! SMB 2 ([MS-SMB2]): Negotiate of 2.0.2 or 2.1, and Session Setup as far as the challenge.

use super::ntlm;
use super::session::Session;

const HEADER: usize = 64;
const NEGOTIATE: u16 = 0;
const SESSION_SETUP: u16 = 1;
const MORE_PROCESSING: u32 = 0xc000_0016;
/// Newer dialects need contexts, and say no more of a client than these. The newest first.
const DIALECTS: [u16; 4] = [0x0210, 0x0202, 0x0302, 0x0300];

pub(super) fn answer(session: &mut Session, message: &[u8]) -> Option<Vec<u8>> {
    match number(message, 12)? {
        NEGOTIATE => {
            let count = usize::from(number(message, HEADER + 2)?).min(64);
            let offered: Vec<u16> =
                (0..count).filter_map(|place| number(message, HEADER + 36 + place * 2)).collect();
            let dialect = DIALECTS.into_iter().find(|dialect| offered.contains(dialect))?;
            Some(negotiated(session, dialect, message_id(message)?))
        }
        SESSION_SETUP => {
            let at = usize::from(number(message, HEADER + 12)?);
            let length = usize::from(number(message, HEADER + 14)?);
            let token = ntlm::read(message.get(at..at + length)?)?;
            session.hear(token.version);
            // With AUTHENTICATE all has been heard.
            (token.step == 1).then(|| challenged(session, message, &token)).flatten()
        }
        _ => None,
    }
}

pub(super) fn negotiated(session: &Session, dialect: u16, id: u64) -> Vec<u8> {
    let blob = ntlm::offer();
    let mut out = header(NEGOTIATE, 0, id, 0);
    out.extend(65u16.to_le_bytes());
    out.extend(1u16.to_le_bytes());
    out.extend(dialect.to_le_bytes());
    out.extend([0; 2]);
    out.extend([0x43; 16]);
    out.extend([0; 4]);
    (0..3).for_each(|_| out.extend(65_536u32.to_le_bytes()));
    out.extend(session.filetime.to_le_bytes());
    out.extend([0; 8]);
    out.extend(128u16.to_le_bytes());
    out.extend((blob.len() as u16).to_le_bytes());
    out.extend([0; 4]);
    out.extend(blob);
    out
}

fn challenged(session: &Session, message: &[u8], token: &ntlm::Token) -> Option<Vec<u8>> {
    let blob = ntlm::challenge(token, session.challenge);
    let mut out = header(SESSION_SETUP, MORE_PROCESSING, message_id(message)?, 0x0400_0000_0001);
    out.extend(9u16.to_le_bytes());
    out.extend([0; 2]);
    out.extend(72u16.to_le_bytes());
    out.extend((blob.len() as u16).to_le_bytes());
    out.extend(blob);
    Some(out)
}

fn header(command: u16, status: u32, id: u64, session: u64) -> Vec<u8> {
    let mut out = b"\xfeSMB".to_vec();
    out.extend(64u16.to_le_bytes());
    out.extend([0; 2]);
    out.extend(status.to_le_bytes());
    out.extend(command.to_le_bytes());
    out.extend(1u16.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    out.extend([0; 4]);
    out.extend(id.to_le_bytes());
    out.extend([0; 8]);
    out.extend(session.to_le_bytes());
    out.extend([0; 16]);
    out
}

fn message_id(message: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*message.get(24..)?.first_chunk()?))
}

fn number(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*message.get(at..)?.first_chunk()?))
}
