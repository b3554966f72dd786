//! Reading fields leniently: what is of the wrong type counts as absent and is named.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

/// So many fields of one resource are named; a resource that is wrong everywhere is no resource.
const NAMED_MAX: usize = 8;

/// Fields of a resource that are not what FHIR says.
#[derive(Debug, Default)]
pub struct Wrong(RefCell<BTreeSet<String>>);

impl Wrong {
    /// Notes one.
    pub fn note(&self, what: impl Into<String>) {
        let mut all = self.0.borrow_mut();
        if all.len() < NAMED_MAX {
            all.insert(what.into());
        }
    }

    /// All of them in one text; `None` when there is none.
    pub fn said(&self) -> Option<String> {
        let all = self.0.borrow();
        (!all.is_empty()).then(|| all.iter().cloned().collect::<Vec<_>>().join("; "))
    }
}

/// A value of a resource, or that there is none.
#[derive(Clone, Copy)]
pub struct Node<'v> {
    value: Option<&'v Value>,
    name: &'static str,
    wrong: &'v Wrong,
}

impl<'v> Node<'v> {
    /// The resource itself.
    pub fn new(value: &'v Value, wrong: &'v Wrong) -> Node<'v> {
        Node { value: Some(value), name: "resource", wrong }
    }

    /// A field of an object.
    pub fn get(self, name: &'static str) -> Node<'v> {
        let value = match self.value {
            Some(Value::Object(fields)) => fields.get(name).filter(|value| !value.is_null()),
            other => self.unfit(other, "object"),
        };
        Node { value, name, wrong: self.wrong }
    }

    /// Whether there is anything.
    pub fn is_some(self) -> bool {
        self.value.is_some()
    }

    /// The elements of a list. What should be a list and is none is its only element.
    pub fn each(self) -> impl Iterator<Item = Node<'v>> {
        let elements: &'v [Value] = match self.value {
            Some(Value::Array(elements)) => elements,
            Some(other) => {
                self.unfit::<()>(Some(other), "list");
                std::slice::from_ref(other)
            }
            None => &[],
        };
        elements.iter().map(move |value| Node { value: Some(value), ..self })
    }

    /// The first element of a list, or nothing.
    pub fn first(self) -> Node<'v> {
        self.each().next().unwrap_or(Node { value: None, ..self })
    }

    /// A text, trimmed; empty when there is none.
    pub fn text(self) -> &'v str {
        match self.value {
            Some(Value::String(text)) => text.trim(),
            other => self.unfit(other, "text").map_or("", |()| ""),
        }
    }

    /// A number as it is written.
    pub fn number(self) -> Option<String> {
        match self.value {
            Some(Value::Number(number)) => Some(number.to_string()),
            other => self.unfit(other, "number"),
        }
    }

    /// A number of whole things.
    pub fn count(self) -> Option<u64> {
        let number = match self.value {
            Some(Value::Number(number)) => number,
            other => return self.unfit(other, "number"),
        };
        number.as_u64().or_else(|| {
            number.as_f64().filter(|n| n.fract() == 0.0 && (0.0..1e9).contains(n)).map(|n| n as u64)
        })
    }

    /// Yes or no.
    pub fn flag(self) -> Option<bool> {
        match self.value {
            Some(Value::Bool(flag)) => Some(*flag),
            other => self.unfit(other, "yes or no"),
        }
    }

    /// What it is, as JSON.
    pub fn value(self) -> Option<&'v Value> {
        self.value
    }

    pub(super) fn note(self, what: &str) {
        self.wrong.note(format!("{} is {what}", self.name));
    }

    fn unfit<T>(self, found: Option<&Value>, expected: &str) -> Option<T> {
        let found = match found {
            None | Some(Value::Null) => return None,
            Some(Value::Bool(_)) => "yes or no",
            Some(Value::Number(_)) => "a number",
            Some(Value::String(_)) => "a text",
            Some(Value::Array(_)) => "a list",
            Some(Value::Object(_)) => "an object",
        };
        self.note(&format!("{found} and no {expected}"));
        None
    }
}
