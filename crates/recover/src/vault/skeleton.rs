//! The directories above the roots, and the files that exist in memory only.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, statat};

use super::codec::Codec;
use super::id::{BlobKind, Id};
use super::meta::{self, Names};
use super::repository::Vault;
use super::tree::{self, Kind, Node};
use super::write::{Stopped, Writer};
use crate::Error;

/// A tree in the making.
pub(crate) struct Skeleton {
    top: BTreeMap<Vec<u8>, Part>,
    time: Timestamp,
}

enum Part {
    /// Stored already, with all below it.
    Stored(Node),
    /// A directory that is still open.
    Open(Node, BTreeMap<Vec<u8>, Part>),
    /// A file in memory.
    File(Node, Vec<u8>),
}

impl Skeleton {
    pub(crate) fn new(time: Timestamp) -> Skeleton {
        Skeleton { top: BTreeMap::new(), time }
    }

    /// Puts a captured root at its path. The directories above it are noted as they are now.
    pub(crate) fn insert_root(&mut self, path: &Path, node: Node, names: &Names) {
        let Some(name) = path.file_name() else {
            // The root of the file system: its entries are the top.
            self.top.insert(Vec::new(), Part::Stored(node));
            return;
        };
        let mut here = &mut self.top;
        let mut so_far = Path::new("/").to_owned();
        for component in path.parent().unwrap_or(Path::new("/")).components() {
            let Component::Normal(part) = component else { continue };
            so_far.push(part);
            let directory = || match statat(CWD, &so_far, AtFlags::empty()) {
                Ok(stat) => Part::Open(meta::node(part.as_bytes(), &stat, names), BTreeMap::new()),
                Err(_) => Part::Open(synthetic(part.as_bytes(), self.time), BTreeMap::new()),
            };
            match here.entry(part.as_bytes().to_owned()).or_insert_with(directory) {
                Part::Open(_, below) => here = below,
                // Roots do not lie within each other, so nothing is stored above one.
                _ => return,
            }
        }
        here.insert(name.as_bytes().to_owned(), Part::Stored(node));
    }

    /// Puts a file at an absolute path, opening stored directories on the way.
    pub(crate) fn insert_file(&mut self, vault: &Vault, path: &Path, content: Vec<u8>) -> Result<(), Error> {
        let mut node = Node::new(b"", Kind::File);
        node.mode = 0o600;
        (node.mtime, node.atime, node.ctime) = (self.time, self.time, self.time);
        (node.uid, node.gid) = meta::own_ids();
        node.links = 1;
        node.size = content.len() as u64;
        self.insert(vault, path, |name| Part::File(Node { name, ..node }, content))
    }

    /// Puts a file whose content is stored at an absolute path.
    pub(crate) fn insert_node(&mut self, vault: &Vault, path: &Path, node: Node) -> Result<(), Error> {
        self.insert(vault, path, |name| Part::Stored(Node { name, ..node }))
    }

    fn insert(
        &mut self,
        vault: &Vault,
        path: &Path,
        part: impl FnOnce(Vec<u8>) -> Part,
    ) -> Result<(), Error> {
        let unusable = |reason| Error::UnusablePath { path: path.to_owned(), reason };
        let parts: Vec<&[u8]> = path
            .components()
            .filter_map(|c| match c {
                Component::Normal(part) => Some(Ok(part.as_bytes())),
                Component::RootDir => None,
                _ => Some(Err(unusable("it is not absolute, or contains `..`"))),
            })
            .collect::<Result<_, _>>()?;
        let Some((name, above)) = parts.split_last().filter(|_| path.is_absolute()) else {
            return Err(unusable("it does not name a file in the snapshot"));
        };
        if let Some(Part::Stored(node)) = self.top.remove(&Vec::new()) {
            self.top = open(vault, &node)?;
        }
        let mut here = &mut self.top;
        for part in above {
            let synthetic = || Part::Open(synthetic(part, self.time), BTreeMap::new());
            let entry = here.entry(part.to_vec()).or_insert_with(synthetic);
            if let Part::Stored(node) = entry {
                if node.kind != Kind::Dir {
                    return Err(unusable("there is a file in the place of one of its folders"));
                }
                let below = open(vault, node)?;
                *entry = Part::Open(node.clone(), below);
            }
            match entry {
                Part::Open(_, below) => here = below,
                _ => return Err(unusable("there is a file in the place of one of its folders")),
            }
        }
        here.insert(name.to_vec(), part(name.to_vec()));
        Ok(())
    }

    pub(crate) fn store(self, writer: &Writer<'_>, codec: &mut Codec) -> Result<Id, Stopped> {
        let mut top = self.top;
        if let Some(Part::Stored(Node { subtree: Some(tree), .. })) = top.remove(&Vec::new()) {
            return Ok(tree);
        }
        store(top, writer, codec)
    }
}

fn synthetic(name: &[u8], time: Timestamp) -> Node {
    let mut node = Node::new(name, Kind::Dir);
    node.mode = meta::SYNTHETIC_DIR;
    (node.mtime, node.atime, node.ctime) = (time, time, time);
    (node.uid, node.gid) = meta::own_ids();
    node
}

fn open(vault: &Vault, node: &Node) -> Result<BTreeMap<Vec<u8>, Part>, Error> {
    let Some(tree) = &node.subtree else { return Ok(BTreeMap::new()) };
    let mut codec = vault.codecs.take()?;
    let nodes = vault.load_tree(&mut codec, tree)?;
    vault.codecs.give_back(codec);
    Ok(nodes.into_iter().map(|node| (node.name.clone(), Part::Stored(node))).collect())
}

// Its depth is that of a path that somebody gave, not of the repository.
fn store(parts: BTreeMap<Vec<u8>, Part>, writer: &Writer<'_>, codec: &mut Codec) -> Result<Id, Stopped> {
    let mut nodes = Vec::with_capacity(parts.len());
    for part in parts.into_values() {
        nodes.push(match part {
            Part::Stored(node) => node,
            Part::Open(mut node, below) => {
                node.subtree = Some(store(below, writer, codec)?);
                node
            }
            Part::File(mut node, content) => {
                // Whoever adds a file adds a small one: it is one chunk up to the largest blob there is.
                let chunk = |bytes: &[u8]| writer.save(codec, BlobKind::Data, bytes);
                node.content =
                    Some(content.chunks(super::chunker::MAX).map(chunk).collect::<Result<_, _>>()?);
                node
            }
        });
    }
    writer.save(codec, BlobKind::Tree, &tree::write(&nodes))
}
