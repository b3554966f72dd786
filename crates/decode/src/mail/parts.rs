//! The tree of a mail's parts (RFC 2046), walked without trusting it.
//!
//! The structure is found here and not by `mail-parser`: that looks for each boundary to the end of the mail when it never comes, so
//! thousands of unclosed parts take it quadratic time, it finds boundaries within lines, and it decodes texts before anybody can
//! weigh their charset against their bytes. Every level of nesting is one scan for lines that begin with `--`, and the levels are
//! bounded, so the time is linear.

use std::borrow::Cow;

use memchr::memmem;

use super::fields::{self, Field};
use super::parameters::Parameters;
use super::transfer;
use super::values::{Flaw, Limits};

/// Deeper than this nobody may set the bound: each level is a call on the stack.
const DEPTH_MAX: usize = 64;
/// Longer boundaries (RFC 2046 allows 70) are cut.
const BOUNDARY_MAX: usize = 256;

/// What the walk finds.
pub(super) trait Visitor {
    /// A part that holds no others.
    fn leaf(&mut self, part: &Leaf<'_>);
    /// Something is malformed or past a bound.
    fn flaw(&mut self, flaw: Flaw);
}

/// A part that holds no others.
pub(super) struct Leaf<'a> {
    pub(super) kind: &'a Parameters,
    pub(super) disposition: &'a Parameters,
    pub(super) fields: &'a [Field<'a>],
    /// As it is encoded for the way.
    pub(super) raw: &'a [u8],
    pub(super) encoding: Encoding,
}

/// How a part is encoded for the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Base64,
    QuotedPrintable,
}

impl Encoding {
    fn of(fields: &[Field<'_>]) -> Self {
        let value = value(fields, "content-transfer-encoding").trim_ascii();
        let value =
            value.split(|byte| matches!(byte, b';' | b' ' | b'(' | b'\r' | b'\n')).next().unwrap_or_default();
        let value = value.trim_ascii_end().strip_prefix(b"\"").unwrap_or(value);
        if value.len() >= 6 && value[..6].eq_ignore_ascii_case(b"base64") {
            Self::Base64
        } else if value.len() >= 16 && value[..16].eq_ignore_ascii_case(b"quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Plain
        }
    }

    /// At most about `cap` bytes, and whether something in them is malformed.
    pub(super) fn decode(self, raw: &[u8], cap: usize) -> (Cow<'_, [u8]>, bool) {
        match self {
            Self::Plain => (Cow::Borrowed(&raw[..raw.len().min(cap)]), false),
            Self::Base64 => {
                let (bytes, broken) = transfer::base64(raw, cap);
                (Cow::Owned(bytes), broken)
            }
            Self::QuotedPrintable => {
                let (bytes, broken) = transfer::quoted_printable(raw, cap);
                (Cow::Owned(bytes), broken)
            }
        }
    }
}

/// The first field of that name.
pub(super) fn value<'a>(fields: &[Field<'a>], name: &str) -> &'a [u8] {
    fields.iter().find(|field| field.is(name)).map_or(&[], |field| field.value)
}

/// Walks the parts of one mail.
pub(super) struct Walk<'v, V: Visitor> {
    visitor: &'v mut V,
    limits: Limits,
    parts: usize,
}

impl<'v, V: Visitor> Walk<'v, V> {
    pub(super) fn new(visitor: &'v mut V, limits: &Limits) -> Self {
        Self { visitor, limits: Limits { depth: limits.depth.min(DEPTH_MAX), ..*limits }, parts: 0 }
    }

