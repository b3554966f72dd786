//! What an index needs of a resource: its type, its id, whose it is.

use serde::Deserialize;
use serde_json::Value;
use serde_json::error::Category;

use super::RESOURCE_BYTES_MAX;
use super::split::Piece;
use crate::DecodeError;

/// The beginning of a resource, or of the entry of a Bundle that holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// `Patient`, `Observation`, …
    pub resource_type: String,
    /// Its id; empty when it has none.
    pub id: String,
    /// `fullUrl` of the entry; empty when it has none.
    pub full_url: String,
    /// Whose it is, where it says so.
    pub patient: Option<Reference>,
    /// `status`; empty when it has none.
    pub status: String,
    /// `class.code` of an encounter; empty when it has none.
    pub class: String,
    /// The entry asks for the resource to be deleted (`request.method`).
    pub is_deletion: bool,
}

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// `Type/id` (also of an absolute URL, without its version), `urn:uuid:…`, or `#id` within the same resource.
    Literal(String),
    /// By an identifier alone.
    Logical {
        /// Who issued it; empty when nobody is named.
        system: String,
        /// Its value.
        value: String,
    },
}

impl Reference {
    /// Reads `reference`, of which the same resource is written alike in every file.
    pub fn literal(text: &str) -> Reference {
        let text = text.split("/_history/").next().unwrap_or(text);
        if text.contains("://") {
            let mut parts = text.rsplit('/');
            if let (Some(id), Some(kind)) = (parts.next(), parts.next())
                && kind.starts_with(|c: char| c.is_ascii_uppercase())
            {
                return Reference::Literal(format!("{kind}/{id}"));
            }
        }
        Reference::Literal(text.to_owned())
    }
}

/// What a `Reference` names.
pub fn reference_of(value: &Value) -> Option<Reference> {
    let literal = value.get("reference").and_then(Value::as_str).filter(|text| !text.is_empty());
    literal.map(Reference::literal).or_else(|| {
        let identifier = value.get("identifier")?;
        let text = |name| identifier.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (system, value) = (text("system"), text("value"));
        (!value.is_empty()).then_some(Reference::Logical { system, value })
    })
}

/// Only these fields are kept while a resource is read.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Raw {
    #[serde(rename = "resourceType")]
    resource_type: Value,
    id: Value,
    #[serde(rename = "fullUrl")]
    full_url: Value,
    resource: Option<Box<Raw>>,
    request: Request,
    subject: Value,
    patient: Value,
    beneficiary: Value,
    #[serde(rename = "for")]
    for_whom: Value,
    participant: Value,
    status: Value,
    class: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Request {
    method: Value,
}

impl Head {
    /// Reads a piece of a file.
    pub fn of(piece: &Piece<'_>) -> Result<Head, DecodeError> {
        if piece.bytes.len() as u64 != piece.length {
            return Err(DecodeError::ResourceTooLarge { bytes: piece.length, limit: RESOURCE_BYTES_MAX });
        }
        let outer: Raw =
            serde_json::from_slice(without_mark(piece.bytes)).map_err(|error| damaged(&error))?;
        let full_url = text(&outer.full_url);
        let is_deletion = text(&outer.request.method) == "DELETE";
        let raw =
            if outer.resource_type.is_null() { outer.resource.map(|inner| *inner) } else { Some(outer) };
        let Some(raw) = raw else {
            // An entry may say what was done and hold nothing.
            return match full_url.is_empty() && !is_deletion {
                true => Err(DecodeError::NoResource),
                false => Ok(Head { full_url, is_deletion, ..Head::default() }),
            };
        };
        let resource_type = text(&raw.resource_type);
        if resource_type.is_empty() {
            return Err(DecodeError::NoResource);
        }
        Ok(Head {
            id: text(&raw.id),
            full_url,
            patient: whose(&resource_type, &raw),
            status: text(&raw.status),
            class: text(raw.class.get("code").unwrap_or(&Value::Null)),
            is_deletion,
            resource_type,
        })
    }

