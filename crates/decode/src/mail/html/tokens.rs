//! HTML as events: tags with their attributes, and texts. The tokenizer follows the standard and never fails.

use std::convert::Infallible;

use html5gum::{Emitter, Error, State, Tokenizer};

use super::super::charset::lossy;

/// What is told of a document, in its order.
pub(super) trait Sink {
    /// A start tag, name and names of attributes in lower case.
    fn open(&mut self, tag: &str, attributes: &Attributes);
    /// An end tag.
    fn close(&mut self, tag: &str);
    /// A doctype that keeps programs from the quirks of old pages.
    fn standard(&mut self);
    /// Text between tags, entities resolved. `raw` where it is none to read: the content of a script or a style.
    fn text(&mut self, text: &str);
}

/// Attributes of one tag that matter here. Their memory is kept from tag to tag.
#[derive(Default)]
pub(super) struct Attributes {
    entries: Vec<(String, String)>,
    used: usize,
}

/// Attributes of one tag that are kept: more is an attack.
const ATTRIBUTES_MAX: usize = 64;

impl Attributes {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries[..self.used].iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn clear(&mut self) {
        self.used = 0;
    }

    fn push(&mut self, name: &[u8], value: &[u8]) {
        // Of two with one name the first counts.
        if name.is_empty()
            || self.used >= ATTRIBUTES_MAX
            || self.iter().any(|(found, _)| found.as_bytes() == name)
        {
            return;
        }
        if self.used == self.entries.len() {
            self.entries.push(<(String, String)>::default());
        }
        let entry = &mut self.entries[self.used];
        for (into, bytes) in [(&mut entry.0, name), (&mut entry.1, value)] {
            into.clear();
            into.push_str(&lossy(bytes));
        }
        self.used += 1;
    }
}

/// Reads `html` into `sink`.
pub(super) fn read(html: &str, sink: &mut impl Sink) {
    let emitter = Events {
        sink,
        text: Vec::new(),
        tag: Tag::None,
        name: Vec::new(),
        last: Vec::new(),
        attributes: Attributes::default(),
        attribute: Vec::new(),
        value: Vec::new(),
        doctype: Doctype::default(),
    };
    let Ok(()) = Tokenizer::new_with_emitter(html, emitter).finish();
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    None,
    Start,
    End,
}

struct Events<'a, S: Sink> {
    sink: &'a mut S,
    text: Vec<u8>,
    tag: Tag,
    name: Vec<u8>,
    /// The last start tag: only its end closes a script.
    last: Vec<u8>,
    attributes: Attributes,
    attribute: Vec<u8>,
    value: Vec<u8>,
    doctype: Doctype,
}

/// Which identifiers a doctype has: one with a public and without a system identifier is an old page's.
#[derive(Default)]
struct Doctype {
    public: bool,
    system: bool,
}

impl<S: Sink> Events<'_, S> {
    fn flush_text(&mut self) {
        if !self.text.is_empty() {
            self.sink.text(&lossy(&self.text));
            self.text.clear();
        }
    }

    fn flush_attribute(&mut self) {
        if self.tag == Tag::Start {
            self.attributes.push(&self.attribute, &self.value);
        }
        self.attribute.clear();
        self.value.clear();
    }
}

impl<S: Sink> Emitter for Events<'_, S> {
    type Token = Infallible;

    fn set_last_start_tag(&mut self, tag: Option<&[u8]>) {
        self.last.clear();
        self.last.extend_from_slice(tag.unwrap_or_default());
    }

    fn emit_eof(&mut self) {
        self.flush_text();
    }

    fn emit_error(&mut self, _: Error) {}

    #[inline]
    fn should_emit_errors(&mut self) -> bool {
        false
    }

    fn pop_token(&mut self) -> Option<Infallible> {
        None
    }

    fn emit_string(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    fn init_start_tag(&mut self) {
        self.name.clear();
        self.attributes.clear();
        self.tag = Tag::Start;
    }

    fn init_end_tag(&mut self) {
        self.name.clear();
        self.attributes.clear();
        self.tag = Tag::End;
    }

    fn init_comment(&mut self) {}

    fn emit_current_tag(&mut self) -> Option<State> {
        self.flush_text();
        self.flush_attribute();
        let name = lossy(&self.name);
        match self.tag {
            Tag::Start => {
                self.sink.open(&name, &self.attributes);
                self.last.clear();
                self.last.extend_from_slice(&self.name);
                next_state(&self.name)
            }
            Tag::End => {
                self.sink.close(&name);
                self.last.clear();
                None
            }
            Tag::None => None,
        }
    }

    fn emit_current_comment(&mut self) {}

    fn emit_current_doctype(&mut self) {
        if self.doctype.system || !self.doctype.public {
            self.sink.standard();
        }
    }

    fn set_self_closing(&mut self) {}

    fn set_force_quirks(&mut self) {}

    fn push_tag_name(&mut self, name: &[u8]) {
        // No tag has a name that long; the rest of it tells nothing.
        if self.name.len() < 256 {
            self.name.extend_from_slice(name);
        }
    }

    fn push_comment(&mut self, _: &[u8]) {}

    fn push_doctype_name(&mut self, _: &[u8]) {}

    fn init_doctype(&mut self) {
        self.doctype = Doctype::default();
    }

    fn init_attribute(&mut self) {
        self.flush_attribute();
    }

    fn push_attribute_name(&mut self, name: &[u8]) {
        if self.attribute.len() < 256 {
            self.attribute.extend_from_slice(name);
        }
    }

    fn push_attribute_value(&mut self, value: &[u8]) {
        self.value.extend_from_slice(value);
    }

    fn set_doctype_public_identifier(&mut self, _: &[u8]) {
        self.doctype.public = true;
    }

    fn set_doctype_system_identifier(&mut self, _: &[u8]) {
        self.doctype.system = true;
    }

    fn push_doctype_public_identifier(&mut self, _: &[u8]) {}

    fn push_doctype_system_identifier(&mut self, _: &[u8]) {}

    fn current_is_appropriate_end_tag_token(&mut self) -> bool {
        self.tag == Tag::End && !self.last.is_empty() && self.last == self.name
    }
}

/// How what follows is read. Mail programs run no scripts, so `noscript` is read like everything else.
fn next_state(tag: &[u8]) -> Option<State> {
    match tag {
        b"textarea" | b"title" => Some(State::RcData),
        b"script" => Some(State::ScriptData),
        b"style" | b"iframe" | b"xmp" | b"noembed" | b"noframes" => Some(State::RawText),
        b"plaintext" => Some(State::PlainText),
        _ => None,
    }
}
