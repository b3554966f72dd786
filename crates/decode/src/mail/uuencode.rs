//! Files within plain texts (`begin 644 name … end`), which Outlook and others still show as attachments.

use memchr::memmem;

/// Files of one text that are told.
const FILES_MAX: usize = 16;
/// A line holds at most 45 bytes: a length, then four characters for three of them.
const LINE_MAX: usize = 62;

/// A name and the bytes.
pub(super) type File = (String, Vec<u8>);

/// The files that `text` carries.
pub(super) fn files(text: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = memmem::find(rest.as_bytes(), b"begin ") {
        let (before, block) = rest.split_at(at);
        rest = &block[6..];
        if !(before.is_empty() || before.ends_with('\n')) {
            continue;
        }
        if let Some((file, after)) = file(block) {
            found.push(file);
            rest = after;
        }
        if found.len() >= FILES_MAX {
            break;
        }
    }
    found
}

/// One file and what follows it. Without an `end` it goes as far as its lines do.
fn file(block: &str) -> Option<(File, &str)> {
    let (head, mut rest) = block.split_once('\n')?;
    let (mode, name) = head.strip_prefix("begin ")?.trim_end().split_once(' ')?;
    if !(3..=4).contains(&mode.len()) || !mode.bytes().all(|digit| (b'0'..=b'7').contains(&digit)) {
        return None;
    }
    let mut bytes = Vec::new();
    while let Some((line, after)) = rest.split_once('\n').or((!rest.is_empty()).then_some((rest, ""))) {
        let line = line.trim_end_matches('\r');
        if line == "end" {
            rest = after;
            break;
        }
        if !decode_line(line.as_bytes(), &mut bytes) {
            break;
        }
        rest = after;
    }
    (!bytes.is_empty()).then(|| ((name.trim().to_owned(), bytes), rest))
}

/// Whether the line is one of a file. Blanks at its end are often lost on the way.
fn decode_line(line: &[u8], into: &mut Vec<u8>) -> bool {
    let Some((&length, body)) = line.split_first() else { return true };
    if line.len() > LINE_MAX || !line.iter().all(|byte| (b' '..=b'`').contains(byte)) {
        return false;
    }
    let length = usize::from(length.wrapping_sub(b' ') & 0x3f);
    let needed = length.div_ceil(3) * 4;
    if body.len() > needed + 2 {
        return false;
    }
    let from = into.len();
    let value = |at: usize| u32::from(body.get(at).map_or(0, |byte| byte.wrapping_sub(b' ') & 0x3f));
    for at in (0..needed.min(body.len())).step_by(4) {
        let word = (0..4).fold(0, |word, next| word << 6 | value(at + next));
        into.extend_from_slice(&word.to_be_bytes()[1..]);
    }
    // What is not there is not made up: a text must not grow into a file many times its length.
    into.truncate(from + length.min((body.len() * 3).div_ceil(4)));
    true
}

#[cfg(test)]
mod tests {
    use super::files;

    #[test]
    fn files_in_texts_are_found() {
        let text = "Hello\nbegin 644 a b.exe\r\n#0V%T\r\n`\r\nend\r\nmore\nbegin 600 c.txt\n%:&5L;&\\\n";
        let found = files(text);
        assert_eq!(found, [("a b.exe".to_owned(), b"Cat".to_vec()), ("c.txt".to_owned(), b"hello".to_vec())]);
        for text in [
            "begin 644 x",
            "begin 644 x\nhello you\n",
            "begin at the beginning\nand so on",
            "begin 999 x\n#0V%T\n",
            "",
        ] {
            assert_eq!(files(text), [], "{text}");
        }
        assert!(files(&"begin 644 x\n#0V%T\n".repeat(10_000)).len() <= 16);
    }
}
