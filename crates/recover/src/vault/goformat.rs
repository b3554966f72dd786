//! The two encodings of Go that restic's trees contain: `strconv.Quote` for names, `encoding/json` for strings. Trees of the same
//! content should be the same bytes whoever wrote them, so that they are stored once.

/// Appends `name` as restic writes it into a tree: quoted as Go source, without the quotes, then as a JSON string.
pub(crate) fn write_name(out: &mut Vec<u8>, name: &[u8]) {
    let plain = |b: &u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\' | b'<' | b'>' | b'&');
    if name.iter().all(plain) {
        out.push(b'"');
        out.extend_from_slice(name);
        out.push(b'"');
    } else {
        write_string(out, &quote(name));
    }
}

/// Appends a JSON string as Go does: `<`, `>`, `&` and the two line separators are escaped, too.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Go's `strconv.Quote` without the quotes around.
pub(crate) fn quote(name: &[u8]) -> String {
    let mut quoted = String::with_capacity(name.len() + 8);
    for chunk in name.utf8_chunks() {
        chunk.valid().chars().for_each(|c| quote_char(&mut quoted, c));
        chunk.invalid().iter().for_each(|byte| quoted.push_str(&format!("\\x{byte:02x}")));
    }
    quoted
}

fn quote_char(quoted: &mut String, c: char) {
    match c {
        '"' => quoted.push_str("\\\""),
        '\\' => quoted.push_str("\\\\"),
        ' '..='~' => quoted.push(c),
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        c if is_print(c) => quoted.push(c),
        c if c < ' ' || c == '\x7f' => quoted.push_str(&format!("\\x{:02x}", c as u32)),
        c if c <= '\u{ffff}' => quoted.push_str(&format!("\\u{:04x}", c as u32)),
        c => quoted.push_str(&format!("\\U{:08x}", c as u32)),
    }
}

/// Go's `unicode.IsPrint`, which is what Rust's debug format knows about a character that does not begin a string.
fn is_print(c: char) -> bool {
    let mut text = [b'a', 0, 0, 0, 0];
    let length = 1 + c.encode_utf8(&mut text[1..]).len();
    std::str::from_utf8(&text[..length]).is_ok_and(|text| text.escape_debug().nth(1) == Some(c))
}

/// Go's `strconv.Unquote` for a text between quotes, or `None` if it is not one.
pub(crate) fn unquote(text: &str) -> Option<Vec<u8>> {
    if !text.contains(['\\', '"', '\n']) {
        return Some(text.as_bytes().to_vec());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '"' || c == '\n' {
            return None;
        }
        if c != '\\' {
            let length = c.len_utf8();
            bytes.extend_from_slice(&rest.as_bytes()[..length]);
            rest = &rest[length..];
            continue;
        }
        let escape = rest[1..].chars().next()?;
        rest = &rest[1 + escape.len_utf8()..];
        let simple = match escape {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            '"' => b'"',
            'x' => take_number(&mut rest, 2, 16)? as u8,
            'u' => {
                push_char(&mut bytes, take_number(&mut rest, 4, 16)?)?;
                continue;
            }
            'U' => {
                push_char(&mut bytes, take_number(&mut rest, 8, 16)?)?;
                continue;
            }
            '0'..='7' => {
                let more = take_number(&mut rest, 2, 8)?;
                u8::try_from(escape.to_digit(8)? * 64 + more).ok()?
            }
            _ => return None,
        };
        bytes.push(simple);
    }
    Some(bytes)
}

fn take_number(rest: &mut &str, digits: usize, radix: u32) -> Option<u32> {
    let text = rest.get(..digits)?;
    if !text.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    *rest = &rest[digits..];
    u32::from_str_radix(text, radix).ok()
}

fn push_char(bytes: &mut Vec<u8>, code: u32) -> Option<()> {
    bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_quoted_as_go_quotes_them() {
        // The right side was taken from trees that restic wrote.
        let cases: &[(&[u8], &str)] = &[
            (b"a.txt", r#""a.txt""#),
            (b"bad\xff\"q\\", r#""bad\\xff\\\"q\\\\""#),
            ("全角\u{3000}x<&>".as_bytes(), r#""全角\\u3000x\u003c\u0026\u003e""#),
            (b"tab\there", r#""tab\\there""#),
        ];
        for (name, expected) in cases {
            let mut out = Vec::new();
            write_name(&mut out, name);
            assert_eq!(String::from_utf8_lossy(&out), *expected);
        }
    }

    #[test]
    fn broken_quoting_is_refused() {
        for text in ["a\\", "\\x4", "\\q", "\"", "\\ud800", "\\U00110000", "\\777", "\\x+1"] {
            assert_eq!(unquote(text), None, "{text}");
        }
        assert_eq!(unquote("\\101\\x41\\u0041").as_deref(), Some(&b"AAA"[..]));
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in proptest::collection::vec(any::<u8>(), 0..60), text in "\\PC{0,20}") {
            for name in [name.as_slice(), text.as_bytes()] {
                prop_assert_eq!(unquote(&quote(name)), Some(name.to_vec()));
                let mut json = Vec::new();
                write_name(&mut json, name);
                let parsed: String = serde_json::from_slice(&json).unwrap();
                prop_assert_eq!(unquote(&parsed), Some(name.to_vec()));
            }
        }
    }
}
