//! Cutting files into resources, whatever their size, with the offset of each.

use memchr::{memchr, memchr2};

use super::RESOURCE_BYTES_MAX;

/// Longest key or type at the top of a Bundle that is of interest.
const WORD_BYTES_MAX: usize = 64;

/// One line of NDJSON, or one entry of a Bundle.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'b> {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length in the file.
    pub length: u64,
    /// Its content: all of it, or of one that is larger than [`RESOURCE_BYTES_MAX`] as much of its beginning.
    pub bytes: &'b [u8],
}

/// How a file ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// `resourceType` at the top of a file of one object.
    pub resource_type: Option<String>,
    /// Where its first brace is.
    pub begin: Option<u64>,
    /// How many objects the file has at its top: more than one are lines.
    pub objects: u64,
    /// The file ended within an object.
    pub is_cut_off: bool,
}

/// Takes a file chunk by chunk and hands out pieces. It keeps one piece at a time.
pub struct Splitter {
    /// `None` for lines.
    object: Option<Object>,
    /// Where the next chunk begins in the file.
    offset: u64,
    /// Where the piece in `kept` begins.
    begin: u64,
    /// Its length so far, of which `kept` holds the beginning.
    length: u64,
    kept: Vec<u8>,
}

/// Where a file of one JSON object is.
#[derive(Default)]
struct Object {
    depth: u32,
    in_string: bool,
    is_escaped: bool,
    /// At depth 1: the next string is a key.
    wants_key: bool,
    key: Vec<u8>,
    word: Vec<u8>,
    in_entries: bool,
    in_piece: bool,
    begin: Option<u64>,
    objects: u64,
    resource_type: Option<String>,
}

impl Splitter {
    /// NDJSON: one piece for each line that is not blank.
    pub fn lines() -> Splitter {
        Splitter { object: None, offset: 0, begin: 0, length: 0, kept: Vec::new() }
    }

    /// One object over many lines: each entry of a Bundle is a piece.
    pub fn bundle() -> Splitter {
        Splitter { object: Some(Object::default()), ..Splitter::lines() }
    }

