//! Compound files ([MS-CFB]), read with patience: sectors past the end, loops and broken trees cost what cannot be read, nothing
//! else. Ours, as what attackers send holds less well together than the crates for it demand, and one of them follows a loop forever.

use super::super::bytes::{part, size, u16_le, u32_le, u64_le, utf16_le};

/// Ends a chain of sectors; whatever is larger as well.
const LAST: u32 = 0xffff_fffa;
/// Directory entries that are read.
const NODES_MAX: usize = 20_000;

/// One entry of the directory.
pub(super) struct Node {
    /// Its name, control characters and all.
    pub(super) name: String,
    /// Names from the root on, by slashes.
    pub(super) path: String,
    pub(super) stream: bool,
    pub(super) class: [u8; 16],
    pub(super) length: usize,
    start: u32,
    root: bool,
    left: u32,
    right: u32,
    child: u32,
}

impl Node {
    /// The path of the storage it lies in.
    pub(super) fn parent(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(parent, _)| parent)
    }
}

/// A compound file that was opened.
pub(super) struct Compound<'c> {
    bytes: &'c [u8],
    sector: usize,
    fat: Vec<u32>,
    mini_fat: Vec<u32>,
    /// Content of short streams.
    mini: Vec<u8>,
    /// Streams at least this long have sectors of their own.
    cutoff: usize,
    nodes: Vec<Node>,
    /// Bytes that may still be read: chains that share sectors would otherwise be read without end.
    left: std::cell::Cell<usize>,
}

impl<'c> Compound<'c> {
    pub(super) fn open(bytes: &'c [u8]) -> Option<Self> {
        let sector = match u16_le(bytes, 30)? {
            shift @ 7..=16 => 1 << shift,
            _ => 512,
        };
        let mut file = Self {
            bytes,
            sector,
            fat: Vec::new(),
            mini_fat: Vec::new(),
            mini: Vec::new(),
            cutoff: size(u32_le(bytes, 56)?),
            nodes: Vec::new(),
            left: std::cell::Cell::new(bytes.len().saturating_mul(4).saturating_add(1 << 16)),
        };
        file.fat = file.table();
        let directory = file.chain(u32_le(bytes, 48)?, NODES_MAX * 128);
        file.nodes = directory.chunks_exact(128).filter_map(node).collect();
        let (start, length) =
            file.nodes.first().filter(|node| node.root).map(|root| (root.start, root.length))?;
        file.mini = file.chain(start, length);
        let mini_fat = file.chain(u32_le(bytes, 60)?, bytes.len());
        file.mini_fat = numbers(&mini_fat);
        file.name_paths();
        Some(file)
    }

    /// The table of chains, by the list of its sectors: the first 109 stand in the header.
    fn table(&self) -> Vec<u32> {
        let sectors = self.bytes.len() / self.sector + 1;
        let mut list = numbers(part(self.bytes, 76, 436));
        let mut next = u32_le(self.bytes, 68).unwrap_or(LAST);
        let mut steps = 0;
        while next < LAST && steps <= sectors && list.len() <= sectors {
            let mut more = numbers(self.sector_at(next));
            next = more.pop().unwrap_or(LAST);
            list.extend(more);
            steps += 1;
        }
        let mut fat = Vec::new();
        for sector in list.into_iter().take_while(|&sector| sector < LAST) {
            if fat.len() >= sectors {
                break;
            }
            fat.extend(numbers(self.sector_at(sector)));
        }
        fat
    }

    fn sector_at(&self, number: u32) -> &'c [u8] {
        let at = size(number).saturating_add(1).saturating_mul(self.sector);
        part(self.bytes, at, self.sector)
    }

    /// The bytes of a chain, at most `max`.
    fn chain(&self, start: u32, max: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut next = start;
        let max = max.min(self.left.get());
        while next < LAST && out.len() < max {
            let content = self.sector_at(next);
            if content.is_empty() {
                break;
            }
            out.extend(content);
            next = self.fat.get(size(next)).copied().unwrap_or(LAST);
        }
        self.left.set(self.left.get().saturating_sub(out.len()));
        out.truncate(max);
        out
    }

    fn mini_chain(&self, start: u32, max: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut next = start;
        let max = max.min(self.left.get());
        while next < LAST && out.len() < max {
            let content = part(&self.mini, size(next).saturating_mul(64), 64);
            if content.is_empty() {
                break;
            }
            out.extend(content);
            next = self.mini_fat.get(size(next)).copied().unwrap_or(LAST);
        }
        self.left.set(self.left.get().saturating_sub(out.len()));
        out.truncate(max);
        out
    }

    /// Gives each entry its path. Siblings form a tree of two branches; what hangs nowhere keeps its bare name.
    fn name_paths(&mut self) {
        let mut seen = vec![false; self.nodes.len()];
        let mut open: Vec<(u32, String)> =
            self.nodes.first().map(|root| (root.child, String::new())).into_iter().collect();
        while let Some((number, parent)) = open.pop() {
            let Some(node) = self.nodes.get_mut(size(number)) else { continue };
            if std::mem::replace(&mut seen[size(number)], true) {
                continue;
            }
            // A path as long as the deepest sound one; deeper trees are there to cost memory.
            node.path = if parent.is_empty() || parent.len() > 1_024 {
                node.name.clone()
            } else {
                format!("{parent}/{}", node.name)
            };
            let inner = node.path.clone();
            open.push((node.left, parent.clone()));
            open.push((node.right, parent));
            open.push((node.child, inner));
        }
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn root_class(&self) -> Option<[u8; 16]> {
        self.nodes.first().map(|root| root.class)
    }

    /// A stream by its path, whatever the case of its letters.
    pub(super) fn find(&self, path: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.stream && node.path.eq_ignore_ascii_case(path))
    }

    /// The content of a stream, at most `max` bytes.
    pub(super) fn read(&self, node: &Node, max: usize) -> Vec<u8> {
        let length = node.length.min(max);
        if node.length < self.cutoff {
            self.mini_chain(node.start, length)
        } else {
            self.chain(node.start, length)
        }
    }
}

fn node(entry: &[u8]) -> Option<Node> {
    let kind = *entry.get(66)?;
    let names = usize::from(u16_le(entry, 64)?).saturating_sub(2).min(62);
    let name = utf16_le(part(entry, 0, names));
    Some(Node {
        path: name.clone(),
        name,
        stream: kind == 2,
        root: kind == 5,
        class: part(entry, 80, 16).try_into().ok()?,
        left: u32_le(entry, 68)?,
        right: u32_le(entry, 72)?,
        child: u32_le(entry, 76)?,
        start: u32_le(entry, 116)?,
        // The upper half is rubbish in files of the older version.
        length: size(u64_le(entry, 120)? & 0xffff_ffff),
    })
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).filter_map(|four| u32_le(four, 0)).collect()
}
