//! Files that hold one mail or many.

use memchr::memmem;

/// What a file of mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mailbox {
    /// One mail: `.eml`, a file of a Maildir.
    One,
    /// Mails one behind the other, each after a `From ` line (RFC 4155).
    Mbox,
}

impl Mailbox {
    /// What `bytes` are.
    pub fn of(bytes: &[u8]) -> Self {
        if is_separator(start(bytes)) { Self::Mbox } else { Self::One }
    }
}

/// The mails in the content of a file, each with its `From ` line, in their order. A file that is no mbox is one mail.
///
/// A `From ` line counts behind an empty line and with a time in it; others are the words of somebody (`mboxo`, `mboxcl`).
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let rest = start(bytes);
    Messages { rest, mbox: Mailbox::of(bytes) == Mailbox::Mbox }
}

fn start(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

struct Messages<'a> {
    rest: &'a [u8],
    mbox: bool,
}

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = if self.mbox { self.end() } else { self.rest.len() };
        let (message, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(message)
    }
}

impl Messages<'_> {
    /// Where the next separator begins.
    fn end(&self) -> usize {
        let found = memmem::find_iter(self.rest, b"\nFrom ").map(|at| at + 1).find(|&at| {
            let before = &self.rest[..at];
            (before.ends_with(b"\n\n") || before.ends_with(b"\n\r\n")) && is_separator(&self.rest[at..])
        });
        found.unwrap_or(self.rest.len())
    }
}

/// `From somebody Sat Jan  3 01:05:34 1996`.
fn is_separator(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"From ") else { return false };
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = &line[..line.len().min(256)];
    line.windows(5).any(|window| {
        window[2] == b':'
            && [0, 1, 3, 4].iter().all(|at| window[*at].is_ascii_digit() || (*at == 0 && window[0] == b' '))
    })
}

#[cfg(test)]
mod tests {
    use super::{Mailbox, messages};

    fn check(bytes: &[u8], kind: Mailbox, expected: &[&[u8]]) {
        assert_eq!(Mailbox::of(bytes), kind, "{}", bytes.escape_ascii());
        assert_eq!(messages(bytes).collect::<Vec<_>>(), expected, "{}", bytes.escape_ascii());
    }

    #[test]
    fn mails_are_told_apart() {
        let line = "From a@b.example Sat Jan  3 01:05:34 1996\n";
        let (one, two) =
            (format!("{line}A: 1\n\n>From x\nFrom us\n\n"), format!("{line}B: 2\n\nFrom here on\n"));
        let crlf = one.replace('\n', "\r\n");
        check(
            b"A: 1\n\nFrom a Sat Jan  3 01:05:34 1996\n",
            Mailbox::One,
            &[b"A: 1\n\nFrom a Sat Jan  3 01:05:34 1996\n"],
        );
        check(format!("{one}{two}").as_bytes(), Mailbox::Mbox, &[one.as_bytes(), two.as_bytes()]);
        check(format!("{crlf}{two}").as_bytes(), Mailbox::Mbox, &[crlf.as_bytes(), two.as_bytes()]);
        check(format!("\u{feff}{two}").as_bytes(), Mailbox::Mbox, &[two.as_bytes()]);
        check(b"From here on\n\nx", Mailbox::One, &[b"From here on\n\nx"]);
        check(b"", Mailbox::One, &[]);
    }
}
