//! What the kernel says about the policy's table.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::evidence::hex;

/// The table as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// A checksum of everything in it that does not change by itself.
    pub shape: String,
    /// Whether the kernel holds the entry of a trial.
    pub is_on_trial: bool,
    /// How long that still lasts.
    pub trial_left: Option<Duration>,
    /// By generation and by what the rule is called.
    pub counters: BTreeMap<(u64, String), Counted>,
}

/// What a rule has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// First packets of connections, mostly.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

pub(super) fn has_table(json: &[u8], name: &str) -> Result<bool, Error> {
    let listing: Value = serde_json::from_slice(json).map_err(Error::PacketFilterListing)?;
    let named = |object: &Value| object.pointer("/table/name").and_then(Value::as_str) == Some(name);
    Ok(objects(&listing).iter().any(named))
}

pub(super) fn parse(json: &[u8]) -> Result<Loaded, Error> {
    let listing: Value = serde_json::from_slice(json).map_err(Error::PacketFilterListing)?;
    let mut hash = Sha256::new();
    let mut counters: BTreeMap<(u64, String), Counted> = BTreeMap::new();
    let mut trial = None;
    for object in objects(&listing) {
        if let Some(rule) = object.get("rule") {
            count(rule, &mut counters);
        }
        if object.pointer("/set/name").and_then(Value::as_str) == Some("trial") {
            trial =
                object.pointer("/set/elem").and_then(Value::as_array).and_then(|elements| elements.first());
        }
        if let Some(shape) = shape_of(object) {
            hash.update(shape.as_bytes());
            hash.update(b"\n");
        }
    }
    let left = trial.and_then(|element| element.pointer("/elem/expires")).and_then(Value::as_u64);
    Ok(Loaded {
        shape: hex(&hash.finalize()),
        is_on_trial: trial.is_some(),
        trial_left: left.map(Duration::from_secs),
        counters,
    })
}

fn objects(listing: &Value) -> &[Value] {
    listing.get("nftables").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn count(rule: &Value, counters: &mut BTreeMap<(u64, String), Counted>) {
    let text = |name: &str| rule.get(name).and_then(Value::as_str);
    let generation = text("chain").and_then(|chain| chain.strip_prefix('g')?.split('_').next()?.parse().ok());
    let (Some(generation), Some(comment)) = (generation, text("comment")) else { return };
    let parts = rule.get("expr").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let Some(counter) = parts.iter().find_map(|part| part.get("counter")) else { return };
    let number = |name: &str| counter.get(name).and_then(Value::as_u64).unwrap_or_default();
    let counted = counters.entry((generation, comment.to_owned())).or_default();
    counted.packets = counted.packets.saturating_add(number("packets"));
    counted.bytes = counted.bytes.saturating_add(number("bytes"));
}

/// An object without what changes by itself: numbers of the kernel, counters, and addresses that come and go.
fn shape_of(object: &Value) -> Option<String> {
    if object.get("metainfo").is_some() {
        return None;
    }
    let mut object = object.clone();
    for part in object.as_object_mut()?.values_mut().filter_map(Value::as_object_mut) {
        part.remove("handle");
        // All our named sets are filled by the kernel or end by themselves; what rules match stands in the rules.
        part.remove("elem");
        let expressions = part.get_mut("expr").and_then(Value::as_array_mut);
        for counter in expressions.into_iter().flatten().filter_map(|part| part.get_mut("counter")) {
            *counter = Value::Null;
        }
    }
    Some(object.to_string())
}
