//! NTLM's three messages wherever they are carried ([MS-NLMP] §2.2.1).

use memchr::memmem;
use schema::{NtlmSight, NtlmStep, SystemVersion};

use super::bytes::{account_hash, le16, le32, utf16};

const SIGNATURE: &[u8] = b"NTLMSSP\0";
const UNICODE: u32 = 0x0000_0001;
const WITH_VERSION: u32 = 0x0200_0000;
/// The longest name that an account's hash is made of; longer ones are cut.
const NAME_MAX: usize = 512;

/// The first NTLM message in `bytes`, which may begin before it and end within it.
pub(super) fn find(bytes: &[u8]) -> Option<NtlmSight> {
    let at = memmem::find(bytes, SIGNATURE)?;
    read(&bytes[at..])
}

fn read(message: &[u8]) -> Option<NtlmSight> {
    let (step, flags, version) = match le32(message, 8)? {
        1 => (NtlmStep::Negotiate, le32(message, 12)?, 32),
        2 => (NtlmStep::Challenge, le32(message, 20)?, 48),
        3 => (NtlmStep::Authenticate, le32(message, 60).unwrap_or(0), 64),
        _ => return None,
    };
    let version = (flags & WITH_VERSION != 0).then(|| system(message, version)).flatten();
    let account = if step == NtlmStep::Authenticate { account(message, flags) } else { 0 };
    Some(NtlmSight { step, version, account })
}

fn system(message: &[u8], at: usize) -> Option<SystemVersion> {
    let (major, minor) = (*message.get(at)?, *message.get(at + 1)?);
    let build = le16(message, at + 2)?;
    // Samba and others set the flag and leave the version empty.
    (major > 0).then_some(SystemVersion { major, minor, build })
}

fn account(message: &[u8], flags: u32) -> u64 {
    let text = |at: usize| {
        let length = usize::from(le16(message, at)?).min(NAME_MAX);
        let offset = le32(message, at + 4)? as usize;
        let bytes = message.get(offset..offset.checked_add(length)?)?;
        Some(if flags & UNICODE != 0 { utf16(bytes) } else { String::from_utf8_lossy(bytes).into_owned() })
    };
    let (domain, user) = (text(28).unwrap_or_default(), text(36).unwrap_or_default());
    account_hash(&domain, &user)
}
