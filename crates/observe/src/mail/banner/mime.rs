//! As much of MIME (RFC 2045, 2046) as it takes to put a text into a mail: headers of parts, boundaries, quoted-printable.

use std::ops::Range;

const FIELDS_MAX: usize = 1_000;

/// The fields of a part that say how to read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Header {
    content_type: String,
    transfer: String,
    disposition: String,
}

/// How a text's bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transfer {
    Plain { eight_bit: bool },
    Quoted,
    Base64,
    Other,
}

/// The header of a mail or a part, and where its body begins.
pub(super) fn header(bytes: &[u8]) -> (Header, usize) {
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        at += line.len();
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            break;
        }
        if text.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(text.trim());
            }
        } else if let Some((name, value)) = text.split_once(':').filter(|_| fields.len() < FIELDS_MAX) {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let find = |name: &str| {
        fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let header = Header {
        content_type: find("content-type"),
        transfer: find("content-transfer-encoding").to_ascii_lowercase(),
        disposition: find("content-disposition").to_ascii_lowercase(),
    };
    (header, at)
}

impl Header {
    /// `type/subtype` in lower case; plain text where nothing is said.
    pub(super) fn kind(&self) -> String {
        let kind = self.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind.is_empty() { "text/plain".to_owned() } else { kind }
    }

    pub(super) fn is_attachment(&self) -> bool {
        self.disposition.starts_with("attachment")
    }

    pub(super) fn transfer(&self) -> Transfer {
        match self.transfer.as_str() {
            "" | "7bit" => Transfer::Plain { eight_bit: false },
            "8bit" => Transfer::Plain { eight_bit: true },
            "quoted-printable" => Transfer::Quoted,
            "base64" => Transfer::Base64,
            _ => Transfer::Other,
        }
    }

    /// A parameter of the content type, without quotes.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut rest = self.content_type.split_once(';')?.1;
        while !rest.is_empty() {
            let (key, after) = rest.split_once('=')?;
            let after = after.trim_start();
            let (value, next) = match after.strip_prefix('"') {
                Some(quoted) => {
                    let (value, next) = until_quote(quoted);
                    (value, next.split_once(';').map_or("", |(_, next)| next))
                }
                None => {
                    let (value, next) = after.split_once(';').unwrap_or((after, ""));
                    (value.trim().to_owned(), next)
                }
            };
            if key.trim().eq_ignore_ascii_case(name) {
                return Some(value).filter(|value| !value.is_empty());
            }
            rest = next;
        }
        None
    }
}

fn until_quote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, char)| char)),
            _ => value.push(char),
        }
    }
    (value, "")
}

/// The parts between the boundaries, without the line end that belongs to the boundary; headers included.
pub(super) fn parts(message: &[u8], range: Range<usize>, boundary: &[u8], most: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut begin = None;
    let mut at = range.start;
    let Some(bytes) = message.get(range.clone()) else { return parts };
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let text = line.trim_ascii_end();
        let delimits = text.strip_prefix(b"--").and_then(|text| text.strip_prefix(boundary));
        let closes = match delimits {
            Some(b"") => Some(false),
            Some(b"--") => Some(true),
            _ => None,
        };
        if let Some(closes) = closes {
            if let Some(begin) = begin {
                parts.push(begin..without_line_end(message, begin, at));
            }
            begin = (!closes).then_some(at + line.len());
            if closes || parts.len() >= most {
                return parts;
            }
        }
        at += line.len();
    }
    // Without an end it ends with the mail.
    parts.extend(begin.map(|begin| begin..range.end));
    parts
}

fn without_line_end(message: &[u8], begin: usize, end: usize) -> usize {
    match message.get(begin..end) {
        Some(bytes) if bytes.ends_with(b"\r\n") => end - 2,
        Some(bytes) if bytes.ends_with(b"\n") => end - 1,
        _ => end,
    }
}

/// Quoted-printable as bytes; `None` where it is broken, so that nothing is lost by writing it anew.
pub(super) fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let content = line.trim_ascii_end();
        let end = if line.ends_with(b"\n") { &b"\r\n"[..] } else { b"" };
        let (content, end) = match content.strip_suffix(b"=") {
            Some(content) => (content, &b""[..]),
            None => (content, end),
        };
        let mut rest = content;
        while let Some((&first, after)) = rest.split_first() {
            if first == b'=' {
                let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
                out.push((digit(0)? * 16 + digit(1)?) as u8);
                rest = after.get(2..)?;
            } else {
                out.push(first);
                rest = after;
            }
        }
        out.extend_from_slice(end);
    }
    Some(out)
}

/// Bytes as quoted-printable, line ends kept.
pub(super) fn quoted(bytes: &[u8]) -> Vec<u8> {
    const LINE: usize = 73;
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let mut column = 0;
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        if rest.starts_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
            (column, rest) = (0, rest.get(2..).unwrap_or_default());
            continue;
        }
        let ends_line = after.is_empty() || after.starts_with(b"\r\n");
        let is_plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (byte == b' ' && !ends_line);
        let width = if is_plain { 1 } else { 3 };
        if column + width > LINE {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if is_plain {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("={byte:02X}").as_bytes());
        }
        column += width;
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_folded_and_quoted() {
        let text =
            b"Subject: x\r\nContent-Type: multipart/mixed; charset=\"utf-8\";\r\n\tboundary=\"a; \\\"b\"\r\n\
                     content-transfer-encoding: Quoted-Printable\r\n\r\nbody";
        let (header, at) = header(text);
        assert_eq!((header.kind().as_str(), header.transfer()), ("multipart/mixed", Transfer::Quoted));
        assert_eq!(header.parameter("BOUNDARY").as_deref(), Some("a; \"b"));
        assert_eq!(header.parameter("charset").as_deref(), Some("utf-8"));
        assert_eq!(&text[at..], b"body");
    }

    #[test]
    fn parts_are_what_lies_between_the_boundaries() {
        let text =
            b"preamble\r\n--b\r\n\r\none\r\n--b\r\nH: x\r\n\r\ntwo\r\n\r\n--b--\r\nepilogue\r\n--b\r\n";
        let parts = parts(text, 0..text.len(), b"b", 10);
        let read: Vec<&[u8]> = parts.into_iter().map(|part| &text[part]).collect();
        assert_eq!(read, [&b"\r\none"[..], b"H: x\r\n\r\ntwo\r\n"]);
    }

    #[test]
    fn quoted_printable_comes_back() {
        let text = "お知らせ = \t \r\nlong ".repeat(20) + "end ";
        assert_eq!(unquoted(&quoted(text.as_bytes())).unwrap(), text.as_bytes());
        assert!(quoted(text.as_bytes()).split(|&byte| byte == b'\n').all(|line| line.len() <= 77));
        assert_eq!(unquoted(b"broken =zz"), None);
    }
}
