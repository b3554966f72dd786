//! A warning at the top of what a mail program shows.
//!
//! Only texts are touched, in the charset and the transfer encoding that they have; signed and encrypted parts (S/MIME, PGP) and
//! whatever is not understood stay as they are. The header is left alone, so that the new body fits the old one. A DKIM signature of the
//! sender does not hold afterwards: the banner belongs behind the gateway.

mod mime;
#[cfg(test)]
mod tests;

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::{Encoding, ISO_2022_JP, UTF_16BE, UTF_16LE};

use mime::{Header, Transfer};

const DEPTH_MAX: usize = 8;
const PARTS_MAX: usize = 200;
const BASE64_LINE: usize = 76;

/// What the banner says. Neither text holds mark-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// In ASCII, where a text's charset or encoding carries nothing else.
    pub ascii: String,
    /// In full.
    pub full: String,
}

/// The body of a mail with the banner in it; `None` where nothing could be changed.
pub fn body_with(message: &[u8], words: &Words) -> Option<Vec<u8>> {
    let (header, at) = mime::header(message);
    let mut found = Found { message, words, changes: Vec::new(), parts: 0 };
    found.part(&header, at..message.len(), 0);
    if found.changes.is_empty() {
        return None;
    }
    let mut body = Vec::with_capacity(message.len() - at + 2_048);
    let mut from = at;
    for (range, new) in found.changes {
        body.extend_from_slice(message.get(from..range.start)?);
        body.extend_from_slice(&new);
        from = range.end;
    }
    body.extend_from_slice(message.get(from..)?);
    Some(body)
}

/// The changes on their way through the parts, in their order.
struct Found<'a> {
    message: &'a [u8],
    words: &'a Words,
    changes: Vec<(Range<usize>, Vec<u8>)>,
    parts: usize,
}

impl Found<'_> {
    fn part(&mut self, header: &Header, range: Range<usize>, depth: usize) {
        self.parts += 1;
        if depth > DEPTH_MAX || self.parts > PARTS_MAX || header.is_attachment() {
            return;
        }
        let kind = header.kind();
        match kind.as_str() {
            "text/plain" | "text/html" => self.text(header, range, kind == "text/html"),
            // Whatever a signature covers, and whatever only its reader can open.
            "multipart/signed" | "multipart/encrypted" => {}
            _ if kind.starts_with("multipart/") => {
                let Some(boundary) = header.parameter("boundary") else { return };
                let parts = mime::parts(self.message, range, boundary.as_bytes(), PARTS_MAX);
                // Of versions of one text each gets it; of several things only the first one is what is read first.
                let shown = if kind == "multipart/alternative" { parts.len() } else { 1 };
                for part in parts.into_iter().take(shown) {
                    let Some(bytes) = self.message.get(part.clone()) else { return };
                    let (header, at) = mime::header(bytes);
                    self.part(&header, part.start + at..part.end, depth + 1);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, header: &Header, range: Range<usize>, html: bool) {
        let Some(text) = self.message.get(range.clone()) else { return };
        let charset = header.parameter("charset").unwrap_or_else(|| "us-ascii".to_owned());
        let Some(encoding) = encoding(&charset) else { return };
        let transfer = header.transfer();
        let new = match transfer {
            Transfer::Plain { eight_bit } => {
                self.inserted(text, encoding, html, eight_bit || encoding == ISO_2022_JP)
            }
            Transfer::Quoted => {
                let new = mime::unquoted(text).and_then(|plain| self.inserted(&plain, encoding, html, true));
                new.map(|new| mime::quoted(&new))
            }
            Transfer::Base64 => {
                let compact: Vec<u8> =
                    text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
                let plain = STANDARD.decode(&compact).ok();
                let new = plain.and_then(|plain| self.inserted(&plain, encoding, html, true));
                new.map(|new| folded(&STANDARD.encode(new), text))
            }
            Transfer::Other => None,
        };
        if let Some(new) = new {
            self.changes.push((range, new));
        }
    }

    /// A decoded text with the banner in it.
    fn inserted(&self, text: &[u8], encoding: &'static Encoding, html: bool, wide: bool) -> Option<Vec<u8>> {
        if has_pgp(text) {
            return None;
        }
        let banner = self.banner(encoding, html, wide);
        let at = if html { begin_of_body(text, encoding) } else { 0 };
        Some([text.get(..at)?, &banner, text.get(at..)?].concat())
    }

    /// The banner in a text's charset; in ASCII where that charset, or 7 bits, have no room for more.
    fn banner(&self, encoding: &'static Encoding, html: bool, wide: bool) -> Vec<u8> {
        if html {
            // References to characters are ASCII in every charset that comes this far.
            return block(&self.words.full).into_bytes();
        }
        let line = "-".repeat(60);
        let text = |words: &str| format!("{line}\r\n{}\r\n{line}\r\n\r\n", words.replace('\n', "\r\n"));
        if wide {
            let full = text(&self.words.full);
            let (bytes, _, lost) = encoding.encode(&full);
            if !lost {
                return bytes.into_owned();
            }
        }
        text(&self.words.ascii).into_bytes()
    }
}

/// The charsets that can be written here, all of which have ASCII in them.
fn encoding(charset: &str) -> Option<&'static Encoding> {
    let found = Encoding::for_label(charset.as_bytes())?;
    let writes = found.output_encoding() == found && found != UTF_16BE && found != UTF_16LE;
    writes.then_some(found)
}

/// A signature over the text itself, or a text that only its reader can open.
fn has_pgp(text: &[u8]) -> bool {
    text.windows(15).any(|window| window == b"-----BEGIN PGP ")
}

/// Behind the `<body …>` tag, else at the begin.
fn begin_of_body(text: &[u8], encoding: &'static Encoding) -> usize {
    let mut two_bytes = false;
    let mut at = 0;
    while at < text.len() {
        let Some(rest) = text.get(at..) else { return 0 };
        // In ISO-2022-JP the bytes of a kanji may look like a tag.
        if encoding == ISO_2022_JP && rest.first() == Some(&0x1b) {
            two_bytes = rest.get(1) == Some(&b'$');
        }
        let is_tag = !two_bytes
            && rest.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case(b"<body"))
            && rest.get(5).is_some_and(|next| next.is_ascii_whitespace() || *next == b'>');
        if is_tag {
            return rest.iter().position(|&byte| byte == b'>').map_or(0, |end| at + end + 1);
        }
        at += 1;
    }
    0
}

fn block(words: &str) -> String {
    let mut text = String::new();
    for char in words.chars() {
        match char {
            '\n' => text.push_str("<br>"),
            '<' | '>' | '&' | '"' => text.push_str(&format!("&#{};", u32::from(char))),
            _ if char.is_ascii() => text.push(char),
            _ => text.push_str(&format!("&#x{:X};", u32::from(char))),
        }
    }
    format!(
        "\r\n<div style=\"border:2px solid #b00020;background:#fff4f4;color:#222;padding:8px 12px;margin:0 0 12px;\r\n\
         font-family:sans-serif;font-size:14px\">{}</div>\r\n",
        // A line of mail is at most 998 bytes.
        text.replace("<br>", "<br>\r\n")
    )
}

/// Base64 in lines, with the line end that the text had.
fn folded(encoded: &str, before: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded.len() + encoded.len() / 38 + 4);
    for line in encoded.as_bytes().chunks(BASE64_LINE) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    if !before.ends_with(b"\n") {
        out.truncate(out.len().saturating_sub(2));
    }
    out
}
