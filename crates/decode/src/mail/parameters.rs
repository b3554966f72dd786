//! Content-Type and Content-Disposition with their parameters (RFC 2045 §5.1, RFC 2183, RFC 2231).

use super::{charset, transfer, words};

/// Parameters that are looked at: more than anybody sends.
const PARAMETERS_MAX: usize = 128;

/// `value; name=value; …`.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// Lower case, without parameters.
    pub(super) value: String,
    named: Vec<(String, String)>,
}

impl Parameters {
    pub(super) fn parse(raw: &[u8]) -> Self {
        let text = words::raw(raw);
        let (value, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        let value = value.split('(').next().unwrap_or_default();
        let value = value.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
        let mut pieces = Vec::new();
        while let Some(after) = rest.strip_prefix(';') {
            if pieces.len() >= PARAMETERS_MAX {
                break;
            }
            let (piece, left) = Piece::split(after);
            pieces.extend(piece);
            rest = left;
        }
        Self { value, named: join(pieces) }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.named.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// One parameter as it stands; `name*2*=…` is the third stretch of `name`, with percent escapes.
struct Piece {
    name: String,
    /// Which stretch, where it is one; and whether it carries escapes.
    stretch: Option<u32>,
    escaped: bool,
    value: String,
}

impl Piece {
    /// The parameter at the beginning and what comes behind it, from its semicolon on.
    fn split(text: &str) -> (Option<Self>, &str) {
        let end = text.find([';', '=']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let Some(rest) = rest.strip_prefix('=') else { return (None, rest) };
        let (value, rest) = value(rest.trim_start());
        let name = name.trim().to_ascii_lowercase();
        let (name, escaped) = name.strip_suffix('*').map_or((name.as_str(), false), |name| (name, true));
        let (name, stretch) = match name.split_once('*') {
            Some((name, number)) => (name, number.parse().ok()),
            None => (name, None),
        };
        (Some(Self { name: name.to_owned(), stretch, escaped, value }), rest)
    }
}

fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        return (value.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let rest = &quoted[at + 1..];
                return (value, rest.find(';').map_or("", |semicolon| &rest[semicolon..]));
            }
            // Windows paths are written with single backslashes; nothing but quotes needs an escape.
            '\\' => match chars.next() {
                Some((_, next @ ('"' | '\\'))) => value.push(next),
                Some((_, next)) => value.extend(['\\', next]),
                None => {}
            },
            c => value.push(c),
        }
    }
    (value, "")
}

fn join(pieces: Vec<Piece>) -> Vec<(String, String)> {
    let mut named: Vec<(String, String)> = Vec::new();
    let mut stretches: Vec<Piece> = Vec::new();
    for piece in pieces {
        if piece.stretch.is_some() || piece.escaped {
            stretches.push(piece);
        } else if !named.iter().any(|(name, _)| *name == piece.name) {
            named.push((piece.name, words::decode(&piece.value)));
        }
    }
    // The escaped form is the one that programs which know it prefer (RFC 6266 §4.3).
    stretches.sort_by(|a, b| a.name.cmp(&b.name).then(a.stretch.unwrap_or(0).cmp(&b.stretch.unwrap_or(0))));
    for run in stretches.chunk_by(|a, b| a.name == b.name) {
        let value = unescape(run);
        match named.iter_mut().find(|(name, _)| *name == run[0].name) {
            Some(plain) => plain.1 = value,
            None => named.push((run[0].name.clone(), value)),
        }
    }
    named
}

/// The stretches of one value, put together before the charset is undone: it may be cut anywhere.
fn unescape(run: &[Piece]) -> String {
    let mut label = String::new();
    let mut bytes = Vec::new();
    for (index, piece) in run.iter().enumerate() {
        let mut value = piece.value.as_str();
        if piece.escaped && index == 0 {
            let mut parts = value.splitn(3, '\'');
            if let (Some(charset), Some(_), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
                label = charset.trim().to_ascii_lowercase();
                value = rest;
            }
        }
        if piece.escaped {
            percent(value.as_bytes(), &mut bytes);
        } else {
            bytes.extend_from_slice(value.as_bytes());
        }
    }
    let text = if label.is_empty() { charset::guess(&bytes) } else { charset::decode(&bytes, &label).0 };
    words::decode(&text)
}

/// Undoes percent escapes; what is none stays.
pub(super) fn percent(text: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < text.len() {
        match text[at..] {
            [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(transfer::nibble(high) << 4 | transfer::nibble(low));
                at += 3;
            }
            [byte, ..] => {
                out.push(byte);
                at += 1;
            }
            [] => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Parameters;

    #[test]
    fn names_of_files_are_read_however_they_are_written() {
        for (raw, name) in [
            (&b"attachment; filename=\"a b;c.exe\"; size=3"[..], "a b;c.exe"),
            (b"attachment; filename=a b.exe; size=3", "a b.exe"),
            (b"attachment;\r\n filename=\"=?UTF-8?B?6KuL5rGC5pu4?=\r\n =?UTF-8?B?LmV4ZQ==?=\"", "請求書.exe"),
            (b"attachment; filename*=UTF-8''%E8%AB%8B%E6%B1%82.exe; filename=\"x.txt\"", "請求.exe"),
            (
                b"attachment; filename*1*=%8B%E6%B1%82; filename*0*=UTF-8''%E8%AB; filename*2=\".exe\"",
                "請求.exe",
            ),
            (b"attachment; filename*=ISO-2022-JP'ja'%1B%24B%40A5a%1B%28B.exe", "請求.exe"),
            (
                b"attachment; filename=\"\x90\xbf\x8b\x81\x8f\x91\x82\xcc\x83R\x83s\x81[.exe\"",
                "請求書のコピー.exe",
            ),
            (b"attachment; filename=\"C:\\dir\\x \\\"y\\\".exe", "C:\\dir\\x \"y\".exe"),
            (b"attachment; filename", ""),
            (b";;=;filename*9999999999999=\"x\";", "x"),
        ] {
            assert_eq!(
                Parameters::parse(raw).get("filename").unwrap_or_default(),
                name,
                "{}",
                raw.escape_ascii()
            );
        }
        let kind = Parameters::parse(b" Text / HTML (nothing);\tCharset = \"ISO-2022-JP\"; boundary=\"a b\"");
        assert_eq!((kind.value.as_str(), kind.get("charset")), ("text/html", Some("ISO-2022-JP")));
        assert_eq!(kind.get("boundary"), Some("a b"));
    }
}
