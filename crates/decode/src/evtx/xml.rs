//! Records as XML: `<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">`, as a collector of Windows Event Forwarding, `wevtutil`
//! and the event viewer write them, one or many of them, with or without an `<Events>` around.

use std::borrow::Cow;
use std::ops::ControlFlow;

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE};
use quick_xml::Reader as XmlReader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use schema::{LogRecord, ValueKind};

use super::flat::Flat;
use super::json::attribute_of;
use super::{EvtxFault, Reader, TEXT_MAX};

/// Elements in elements.
const DEPTH_MAX: usize = 64;

impl Reader {
    /// Gives all records in some XML to `take` until it wants no more. What is no XML is named, and the next record is looked for behind it.
    pub fn xml(
        &mut self,
        bytes: &[u8],
        record: &mut LogRecord,
        mut take: impl FnMut(Result<&LogRecord, EvtxFault>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if bytes.len() > 4 * TEXT_MAX {
            return take(Err(EvtxFault::TooLong { bytes: bytes.len(), limit: 4 * TEXT_MAX }));
        }
        let text = decoded(bytes);
        let (mut start, mut again) = (0, 0);
        loop {
            let rest = text.get(start..).unwrap_or_default();
            let Err(broken) = (Document { flat: &mut self.flat, record }).read(rest, &mut take)? else {
                return ControlFlow::Continue(());
            };
            take(Err(broken.fault))?;
            // The break may have shown late, with whole records before it. Reading those once more is bounded, so that a text made of
            // beginnings does not cost the square of its length.
            let (began, at) = (start + broken.began + 1, (start + broken.at).max(start + 1));
            again += at.saturating_sub(began);
            let from = if again <= 4 * text.len() { began.min(at) } else { at };
            match next_record(&text, from) {
                Some(next) => start = next,
                None => return ControlFlow::Continue(()),
            }
        }
    }
}

/// UTF-8, or UTF-16 of either order with a mark of it or without.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    let encoding = match bytes {
        [0xff, 0xfe, ..] | [b'<', 0, ..] => UTF_16LE,
        [0xfe, 0xff, ..] | [0, b'<', ..] => UTF_16BE,
        _ => UTF_8,
    };
    encoding.decode_with_bom_removal(bytes).0
}

fn next_record(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes().get(from..)?;
    memchr::memmem::find_iter(bytes, b"<Event")
        .find(|at| matches!(bytes.get(at + 6), Some(b' ' | b'>' | b'\t' | b'\r' | b'\n')))
        .map(|at| from + at)
}

/// Where in a record an element lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Event,
    System,
    Element,
    Data,
    Rendering,
    Ignored,
}

struct Open {
    place: Place,
    name: String,
    has_children: bool,
    /// Where its text begins in what was gathered.
    text: usize,
}

struct Document<'r> {
    flat: &'r mut Flat,
    record: &'r mut LogRecord,
}

/// Where a text broke, and why.
struct Broken {
    /// Where the record began that was being read.
    began: usize,
    at: usize,
    fault: EvtxFault,
}

