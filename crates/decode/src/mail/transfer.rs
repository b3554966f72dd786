//! Content-Transfer-Encoding (RFC 2045 §6), as lenient as mail programs are.

use memchr::memchr;

const OTHER: u8 = 0xff;
const BLANK: u8 = 0xfe;
const PAD: u8 = 0xfd;

static TABLE: [u8; 256] = table();

const fn table() -> [u8; 256] {
    let mut table = [OTHER; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < 64 {
        table[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    table[b' ' as usize] = BLANK;
    table[b'\t' as usize] = BLANK;
    table[b'\r' as usize] = BLANK;
    table[b'\n' as usize] = BLANK;
    table[b'=' as usize] = PAD;
    table
}

/// At most about `cap` bytes of Base64, and whether something in it is none.
pub(super) fn base64(text: &[u8], cap: usize) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity((text.len() / 4 * 3).min(cap) + 3);
    let (mut word, mut count, mut broken) = (0u32, 0u8, false);
    let mut rest = text;
    while out.len() < cap {
        if count == 0 {
            while let [a, b, c, d, tail @ ..] = rest {
                let four = [a, b, c, d].map(|byte| TABLE[usize::from(*byte)]);
                if four.iter().any(|value| *value >= 64) || out.len() >= cap {
                    break;
                }
                let word = four.iter().fold(0u32, |word, value| word << 6 | u32::from(*value));
                out.extend_from_slice(&word.to_be_bytes()[1..]);
                rest = tail;
            }
        }
        let Some((&byte, tail)) = rest.split_first() else { break };
        rest = tail;
        match TABLE[usize::from(byte)] {
            BLANK => {}
            PAD => {
                broken |= count == 1;
                flush(word, count, &mut out);
                (word, count) = (0, 0);
            }
            OTHER => broken = true,
            value => {
                word = word << 6 | u32::from(value);
                count += 1;
                if count == 4 {
                    out.extend_from_slice(&word.to_be_bytes()[1..]);
                    (word, count) = (0, 0);
                }
            }
        }
    }
    broken |= count == 1;
    flush(word, count, &mut out);
    (out, broken)
}

fn flush(word: u32, count: u8, out: &mut Vec<u8>) {
    match count {
        2 => out.push((word >> 4) as u8),
        3 => out.extend_from_slice(&[(word >> 10) as u8, (word >> 2) as u8]),
        _ => {}
    }
}

/// At most about `cap` bytes of quoted-printable, and whether something in it is none.
pub(super) fn quoted_printable(text: &[u8], cap: usize) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(text.len().min(cap));
    let mut broken = false;
    let mut rest = text;
    while !rest.is_empty() && out.len() < cap {
        let (line, end, tail) = match memchr(b'\n', rest) {
            Some(at) if at > 0 && rest[at - 1] == b'\r' => (&rest[..at - 1], &b"\r\n"[..], &rest[at + 1..]),
            Some(at) => (&rest[..at], &b"\n"[..], &rest[at + 1..]),
            None => (rest, &b""[..], &b""[..]),
        };
        rest = tail;
        // Blanks at the end were added on the way (RFC 2045 §6.7, rule 3).
        let line = line.trim_ascii_end();
        let (line, soft) = line.strip_suffix(b"=").map_or((line, false), |line| (line, true));
        broken |= quoted_line(line, &mut out);
        if !soft {
            out.extend_from_slice(end);
        }
    }
    out.truncate(cap);
    (out, broken)
}

fn quoted_line(mut line: &[u8], out: &mut Vec<u8>) -> bool {
    let mut broken = false;
    while let Some(at) = memchr(b'=', line) {
        out.extend_from_slice(&line[..at]);
        match line.get(at + 1..at + 3) {
            Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(nibble(*high) << 4 | nibble(*low));
                line = &line[at + 3..];
            }
            _ => {
                out.push(b'=');
                broken = true;
                line = &line[at + 1..];
            }
        }
    }
    out.extend_from_slice(line);
    broken
}

/// The value of a hexadecimal digit; of anything else, zero.
pub(super) fn nibble(digit: u8) -> u8 {
    (digit as char).to_digit(16).map_or(0, |value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::{base64, quoted_printable};

    #[test]
    fn base64_is_read_as_far_as_it_goes() {
        for (text, expected, broken) in [
            (&b"aGVs\r\nbG8="[..], &b"hello"[..], false),
            (b"aGVsbG8", b"hello", false),
            (b"aGVs bG8=aGVsbG8=", b"hellohello", false),
            (b"aG!Vs*bG8=", b"hello", true),
            (b"aGVsbG8=\r\n-----\r\n", b"hello", true),
            (b"a", b"", true),
            (b"", b"", false),
        ] {
            let (bytes, is_broken) = base64(text, usize::MAX);
            assert_eq!((bytes.as_slice(), is_broken), (expected, broken), "{}", text.escape_ascii());
        }
        assert!(base64(&b"QUJD".repeat(1000), 10).0.len() < 14);
    }

    #[test]
    fn quoted_printable_is_read_as_far_as_it_goes() {
        for (text, expected, broken) in [
            (&b"a=3Db=\r\nc  \r\nd"[..], &b"a=bc\r\nd"[..], false),
            (b"a=3db= \nc\nd=", b"a=bc\nd", false),
            (b"1=2, x=zz=4", b"1=2, x=zz=4", true),
        ] {
            let (bytes, is_broken) = quoted_printable(text, usize::MAX);
            assert_eq!((bytes.as_slice(), is_broken), (expected, broken), "{}", text.escape_ascii());
        }
        assert_eq!(quoted_printable(&b"ab\n".repeat(1000), 10).0.len(), 10);
    }
}
