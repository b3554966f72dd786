//! What a restore could not set, by kind: an ordinary user who restores a hospital may set the owner of nothing, and need not be told a
//! million times.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

/// A kind of metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Facet {
    /// Owning user or group.
    Owner,
    /// Permission bits.
    Mode,
    /// Access control lists.
    AccessList,
    /// Attributes that only root may set: capabilities and labels of the kernel, `trusted.*`.
    SystemAttribute,
    /// Attributes of users.
    UserAttribute,
    /// Time stamps.
    Times,
    /// It could not be opened to set anything.
    Everything,
}

impl Facet {
    pub(crate) fn of_attribute(name: &str) -> Facet {
        match name {
            name if name.starts_with("system.posix_acl_") => Facet::AccessList,
            name if name.starts_with("user.") => Facet::UserAttribute,
            _ => Facet::SystemAttribute,
        }
    }
}

/// Metadata of one kind that could not be set, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSet {
    /// What.
    pub facet: Facet,
    /// Why, as the operating system said it.
    pub cause: String,
    /// Of how many paths.
    pub paths: u64,
    /// The first of them.
    pub first: PathBuf,
}

/// What could not be set of one path.
#[derive(Debug, Default)]
pub(crate) struct Unset(Vec<(Facet, io::Error)>);

impl Unset {
    pub(crate) fn keep(&mut self, facet: Facet, outcome: Result<(), Errno>) {
        if let Err(error) = outcome {
            self.0.push((facet, error.into()));
        }
    }

    pub(crate) fn into_result(self) -> Result<(), Unset> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl From<io::Error> for Unset {
    fn from(error: io::Error) -> Unset {
        Unset(vec![(Facet::Everything, error)])
    }
}

/// What could not be set of all paths.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<(Facet, String), (u64, PathBuf)>);

impl Tally {
    pub(crate) fn add(&mut self, path: &std::path::Path, unset: &Unset) {
        let mut facets: Vec<(Facet, String)> =
            unset.0.iter().map(|(facet, e)| (*facet, e.to_string())).collect();
        // Two attributes of one file are one path.
        facets.sort();
        facets.dedup();
        for key in facets {
            let (count, first) = self.0.entry(key).or_insert_with(|| (0, path.to_owned()));
            *count += 1;
            // Threads come in any order; the report is to be the same each time.
            if path < first.as_path() {
                path.clone_into(first);
            }
        }
    }

    pub(crate) fn into_list(self) -> Vec<NotSet> {
        let entry = |((facet, cause), (paths, first))| NotSet { facet, cause, paths, first };
        self.0.into_iter().map(entry).collect()
    }
}
