//! Going through a snapshot in order, holding only the directories on the way: ten million entries take no more memory than the
//! largest folders among them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::files::Entry;
use super::id::Id;
use super::repository::Vault;
use super::tree::{Kind, MAX_DEPTH, Node};
use crate::Error;

/// A directory whose entries cannot be listed; everything below it is left out.
#[derive(Debug)]
pub struct Unlisted {
    /// Its path in the snapshot.
    pub path: PathBuf,
    /// Why.
    pub error: Error,
}

/// What comes next on the way.
pub(crate) enum Step {
    /// An entry; a directory comes before what it holds.
    Entry(Entry),
    /// All that a directory holds has come.
    Left {
        path: PathBuf,
        tree: Id,
    },
    Unlisted(Unlisted),
}

/// Everything below a directory, in order.
pub struct Walk<'v> {
    vault: &'v Vault,
    open: Vec<Open>,
    /// The directory that came last and is not entered yet.
    ahead: Option<(PathBuf, Id)>,
}

struct Open {
    path: PathBuf,
    tree: Id,
    nodes: std::vec::IntoIter<Node>,
}

impl<'v> Walk<'v> {
    pub(crate) fn new(vault: &'v Vault, path: PathBuf, tree: Id) -> Walk<'v> {
        Walk { vault, open: Vec::new(), ahead: Some((path, tree)) }
    }

    /// Leaves out what the directory that came last holds.
    pub fn pass_over(&mut self) {
        self.ahead = None;
    }

    pub(crate) fn step(&mut self) -> Option<Step> {
        if let Some((path, tree)) = self.ahead.take()
            && let Err(error) = self.enter(&path, tree)
        {
            return Some(Step::Unlisted(Unlisted { path, error }));
        }
        let open = self.open.last_mut()?;
        // A name that leads elsewhere can be no path; restoring names it.
        let Some(node) = open.nodes.find(Node::has_safe_name) else {
            let Open { path, tree, .. } = self.open.pop()?;
            return Some(Step::Left { path, tree });
        };
        let entry = Entry::new(open.path.join(OsStr::from_bytes(&node.name)), node);
        self.ahead = entry.subtree().map(|tree| (entry.path.clone(), tree));
        Some(Step::Entry(entry))
    }

    fn enter(&mut self, path: &Path, tree: Id) -> Result<(), Error> {
        if self.open.len() > MAX_DEPTH {
            return Err(Error::UnusablePath { path: path.to_owned(), reason: "it is nested too deeply" });
        }
        let nodes = self.vault.read_tree(&tree)?.into_iter();
        self.open.push(Open { path: path.to_owned(), tree, nodes });
        Ok(())
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Entry, Unlisted>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step()? {
                Step::Entry(entry) => return Some(Ok(entry)),
                Step::Unlisted(unlisted) => return Some(Err(unlisted)),
                Step::Left { .. } => {}
            }
        }
    }
}

impl Vault {
    /// Everything below an entry of a snapshot, read as it is asked for; nothing if it is no directory.
    pub fn walk(&self, below: &Entry) -> Walk<'_> {
        let ahead = below.subtree().filter(|_| below.kind() == Kind::Dir);
        Walk { vault: self, open: Vec::new(), ahead: ahead.map(|tree| (below.path.clone(), tree)) }
    }

    pub(crate) fn read_tree(&self, tree: &Id) -> Result<Vec<Node>, Error> {
        let mut codec = self.codecs.take()?;
        let nodes = self.load_tree(&mut codec, tree);
        self.codecs.give_back(codec);
        nodes
    }
}
