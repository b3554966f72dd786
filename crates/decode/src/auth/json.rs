//! Lines that are JSON objects: flattened into fields, then read by what they hold.

use std::fmt;

use schema::AuthProtocol::{Other, Ssh};
use schema::{AuthEvent, AuthReason, LogRecord, ValueKind};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::line::{Fill, Line, some};
use super::samba;

const DEPTH_MAX: u8 = 8;
const FIELDS_MAX: usize = 512;
/// Where the journal keeps the message.
pub(super) const MESSAGE: &str = "MESSAGE";

/// Fields of a JSON object by their path, with dots; `false`: it is none, or not to its end.
pub(super) fn flatten(text: &str, into: &mut LogRecord) -> bool {
    let mut name = String::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    let seed = Node { name: &mut name, into, depth: 0 };
    seed.deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

struct Node<'n> {
    name: &'n mut String,
    into: &'n mut LogRecord,
    depth: u8,
}

impl Node<'_> {
    fn put(&mut self, value: &str, kind: ValueKind) {
        if self.into.len() < FIELDS_MAX {
            self.into.push(self.name, value, kind);
        }
    }

    /// systemd.journal-fields(7) in JSON: what is no printable text is an array of its bytes.
    fn bytes<'de, A: SeqAccess<'de>>(mut self, mut values: A) -> Result<(), A::Error> {
        let mut bytes = Vec::new();
        while let Some(value) = values.next_element::<serde_json::Value>()? {
            match value {
                serde_json::Value::String(text) => self.put(&text, ValueKind::Text),
                value => bytes.extend(value.as_u64().and_then(|byte| u8::try_from(byte).ok())),
            }
        }
        if !bytes.is_empty() {
            self.put(&String::from_utf8_lossy(&bytes), ValueKind::Text);
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        self.put(if value { "true" } else { "false" }, ValueKind::Bool);
        Ok(())
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<(), E> {
        self.put(&value.to_string(), ValueKind::Number);
        Ok(())
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<(), E> {
        self.put(&value.to_string(), ValueKind::Number);
        Ok(())
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<(), E> {
        self.put(&value.to_string(), ValueKind::Text);
        Ok(())
    }

    fn visit_str<E>(mut self, value: &str) -> Result<(), E> {
        self.put(value, ValueKind::Text);
        Ok(())
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.put("", ValueKind::Null);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        if self.depth >= DEPTH_MAX {
            while values.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        if self.name == MESSAGE {
            return self.bytes(values);
        }
        while values
            .next_element_seed(Node { name: self.name, into: self.into, depth: self.depth + 1 })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let length = self.name.len();
        while let Some(key) = fields.next_key::<std::borrow::Cow<'de, str>>()? {
            if self.depth >= DEPTH_MAX {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            if length > 0 {
                self.name.push('.');
            }
            self.name.push_str(&key);
            fields.next_value_seed(Node { name: self.name, into: self.into, depth: self.depth + 1 })?;
            self.name.truncate(length);
        }
        Ok(())
    }
}

/// The text of a field; empty where there is none.
pub(super) fn text<'a>(fields: &'a LogRecord, name: &str) -> &'a str {
    fields.get(name).map(|(value, _)| value).unwrap_or_default()
}

/// Samba's `auth_json_audit` (`Authentication`, version 1).
pub(super) fn samba<'a>(line: &Line<'a>, fields: &'a LogRecord) -> Option<AuthEvent<'a>> {
    let of = |name: &str| text(fields, name);
    if of("type") != "Authentication" {
        return None;
    }
    let protocol = samba::protocol(of("Authentication.serviceDescription"));
    let event = match samba::reason(of("Authentication.status")) {
        AuthReason::None => line.success(protocol),
        reason => line.failure(protocol, reason),
    };
    let mut event = event.from(samba::stripped(of("Authentication.remoteAddress")));
    if let Some(account) = some(of("Authentication.clientAccount")) {
        event = event.account(account);
    }
    event.domain = some(of("Authentication.clientDomain")).or(event.domain);
    event.workstation = some(of("Authentication.workstation")).or(event.workstation);
    event.logon_type = of("Authentication.logonType").parse().ok();
    event.session = some(of("Authentication.logonId")).filter(|id| *id != "0").or(event.session);
    Some(event)
}

/// Cowrie, a honeypot: whoever comes has no business there, whatever it lets him do.
pub(super) fn cowrie<'a>(line: &Line<'a>, fields: &'a LogRecord) -> Option<AuthEvent<'a>> {
    let protocol = if text(fields, "protocol") == "telnet" { Other } else { Ssh };
    let mut event = match text(fields, "eventid") {
        "cowrie.session.connect" => line.failure(protocol, AuthReason::NotAllowed),
        "cowrie.login.failed" => line.failure(protocol, AuthReason::WrongSecret),
        "cowrie.session.closed" => line.ended(protocol),
        // It lets everybody in; a success there would look like one here.
        _ => return None,
    };
    if let Some(user) = some(text(fields, "username")) {
        event = event.account(user);
    }
    event.session = some(text(fields, "session"));
    Some(event.from(text(fields, "src_ip")))
}

/// Which kind of JSON it is, by fields that only it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Journal,
    Samba,
    Cowrie,
    Unknown,
}

pub(super) fn kind(fields: &LogRecord) -> Kind {
    let has = |name: &str| fields.get(name).is_some();
    if has("__REALTIME_TIMESTAMP") || has(MESSAGE) && has("_BOOT_ID") {
        Kind::Journal
    } else if text(fields, "eventid").starts_with("cowrie.") {
        Kind::Cowrie
    } else if has("Authentication.status") || has("Authorization.version") {
        Kind::Samba
    } else {
        Kind::Unknown
    }
}

/// Wherever the time stands.
pub(super) fn when(fields: &LogRecord) -> &str {
    ["timestamp", "@timestamp", "time"]
        .iter()
        .map(|name| text(fields, name))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_become_fields_by_their_paths_within_bounds() {
        let mut fields = LogRecord::default();
        assert!(flatten(r#"{"a":{"b":"x\ny","c":[1,2]},"d":null,"e":true}"#, &mut fields));
        let found: Vec<_> = fields.iter().map(|(name, value, _)| (name, value)).collect();
        assert_eq!(found, [("a.b", "x\ny"), ("a.c", "1"), ("a.c", "2"), ("d", ""), ("e", "true")]);
        let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
        fields.clear();
        assert!(flatten(&deep, &mut fields) && fields.is_empty());
        let many: Vec<String> = (0..2 * FIELDS_MAX).map(|at| format!("\"f{at}\":{at}")).collect();
        assert!(flatten(&format!("{{{}}}", many.join(",")), &mut fields) && fields.len() == FIELDS_MAX);
        for text in ["{", "not json", "", "{\"a\":1} x"] {
            assert!(!flatten(text, &mut LogRecord::default()), "{text}");
        }
    }
}
