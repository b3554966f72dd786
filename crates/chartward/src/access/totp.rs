//! Time-based one-time codes as authenticator apps make them: RFC 6238 with SHA-1, 30 seconds, 6 digits.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use qrcode::{EcLevel, QrCode};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::text::equal;

const STEP_SECONDS: u64 = 30;

/// Bytes of a secret, as RFC 4226 §4 recommends.
pub(super) const SECRET_BYTES: usize = 20;

/// The step that an instant lies in.
pub(super) fn step_at(now: Timestamp) -> u64 {
    u64::try_from(now.as_second()).unwrap_or(0) / STEP_SECONDS
}

/// The code of a step with so many digits (RFC 4226 §5.3).
pub(super) fn code(secret: &[u8], step: u64, digits: u32) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else {
        // HMAC takes keys of every length.
        return String::new();
    };
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash[19] & 0x0f);
    let four = [hash[offset] & 0x7f, hash[offset + 1], hash[offset + 2], hash[offset + 3]];
    let number = u32::from_be_bytes(four) % 10_u32.pow(digits);
    format!("{number:0width$}", width = digits as usize)
}

/// The step whose code this is: the present one or its neighbours, later than `last`. All three are always compared.
pub(super) fn matching_step(secret: &[u8], typed: &str, last: u64, now: Timestamp) -> Option<u64> {
    let present = step_at(now);
    let mut found = None;
    for step in present.saturating_sub(1)..=present + 1 {
        if equal(&code(secret, step, 6), typed) && step > last {
            found = Some(step);
        }
    }
    found
}

/// RFC 4648 base32 without padding, as authenticators take it.
pub(super) fn base32(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(5) * 8));
    for chunk in bytes.chunks(5) {
        let mut five = [0; 8];
        five[3..3 + chunk.len()].copy_from_slice(chunk);
        let number = u64::from_be_bytes(five);
        for place in 0..(chunk.len() * 8).div_ceil(5) {
            text.push(char::from(DIGITS[(number >> (35 - 5 * place)) as usize & 31]));
        }
    }
    text
}

/// What authenticators read from the QR code (Google Authenticator's key URI format).
pub(super) fn uri(secret: &[u8], hospital: &str, user: &str) -> Zeroizing<String> {
    let issuer = escaped(&format!("Chartward {hospital}"));
    Zeroizing::new(format!(
        "otpauth://totp/{issuer}:{}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
        escaped(user),
        *base32(secret)
    ))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.trim().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The QR code as an SVG element to be put into a page; dark on white in dark pages, too, or cameras do not read it.
pub(super) fn qr_svg(text: &str) -> String {
    let Ok(qr) = QrCode::with_error_correction_level(text, EcLevel::M) else {
        // Longer than any QR code: the page still shows the secret to be typed.
        return String::new();
    };
    let width = qr.width();
    let mut path = String::new();
    for (place, color) in qr.to_colors().into_iter().enumerate() {
        if color == qrcode::Color::Dark {
            let _ = write!(path, "M{} {}h1v1h-1z", place % width + 4, place / width + 4);
        }
    }
    let side = width + 8;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" class=\"qr\" role=\"img\" \
         shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/>\
         <path fill=\"#000\" d=\"{path}\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, the rows of SHA-1.
    #[test]
    fn rfc_6238_vectors() {
        let secret = b"12345678901234567890";
        for (second, expected) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let step = step_at(Timestamp::from_second(second).unwrap());
            assert_eq!(code(secret, step, 8), expected, "at {second}");
        }
    }

    /// RFC 4226 appendix D.
    #[test]
    fn rfc_4226_vectors() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (count, expected) in (0..).zip(expected) {
            assert_eq!(code(b"12345678901234567890", count, 6), expected);
        }
    }

    /// RFC 4648 §10, without the padding.
    #[test]
    fn rfc_4648_vectors() {
        for (bytes, expected) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(*base32(bytes.as_bytes()), expected);
        }
    }

    #[test]
    fn a_neighbouring_step_is_taken_and_none_twice() {
        let secret = [7; SECRET_BYTES];
        let now = Timestamp::from_second(1_800_000_015).unwrap();
        let present = step_at(now);
        for (offset, expected) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let step = present.checked_add_signed(offset).unwrap();
            let typed = code(&secret, step, 6);
            assert_eq!(matching_step(&secret, &typed, 0, now), expected.then_some(step), "{offset}");
            assert_eq!(matching_step(&secret, &typed, step, now), None, "a second time");
        }
    }

    #[test]
    fn the_uri_keeps_its_parts_apart() {
        let uri = uri(b"foobar", "第二 Hospital&x=1", "tanaka");
        assert!(uri.starts_with(
            "otpauth://totp/Chartward%20%E7%AC%AC%E4%BA%8C%20Hospital%26x%3D1:tanaka?secret=MZXW6YTBOI&"
        ));
        assert_eq!(uri.matches('&').count(), 4);
        assert!(qr_svg(&uri).starts_with("<svg"));
    }
}
