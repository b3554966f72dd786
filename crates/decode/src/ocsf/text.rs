//! Text of strangers, made fit to be shown and bounded.

use serde_json::Value;

use super::LINE_MAX;

/// The longest text that a line contributes, in bytes.
pub const STRING_MAX: usize = 512;
/// The longest name of a host (RFC 1123) and, for want of another rule, of an account.
pub(super) const NAME_MAX: usize = 255;

/// The text with everything written out that a reader would not see or that would turn the order of what stands
/// around it (control, zero-width and bidirectional characters), and cut to at most [`STRING_MAX`] bytes.
pub fn shown(text: &str) -> String {
    cut(text, STRING_MAX)
}

pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(bytes_max));
    for c in text.chars() {
        let before = out.len();
        if is_hidden(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        if out.len() > bytes_max {
            out.truncate(before);
            break;
        }
    }
    out
}

/// The string there, shown; empty for anything else.
pub(super) fn of(value: &Value) -> String {
    value.as_str().map(shown).unwrap_or_default()
}

/// The strings of an array, shown, at most so many, without empty ones.
pub(super) fn list(value: &Value, len_max: usize) -> Vec<String> {
    let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.filter(|text| !text.is_empty()).take(len_max).map(shown).collect()
}

/// The first of them that is a string with something in it.
pub(super) fn first<'a>(values: &[&'a Value]) -> Option<&'a str> {
    values.iter().filter_map(|value| value.as_str()).find(|text| !text.trim().is_empty())
}

/// A part of a detector's id: lower case, `[a-z0-9_.-]`, at most 64 bytes.
pub(super) fn id_part(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars().take(64) {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '_' | '.' | '-') => out.push(c),
            _ if out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    out.trim_matches(['.', '_', '-']).to_owned()
}

/// The line as it is kept: JSON still, hidden characters as JSON escapes, with a remark of ours.
pub(super) fn kept(line: &str, title: &str, remark: Option<&str>) -> String {
    if remark.is_none() && !line.chars().any(is_hidden) {
        return line.to_owned();
    }
    let mut out = String::with_capacity(line.len() + 128);
    let body = match (remark, line.strip_prefix('{')) {
        (Some(remark), Some(body)) => {
            out.push_str(&format!("{{\"chartward_remark\":{},", Value::from(remark)));
            body
        }
        _ => line,
    };
    for c in body.chars() {
        match c {
            // White space between tokens: none of these stands unescaped within a JSON string.
            '\t' | '\r' | '\n' => out.push(' '),
            c if is_hidden(c) => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
            }
            c => out.push(c),
        }
    }
    if out.len() > LINE_MAX {
        let remark = format!("{} The line found no room beside this.", remark.unwrap_or_default());
        return serde_json::json!({"chartward_remark": remark.trim(), "message": title}).to_string();
    }
    out
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
