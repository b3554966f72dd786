use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::goformat::unquote;
use super::Node;

/// Bytes that restic writes for the shortest entry, at least: three times and the owner are always there.
const ENTRY_MIN: usize = 128;
/// Entries that a listing of any length may have.
const FEW_ENTRIES: usize = 1000;

/// The nodes of a tree, ordered by name.
///
/// An entry in memory takes about three times what the shortest one takes as restic writes it. A listing with more entries than its length
/// allows is refused: entries of `{"name":"a","type":"file"}` would take fifteen times their text.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Node>, String> {
    let most = FEW_ENTRIES.max(bytes.len() / ENTRY_MIN);
    let mut text = serde_json::Deserializer::from_slice(bytes);
    let mut nodes = Tree { most }.deserialize(&mut text).map_err(|e| e.to_string())?;
    text.end().map_err(|e| e.to_string())?;
    if !nodes.is_sorted_by(|a, b| a.name < b.name) {
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        if nodes.windows(2).any(|pair| pair[0].name == pair[1].name) {
            return Err("two entries of a directory have the same name".to_owned());
        }
    }
    Ok(nodes)
}

/// An object whose field `nodes` is a list.
struct Tree {
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Vec<Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Node>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Vec<Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a directory's list of entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Node>, A::Error> {
        let mut nodes = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key != "nodes" {
                map.next_value::<IgnoredAny>()?;
            } else if nodes.replace(map.next_value_seed(Nodes { most: self.most })?).is_some() {
                return Err(A::Error::duplicate_field("nodes"));
            }
        }
        nodes.ok_or_else(|| A::Error::missing_field("nodes"))
    }
}

struct Nodes {
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Nodes {
    type Value = Vec<Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Node>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Nodes {
    type Value = Vec<Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Node>, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element()? {
            if nodes.len() == self.most {
                return Err(A::Error::custom("it has more entries than its length allows"));
            }
            nodes.push(node);
        }
        Ok(nodes)
    }
}

pub(super) fn quoted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    unquote(&text).ok_or_else(|| D::Error::custom("a name is not quoted as it should be"))
}

pub(super) fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    String::deserialize(deserializer).map(Arc::from)
}

pub(super) fn base64_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    STANDARD.decode(text).map_err(D::Error::custom)
}
