//! Cuts a stream of bytes into lines without ever holding more than one line of bounded length.

/// What a stream holds, piece by piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A line, without its end.
    Line(&'a [u8]),
    /// The beginning of a line that is longer than allowed; what follows of it is skipped.
    TooLong(&'a [u8]),
}

#[derive(Debug)]
pub(super) struct Lines {
    line: Vec<u8>,
    bytes_max: usize,
    skipping: bool,
    /// Bytes that were skipped since it was last said.
    skipped: usize,
}

/// A line that never ends is told of again each time that so many times its bound was skipped: it is deaf all the while.
const TELL_AGAIN: usize = 16;

impl Lines {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { line: Vec::new(), bytes_max: bytes_max.max(1), skipping: false, skipped: 0 }
    }

    /// Takes in what was read, and hands out every line that ends in it.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Piece<'_>)) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (head, tail) = bytes.split_at(end);
            self.add(head, &mut each);
            if !std::mem::take(&mut self.skipping) {
                let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
                if !line.is_empty() {
                    each(Piece::Line(line));
                }
            }
            self.line.clear();
            bytes = tail.get(1..).unwrap_or_default();
        }
        self.add(bytes, &mut each);
    }

    /// The stream has ended: half a line is a line, since it may well be whole JSON.
    pub(super) fn end(&mut self, mut each: impl FnMut(Piece<'_>)) {
        if !std::mem::take(&mut self.skipping) && !self.line.is_empty() {
            each(Piece::Line(&self.line));
        }
        self.line.clear();
    }

    fn add(&mut self, bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        if self.skipping {
            self.skipped += bytes.len();
            if self.skipped >= self.bytes_max.saturating_mul(TELL_AGAIN) {
                self.skipped = 0;
                each(Piece::TooLong(bytes.get(..self.bytes_max).unwrap_or(bytes)));
            }
            return;
        }
        let room = self.bytes_max - self.line.len().min(self.bytes_max);
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if bytes.len() > room {
            each(Piece::TooLong(&self.line));
            self.line.clear();
            self.skipping = true;
            self.skipped = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]], bytes_max: usize) -> Vec<String> {
        let mut lines = Lines::new(bytes_max);
        let mut found = Vec::new();
        let mut each = |piece: Piece<'_>| {
            found.push(match piece {
                Piece::Line(line) => String::from_utf8_lossy(line).into_owned(),
                Piece::TooLong(start) => format!("long:{}", String::from_utf8_lossy(start)),
            });
        };
        for chunk in chunks {
            lines.push(chunk, &mut each);
            assert!(lines.line.capacity() <= 2 * bytes_max.max(8));
        }
        lines.end(&mut each);
        found
    }

    #[test]
    fn lines_are_cut_wherever_the_reads_fall() {
        for (chunks, expected) in [
            (
                &[b"one\ntwo\r\n\n\nthr".as_slice(), b"ee\n", b"half"][..],
                &["one", "two", "three", "half"][..],
            ),
            (&[b"\0\xff\n"], &["\0\u{fffd}"]),
            (&[b"12345678\n"], &["12345678"]),
            (&[b"123456789\nok\n"], &["long:12345678", "ok"]),
            (&[b"1234", b"5678", b"9", b"0000\n", b"ok"], &["long:12345678", "ok"]),
            (&[b"123456789", b"and never ending", b"never"], &["long:12345678"]),
            (
                &[b"123456789", &[b'x'; 127], b"yz", &[b'x'; 100], b"\nok\n"],
                &["long:12345678", "long:yz", "ok"],
            ),
            (&[b""], &[]),
        ] {
            assert_eq!(cut(chunks, 8), expected, "{chunks:?}");
        }
    }
}