    /// The patient whom a resource names that cannot be read: the only one whose reference its bytes hold.
    pub fn named_in(bytes: &[u8]) -> Option<Reference> {
        let mut found: Option<&[u8]> = None;
        for at in memchr::memmem::find_iter(bytes, b"\"Patient/") {
            let from = at + 1;
            let end = memchr::memchr(b'"', bytes.get(from..)?).map(|length| from + length)?;
            let name = bytes.get(from..end)?;
            if found.is_some_and(|other| other != name) {
                return None;
            }
            found = Some(name);
        }
        std::str::from_utf8(found?).ok().map(Reference::literal)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn whose(resource_type: &str, raw: &Raw) -> Option<Reference> {
    if resource_type == "Appointment" {
        let actors = raw.participant.as_array().into_iter().flatten().filter_map(|one| one.get("actor"));
        return actors.filter(|actor| is_patient(actor)).find_map(reference_of);
    }
    [&raw.subject, &raw.patient, &raw.beneficiary, &raw.for_whom].into_iter().find_map(reference_of)
}

fn is_patient(actor: &Value) -> bool {
    let by_type = actor.get("type").and_then(Value::as_str) == Some("Patient");
    let literal = actor.get("reference").and_then(Value::as_str).unwrap_or_default();
    by_type || literal.starts_with("Patient/") || literal.contains("/Patient/")
}

/// A whole resource, without the entry around it.
pub fn parse(bytes: &[u8]) -> Result<Value, DecodeError> {
    if bytes.len() > RESOURCE_BYTES_MAX {
        return Err(DecodeError::ResourceTooLarge { bytes: bytes.len() as u64, limit: RESOURCE_BYTES_MAX });
    }
    let mut value: Value = serde_json::from_slice(without_mark(bytes)).map_err(|error| damaged(&error))?;
    if value.get("resourceType").is_none()
        && let Some(inner) = value.get_mut("resource")
    {
        value = inner.take();
    }
    if value.get("resourceType").is_some_and(Value::is_string) {
        Ok(value)
    } else {
        Err(DecodeError::NoResource)
    }
}

/// Some programs for Windows put a byte order mark in front of UTF-8.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Without any of the content, which is a patient's.
fn damaged(error: &serde_json::Error) -> DecodeError {
    let cause = match error.classify() {
        Category::Eof => "it ends too early",
        Category::Data => "a field is there twice, or of a wrong type",
        Category::Syntax | Category::Io => "a character that cannot stand there, or nested too deep",
    };
    DecodeError::Resource { line: error.line(), column: error.column(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Head, DecodeError> {
        Head::of(&Piece { offset: 0, length: text.len() as u64, bytes: text.as_bytes() })
    }

    #[test]
    fn references_are_read_in_every_spelling() {
        let check = |text: &str, expected: Option<Reference>| {
            let found = head(&format!(r#"{{"resourceType":"Observation","subject":{text}}}"#)).unwrap();
            assert_eq!(found.patient, expected, "{text}");
        };
        let literal = |text: &str| Some(Reference::Literal(text.to_owned()));
        check(r#"{"reference":"Patient/1"}"#, literal("Patient/1"));
        check(r#"{"reference":"https://x.example/fhir/Patient/1/_history/3"}"#, literal("Patient/1"));
        check(r#"{"reference":"urn:uuid:0a"}"#, literal("urn:uuid:0a"));
        check(
            r#"{"identifier":{"system":"urn:oid:1","value":"00012"}}"#,
            Some(Reference::Logical { system: "urn:oid:1".into(), value: "00012".into() }),
        );
        for nobody in ["{}", "7", "[]", r#"{"reference":5}"#, r#"{"reference":""}"#, "null"] {
            check(nobody, None);
        }
    }

    #[test]
    fn the_head_of_an_entry_is_that_of_its_resource() {
        let entry = r#"{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Encounter","id":"e","status":"in-progress",
            "class":{"code":"IMP"},"subject":{"reference":"Patient/1"}},"request":{"method":"POST"}}"#;
        let found = head(entry).unwrap();
        assert_eq!(
            (found.full_url.as_str(), found.id.as_str(), found.class.as_str()),
            ("urn:uuid:1", "e", "IMP")
        );
        assert!(head(r#"{"request":{"method":"DELETE","url":"Patient/1"}}"#).unwrap().is_deletion);
        let booked = r#"{"resourceType":"Appointment","participant":[{"actor":{"reference":"Location/1"}},
            {"actor":{"reference":"Patient/9"}}]}"#;
        assert_eq!(head(booked).unwrap().patient, Some(Reference::Literal("Patient/9".into())));
    }

    #[test]
    fn what_is_no_resource_says_so_without_its_content() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for text in [
            "",
            "{",
            "[1]",
            "{\"id\":\"山田\"}",
            "{\"resourceType\":5}",
            "\u{0}",
            &deep,
            "{\"a\":\"\u{1}山田\"}",
        ] {
            let error = head(text).unwrap_err().to_string();
            assert!(!error.contains("山田"), "{error}");
            assert!(parse(text.as_bytes()).is_err());
        }
        assert!(head("{\"resourceType\":\"X\",\"a\":\"\\ud800\"}").is_err() || parse(b"{}").is_err());
    }

    #[test]
    fn a_damaged_resource_is_the_only_patient_s_that_it_names() {
        let check = |text: &str, expected: Option<&str>| {
            let expected = expected.map(|text| Reference::Literal(text.to_owned()));
            assert_eq!(Head::named_in(text.as_bytes()), expected, "{text}");
        };
        check(r#"{"subject":{"reference":"Patient/1"},"x":{"reference":"Patient/1"},"#, Some("Patient/1"));
        check(r#"{"subject":{"reference":"Patient/1"},"x":{"reference":"Patient/2"},"#, None);
        check(r#"{"subject":{"reference":"Patient/1"#, None);
        check("", None);
    }
}
