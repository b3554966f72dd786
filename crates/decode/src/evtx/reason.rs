//! Why a logon failed, by the codes that Windows gives.

use schema::AuthReason;

/// NTSTATUS of 4625 and 4776 (MS-ERREF §2.3), and errors of Kerberos of 4768, 4769 and 4771 (RFC 4120 §7.5.9).
const CODES: &[(u32, AuthReason)] = &[
    (0xc000_0064, AuthReason::NoSuchAccount),
    (0xc000_006a, AuthReason::WrongSecret),
    // Not said which of the two: the name or the secret.
    (0xc000_006d, AuthReason::WrongSecret),
    (0xc000_0380, AuthReason::WrongSecret),
    (0xc000_006e, AuthReason::NotAllowed),
    (0xc000_006f, AuthReason::NotAllowed),
    (0xc000_0070, AuthReason::NotAllowed),
    (0xc000_015b, AuthReason::NotAllowed),
    (0xc000_0413, AuthReason::NotAllowed),
    (0xc000_0022, AuthReason::NotAllowed),
    (0xc000_0071, AuthReason::Expired),
    (0xc000_0193, AuthReason::Expired),
    (0xc000_0224, AuthReason::Expired),
    (0xc000_0072, AuthReason::Disabled),
    (0xc000_0234, AuthReason::Locked),
    (0xc000_005e, AuthReason::Broken),
    (0xc000_0133, AuthReason::Broken),
    (0xc000_018c, AuthReason::Broken),
    (0xc000_0192, AuthReason::Broken),
    (0x06, AuthReason::NoSuchAccount),
    (0x18, AuthReason::WrongSecret),
    (0x10, AuthReason::WrongSecret),
    (0x12, AuthReason::Disabled),
    (0x01, AuthReason::Expired),
    (0x17, AuthReason::Expired),
    (0x20, AuthReason::Expired),
    (0x0c, AuthReason::NotAllowed),
    (0x0d, AuthReason::NotAllowed),
    (0x25, AuthReason::Broken),
    (0x1f, AuthReason::Broken),
];

/// What a code says: `0xc000006a`, `0xC000006A`, or in decimal as some collectors write it (negative there). `None` when it says that
/// nothing failed.
pub(super) fn of(code: &str) -> Option<AuthReason> {
    let number = match code.strip_prefix("0x").or_else(|| code.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => code.parse::<i64>().ok().map(|number| number as u32),
    };
    match number {
        Some(0) => None,
        Some(number) => {
            let found = CODES.iter().find(|(other, _)| *other == number);
            Some(found.map_or(AuthReason::Unknown, |(_, reason)| *reason))
        }
        None => Some(AuthReason::Unknown),
    }
}