impl Document<'_> {
    fn read(
        &mut self,
        text: &str,
        take: &mut impl FnMut(Result<&LogRecord, EvtxFault>) -> ControlFlow<()>,
    ) -> ControlFlow<(), Result<(), Broken>> {
        let mut input = XmlReader::from_str(text);
        let (mut open, mut gathered): (Vec<Open>, String) = (Vec::new(), String::new());
        let mut began = 0;
        loop {
            let before = input.buffer_position() as usize;
            let broken = |at, fault| ControlFlow::Continue(Err(Broken { began, at, fault }));
            let event = match input.read_event() {
                Ok(event) => event,
                Err(_) => {
                    let at = (input.error_position() as usize).max(before);
                    return broken(at, EvtxFault::NotXml { offset: at as u64 });
                }
            };
            match event {
                Event::Start(start) => {
                    if open.len() >= DEPTH_MAX {
                        return broken(before, EvtxFault::TooDeep { limit: DEPTH_MAX });
                    }
                    let opened = self.open(&start, open.last_mut(), gathered.len());
                    if opened.place == Place::Event {
                        began = before;
                    }
                    open.push(opened);
                }
                Event::Empty(start) => {
                    let opened = self.open(&start, open.last_mut(), gathered.len());
                    self.value(&opened, "", ValueKind::Null);
                }
                Event::End(_) => {
                    let Some(closed) = open.pop() else { continue };
                    let value = gathered.get(closed.text..).unwrap_or_default();
                    if !closed.has_children || !value.trim().is_empty() {
                        self.value(&closed, value, ValueKind::Text);
                    }
                    gathered.truncate(closed.text);
                    if closed.place == Place::Event {
                        take(if self.flat.end(self.record) {
                            Ok(self.record)
                        } else {
                            Err(EvtxFault::NotAnEvent)
                        })?;
                    }
                }
                Event::Text(part) if !open.is_empty() => {
                    gathered.push_str(&part.decode().unwrap_or_default())
                }
                Event::CData(part) if !open.is_empty() => {
                    gathered.push_str(&part.decode().unwrap_or_default())
                }
                Event::GeneralRef(part) if !open.is_empty() => reference(&part, &mut gathered),
                Event::Eof => {
                    let cut = open.iter().any(|open| open.place == Place::Event);
                    let fault = EvtxFault::NotXml { offset: before as u64 };
                    return if cut { broken(text.len(), fault) } else { ControlFlow::Continue(Ok(())) };
                }
                _ => {}
            }
        }
    }

    fn open(&mut self, start: &BytesStart<'_>, parent: Option<&mut Open>, text: usize) -> Open {
        let name = start.local_name();
        let name = std::str::from_utf8(name.as_ref()).unwrap_or_default();
        let above = parent.map_or(Place::Outside, |parent| {
            parent.has_children = true;
            parent.place
        });
        let place = match (above, name) {
            (Place::Outside, "Event") => {
                self.record.clear();
                self.flat.begin();
                Place::Event
            }
            (Place::Outside, _) => Place::Outside,
            (Place::Event, "System") => Place::System,
            (Place::Event, "EventData" | "UserData" | "ProcessingErrorData" | "DebugData") => Place::Data,
            (Place::Event, "RenderingInfo") => Place::Rendering,
            (Place::System | Place::Element, _) => Place::Element,
            (Place::Data, _) => Place::Data,
            (Place::Rendering, "Message") => Place::Data,
            _ => Place::Ignored,
        };
        // A container has no name, so that its own text is no field.
        let mut named = if above == Place::Event { String::new() } else { name.to_owned() };
        if matches!(place, Place::Element | Place::Data) && !named.is_empty() {
            self.attributes(start, place, name, &mut named);
        }
        Open { place, name: named, has_children: false, text }
    }

    fn attributes(&mut self, start: &BytesStart<'_>, place: Place, element: &str, named: &mut String) {
        for attribute in start.attributes().with_checks(false).flatten() {
            let key = std::str::from_utf8(attribute.key.as_ref()).unwrap_or_default();
            let Ok(value) = attribute.unescape_value() else { continue };
            match place {
                Place::Element => self.flat.system(element, key, &value),
                // The field's own name.
                Place::Data if key == "Name" && element == "Data" => value.trim().clone_into(named),
                _ => attribute_of(self.flat, self.record, named, key, &value),
            }
        }
    }

    fn value(&mut self, open: &Open, value: &str, kind: ValueKind) {
        match open.place {
            Place::Element => self.flat.system(&open.name, "", value),
            Place::Data if !open.name.is_empty() => {
                // A line that ends in a value comes as CR LF from Windows and as LF from XML's own rules.
                self.flat.data(self.record, &open.name, value, kind);
            }
            _ => {}
        }
    }
}

fn reference(part: &BytesRef<'_>, gathered: &mut String) {
    if let Ok(Some(char)) = part.resolve_char_ref() {
        gathered.push(char);
        return;
    }
    let name = part.decode().unwrap_or_default();
    // An entity of somebody's own is left out: none is ever expanded.
    gathered.push_str(resolve_predefined_entity(&name).unwrap_or_default());
}
