use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::id::{BlobKind, Id};
use super::repository::Vault;
use super::snapshot::Snapshot;
use super::tree::{Kind, MAX_DEPTH, Node};
use crate::Error;

/// Directories that are kept open at a time, and entries in all of them together.
const MAX_CACHED_DIRS: usize = 256;
const MAX_CACHED_ENTRIES: usize = 200_000;

/// A read-only view of a snapshot. Only the directories on the way to what is asked for are read.
pub struct SnapshotFiles<'v> {
    vault: &'v Vault,
    tree: Id,
    cache: Mutex<HashMap<Id, Arc<Vec<Node>>>>,
}

/// One path of a snapshot.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Absolute, as it was on the protected host.
    pub path: PathBuf,
    node: Node,
}

impl Entry {
    pub(crate) fn new(path: PathBuf, node: Node) -> Entry {
        Entry { path, node }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.node.kind
    }

    /// Length of a file in bytes.
    pub fn size(&self) -> u64 {
        self.node.size
    }

    /// When its content last changed.
    pub fn mtime(&self) -> Timestamp {
        self.node.mtime
    }

    /// Permission bits.
    pub fn mode(&self) -> u32 {
        super::meta::unix_mode(self.node.mode)
    }

    /// Where a symbolic link points.
    pub fn link_target(&self) -> Option<&OsStr> {
        (self.node.kind == Kind::Symlink).then(|| OsStr::from_bytes(self.node.link_target()))
    }
}

impl Entry {
    /// Hashes of the pieces that the content was cut into.
    pub(crate) fn pieces(&self) -> &[Id] {
        self.node.content.as_deref().unwrap_or_default()
    }

    /// Whether both hold the same; of directories, whether everything below is the same.
    pub(crate) fn holds_the_same(&self, other: &Entry) -> bool {
        self.node.kind == other.node.kind
            && self.node.content == other.node.content
            && self.node.subtree == other.node.subtree
    }
}

impl Vault {
    /// A read-only view of a snapshot.
    pub fn files(&self, snapshot: &Snapshot) -> SnapshotFiles<'_> {
        SnapshotFiles { vault: self, tree: snapshot.tree, cache: Mutex::default() }
    }
}

/// Everything at and below an entry.
fn walk_from(
    entry: Entry,
    list: impl Fn(&Entry) -> Result<Vec<Entry>, Error>,
) -> impl Iterator<Item = Result<Entry, Error>> {
    let mut stack = vec![(entry, 0)];
    let mut failure = None;
    std::iter::from_fn(move || {
        if let Some(error) = failure.take() {
            return Some(Err(error));
        }
        let (entry, depth) = stack.pop()?;
        if entry.kind() == Kind::Dir && depth < MAX_DEPTH {
            match list(&entry) {
                Ok(below) => stack.extend(below.into_iter().rev().map(|entry| (entry, depth + 1))),
                Err(error) => failure = Some(error),
            }
        }
        Some(Ok(entry))
    })
}

impl<'v> SnapshotFiles<'v> {
    pub(super) fn vault(&self) -> &'v Vault {
        self.vault
    }
}

impl SnapshotFiles<'_> {
    /// What is at an absolute path.
    pub fn entry(&self, path: &Path) -> Result<Entry, Error> {
        let missing = || Error::PathNotFound { path: path.to_owned() };
        let mut here = self.top();
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            let nodes = self.nodes(here.node.subtree.as_ref().ok_or_else(missing)?)?;
            let at = nodes
                .binary_search_by(|node| node.name.as_slice().cmp(name.as_bytes()))
                .map_err(|_| missing())?;
            here = Entry { path: here.path.join(name), node: nodes[at].clone() };
        }
        Ok(here)
    }

    /// The entries of a directory, ordered by name.
    pub fn list(&self, dir: &Entry) -> Result<Vec<Entry>, Error> {
        let Some(tree) = &dir.node.subtree else { return Ok(Vec::new()) };
        let nodes = self.nodes(tree)?;
        let safe = nodes.iter().filter(|node| node.has_safe_name());
        Ok(safe
            .map(|node| Entry { path: dir.path.join(OsStr::from_bytes(&node.name)), node: node.clone() })
            .collect())
    }

    /// Everything at and below a path, a directory before its entries, read as it is asked for. A directory that cannot be read is one
    /// error, and the walk goes on.
    pub fn walk(&self, path: &Path) -> Result<impl Iterator<Item = Result<Entry, Error>>, Error> {
        Ok(walk_from(self.entry(path)?, |dir| self.list(dir)))
    }

    /// The content of a file of at most `limit` bytes.
    pub fn read(&self, file: &Entry, limit: u64) -> Result<Vec<u8>, Error> {
        let too_large = |size| Error::TooLarge { what: file.path.display().to_string(), size, limit };
        if file.node.kind != Kind::File {
            return Err(Error::UnusablePath { path: file.path.clone(), reason: "it is not a regular file" });
        }
        if file.node.size > limit {
            return Err(too_large(file.node.size));
        }
        let mut codec = self.vault.codecs.take()?;
        let mut content = Vec::new();
        for id in file.node.content.as_deref().unwrap_or_default() {
            let blob = self.vault.load_blob(&mut codec, BlobKind::Data, id)?;
            // The size that the entry names is a claim.
            if (content.len() + blob.len()) as u64 > limit {
                return Err(too_large((content.len() + blob.len()) as u64));
            }
            if content.is_empty() {
                content = blob;
            } else {
                content.extend_from_slice(&blob);
            }
        }
        self.vault.codecs.give_back(codec);
        Ok(content)
    }

    /// The content of the file at an absolute path, of at most `limit` bytes.
    pub fn read_path(&self, path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>, Error> {
        self.read(&self.entry(path.as_ref())?, limit)
    }

    /// How long each piece of a file is; `None` where the index does not know one.
    pub(crate) fn piece_lengths(&self, file: &Entry) -> Option<Vec<u64>> {
        let index = self.vault.index();
        let length = |id| index.location(BlobKind::Data, id).map(|found| found.content_length());
        file.pieces().iter().map(length).collect()
    }

    /// The first piece of a file.
    pub(crate) fn head(&self, file: &Entry) -> Result<Vec<u8>, Error> {
        let Some(first) = file.pieces().first() else { return Ok(Vec::new()) };
        let mut codec = self.vault.codecs.take()?;
        let blob = self.vault.load_blob(&mut codec, BlobKind::Data, first)?;
        self.vault.codecs.give_back(codec);
        Ok(blob)
    }

    fn top(&self) -> Entry {
        Entry {
            path: PathBuf::from("/"),
            node: Node { subtree: Some(self.tree), ..Node::new(b"/", Kind::Dir) },
        }
    }

    fn nodes(&self, tree: &Id) -> Result<Arc<Vec<Node>>, Error> {
        let cache = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(nodes) = cache().get(tree) {
            return Ok(Arc::clone(nodes));
        }
        let mut codec = self.vault.codecs.take()?;
        let nodes = Arc::new(self.vault.load_tree(&mut codec, tree)?);
        self.vault.codecs.give_back(codec);
        let mut cache = cache();
        let entries: usize = cache.values().map(|nodes| nodes.len()).sum();
        if cache.len() >= MAX_CACHED_DIRS || entries + nodes.len() > MAX_CACHED_ENTRIES {
            cache.clear();
        }
        cache.insert(*tree, Arc::clone(&nodes));
        Ok(nodes)
    }
}
