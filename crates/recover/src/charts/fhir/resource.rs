//! One resource of the patient whose chart is made, and what it refers to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use decode::fhir::{Node, Reference, Wrong, reference_of};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::charts::model::{Item, Provenance};

/// So many shared resources are kept at a time.
const KEPT_MAX: usize = 2_000;

type Find<'l> = Box<dyn Fn(u32, &Reference) -> Option<Value> + 'l>;
/// By scope and name; `None`: looked for and not there.
type Kept = HashMap<(u32, Reference), Option<Rc<Value>>>;

/// Finds practitioners, places and drugs that resources refer to.
pub(super) struct Lookup<'l> {
    find: Find<'l>,
    kept: RefCell<Kept>,
}

impl<'l> Lookup<'l> {
    pub(super) fn new(find: impl Fn(u32, &Reference) -> Option<Value> + 'l) -> Lookup<'l> {
        Lookup { find: Box::new(find), kept: RefCell::default() }
    }

    fn get(&self, scope: u32, reference: Reference) -> Option<Rc<Value>> {
        let key = (scope, reference);
        if let Some(known) = self.kept.borrow().get(&key) {
            return known.clone();
        }
        let found = (self.find)(scope, &key.1).map(Rc::new);
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, found.clone());
        found
    }
}

/// See the module.
pub(super) struct Resource<'r> {
    pub(super) node: Node<'r>,
    pub(super) kind: &'r str,
    pub(super) from: Provenance,
    pub(super) zone: &'r TimeZone,
    pub(super) scope: u32,
    pub(super) lookup: &'r Lookup<'r>,
}

impl<'r> Resource<'r> {
    pub(super) fn item<T>(&self, value: T) -> Item<T> {
        Item { value, from: self.from.clone() }
    }

    pub(super) fn get(&self, name: &'static str) -> Node<'r> {
        self.node.get(name)
    }

    pub(super) fn status(&self) -> &'r str {
        self.node.get("status").text()
    }

    /// By the hospital's clock.
    pub(super) fn time(&self, node: Node<'_>) -> Option<DateTime> {
        node.when()?.time(self.zone)
    }

    pub(super) fn day(&self, node: Node<'_>) -> Option<Date> {
        node.when()?.day(self.zone)
    }

    /// What a reference leads to, also within the same resource.
    pub(super) fn follow(&self, reference: Node<'_>) -> Option<Rc<Value>> {
        match reference_of(reference.value()?)? {
            Reference::Literal(text) if text.starts_with('#') => {
                let contained = self.node.get("contained").each();
                let found =
                    contained.filter(|one| text.strip_prefix('#') == Some(one.get("id").text())).last();
                found.and_then(Node::value).map(|value| Rc::new(value.clone()))
            }
            other => self.lookup.get(self.scope, other),
        }
    }

    /// The name of who or what a reference means.
    pub(super) fn name(&self, reference: Node<'_>) -> String {
        let display = reference.get("display").text();
        if !display.is_empty() {
            return display.to_owned();
        }
        let Some(found) = self.follow(reference) else { return String::new() };
        let wrong = Wrong::default();
        let node = Node::new(&found, &wrong);
        match node.get("resourceType").text() {
            "Practitioner" | "RelatedPerson" => node.get("name").human_name().written.unwrap_or_default(),
            // One step, since a role could lead to itself.
            "PractitionerRole" => node.get("practitioner").get("display").text().to_owned(),
            _ => node.get("name").text().to_owned(),
        }
    }
}

/// Words with a sign between them, leaving out those that are empty or said already.
pub(super) fn joined<'t>(parts: impl IntoIterator<Item = &'t str>, sign: &str) -> String {
    let mut said: Vec<&str> = Vec::new();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        if !said.contains(&part) {
            said.push(part);
        }
    }
    said.join(sign)
}
