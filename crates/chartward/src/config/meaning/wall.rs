//! The policy of the wall: names that do not exist, zones that hide each other, what opens more than it looks like.

use std::ops::Range;

use schema::Lang;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Fault, Findings, Gravity, Words};
use crate::config::types::Wall;

/// Unlike the other checks this one works on values: what a rule means depends on all of the policy.
pub(in crate::config) fn check(root: &DeTable<'_>, wall: &Wall, found: &mut Findings<'_>) {
    if !wall.has_policy() && wall.allow.is_empty() && wall.pair.is_empty() && wall.limit.is_empty() {
        return;
    }
    for problem in wall.policy().check() {
        let gravity = if problem.is_error { Gravity::Error } else { Gravity::Warning };
        let what = Words::new(problem.words(Lang::En), problem.words(Lang::Ja));
        let remedy = Words::new("correct it as docs/wall.md shows", "docs/wall.ja.md を見て直してください");
        found.add(gravity, place(root, &problem.place), &problem.place, Fault::new(what, remedy));
    }
}

/// Where `wall.allow[2].to` stands, or the nearest of what it lies in.
fn place(root: &DeTable<'_>, path: &str) -> Range<usize> {
    let mut span = 0..0;
    let mut steps = path.split('.');
    let Some(mut value) = steps.next().and_then(|name| root.get(name)) else { return span };
    span = value.span();
    for step in steps {
        let (name, at) = match step.split_once('[') {
            Some((name, at)) => (name, at.trim_end_matches(']').parse::<usize>().ok()),
            None => (step, None),
        };
        let inner = value.get_ref().as_table().and_then(|table| table.get(name));
        let Some(inner) = inner.and_then(|inner| entry(inner, at)) else { return span };
        value = inner;
        span = value.span();
    }
    span
}

fn entry<'t, 'i>(value: &'t Spanned<DeValue<'i>>, at: Option<usize>) -> Option<&'t Spanned<DeValue<'i>>> {
    match at {
        Some(at) => value.get_ref().as_array()?.get(at),
        None => Some(value),
    }
}
