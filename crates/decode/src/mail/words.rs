//! Texts of header fields: folds, encoded words (RFC 2047), and the raw 8-bit characters that stand where only those may.

use memchr::{memchr, memchr2, memmem};

use super::charset;
use super::transfer;

/// Longer values are cut: no field that a person reads comes near it.
const VALUE_MAX: usize = 64 << 10;

/// A field's value as text, unfolded; encoded words stay as they are.
pub(super) fn raw(value: &[u8]) -> String {
    let value = &value[..value.len().min(VALUE_MAX)];
    let text = charset::guess(value);
    if memchr2(b'\r', b'\n', text.as_bytes()).is_none() {
        return text.trim().to_owned();
    }
    text.replace(['\r', '\n'], "").trim().to_owned()
}

/// A field's value as a reader sees it.
pub(super) fn text(value: &[u8]) -> String {
    decode(&raw(value))
}

/// Decodes the encoded words in `text`. Neighbours in one charset are decoded as one, as many a sender cuts a character in two.
pub(super) fn decode(text: &str) -> String {
    if memmem::find(text.as_bytes(), b"=?").is_none() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut open: Option<(String, Vec<u8>)> = None;
    let mut rest = text;
    let mut scan = Scan::default();
    while let Some(at) = memmem::find(rest.as_bytes(), b"=?") {
        let (before, from) = rest.split_at(at);
        let Some(word) = scan.word(from) else {
            close(&mut open, &mut out);
            out.push_str(before);
            out.push_str("=?");
            rest = &from[2..];
            continue;
        };
        if !(open.is_some() && before.chars().all(char::is_whitespace)) {
            close(&mut open, &mut out);
            out.push_str(before);
        }
        let bytes = word.bytes();
        match &mut open {
            Some((charset, gathered)) if charset.eq_ignore_ascii_case(word.charset) => {
                gathered.extend_from_slice(&bytes)
            }
            _ => {
                close(&mut open, &mut out);
                open = Some((word.charset.to_ascii_lowercase(), bytes));
            }
        }
        rest = &from[word.length..];
    }
    close(&mut open, &mut out);
    out.push_str(rest);
    out
}

fn close(open: &mut Option<(String, Vec<u8>)>, out: &mut String) {
    if let Some((charset, bytes)) = open.take() {
        let text = charset::decode(&bytes, &charset).0;
        // A line end in a word would be a line of its own in every list of mails.
        out.extend(text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')));
    }
}

/// `=?charset?encoding?text?=`.
pub(super) struct Word<'a> {
    charset: &'a str,
    base64: bool,
    text: &'a str,
    /// Of the whole word, bytes.
    pub(super) length: usize,
}

impl Word<'_> {
    fn bytes(&self) -> Vec<u8> {
        let text = self.text.as_bytes();
        if self.base64 {
            return transfer::base64(text, usize::MAX).0;
        }
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let [byte, after @ ..] = rest {
            rest = after;
            match (byte, after) {
                (b'_', _) => out.push(b' '),
                (b'=', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    out.push(transfer::nibble(*high) << 4 | transfer::nibble(*low));
                    rest = after;
                }
                _ => out.push(*byte),
            }
        }
        out
    }
}

/// Finds words; remembers when there is no end any more, so that a field full of beginnings takes no longer than another.
#[derive(Default)]
pub(super) struct Scan {
    endless: bool,
}

impl Scan {
    /// The word that `text` begins with.
    pub(super) fn word<'a>(&mut self, text: &'a str) -> Option<Word<'a>> {
        let inner = text.strip_prefix("=?")?;
        if self.endless {
            return None;
        }
        let head = &inner.as_bytes()[..inner.len().min(64)];
        let charset_end = memchr(b'?', head)?;
        // RFC 2231 lets a language follow the charset.
        let charset = inner[..charset_end].split('*').next().unwrap_or_default();
        let after = &inner[charset_end + 1..];
        let base64 = match after.as_bytes() {
            [b'B' | b'b', b'?', ..] => true,
            [b'Q' | b'q', b'?', ..] => false,
            _ => return None,
        };
        let Some(end) = memmem::find(&after.as_bytes()[2..], b"?=") else {
            self.endless = true;
            return None;
        };
        let text = &after[2..2 + end];
        // Raw characters within a word were read already; whatever charset it names, they are UTF-8 now.
        let charset = if text.is_ascii() { charset } else { "utf-8" };
        Some(Word { charset, base64, text, length: 2 + charset_end + 1 + 2 + end + 2 })
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn words_read_as_mail_programs_show_them() {
        for (value, expected) in [
            (&b" plain\r\n text "[..], "plain text"),
            (
                b"=?ISO-2022-JP?B?GyRCJCo7SCQkJE4bKEJBbWF6b24=?=\r\n =?ISO-2022-JP?B?GyRCJCwbKEI=?=",
                "お使いのAmazonが",
            ),
            // One character, cut in two.
            (b"=?utf-8?B?44GC44E=?= =?UTF-8?B?hA==?=", "あい"),
            (b"=?utf-8?Q?=E3=81=82_=E3=81=84?= b", "あ い b"),
            (b"=?iso-8859-1?Q?Fr\xf6sche?=", "Frösche"),
            // Words that begin and end in ASCII, and one that ends in the middle of a character.
            (b"=?ISO-2022-JP?B?GyRCJCobKEI=?= =?ISO-2022-JP?B?GyRCJCobKEI=?=", "おお"),
            (b"=?ISO-2022-JP?B?GyRCJCok?= =?ISO-2022-JP?B?KhsoQg==?=", "おお"),
            (b"a =?utf-8?Q?x?= b =?utf-8?Q?y?=", "a x b y"),
            (b"=?utf-8*ja?q?x?=", "x"),
            (b"=?utf-8?x?x?= =?utf-8?b?", "=?utf-8?x?x?= =?utf-8?b?"),
            (b"=?nobody-knows?Q?=82=A0=82=A2=82=A4?=", "あいう"),
            // Raw characters where only words may stand.
            (b"\x82\xa8\x8eg\x82\xa2\x82\xcc", "お使いの"),
            (b"\xa4\xaa\xbb\xc8\xa4\xa4\xa4\xce", "お使いの"),
            ("お使いの".as_bytes(), "お使いの"),
            (b"\x1b$B$*;H$$$N\x1b(BAmazon", "お使いのAmazon"),
            (b"$B$*;H$$$N(BAmazon", "お使いのAmazon"),
            (b"caf\xe9 cr\xe8me", "café crème"),
            (b"costs $B and (B)", "costs $B and (B)"),
        ] {
            assert_eq!(text(value), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn a_field_of_beginnings_takes_no_time() {
        let value = b"=?utf-8?q?a".repeat(5_000);
        assert_eq!(text(&value).len(), value.len());
    }
}
