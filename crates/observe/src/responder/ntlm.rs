//! NTLM inside SPNEGO or bare ([MS-NLMP], RFC 4178): as much as an answer to NEGOTIATE needs.

use schema::SystemVersion;

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";
/// What the server is called.
const NAME: &str = "FILES";
/// `NTLMSSP_NEGOTIATE_VERSION`.
const WITH_VERSION: u32 = 0x0200_0000;
/// Unicode, target, NTLM, signing, extended session security, target information, version, 128 and 56 bits, key exchange.
const FLAGS: u32 = 0xe28a_8215;
/// 1.3.6.1.4.1.311.2.2.10.
const OID: [u8; 12] = [0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a];

/// What the server offers: `negTokenInit` with NTLM alone.
pub(super) fn offer() -> Vec<u8> {
    let mechanisms = der(0xa0, &der(0x30, &OID));
    let init = der(0xa0, &der(0x30, &mechanisms));
    let spnego = [0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];
    der(0x60, &[&spnego[..], &init].concat())
}

/// What a client's token holds.
pub(super) struct Token {
    /// 1 NEGOTIATE, 3 AUTHENTICATE.
    pub(super) step: u32,
    /// The version in it.
    pub(super) version: Option<SystemVersion>,
    is_bare: bool,
}

/// Reads a client's token; `None` without NTLM in it.
pub(super) fn read(blob: &[u8]) -> Option<Token> {
    let start = blob.windows(SIGNATURE.len()).position(|eight| eight == SIGNATURE)?;
    let message = blob.get(start..)?;
    let word = |at: usize| Some(u32::from_le_bytes(*message.get(at..)?.first_chunk()?));
    let step = word(8)?;
    let (flags_at, version_at) = if step == 3 { (60, 64) } else { (12, 32) };
    let has_version = word(flags_at).is_some_and(|flags| flags & WITH_VERSION != 0);
    let version = message.get(version_at..version_at + 4).filter(|_| has_version).and_then(|it| match *it {
        // Samba leaves zeros here, unless it names a version of Windows for compatibility.
        [0, ..] => None,
        [major, minor, low, high] => {
            Some(SystemVersion { major, minor, build: u16::from_le_bytes([low, high]) })
        }
        _ => None,
    });
    Some(Token { step, version, is_bare: start == 0 })
}

/// CHALLENGE, wrapped as the client wrapped its NEGOTIATE.
pub(super) fn challenge(to: &Token, challenge: [u8; 8]) -> Vec<u8> {
    let name: Vec<u8> = NAME.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut info = Vec::new();
    for kind in [2u16, 1] {
        info.extend(kind.to_le_bytes());
        info.extend((name.len() as u16).to_le_bytes());
        info.extend(&name);
    }
    info.extend([0; 4]);
    let mut message = SIGNATURE.to_vec();
    message.extend(2u32.to_le_bytes());
    let field = |message: &mut Vec<u8>, length: usize, at: usize| {
        message.extend((length as u16).to_le_bytes());
        message.extend((length as u16).to_le_bytes());
        message.extend((at as u32).to_le_bytes());
    };
    field(&mut message, name.len(), 56);
    message.extend(FLAGS.to_le_bytes());
    message.extend(challenge);
    message.extend([0; 8]);
    field(&mut message, info.len(), 56 + name.len());
    message.extend([6, 1, 0xb1, 0x1d, 0, 0, 0, 15]);
    message.extend(&name);
    message.extend(info);
    if to.is_bare {
        return message;
    }
    let state = [0xa0, 0x03, 0x0a, 0x01, 0x01];
    let parts = [&state[..], &der(0xa1, &OID), &der(0xa2, &der(0x04, &message))].concat();
    der(0xa1, &der(0x30, &parts))
}

fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut out = vec![tag];
    match length {
        0..=127 => out.push(length as u8),
        128..=255 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(contents);
    out
}
