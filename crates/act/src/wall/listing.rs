//! What `nft -j list table inet chartward` says.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::{Barrier, InForce, Look, Shape};
use crate::Error;

/// Chains without which nothing is in force, whatever the sets hold.
const CHAINS: [&str; 7] = ["forward", "from", "input", "isolated", "outbound", "output", "to"];

pub(super) fn parse(json: &[u8]) -> Result<Look, Error> {
    let listing: Value = serde_json::from_slice(json).map_err(Error::PacketFilterListing)?;
    let objects = listing.get("nftables").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let chain_of = |rule: &Value| rule.pointer("/rule/chain").and_then(Value::as_str).map(str::to_owned);
    let ruled: BTreeSet<String> = objects.iter().filter_map(chain_of).collect();
    if let Some(chain) = CHAINS.into_iter().find(|chain| !ruled.contains(*chain)) {
        return Err(Error::WallBroken { chain });
    }
    let mut found: Vec<InForce> =
        objects.iter().filter_map(|object| object.get("set")).flat_map(of_set).collect();
    found.sort_unstable();
    Ok(Look { in_force: found, shape: Shape(objects.iter().filter_map(shape_of).collect()) })
}

/// An object of the table without what changes by itself: numbers of the kernel, and addresses that come and go.
fn shape_of(object: &Value) -> Option<String> {
    if object.get("metainfo").is_some() {
        return None;
    }
    let mut object = object.clone();
    for part in object.as_object_mut()?.values_mut().filter_map(Value::as_object_mut) {
        part.remove("handle");
        let name = part.get("name").and_then(Value::as_str);
        let comes_and_goes = ["ban", "isolate", "egress", "ended"];
        let set = name.map(|name| name.trim_end_matches(['4', '6']));
        if set.is_some_and(|set| comes_and_goes.contains(&set)) {
            part.remove("elem");
        }
    }
    Some(object.to_string())
}

fn of_set(set: &Value) -> Vec<InForce> {
    let barrier = match set.get("name").and_then(Value::as_str) {
        Some("ban4" | "ban6") => Barrier::Ban,
        Some("isolate4" | "isolate6") => Barrier::Isolate,
        Some("egress4" | "egress6") => Barrier::Egress,
        _ => return vec![],
    };
    let elements = set.get("elem").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    elements.iter().filter_map(|element| of_element(barrier, element)).collect()
}

/// An element is a string, or an object when it has a time.
fn of_element(barrier: Barrier, element: &Value) -> Option<InForce> {
    let timed = element.get("elem");
    let text = timed.and_then(|timed| timed.get("val")).unwrap_or(element).as_str()?;
    let address: IpAddr = text.parse().ok()?;
    let remaining = timed.and_then(|timed| timed.get("expires")).and_then(Value::as_u64);
    Some(InForce { barrier, address, remaining: remaining.map(Duration::from_secs) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(sets: &str) -> String {
        let rules = CHAINS.map(|chain| format!(r#"{{"rule": {{"chain": "{chain}"}}}}"#)).join(", ");
        format!(r#"{{"nftables": [{{"metainfo": {{}}}}, {rules}, {sets}]}}"#)
    }

    #[test]
    fn elements_come_with_and_without_a_time_and_what_is_none_is_passed_over() {
        let json = listing(
            r#"{"set": {"name": "ban4", "elem": ["10.0.0.9", {"elem": {"val": "10.0.0.1", "timeout": 9, "expires": 7}}, 3, {}]}},
               {"set": {"name": "isolate6", "elem": [{"elem": {"val": "fd00::1", "expires": "soon"}}, {"elem": {"val": {"prefix": 1}}}]}},
               {"set": {"name": "allow4", "elem": ["10.0.0.3"]}}, {"set": {"name": "ban6"}}, {"set": 4}, 5"#,
        );
        let of = |barrier, address: &str, seconds: Option<u64>| InForce {
            barrier,
            address: address.parse().unwrap(),
            remaining: seconds.map(Duration::from_secs),
        };
        let expected = [
            of(Barrier::Ban, "10.0.0.1", Some(7)),
            of(Barrier::Ban, "10.0.0.9", None),
            of(Barrier::Isolate, "fd00::1", None),
        ];
        assert_eq!(parse(json.as_bytes()).unwrap().in_force, expected);
    }

    #[test]
    fn the_shape_is_the_same_until_a_rule_or_a_standing_set_is_another() {
        let shape = |sets: &str| parse(listing(sets).as_bytes()).unwrap().shape;
        let usual = shape(
            r#"{"set": {"name": "ban4", "handle": 3, "elem": ["10.0.0.9"]}}, {"set": {"name": "allow4", "elem": ["10.0.0.3"]}}"#,
        );
        for (sets, is_same) in [
            (
                r#"{"set": {"name": "ban4", "handle": 7}}, {"set": {"name": "allow4", "elem": ["10.0.0.3"]}}"#,
                true,
            ),
            (r#"{"set": {"name": "ban4"}}, {"set": {"name": "allow4", "elem": ["10.0.0.9"]}}"#, false),
            (r#"{"set": {"name": "ban4"}}, {"set": {"name": "allow4"}}"#, false),
            (
                r#"{"set": {"name": "ban4"}}, {"set": {"name": "allow4", "elem": ["10.0.0.3"]}}, {"rule": {"chain": "from"}}"#,
                false,
            ),
        ] {
            assert_eq!(shape(sets) == usual, is_same, "{sets}");
        }
    }

    #[test]
    fn an_answer_that_is_no_listing_is_named() {
        assert!(matches!(parse(b"Error: syntax error"), Err(Error::PacketFilterListing(_))));
        assert!(matches!(parse(b"{}"), Err(Error::WallBroken { chain: "forward" })));
        assert!(matches!(parse(b"[[]]"), Err(Error::WallBroken { .. })));
    }
}
