//! Files that scripts carry within them (HTML smuggling).

/// Shorter words are words.
const RUN_MIN: usize = 24;
/// What may stand between two pieces of one text: `" + "`, a line's end, the commas of a list.
const GAP_MAX: usize = 12;

/// The length of the longest text of Base64, hexadecimal or percent escapes in a script or a data URL, bytes. Pieces that are put
/// together again count as one.
pub(super) fn longest(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let (mut longest, mut sum, mut gap_from) = (0usize, 0usize, 0usize);
    let mut at = 0;
    while at < bytes.len() {
        if !is_packed(bytes[at]) {
            at += 1;
            continue;
        }
        let length = bytes[at..].iter().take_while(|byte| is_packed(**byte)).count();
        if length >= RUN_MIN {
            let near = at - gap_from <= GAP_MAX;
            sum = if near { sum + length } else { length };
            longest = longest.max(sum);
            gap_from = at + length;
        }
        at += length;
    }
    let numbers = list_of_numbers(bytes);
    longest.max(numbers) as u64
}

/// Characters of Base64, its alphabet for URLs, and escapes (`%4d`, `\x4d`).
fn is_packed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'%' | b'\\' | b'_' | b'-')
}

/// How many bytes the longest list of small numbers gives: `[77,90,144,…]`.
fn list_of_numbers(bytes: &[u8]) -> usize {
    let (mut longest, mut numbers, mut digits) = (0usize, 0usize, 0usize);
    for byte in bytes {
        match byte {
            b'0'..=b'9' | b'x' | b'a'..=b'f' if digits < 4 => digits += 1,
            b',' if digits > 0 => {
                numbers += 1;
                digits = 0;
            }
            b' ' | b'\r' | b'\n' | b'\t' => {}
            _ => {
                longest = longest.max(numbers);
                (numbers, digits) = (0, 0);
            }
        }
    }
    longest = longest.max(numbers);
    if longest >= RUN_MIN { longest } else { 0 }
}

/// Calls by which a script hands a file to its reader.
const SAVES: &[&str] =
    &["atob(", "new blob", "mssaveoropenblob", "mssaveblob", "createobjecturl", "fromcharcode"];

/// The length of what a script carries: its whole quoted text where it names a call that saves files.
pub(super) fn of_script(script: &str) -> u64 {
    let longest = longest(script);
    let lower = script.to_ascii_lowercase();
    if !SAVES.iter().any(|call| lower.contains(call)) {
        return longest;
    }
    let runs = lower
        .split(|c: char| !c.is_ascii() || !is_packed(c as u8))
        .map(str::len)
        .filter(|length| *length >= RUN_MIN);
    longest.max(runs.sum::<usize>() as u64)
}

/// The length of a data URL's content; pictures and fonts are no files that anybody opens.
pub(super) fn of_url(url: &str) -> u64 {
    let Some(rest) = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).map(|_| &url[5..])
    else {
        return 0;
    };
    let (kind, content) = rest.split_once(',').unwrap_or(("", rest));
    let kind = kind.trim_start().get(..6).unwrap_or_default().to_ascii_lowercase();
    let is_picture = (kind == "image/" && !rest.to_ascii_lowercase().starts_with("image/svg"))
        || kind.starts_with("font/");
    if is_picture { 0 } else { longest(content) }
}