    /// The part with these fields and this body, `depth` levels down.
    pub(super) fn part(&mut self, fields: &[Field<'_>], body: &[u8], depth: usize, default: &str) {
        // Multiparts count as well, or a mail of empty ones would cost what a full one does.
        if self.parts >= self.limits.parts {
            self.visitor.flaw(Flaw::ManyParts);
            return;
        }
        self.parts += 1;
        let mut kind = Parameters::parse(value(fields, "content-type"));
        if kind.value.is_empty() {
            default.clone_into(&mut kind.value);
        }
        let encoding = Encoding::of(fields);
        let holds = kind.value.starts_with("multipart/")
            || matches!(kind.value.as_str(), "message/rfc822" | "message/global");
        if holds && depth >= self.limits.depth {
            self.visitor.flaw(Flaw::TooDeep);
        } else if kind.value.starts_with("multipart/") {
            return self.multipart(&kind, body, depth);
        } else if holds {
            return self.message(encoding, body, depth);
        }
        let disposition = Parameters::parse(value(fields, "content-disposition"));
        self.visitor.leaf(&Leaf { kind: &kind, disposition: &disposition, fields, raw: body, encoding });
    }

    fn multipart(&mut self, kind: &Parameters, body: &[u8], depth: usize) {
        let default = if kind.value == "multipart/digest" { "message/rfc822" } else { "text/plain" };
        let given = kind.get("boundary").unwrap_or_default();
        let mut boundary = given.as_bytes()[..given.len().min(BOUNDARY_MAX)].trim_ascii_end();
        let mut pieces = split(body, boundary, true);
        if pieces.parts.is_empty() {
            self.visitor.flaw(Flaw::BrokenMime);
            // A boundary with something behind it, then one that only looks like it.
            pieces = split(body, boundary, false);
        }
        if pieces.parts.is_empty() {
            boundary = guessed(body).unwrap_or_default();
            pieces = split(body, boundary, true);
        }
        if pieces.parts.is_empty() {
            let kind = Parameters::parse(b"text/plain");
            let leaf = Leaf {
                kind: &kind,
                disposition: &Parameters::default(),
                fields: &[],
                raw: body,
                encoding: Encoding::Plain,
            };
            self.visitor.leaf(&leaf);
            return;
        }
        if !pieces.closed {
            self.visitor.flaw(Flaw::BrokenMime);
        }
        for piece in pieces.parts {
            if self.parts >= self.limits.parts {
                self.visitor.flaw(Flaw::ManyParts);
                return;
            }
            let head = self.head(piece);
            self.part(&head.fields, head.body, depth + 1, default);
        }
    }

    /// A mail within the mail; some programs encode it, though they must not.
    fn message(&mut self, encoding: Encoding, body: &[u8], depth: usize) {
        // Each level that is encoded is held while those within it are read.
        let cap = if encoding == Encoding::Plain { usize::MAX } else { self.limits.bytes / 4 };
        let (bytes, broken) = encoding.decode(body, cap);
        if bytes.len() >= cap {
            self.visitor.flaw(Flaw::TooLong);
        }
        if broken {
            self.visitor.flaw(Flaw::BrokenEncoding);
        }
        let head = self.head(bytes.trim_ascii_start());
        self.part(&head.fields, head.body, depth + 1, "text/plain");
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> fields::Head<'a> {
        let head = fields::split(bytes, self.limits.headers);
        if head.cut {
            self.visitor.flaw(Flaw::ManyHeaders);
        }
        head
    }
}

/// What lies between boundaries.
struct Pieces<'a> {
    parts: Vec<&'a [u8]>,
    /// Whether the last boundary says that it is the last.
    closed: bool,
}

/// More parts of one multipart than this are not kept; the walk's own bound is lower.
const PIECES_MAX: usize = 4_096;

fn split<'a>(body: &'a [u8], boundary: &[u8], strict: bool) -> Pieces<'a> {
    let mut pieces = Pieces { parts: Vec::new(), closed: false };
    if boundary.is_empty() {
        return pieces;
    }
    let mut open: Option<usize> = None;
    let first = body.starts_with(b"--").then_some(0);
    let marks = first.into_iter().chain(memmem::find_iter(body, b"\n--").map(|at| at + 1));
    for at in marks {
        let Some(rest) = body[at + 2..].strip_prefix(boundary) else { continue };
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let after = rest[..end].trim_ascii();
        if strict && !(after.is_empty() || after == b"--") {
            continue;
        }
        if let Some(from) = open {
            pieces.parts.push(without_line_end(&body[from..at.max(from)]));
        }
        if pieces.parts.len() >= PIECES_MAX {
            return pieces;
        }
        pieces.closed = after.starts_with(b"--");
        // Parts behind the end are no parts by the book, yet some programs show them: a boundary opens one again.
        open = (!pieces.closed).then_some(body.len() - rest.len() + end);
    }
    if let Some(from) = open {
        pieces.parts.push(&body[from..]);
    }
    pieces
}

/// The line end before a boundary belongs to the boundary.
fn without_line_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

/// The boundary that stands in the body when the header names none or another: a line of two dashes that a header follows.
fn guessed(body: &[u8]) -> Option<&[u8]> {
    let mut lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).take(1_000).peekable();
    while let Some(line) = lines.next() {
        let follows =
            lines.peek().is_some_and(|next| next.len() > 8 && next[..8].eq_ignore_ascii_case(b"content-"));
        if follows && line.len() > 2 && line.len() <= BOUNDARY_MAX && line.starts_with(b"--") {
            return Some(&line[2..]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn boundaries_are_lines_of_their_own() {
        for (body, parts, closed) in [
            (&b"pre\r\n--b\r\n1\r\n--b\r\n2\r\n--b--\r\nafter"[..], &[&b"1"[..], b"2"][..], true),
            (b"--b\n1\n--b--", &[b"1"], true),
            (b"--b \t\n1\n--bc\nx --b\n", &[b"1\n--bc\nx --b\n"], false),
            (b"--b\n--b--", &[b""], true),
            (b"--b\n1\n--b--\n--b\n2\n--b--", &[b"1", b"2"], true),
            (b"nothing", &[], false),
            (b"--b", &[b""], false),
        ] {
            let pieces = split(body, b"b", true);
            assert_eq!(pieces.parts, parts, "{}", body.escape_ascii());
            assert_eq!(pieces.closed, closed, "{}", body.escape_ascii());
        }
    }
}