    /// The next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
        match self.object.take() {
            None => self.feed_lines(bytes, out),
            Some(mut object) => {
                self.feed_object(&mut object, bytes, out);
                self.object = Some(object);
            }
        }
        self.offset += bytes.len() as u64;
    }

    fn feed_lines(&mut self, bytes: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
        let mut at = 0;
        while let Some(end) = memchr(b'\n', &bytes[at..]).map(|found| at + found) {
            if self.length == 0 {
                // Most lines lie within one chunk and are never copied.
                give(self.offset + at as u64, (end - at) as u64, &bytes[at..end], out);
            } else {
                self.keep(&bytes[at..end]);
                self.give_kept(out);
            }
            at = end + 1;
        }
        if at < bytes.len() {
            if self.length == 0 {
                self.begin = self.offset + at as u64;
            }
            self.keep(&bytes[at..]);
        }
    }

    fn feed_object(&mut self, object: &mut Object, bytes: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
        let mut kept_to = 0;
        let mut at = 0;
        while at < bytes.len() {
            if object.in_string {
                at = object.string(bytes, at);
                continue;
            }
            match bytes[at] {
                b'"' => object.open_string(),
                b'{' | b'[' => {
                    let is_piece = object.open(bytes[at], self.offset + at as u64);
                    if is_piece {
                        self.begin = self.offset + at as u64;
                        kept_to = at;
                    }
                }
                b'}' | b']' if object.close(bytes[at]) => {
                    self.keep(&bytes[kept_to..=at]);
                    self.give_kept(out);
                }
                b',' if object.depth == 1 => object.wants_key = true,
                b':' if object.depth == 1 => object.wants_key = false,
                _ => {}
            }
            at += 1;
        }
        if object.in_piece {
            self.keep(&bytes[kept_to..]);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let room = RESOURCE_BYTES_MAX.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn give_kept(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        give(self.begin, self.length, &self.kept, out);
        self.length = 0;
        self.kept.clear();
        // One giant among small ones must not hold its memory to the end of the file.
        self.kept.shrink_to(1 << 20);
    }

    /// The end of the file: what it ends within is a piece too.
    pub fn finish(mut self, out: &mut dyn FnMut(Piece<'_>)) -> Ending {
        if self.length > 0 {
            self.give_kept(out);
        }
        let object = self.object.unwrap_or_default();
        let Object { resource_type, begin, objects, depth, .. } = object;
        Ending { resource_type, begin, objects, is_cut_off: depth > 0 }
    }
}

fn give(offset: u64, length: u64, bytes: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
    if !bytes.iter().all(u8::is_ascii_whitespace) {
        out(Piece { offset, length, bytes });
    }
}

impl Object {
    fn open_string(&mut self) {
        self.in_string = true;
        self.word.clear();
    }

    /// Goes on within a string; returns where it stopped.
    fn string(&mut self, bytes: &[u8], from: usize) -> usize {
        if self.is_escaped {
            self.is_escaped = false;
            return from + 1;
        }
        let stop = memchr2(b'"', b'\\', &bytes[from..]).map_or(bytes.len(), |found| from + found);
        if self.depth == 1 {
            let room = WORD_BYTES_MAX.saturating_sub(self.word.len());
            self.word.extend_from_slice(&bytes[from..stop.min(from + room)]);
        }
        match bytes.get(stop) {
            Some(b'"') => self.close_string(),
            Some(_) => self.is_escaped = true,
            None => return stop,
        }
        stop + 1
    }

    fn close_string(&mut self) {
        self.in_string = false;
        if self.depth != 1 {
        } else if self.wants_key {
            std::mem::swap(&mut self.key, &mut self.word);
        } else if self.key == b"resourceType" {
            self.resource_type = Some(String::from_utf8_lossy(&self.word).into_owned());
        }
    }

    /// Returns whether a piece begins.
    fn open(&mut self, bracket: u8, offset: u64) -> bool {
        self.depth = self.depth.saturating_add(1);
        match self.depth {
            1 => {
                self.wants_key = true;
                self.objects += 1;
                self.begin.get_or_insert(offset);
            }
            2 => self.in_entries = bracket == b'[' && self.key == b"entry",
            3 if self.in_entries && bracket == b'{' => {
                self.in_piece = true;
                return true;
            }
            _ => {}
        }
        false
    }

    /// Returns whether a piece ends.
    fn close(&mut self, bracket: u8) -> bool {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 1 {
            self.in_entries = false;
        }
        let ends = self.in_piece && self.depth == 2 && bracket == b'}';
        self.in_piece &= !ends;
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of `text`, fed in chunks of `step` bytes; each must be what the file holds at its offset.
    fn pieces(mut splitter: Splitter, text: &str, step: usize) -> (Vec<String>, Ending) {
        let mut found = Vec::new();
        let mut out = |piece: Piece<'_>| {
            let there = &text.as_bytes()[piece.offset as usize..(piece.offset + piece.length) as usize];
            assert_eq!(there, piece.bytes);
            found.push(String::from_utf8_lossy(piece.bytes).into_owned());
        };
        for chunk in text.as_bytes().chunks(step) {
            splitter.feed(chunk, &mut out);
        }
        let ending = splitter.finish(&mut out);
        (found, ending)
    }

    #[test]
    fn lines_are_cut_wherever_chunks_end() {
        let text = "{\"a\":1}\n\n  \r\n{\"b\":\"診療\"}\n{\"cut";
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(pieces(Splitter::lines(), text, step).0, ["{\"a\":1}", "{\"b\":\"診療\"}", "{\"cut"]);
        }
    }

    #[test]
    fn entries_of_a_bundle_are_cut_whatever_their_strings_hold() {
        let text = r#" {"x":{"entry":[{"no":1}]}, "resourceType" : "Bundle","entry":[ {"resource":{"t":"}]\"{"}},
            {"resource":{"entry":[{}]}} ], "link":[{"no":2}], "total":2}"#;
        for step in [1, 2, 5, 1000] {
            let (found, ending) = pieces(Splitter::bundle(), text, step);
            assert_eq!(found, [r#"{"resource":{"t":"}]\"{"}}"#, r#"{"resource":{"entry":[{}]}}"#]);
            let expected = Ending {
                resource_type: Some("Bundle".into()),
                begin: Some(1),
                objects: 1,
                is_cut_off: false,
            };
            assert_eq!(ending, expected);
        }
        let (found, ending) = pieces(Splitter::bundle(), &text[..text.len() - 45], 9);
        assert_eq!((found.len(), ending.is_cut_off), (2, true), "what a file ends within is a piece");
    }

    #[test]
    fn a_giant_is_handed_out_by_its_beginning() {
        let mut splitter = Splitter::lines();
        let mut found = Vec::new();
        let mut out = |piece: Piece<'_>| found.push((piece.offset, piece.length, piece.bytes.len()));
        let chunk = vec![b'x'; 16 << 20];
        (0..6).for_each(|_| splitter.feed(&chunk, &mut out));
        splitter.feed(b"\n{}\n", &mut out);
        splitter.finish(&mut out);
        assert_eq!(found, [(0, 96 << 20, RESOURCE_BYTES_MAX), ((96 << 20) + 1, 2, 2)]);
    }
}
