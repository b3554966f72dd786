//! What no single key can show: names that do not exist, things that contradict each other, what is hardly meant.
//!
//! It works on the parsed file and not on the values made of it, so that a wrong key somewhere hides nothing here.

mod act;
mod bundle;
mod logins;
mod logs;
mod mail;
mod media;
mod reach;
mod sensor;
mod store;
pub(super) mod wall;

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Findings, Gravity};
use super::words::{Fault, Words};

/// Checks the whole file.
pub(super) fn check(root: &DeTable<'_>, found: &mut Findings<'_>) {
    let file = Node { table: root, span: 0..0, path: String::new() };
    for list in ["protect", "media", "watch", "playbook", "notify", "recovery"] {
        unique_names(&file.tables(list), found);
    }
    store::check(&file, found);
    media::check(&file, found);
    bundle::check(&file, found);
    mail::check(&file, found);
    sensor::check(&file, found);
    logins::check(&file, found);
    logs::check(&file, found);
    reach::check(&file, found);
    act::check(&file, found);
}

/// A table of the file with its place.
#[derive(Clone)]
struct Node<'t, 'i> {
    table: &'t DeTable<'i>,
    span: Range<usize>,
    path: String,
}

/// A text of the file with its place.
#[derive(Clone)]
struct At<'t> {
    text: &'t str,
    span: Range<usize>,
    path: String,
}

impl<'t, 'i> Node<'t, 'i> {
    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn get(&self, name: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.table.get(name)
    }

    fn text(&self, name: &str) -> Option<At<'t>> {
        let value = self.get(name)?;
        let text = value.get_ref().as_str()?;
        Some(At { text, span: value.span(), path: self.key(name) })
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.get_ref().as_bool()
    }

    fn texts(&self, name: &str) -> Vec<At<'t>> {
        let array = self.get(name).and_then(|value| value.get_ref().as_array());
        let entries = array.into_iter().flat_map(|array| array.iter().enumerate());
        entries
            .filter_map(|(at, value)| {
                let path = format!("{}[{at}]", self.key(name));
                Some(At { text: value.get_ref().as_str()?, span: value.span(), path })
            })
            .collect()
    }

    fn table(&self, name: &str) -> Option<Node<'t, 'i>> {
        let value = self.get(name)?;
        Some(Node { table: value.get_ref().as_table()?, span: value.span(), path: self.key(name) })
    }

    /// Of `[[name]]`, as many as the check of the shape lets pass.
    fn tables(&self, name: &str) -> Vec<Node<'t, 'i>> {
        let array = self.get(name).and_then(|value| value.get_ref().as_array());
        let entries = array.into_iter().flat_map(|array| array.iter().enumerate());
        entries
            .take(super::fields::ENTRIES_MAX)
            .filter_map(|(at, value)| {
                let path = format!("{name}[{at}]");
                Some(Node { table: value.get_ref().as_table()?, span: value.span(), path })
            })
            .collect()
    }
}

impl At<'_> {
    fn add(&self, found: &mut Findings<'_>, gravity: Gravity, what: Words, remedy: Words) {
        found.add(gravity, self.span.clone(), &self.path, Fault::new(what, remedy));
    }
}

impl Node<'_, '_> {
    fn add(&self, found: &mut Findings<'_>, gravity: Gravity, what: Words, remedy: Words) {
        found.add(gravity, self.span.clone(), &self.path, Fault::new(what, remedy));
    }
}

fn unique_names(nodes: &[Node<'_, '_>], found: &mut Findings<'_>) {
    let mut seen = HashMap::new();
    for node in nodes {
        let Some(name) = node.text("name") else { continue };
        if let Some(first) = seen.insert(name.text, node.path.clone()) {
            let what = Words::new(
                format!("the name \"{}\" is taken by {first}", name.text),
                format!("\"{}\" という名前は {first} で使われています", name.text),
            );
            name.add(
                found,
                Gravity::Error,
                what,
                Words::new("choose another name", "別の名前にしてください"),
            );
        }
    }
}

/// A path without what says nothing, such as a slash at its end.
fn plain(path: &str) -> PathBuf {
    Path::new(path).components().collect()
}

/// Whether one of two paths lies in the other, or they are the same.
fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (plain(one), plain(other));
    one.starts_with(&other) || other.starts_with(&one)
}
