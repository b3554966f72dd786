//! A stream of bytes becomes lines, each with a bound.

use encoding_rs::{Decoder, UTF_16BE, UTF_16LE};

/// The longest line that is kept whole: Windows records in text are the longest honest ones.
pub const LINE_BYTES_MAX: usize = 1 << 20;

impl Coding {
    fn of(head: &[u8]) -> Self {
        match head {
            [0xff, 0xfe, ..] => Coding::Wide(Box::new(UTF_16LE.new_decoder_with_bom_removal())),
            [0xfe, 0xff, ..] => Coding::Wide(Box::new(UTF_16BE.new_decoder_with_bom_removal())),
            _ => Coding::Bytes,
        }
    }
}

/// Takes a stream apart at its line ends.
#[derive(Default)]
pub(super) struct Splitter {
    rest: Vec<u8>,
    /// The rest of a line that was cut is passed over.
    skips: bool,
    /// Lines that were cut.
    pub(super) cut: u64,
    coding: Coding,
    text: String,
}

#[derive(Default)]
enum Coding {
    /// Nothing was read yet.
    #[default]
    Unknown,
    Bytes,
    Wide(Box<Decoder>),
}

impl Splitter {
    /// A stream from somewhere in its middle; `head` is how it began.
    pub(super) fn resumed(head: &[u8]) -> Self {
        Self { coding: Coding::of(head), ..Self::default() }
    }

    /// Bytes of the stream that wait for the end of their line.
    pub(super) fn pending(&self) -> usize {
        match self.coding {
            Coding::Wide(_) => 2 * String::from_utf8_lossy(&self.rest).encode_utf16().count(),
            _ => self.rest.len(),
        }
    }

    /// What it takes of memory.
    pub(super) fn held(&self) -> usize {
        self.rest.capacity() + self.text.capacity()
    }

    /// More of the stream; `line` gets each line without its end.
    pub(super) fn feed(&mut self, bytes: &[u8], line: &mut impl FnMut(&[u8])) {
        if bytes.is_empty() {
            return;
        }
        if let Coding::Unknown = self.coding {
            self.coding = Coding::of(bytes);
        }
        if let Coding::Wide(decoder) = &mut self.coding {
            let mut text = std::mem::take(&mut self.text);
            text.clear();
            text.reserve(decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() * 3));
            // Room for all of it was made, so that all of it is read.
            let _ = decoder.decode_to_string(bytes, &mut text, false);
            self.split(text.as_bytes(), line);
            self.text = text;
        } else {
            self.split(bytes, line);
        }
    }

    fn split(&mut self, mut bytes: &[u8], line: &mut impl FnMut(&[u8])) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (head, tail) = bytes.split_at(end);
            bytes = tail.get(1..).unwrap_or_default();
            if std::mem::take(&mut self.skips) {
                self.rest.clear();
                continue;
            }
            if self.rest.is_empty() {
                self.give(head, line);
            } else {
                self.rest.extend_from_slice(head);
                let whole = std::mem::take(&mut self.rest);
                self.give(&whole, line);
                self.rest = whole;
                self.rest.clear();
            }
        }
        if self.skips {
            return;
        }
        self.rest.extend_from_slice(bytes);
        if self.rest.len() > LINE_BYTES_MAX {
            let whole = std::mem::take(&mut self.rest);
            self.give(&whole, line);
            self.skips = true;
        }
    }

    fn give(&mut self, whole: &[u8], line: &mut impl FnMut(&[u8])) {
        let cut = whole.get(..LINE_BYTES_MAX).unwrap_or(whole);
        self.cut += u64::from(cut.len() < whole.len());
        let bare = cut.strip_suffix(b"\r").unwrap_or(cut);
        if !bare.is_empty() {
            line(bare);
        }
    }

    /// The stream has ended; a last line without its end is a line.
    pub(super) fn finish(&mut self, line: &mut impl FnMut(&[u8])) {
        if !self.skips && !self.rest.is_empty() {
            let whole = std::mem::take(&mut self.rest);
            self.give(&whole, line);
        }
        self.rest.clear();
        self.skips = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, u64) {
        let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
        for chunk in chunks {
            splitter.feed(chunk, &mut |line| lines.push(line.to_vec()));
        }
        splitter.finish(&mut |line| lines.push(line.to_vec()));
        (lines, splitter.cut)
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_cut() {
        let expected: Vec<Vec<u8>> = [&b"one"[..], b"two", b"three"].map(<[u8]>::to_vec).to_vec();
        assert_eq!(split(&[b"one\ntwo\r\n\nthree"]), (expected.clone(), 0));
        let bytes: Vec<&[u8]> = b"one\ntwo\r\n\nthree\n".chunks(1).collect();
        assert_eq!(split(&bytes), (expected.clone(), 0));
        for (mark, wide) in [(0xfeff_u16.to_le_bytes(), true), (0xfeff_u16.to_be_bytes(), false)] {
            let units = "one\r\ntwo\nthree"
                .encode_utf16()
                .flat_map(|unit| if wide { unit.to_le_bytes() } else { unit.to_be_bytes() });
            let stream: Vec<u8> = mark.into_iter().chain(units).collect();
            let chunks: Vec<&[u8]> = stream.chunks(5).collect();
            assert_eq!(split(&chunks), (expected.clone(), 0));
        }
    }

    #[test]
    fn a_line_without_end_is_cut_counted_and_the_next_one_is_whole() {
        let long = vec![b'x'; 10 << 20];
        let chunks: Vec<&[u8]> = long.chunks(65_536).chain([&b"\nnext\n"[..]]).collect();
        let (lines, cut) = split(&chunks);
        assert_eq!((lines.len(), cut), (2, 1));
        assert_eq!((lines[0].len(), lines[1].as_slice()), (LINE_BYTES_MAX, &b"next"[..]));
    }
}
