//! What became of a tree between two snapshots.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use schema::SnapshotId;
use serde::Serialize;

use super::id::{BlobKind, Id};
use super::repository::Vault;
use super::snapshot::Snapshot;
use super::tree::{Kind, MAX_DEPTH, Node};
use super::walk::{Unlisted, Walk};
use crate::Error;

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It was not there before.
    Added,
    /// It is gone.
    Removed,
    /// A file has another content.
    Content,
    /// Only owner, mode, times or attributes differ.
    Metadata,
    /// It is of another kind, such as a link where a file was.
    Type,
}

/// One entry that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path in the snapshots.
    pub path: PathBuf,
    /// What happened to it.
    pub changed: Changed,
    /// What it is now, or was when it is gone.
    pub kind: Kind,
    /// Whether owner, mode, times or attributes differ, too; never told of an addition, a removal or a new content.
    pub metadata_too: bool,
    /// Length of the file before and after.
    pub sizes: (u64, u64),
}

impl Change {
    /// As restic abbreviates it.
    pub fn modifier(&self) -> &'static str {
        match (self.changed, self.metadata_too) {
            (Changed::Added, _) => "+",
            (Changed::Removed, _) => "-",
            (Changed::Content, _) => "M",
            (Changed::Metadata, _) => "U",
            (Changed::Type, false) => "T",
            (Changed::Type, true) => "TU",
        }
    }
}

/// What was added or removed, with restic's field names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DiffTotals {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub dirs: u64,
    /// All else.
    pub others: u64,
    /// Pieces of content that only one of the snapshots has.
    pub data_blobs: u64,
    /// Lists of directories that only one of the snapshots has.
    pub tree_blobs: u64,
    /// Length of both together, before compression.
    pub bytes: u64,
}

/// The sums, with restic's field names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffReport {
    /// The snapshot before.
    pub source_snapshot: SnapshotId,
    /// The snapshot after.
    pub target_snapshot: SnapshotId,
    /// Files with another content.
    pub changed_files: u64,
    /// What only the second has.
    pub added: DiffTotals,
    /// What only the first has.
    pub removed: DiffTotals,
    /// Folders that could not be listed, so that there may be more.
    #[serde(skip_serializing_if = "is_zero")]
    pub unlisted: u64,
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Who is told of each difference, in order, and of each folder that could not be listed.
type See<'s> = &'s mut dyn FnMut(Result<&Change, &Unlisted>) -> ControlFlow<()>;

impl Vault {
    /// Compares two snapshots. Equal folders are not read for it, unless the blobs that seem new might lie in them.
    /// Differences in metadata alone are told of when `with_metadata` says so, as restic does.
    pub fn diff(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        with_metadata: WithMetadata,
        see: See<'_>,
    ) -> DiffReport {
        let mut diff = Diff {
            vault: self,
            with_metadata: with_metadata == WithMetadata::Yes,
            see,
            blobs: [HashMap::new(), HashMap::new()],
            report: DiffReport {
                source_snapshot: before.id.clone(),
                target_snapshot: after.id.clone(),
                changed_files: 0,
                added: DiffTotals::default(),
                removed: DiffTotals::default(),
                unlisted: 0,
            },
        };
        if before.tree != after.tree && diff.run(before.tree, after.tree).is_continue() {
            diff.leave_out_shared(BEFORE, after.tree);
            diff.leave_out_shared(AFTER, before.tree);
        }
        let [removed, added] = std::mem::take(&mut diff.blobs);
        let mut report = diff.report;
        sum_up(&mut report.removed, removed);
        sum_up(&mut report.added, added);
        report
    }
}

/// Whether differences in metadata alone count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithMetadata {
    /// They are told of.
    Yes,
    /// They are passed over.
    No,
}

const BEFORE: usize = 0;
const AFTER: usize = 1;

struct Diff<'d> {
    vault: &'d Vault,
    with_metadata: bool,
    see: See<'d>,
    /// Blobs of what differs, before and after, with their lengths; half of a SHA-256 tells them apart well enough to count.
    blobs: [HashMap<(BlobKind, u128), u32>; 2],
    report: DiffReport,
}

/// Two directories of one path, either of which may be missing.
struct Pair {
    path: PathBuf,
    sides: [Peekable<IntoIter<Node>>; 2],
}

impl Pair {
    /// The next name in order, with what either side has by it.
    fn next(&mut self) -> Option<[Option<Node>; 2]> {
        let [before, after] = &mut self.sides;
        let order = match (before.peek(), after.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => before.name.cmp(&after.name),
        };
        Some([
            (order != Ordering::Greater).then(|| before.next()).flatten(),
            (order != Ordering::Less).then(|| after.next()).flatten(),
        ])
    }
}

