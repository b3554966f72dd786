//! SMB 1 ([MS-CIFS], [MS-SMB]): Negotiate, and Session Setup as far as the challenge.

use schema::SystemVersion;

use super::session::Session;
use super::{ntlm, smb2};

const HEADER: usize = 32;
const NEGOTIATE: u8 = 0x72;
const SESSION_SETUP: u8 = 0x73;
/// Flags2: long names, extended security, NT status codes, Unicode.
const EXTENDED_SECURITY: u16 = 0x0800;
const FLAGS2: u16 = 0xc001;
/// Unicode, large files, NT's messages and status codes.
const CAPABILITIES: u32 = 0x0000_005c;
const MORE_PROCESSING: u32 = 0xc000_0016;
const LOGON_FAILURE: u32 = 0xc000_006d;

pub(super) fn answer(session: &mut Session, message: &[u8]) -> Option<Vec<u8>> {
    match *message.get(4)? {
        NEGOTIATE => negotiate(session, message),
        SESSION_SETUP => set_up(session, message),
        _ => None,
    }
}

fn negotiate(session: &Session, message: &[u8]) -> Option<Vec<u8>> {
    let dialects: Vec<&[u8]> = message.get(HEADER + 3..)?.split(|byte| *byte == 0).take(32).collect();
    let place = |name: &[u8]| dialects.iter().position(|it| it.strip_prefix(b"\x02") == Some(name));
    if place(b"SMB 2.???").is_some() {
        return Some(smb2::negotiated(session, 0x02ff, 0));
    }
    if place(b"SMB 2.002").is_some() {
        return Some(smb2::negotiated(session, 0x0202, 0));
    }
    let index = place(b"NT LM 0.12")? as u16;
    let is_extended = number(message, 10)? & EXTENDED_SECURITY != 0;
    let data = if is_extended {
        [&[0x43; 16][..], &ntlm::offer()].concat()
    } else {
        [&session.challenge[..], &[0; 4]].concat()
    };
    let capabilities = CAPABILITIES | if is_extended { 0x8000_0000 } else { 0 };
    let mut out = header(message, NEGOTIATE, 0, is_extended)?;
    out.push(17);
    out.extend(index.to_le_bytes());
    out.push(3);
    out.extend(50u16.to_le_bytes());
    out.extend(1u16.to_le_bytes());
    out.extend(16_644u32.to_le_bytes());
    out.extend(65_536u32.to_le_bytes());
    out.extend([0; 4]);
    out.extend(capabilities.to_le_bytes());
    out.extend(session.filetime.to_le_bytes());
    out.extend([0; 2]);
    out.push(if is_extended { 0 } else { 8 });
    out.extend((data.len() as u16).to_le_bytes());
    out.extend(data);
    Some(out)
}

fn set_up(session: &mut Session, message: &[u8]) -> Option<Vec<u8>> {
    let words = usize::from(*message.get(HEADER)?);
    let data_at = HEADER + 1 + words * 2 + 2;
    let is_unicode = number(message, 10)? & 0x8000 != 0;
    match words {
        12 => {
            let length = usize::from(number(message, HEADER + 1 + 14)?);
            let blob = message.get(data_at..data_at + length)?;
            session.hear(native_os(message, data_at + length, 0, is_unicode));
            let token = ntlm::read(blob)?;
            session.hear(token.version);
            // With AUTHENTICATE all has been heard.
            (token.step == 1).then(|| challenged(session, message, &token)).flatten()
        }
        13 => {
            let [oem, unicode] = [number(message, HEADER + 1 + 14)?, number(message, HEADER + 1 + 16)?];
            // Account and domain stand before the system's name.
            let from = data_at + usize::from(oem) + usize::from(unicode);
            session.hear(native_os(message, from, 2, is_unicode));
            let mut out = header(message, SESSION_SETUP, LOGON_FAILURE, false)?;
            out.extend([0; 3]);
            Some(out)
        }
        _ => None,
    }
}

fn challenged(session: &Session, message: &[u8], token: &ntlm::Token) -> Option<Vec<u8>> {
    let blob = ntlm::challenge(token, session.challenge);
    let mut out = header(message, SESSION_SETUP, MORE_PROCESSING, true)?;
    out.extend([4, 0xff, 0, 0, 0, 0, 0]);
    out.extend((blob.len() as u16).to_le_bytes());
    // System and LAN manager: two empty names, aligned to words.
    let pad = (out.len() + 2 + blob.len()) % 2;
    out.extend(((blob.len() + pad + 4) as u16).to_le_bytes());
    out.extend(blob);
    out.extend(vec![0; pad + 4]);
    Some(out)
}

/// The request's header as an answer's: ids are kept, the user's id is made up.
fn header(request: &[u8], command: u8, status: u32, is_extended: bool) -> Option<Vec<u8>> {
    let mut out = b"\xffSMB".to_vec();
    out.push(command);
    out.extend(status.to_le_bytes());
    out.push(0x88);
    out.extend((FLAGS2 | if is_extended { EXTENDED_SECURITY } else { 0 }).to_le_bytes());
    out.extend([0; 12]);
    out.extend(request.get(24..28)?);
    out.extend(if command == SESSION_SETUP { [0x00, 0x08] } else { [0, 0] });
    out.extend(request.get(30..32)?);
    Some(out)
}

/// The system's name behind `skip` other names.
fn native_os(message: &[u8], from: usize, skip: usize, is_unicode: bool) -> Option<SystemVersion> {
    let rest = message.get(from..)?;
    let text: String = if is_unicode {
        // Names are aligned to words, counted from the header.
        let rest = rest.get(from % 2..)?;
        let units =
            rest.chunks_exact(2).take(1024).filter_map(|it| Some(u16::from_le_bytes(*it.first_chunk()?)));
        char::decode_utf16(units).map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    } else {
        rest.iter().take(1024).copied().map(char::from).collect()
    };
    version(text.split('\0').nth(skip)?)
}

/// The version by the build number in names such as `Windows 2003 3790 Service Pack 2`.
fn version(name: &str) -> Option<SystemVersion> {
    if !name.starts_with("Windows") {
        return None;
    }
    let builds = name.split(|it: char| !it.is_ascii_digit()).filter_map(|digits| digits.parse::<u16>().ok());
    builds.into_iter().find_map(|build| {
        let (major, minor) = match build {
            2195 => (5, 0),
            2600 => (5, 1),
            3790 => (5, 2),
            6000..=6003 => (6, 0),
            7600 | 7601 => (6, 1),
            9200 => (6, 2),
            9600 => (6, 3),
            10_240..=32_000 => (10, 0),
            _ => return None,
        };
        Some(SystemVersion { major, minor, build })
    })
}

fn number(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*message.get(at..)?.first_chunk()?))
}
