//! One mail, put together from its header, its texts and its parts.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use memchr::memmem;

use super::fields;
use super::html::page::divide;
use super::parts::{Leaf, Visitor, Walk, value};
use super::values::{Body, Flaw, Limits, Link, Message, Part};
use super::{charset, flowed, header, html, links, uuencode};

/// Reads a mail as far as it can be read. Never fails: what is no mail has [`Flaw::NoHeader`].
pub fn read(bytes: &[u8], limits: &Limits) -> Message {
    let mut reader = Reader::new(limits);
    reader.message.length = bytes.len() as u64;
    if bytes.len() > limits.bytes {
        reader.flaw(Flaw::TooLong);
    }
    let bytes = beginning(&bytes[..bytes.len().min(limits.bytes)]);
    let head = fields::split(bytes, limits.headers);
    for flaw in header::read(&head, &mut reader.message) {
        reader.flaw(flaw);
    }
    Walk::new(&mut reader, limits).part(&head.fields, head.body, 0, "text/plain");
    reader.message
}

/// Reads an HTML document that is no text of a mail: an attachment that opens in a browser. At most [`Limits::text`] bytes and
/// [`Limits::links`] links of it.
pub fn page(bytes: &[u8], limits: &Limits) -> (Body, Vec<Link>) {
    let bytes = &bytes[..bytes.len().min(limits.text)];
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let label = charset_of_page(bytes);
    let page = html::read(&charset::decode(bytes, &label).0, limits.links);
    (Body { charset: label, ..page.body }, page.links)
}

/// Without a byte order mark, the separator of a mailbox and empty lines: what programs put before a mail.
fn beginning(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let bytes = &bytes[blank..];
    if !bytes.starts_with(b"From ") {
        return bytes;
    }
    memchr::memchr(b'\n', bytes).map_or(bytes, |end| &bytes[end + 1..])
}

struct Reader<'a> {
    limits: &'a Limits,
    message: Message,
    /// Links that are told already, by a keyed hash of them.
    told: HashSet<u64>,
    state: RandomState,
}

impl Visitor for Reader<'_> {
    fn leaf(&mut self, leaf: &Leaf<'_>) {
        match shown_as(leaf) {
            Some(is_html) => self.text(leaf, is_html),
            None => self.file(leaf),
        }
    }

    fn flaw(&mut self, flaw: Flaw) {
        if !self.message.flaws.contains(&flaw) {
            self.message.flaws.push(flaw);
        }
    }
}

/// Whether a mail program shows the part as a text, and whether as HTML.
fn shown_as(leaf: &Leaf<'_>) -> Option<bool> {
    if leaf.disposition.value == "attachment" {
        return None;
    }
    match leaf.kind.value.as_str() {
        "text/html" | "application/xhtml+xml" | "text/xhtml" => Some(true),
        "text/plain" | "text/enriched" | "text/richtext" | "text/markdown" | "text" | "plain" | "text/" => {
            Some(false)
        }
        "html" => Some(true),
        // Nothing that can be read as a type: mail programs take it for text (RFC 2045 §5.2), unless it is a file by name.
        kind if !kind.contains('/')
            && leaf.kind.get("name").is_none()
            && leaf.disposition.get("filename").is_none() =>
        {
            Some(false)
        }
        _ => None,
    }
}

impl<'a> Reader<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self { limits, message: Message::default(), told: HashSet::new(), state: RandomState::new() }
    }

    fn text(&mut self, leaf: &Leaf<'_>, is_html: bool) {
        let (bytes, broken) = leaf.encoding.decode(leaf.raw, self.limits.text.saturating_add(1));
        if broken {
            self.flaw(Flaw::BrokenEncoding);
        }
        let is_cut = bytes.len() > self.limits.text;
        if is_cut {
            self.flaw(Flaw::LongText);
        }
        let bytes = &bytes[..bytes.len().min(self.limits.text)];
        let declared = leaf.kind.get("charset").unwrap_or_default().trim().to_ascii_lowercase();
        let is_html = is_html || (leaf.kind.value != "text/plain" && looks_like_html(bytes));
        let label = if declared.is_empty() && is_html { charset_of_page(bytes) } else { declared.clone() };
        let (text, damaged) = charset::decode(bytes, &label);
        // The cut may have gone through a character.
        if damaged && !is_cut {
            self.flaw(Flaw::BrokenCharset);
        }
        let mut body = if is_html { self.page(&text) } else { self.plain(text, leaf) };
        body.charset = declared;
        self.message.bodies.push(body);
    }

    fn page(&mut self, text: &str) -> Body {
        let page = html::read(text, self.limits.links);
        if page.cut {
            self.flaw(Flaw::ManyLinks);
        }
        self.tell(page.links);
        page.body
    }

    fn plain(&mut self, text: String, leaf: &Leaf<'_>) -> Body {
        let is_flowed =
            leaf.kind.get("format").is_some_and(|format| format.trim().eq_ignore_ascii_case("flowed"));
        let text = if is_flowed {
            let drops = leaf.kind.get("delsp").is_some_and(|delsp| delsp.trim().eq_ignore_ascii_case("yes"));
            flowed::join(&text, if drops { flowed::Blank::Dropped } else { flowed::Blank::Kept })
        } else {
            text
        };
        for (name, bytes) in uuencode::files(&text) {
            if self.message.parts.len() + self.message.bodies.len() >= self.limits.parts {
                self.flaw(Flaw::ManyParts);
                break;
            }
            let declared = "application/octet-stream".to_owned();
            self.message.parts.push(Part { name, declared, content_id: None, bytes });
        }
        // Before what is invisible is taken out: it belongs to the link that a program makes of it.
        self.tell(links::urls(&text));
        let (visible, hidden) = divide(text);
        Body { visible, hidden, ..Body::default() }
    }

    fn tell(&mut self, links: Vec<Link>) {
        for link in links {
            if self.message.links.len() >= self.limits.links {
                self.flaw(Flaw::ManyLinks);
                return;
            }
            if self.told.insert(self.state.hash_one((&link.url, &link.shown, link.kind))) {
                self.message.links.push(link);
            }
        }
    }

    fn file(&mut self, leaf: &Leaf<'_>) {
        let (bytes, broken) = leaf.encoding.decode(leaf.raw, usize::MAX);
        if broken {
            self.flaw(Flaw::BrokenEncoding);
        }
        let name = leaf.disposition.get("filename").or_else(|| leaf.kind.get("name")).unwrap_or_default();
        self.message.parts.push(Part {
            name: name.trim().to_owned(),
            declared: leaf.kind.value.clone(),
            content_id: header::bracketed(value(leaf.fields, "content-id")),
            bytes: bytes.into_owned(),
        });
    }
}

fn looks_like_html(bytes: &[u8]) -> bool {
    let head = bytes.trim_ascii_start();
    let head = head[..head.len().min(16)].to_ascii_lowercase();
    [&b"<html"[..], b"<!doctype html", b"<head", b"<body"].iter().any(|start| head.starts_with(start))
}

/// The charset that a page names itself, where the mail names none.
fn charset_of_page(bytes: &[u8]) -> String {
    let head = bytes[..bytes.len().min(1_024)].to_ascii_lowercase();
    let Some(at) = memmem::find(&head, b"charset=") else { return String::new() };
    let label = head[at + 8..].trim_ascii_start();
    let label = label.strip_prefix(b"\"").or_else(|| label.strip_prefix(b"'")).unwrap_or(label);
    let end =
        label.iter().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':')));
    String::from_utf8_lossy(&label[..end.unwrap_or(label.len())]).into_owned()
}
