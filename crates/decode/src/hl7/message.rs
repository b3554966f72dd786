use std::ops::Range;

use super::charset::{self, Charset};
use super::value::{Component, Segment, Separators};
use crate::DecodeError;

/// Messages above this size are refused unread; the largest that a storage holds are some hundred kilobytes.
pub const MAX_BYTES: usize = 16 << 20;
/// Segments in one message.
pub const MAX_SEGMENTS: usize = 65_536;
/// Fields in one segment; the longest standard one has fewer than 60.
pub const MAX_FIELDS: usize = 1_024;

/// A decoded message whose every line begins with a segment's name and whose first one is MSH.
///
/// Whether the segments are the ones that the message's event asks for is not looked at: the NHO samples
/// hold one file with every segment in a row, and a chart should show what it can.
#[derive(Debug, Clone)]
pub struct Message {
    text: String,
    segments: Vec<Range<usize>>,
    separators: Separators,
    charset: Charset,
    terminated: bool,
}

impl Message {
    /// Reads one message. Segments may end in CR, as the standard says, or in LF or CRLF.
    pub fn parse(bytes: &[u8]) -> Result<Message, DecodeError> {
        if bytes.len() > MAX_BYTES {
            return Err(DecodeError::TooLarge { bytes: bytes.len(), limit: MAX_BYTES });
        }
        if !bytes.starts_with(b"MSH") {
            return Err(DecodeError::NoHeader);
        }
        let bytes = without_end_block(bytes);
        refuse_control_characters(bytes)?;
        let (text, charset) = charset::decode(bytes)?;
        let separators = Separators::of_header(&text).ok_or(DecodeError::Separators { offset: 3 })?;
        let segments = segments(&text, separators, bytes)?;
        let terminated = text.ends_with(['\r', '\n']);
        Ok(Message { text, segments, separators, charset, terminated })
    }

    /// All segments in their order.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Segment<'_>> {
        self.segments.iter().filter_map(|range| {
            let text = self.text.get(range.clone())?;
            Some(Segment::new(text, self.separators))
        })
    }

    /// The segments of one name, in their order.
    pub fn all<'m>(&'m self, name: &'m str) -> impl DoubleEndedIterator<Item = Segment<'m>> {
        self.segments().filter(move |segment| segment.name() == name)
    }

    /// The first segment of that name.
    pub fn first<'m>(&'m self, name: &'m str) -> Option<Segment<'m>> {
        self.all(name).next()
    }

    /// A component of the first segment of that name; empty when there is none.
    pub fn get<'m>(&'m self, name: &'m str, field: usize, component: usize) -> Component<'m> {
        self.first(name).map(|segment| segment.field(field).component(component)).unwrap_or_default()
    }

    /// MSH-9 without its third component, such as `OUL^R22`.
    pub fn event(&self) -> String {
        format!("{}^{}", self.get("MSH", 9, 1).text(), self.get("MSH", 9, 2).text())
    }

    /// What the message was decoded from.
    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// Whether the last segment ends as a segment should. HL7 has no trailer, so this is the only sign
    /// in a message that its end was cut off.
    pub fn is_terminated(&self) -> bool {
        self.terminated
    }
}

/// Some exporters write the end of the transport's frame (MLLP: FS CR) into the file.
fn without_end_block(bytes: &[u8]) -> &[u8] {
    let text = bytes.trim_ascii_end();
    text.strip_suffix(b"\x1c").unwrap_or(bytes)
}

/// Escape sequences are bytes of the character set; tabs and line ends occur in text. The rest, zero bytes
/// above all, shows a file that was truncated and extended, or overwritten in part.
fn refuse_control_characters(bytes: &[u8]) -> Result<(), DecodeError> {
    let is_bad = |byte: &u8| matches!(byte, 0..=0x08 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f);
    match bytes.iter().position(is_bad) {
        Some(offset) => Err(DecodeError::Control { offset, code: bytes.get(offset).copied().unwrap_or(0) }),
        None => Ok(()),
    }
}

fn segments(text: &str, separators: Separators, source: &[u8]) -> Result<Vec<Range<usize>>, DecodeError> {
    let end = line_end(text);
    let mut segments = Vec::new();
    let mut start = 0;
    for (index, line) in text.split(end).enumerate() {
        let offset = || source_offset(source, end, index);
        let next = start + line.len() + 1;
        let line_start = start + (line.len() - line.trim_start_matches('\n').len());
        let line = line.trim_matches('\n');
        if !line.trim().is_empty() {
            check_segment(line, separators, offset)?;
            if segments.len() == MAX_SEGMENTS {
                return Err(DecodeError::TooManySegments { offset: offset(), limit: MAX_SEGMENTS });
            }
            segments.push(line_start..line_start + line.len());
        }
        start = next;
    }
    Ok(segments)
}

/// CR, unless the whole message has none. With CR, an LF elsewhere is text that somebody pasted.
fn line_end(text: &str) -> char {
    if text.contains('\r') { '\r' } else { '\n' }
}

fn check_segment(line: &str, separators: Separators, offset: impl Fn() -> usize) -> Result<(), DecodeError> {
    let bytes = line.as_bytes();
    let named = matches!(bytes, [a, b, c, ..] if a.is_ascii_uppercase()
        && [b, c].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
    let bounded = bytes.get(3).is_none_or(|byte| char::from(*byte) == separators.field);
    if !named || !bounded {
        return Err(DecodeError::Segment { offset: offset() });
    }
    if line.matches(separators.field).nth(MAX_FIELDS).is_some() {
        return Err(DecodeError::TooManyFields { offset: offset(), limit: MAX_FIELDS });
    }
    Ok(())
}

/// Where line `index` begins in the undecoded input. Line ends never stand inside a double-byte run (the
/// decoder refuses that), so input and text have the same lines.
fn source_offset(source: &[u8], end: char, index: usize) -> usize {
    let lines = source.split(|byte| char::from(*byte) == end);
    let start: usize = lines.take(index).map(|line| line.len() + 1).sum();
    start + source.get(start..).map_or(0, |rest| rest.iter().take_while(|byte| **byte == b'\n').count())
}
