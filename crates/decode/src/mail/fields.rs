//! The header of a mail or a part, split into fields, and where its body begins.

use memchr::memchr;

/// One field as it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    /// With its folds.
    pub(super) value: &'a [u8],
}

impl Field<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// A header and what follows it.
pub(super) struct Head<'a> {
    pub(super) fields: Vec<Field<'a>>,
    pub(super) body: &'a [u8],
    /// Whether there were more than the bound.
    pub(super) cut: bool,
    /// Whether a control character stands in it that no field may carry.
    pub(super) control: bool,
}

/// Splits at the first empty line; a header that runs into its body without one ends where no field stands any more.
pub(super) fn split(bytes: &[u8], limit: usize) -> Head<'_> {
    let mut head = Head { fields: Vec::new(), body: &[], cut: false, control: false };
    let (mut at, mut seen) = (0, 0usize);
    // Where the value of the last field began: a fold makes it longer.
    let mut open: Option<usize> = None;
    while at < bytes.len() {
        let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |found| at + found + 1);
        let line = trim_end(&bytes[at..end]);
        if line.is_empty() {
            at = end;
            break;
        }
        if matches!(line[0], b' ' | b'\t') {
            if let (Some(begun), Some(last)) = (open, head.fields.last_mut()) {
                last.value = trim_end(&bytes[begun..end]);
            }
        } else if let Some(colon) = name_end(line) {
            seen += 1;
            open = None;
            if seen <= limit {
                let begun = at + colon + 1;
                head.fields.push(Field {
                    name: line[..colon].trim_ascii_end(),
                    value: trim_end(&bytes[begun..end]),
                });
                open = Some(begun);
            }
        } else if is_skipped(line, &bytes[end..], seen) {
            open = None;
        } else {
            break;
        }
        at = end;
    }
    head.cut = seen > limit;
    head.control =
        bytes[..at].iter().any(|byte| *byte < 0x20 && !matches!(byte, b'\t' | b'\r' | b'\n' | 0x1b));
    head.body = &bytes[at..];
    head
}

/// Lines behind a torn one that are looked at.
const TORN_MAX: usize = 4;

/// Separators of mailboxes that slipped into a header, and a torn line between two sound ones.
fn is_skipped(line: &[u8], after: &[u8], seen: usize) -> bool {
    if line.starts_with(b"From ") || line.starts_with(b">From ") {
        return true;
    }
    let mut lines = after.split(|byte| *byte == b'\n').map(trim_end).take(TORN_MAX);
    let next = lines.find(|line| !line.starts_with(b" ") && !line.starts_with(b"\t")).unwrap_or_default();
    // A blank line may follow any text, so only a field proves that the header goes on.
    seen > 0 && name_end(next).is_some_and(|colon| is_usual(&next[..colon]))
}

/// Names that stand in headers and hardly at the beginning of a paragraph.
fn is_usual(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let known: [&[u8]; 10] = [
        b"from",
        b"to",
        b"cc",
        b"subject",
        b"date",
        b"received",
        b"message-id",
        b"mime-version",
        b"return-path",
        b"reply-to",
    ];
    known.contains(&name.as_slice())
        || name.starts_with(b"content-")
        || name.starts_with(b"x-")
        || name.starts_with(b"list-")
}

/// Where the colon of a field stands.
fn name_end(line: &[u8]) -> Option<usize> {
    let colon = memchr(b':', &line[..line.len().min(128)])?;
    let name = line[..colon].trim_ascii_end();
    (!name.is_empty() && name.iter().all(|byte| (33..=126).contains(byte))).then_some(colon)
}

fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::split;

    fn check(bytes: &[u8], names: &[&str], body: &[u8]) {
        let head = split(bytes, 4);
        let found: Vec<_> = head.fields.iter().map(|field| String::from_utf8_lossy(field.name)).collect();
        assert_eq!(found, names, "{}", bytes.escape_ascii());
        assert_eq!(head.body, body, "{}", bytes.escape_ascii());
    }

    #[test]
    fn headers_end_where_a_mail_program_says() {
        check(b"A: 1\r\nB : 2\r\n 3\r\n\r\nC: 4", &["A", "B"], b"C: 4");
        check(b"A: 1\nB: 2\n\nbody", &["A", "B"], b"body");
        check(b"A: 1\nhello you\nbody", &["A"], b"hello you\nbody");
        check(b"A: 1\ntorn\nSubject: 2\n\nbody", &["A", "Subject"], b"body");
        check(b"A: 1\nFrom\n : x\nFrom: 2\n\nbody", &["A", "From"], b"body");
        check(b"A: 1\nFrom me\nB: 2\n\nbody", &["A", "B"], b"body");
        check(b"\nbody", &[], b"body");
        check(b"body alone", &[], b"body alone");
        check(b"", &[], b"");
        assert_eq!(split(b"A: 1\r\n 2\r\n\t3\r\nB: x", 4).fields[0].value, b" 1\r\n 2\r\n\t3");
        let many = split(b"A: 1\nA: 2\nA: 3\nA: 4\nA: 5\n folded\n\nbody", 4);
        assert!(many.cut && many.fields.len() == 4 && many.body == b"body");
        assert_eq!(many.fields[3].value, b" 4");
        assert!(split(b"A: \0\n\n", 4).control && !split(b"A: \x1b$B\t\n\n\0", 4).control);
    }
}