impl Diff<'_> {
    fn run(&mut self, before: Id, after: Id) -> ControlFlow<()> {
        self.note(BEFORE, BlobKind::Tree, &before);
        self.note(AFTER, BlobKind::Tree, &after);
        let mut stack = Vec::new();
        stack.extend(self.pair(PathBuf::from("/"), [Some(before), Some(after)])?);
        while let Some(pair) = stack.last_mut() {
            let Some(nodes) = pair.next() else {
                stack.pop();
                continue;
            };
            let name = nodes.iter().flatten().next().filter(|node| node.has_safe_name());
            let Some(path) = name.map(|node| pair.path.join(OsStr::from_bytes(&node.name))) else { continue };
            let below = self.compare(&path, &nodes)?;
            if below == [None, None] || below[BEFORE] == below[AFTER] {
                continue;
            }
            if stack.len() > MAX_DEPTH {
                let error = Error::UnusablePath { path: path.clone(), reason: "it is nested too deeply" };
                self.unlisted(path, error)?;
            } else {
                stack.extend(self.pair(path, below)?);
            }
        }
        ControlFlow::Continue(())
    }

    fn pair(&mut self, path: PathBuf, trees: [Option<Id>; 2]) -> ControlFlow<(), Option<Pair>> {
        let mut sides = [Vec::new(), Vec::new()];
        for (side, tree) in trees.iter().enumerate() {
            let Some(tree) = tree else { continue };
            match self.vault.read_tree(tree) {
                Ok(nodes) => sides[side] = nodes,
                // Half of a comparison would call everything added or removed.
                Err(error) => {
                    self.unlisted(path, error)?;
                    return ControlFlow::Continue(None);
                }
            }
        }
        let sides = sides.map(|nodes| nodes.into_iter().peekable());
        ControlFlow::Continue(Some(Pair { path, sides }))
    }

    fn unlisted(&mut self, path: PathBuf, error: Error) -> ControlFlow<()> {
        self.report.unlisted += 1;
        (self.see)(Err(&Unlisted { path, error }))
    }

    /// Tells what differs between two entries of one name, and returns the directories to compare below.
    fn compare(&mut self, path: &Path, nodes: &[Option<Node>; 2]) -> ControlFlow<(), [Option<Id>; 2]> {
        for (side, node) in nodes.iter().enumerate() {
            if let Some(node) = node {
                node.content.iter().flatten().for_each(|id| self.note(side, BlobKind::Data, id));
                subtree(node).iter().for_each(|id| self.note(side, BlobKind::Tree, id));
            }
        }
        let (changed, metadata_too) = match nodes {
            [Some(node), None] => {
                count(&mut self.report.removed, node);
                (Some(Changed::Removed), false)
            }
            [None, Some(node)] => {
                count(&mut self.report.added, node);
                (Some(Changed::Added), false)
            }
            [Some(before), Some(after)] => self.judge(before, after),
            [None, None] => (None, false),
        };
        let [before, after] = nodes;
        if let (Some(changed), Some(node)) = (changed, after.as_ref().or(before.as_ref())) {
            self.report.changed_files += u64::from(changed == Changed::Content);
            let size = |node: &Option<Node>| node.as_ref().map_or(0, |node| node.size);
            let sizes = (size(before), size(after));
            (self.see)(Ok(&Change { path: path.to_owned(), changed, kind: node.kind, metadata_too, sizes }))?;
        }
        let both = [before.as_ref().and_then(subtree), after.as_ref().and_then(subtree)];
        // As in restic, what lies below something that changed its kind is not named one by one.
        let is_other_kind = changed == Some(Changed::Type);
        ControlFlow::Continue(if is_other_kind { [None, None] } else { both })
    }

    fn judge(&self, before: &Node, after: &Node) -> (Option<Changed>, bool) {
        // As in restic, a folder differs when anything below it does.
        let differs = self.with_metadata && before != after;
        if before.kind != after.kind {
            (Some(Changed::Type), differs)
        } else if before.kind == Kind::File && contents(before) != contents(after) {
            (Some(Changed::Content), false)
        } else {
            (differs.then_some(Changed::Metadata), false)
        }
    }

    fn note(&mut self, side: usize, kind: BlobKind, id: &Id) {
        let length = self.vault.index().location(kind, id).map_or(0, |location| location.content_length());
        self.blobs[side].insert(key(kind, id), u32::try_from(length).unwrap_or(u32::MAX));
    }

    /// Takes out of one side's blobs those that the whole tree of the other side has somewhere.
    fn leave_out_shared(&mut self, side: usize, tree: Id) {
        let blobs = &mut self.blobs[side];
        blobs.remove(&key(BlobKind::Tree, &tree));
        for entry in Walk::new(self.vault, PathBuf::from("/"), tree) {
            if blobs.is_empty() {
                return;
            }
            // What cannot be listed was told of, or is the same on both sides.
            let Ok(entry) = entry else { continue };
            for id in entry.node().content.iter().flatten() {
                blobs.remove(&key(BlobKind::Data, id));
            }
            if let Some(tree) = entry.subtree() {
                blobs.remove(&key(BlobKind::Tree, &tree));
            }
        }
    }
}

fn key(kind: BlobKind, id: &Id) -> (BlobKind, u128) {
    (kind, id.0.iter().take(16).fold(0, |key, byte| key << 8 | u128::from(*byte)))
}

fn subtree(node: &Node) -> Option<Id> {
    node.subtree.filter(|_| node.kind == Kind::Dir)
}

fn contents(node: &Node) -> &[Id] {
    node.content.as_deref().unwrap_or_default()
}

fn count(totals: &mut DiffTotals, node: &Node) {
    *match node.kind {
        Kind::File => &mut totals.files,
        Kind::Dir => &mut totals.dirs,
        _ => &mut totals.others,
    } += 1;
}

fn sum_up(totals: &mut DiffTotals, blobs: HashMap<(BlobKind, u128), u32>) {
    for ((kind, _), length) in blobs {
        match kind {
            BlobKind::Data => totals.data_blobs += 1,
            BlobKind::Tree => totals.tree_blobs += 1,
        }
        totals.bytes += u64::from(length);
    }
}
