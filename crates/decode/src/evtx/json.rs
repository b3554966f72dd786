//! A record as the JSON of `evtx_dump` and of the tools around it: `{"Event": {"System": …, "EventData": …}}`, attributes in
//! `#attributes` or in `Name_attributes`. Read as a stream, into the record's own buffer.

use std::borrow::Cow;
use std::fmt;

use schema::{LogRecord, ValueKind};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::EvtxFault;
use super::flat::Flat;

/// Reads a record; what the caller has set of it before (its instant, its number) stays where the record does not say.
pub(super) fn event(flat: &mut Flat, bytes: &[u8], record: &mut LogRecord) -> Result<(), EvtxFault> {
    flat.begin();
    let seed = Seed { flat: &mut *flat, record: &mut *record, place: Place::Root, name: "", attribute: "" };
    // Checked once for all its texts; of bytes that are no UTF-8 the parser says where.
    let read = match std::str::from_utf8(bytes) {
        Ok(text) => seed.deserialize(&mut serde_json::Deserializer::from_str(text)),
        Err(_) => seed.deserialize(&mut serde_json::Deserializer::from_slice(bytes)),
    };
    read.map_err(|error| EvtxFault::NotJson { column: error.column() })?;
    if flat.end(record) { Ok(()) } else { Err(EvtxFault::NotAnEvent) }
}

/// The same from a value that was read already; the caller begins and ends the record.
pub(super) fn value(flat: &mut Flat, value: &serde_json::Value, record: &mut LogRecord) {
    let seed = Seed { flat, record, place: Place::Root, name: "", attribute: "" };
    // Reading out of a value cannot fail: it takes any.
    let _ = seed.deserialize(value);
}

/// Where in the record a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Event,
    System,
    /// Within an element of `System`.
    Element,
    /// Attributes of an element of `System`.
    Attributes,
    /// `EventData`, `UserData` and all that lies in them.
    Data,
    /// Attributes there.
    DataAttributes,
    Rendering,
}

struct Seed<'f, 'n> {
    flat: &'f mut Flat,
    record: &'f mut LogRecord,
    place: Place,
    /// The name a value has that lies here; for attributes, that of their element.
    name: &'n str,
    /// The attribute whose value lies here.
    attribute: &'n str,
}

impl Seed<'_, '_> {
    fn value(self, value: &str, kind: ValueKind) {
        match self.place {
            Place::Element => self.flat.system(self.name, "", value),
            Place::Attributes => self.flat.system(self.name, self.attribute, value),
            Place::Data if !self.name.is_empty() => self.flat.data(self.record, self.name, value, kind),
            Place::DataAttributes => attribute_of(self.flat, self.record, self.name, self.attribute, value),
            _ => {}
        }
    }

    fn number(self, value: impl fmt::Display) {
        let mut text = Digits::default();
        if fmt::Write::write_fmt(&mut text, format_args!("{value}")).is_ok() {
            self.value(text.as_str(), ValueKind::Number);
        }
    }

    /// What lies below a key of an object here: the place, the name and the attribute of its value.
    fn below<'k>(&self, key: &'k str) -> Option<(Place, &'k str, &'k str)>
    where
        Self: 'k,
    {
        let attributes = key.strip_suffix("_attributes");
        let place = match (self.place, key) {
            (Place::Root, "Event") => return Some((Place::Event, "", "")),
            (Place::Event, "System") => return Some((Place::System, "", "")),
            (Place::Event, "EventData" | "UserData" | "ProcessingErrorData" | "DebugData") => {
                return Some((Place::Data, "", ""));
            }
            (Place::Event, "RenderingInfo") => return Some((Place::Rendering, "", "")),
            (Place::Rendering, "Message") => Place::Data,
            (Place::System, _) => Place::Element,
            (Place::Data, _) => Place::Data,
            _ => return None,
        };
        Some(match (place, attributes) {
            (Place::Element, Some(element)) => (Place::Attributes, element, ""),
            (Place::Data, Some(element)) => (Place::DataAttributes, element, ""),
            _ => (place, key, ""),
        })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Windows event")
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.value(value, ValueKind::Text);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.number(value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.number(value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.number(value);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.value(if value { "true" } else { "false" }, ValueKind::Bool);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.value("", ValueKind::Null);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Seed { flat, record, place, name, attribute } = self;
        loop {
            let seed = Seed { flat: &mut *flat, record: &mut *record, place, name, attribute };
            if items.next_element_seed(seed)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = entries.next_key()? {
            let (place, name, attribute) = match (self.place, &*key) {
                (Place::Attributes | Place::DataAttributes, attribute) => (self.place, self.name, attribute),
                (Place::Element, "#text") => (Place::Element, self.name, ""),
                (Place::Element, "#attributes") => (Place::Attributes, self.name, ""),
                (Place::Data, "#text") => {
                    (Place::Data, if self.name.is_empty() { "Data" } else { self.name }, "")
                }
                (Place::Data, "#attributes") => (Place::DataAttributes, self.name, ""),
                _ => match self.below(&key) {
                    Some(below) => below,
                    None => {
                        entries.next_value::<IgnoredAny>()?;
                        continue;
                    }
                },
            };
            let (flat, record) = (&mut *self.flat, &mut *self.record);
            entries.next_value_seed(Seed { flat, record, place, name, attribute })?;
        }
        Ok(())
    }
}

/// An attribute of an element of the event's data: `Element_Attribute`, as `Provider_Name` is one of `System`. Name spaces say nothing.
pub(super) fn attribute_of(
    flat: &mut Flat,
    record: &mut LogRecord,
    element: &str,
    attribute: &str,
    value: &str,
) {
    if attribute.starts_with("xmlns") || element.is_empty() {
        return;
    }
    flat.data(record, &format!("{element}_{attribute}"), value, ValueKind::Text);
}

/// A key, borrowed where JSON wrote it without escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Room for the digits of a number.
#[derive(Default)]
struct Digits {
    bytes: [u8; 32],
    len: usize,
}

impl Digits {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
