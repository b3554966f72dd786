//! Directories as restic stores them: a JSON list of nodes, ordered by name.

mod read;
mod write;

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::id::Id;
pub(crate) use read::parse;
use read::{base64_bytes, quoted, shared};
pub(crate) use write::write;

/// Deepest nesting of directories that is followed.
pub(crate) const MAX_DEPTH: usize = 2000;

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A block device.
    Dev,
    /// A character device.
    CharDev,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Something that this version does not know.
    #[serde(other)]
    Irregular,
}

impl Kind {
    /// As restic calls it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Dir => "dir",
            Kind::Symlink => "symlink",
            Kind::Dev => "dev",
            Kind::CharDev => "chardev",
            Kind::Fifo => "fifo",
            Kind::Socket => "socket",
            Kind::Irregular => "irregular",
        }
    }
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Node {
    #[serde(deserialize_with = "quoted")]
    pub(crate) name: Vec<u8>,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    /// Go's `os.FileMode`.
    #[serde(default)]
    pub(crate) mode: u32,
    #[serde(default)]
    pub(crate) mtime: Timestamp,
    #[serde(default)]
    pub(crate) atime: Timestamp,
    #[serde(default)]
    pub(crate) ctime: Timestamp,
    #[serde(default)]
    pub(crate) uid: u32,
    #[serde(default)]
    pub(crate) gid: u32,
    #[serde(default, deserialize_with = "shared")]
    pub(crate) user: Arc<str>,
    #[serde(default, deserialize_with = "shared")]
    pub(crate) group: Arc<str>,
    #[serde(default)]
    pub(crate) inode: u64,
    #[serde(default)]
    pub(crate) device_id: u64,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) links: u64,
    #[serde(default)]
    pub(crate) linktarget: String,
    #[serde(default, deserialize_with = "base64_bytes")]
    pub(crate) linktarget_raw: Vec<u8>,
    #[serde(default)]
    pub(crate) extended_attributes: Vec<Attribute>,
    #[serde(default)]
    pub(crate) device: u64,
    #[serde(default)]
    pub(crate) content: Option<Vec<Id>>,
    #[serde(default)]
    pub(crate) subtree: Option<Id>,
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    #[serde(deserialize_with = "base64_bytes")]
    pub(crate) value: Vec<u8>,
}

impl Node {
    pub(crate) fn new(name: &[u8], kind: Kind) -> Node {
        Node {
            name: name.to_owned(),
            kind,
            mode: 0,
            mtime: Timestamp::UNIX_EPOCH,
            atime: Timestamp::UNIX_EPOCH,
            ctime: Timestamp::UNIX_EPOCH,
            uid: 0,
            gid: 0,
            user: Arc::from(""),
            group: Arc::from(""),
            inode: 0,
            device_id: 0,
            size: 0,
            links: 0,
            linktarget: String::new(),
            linktarget_raw: Vec::new(),
            extended_attributes: Vec::new(),
            device: 0,
            content: None,
            subtree: None,
        }
    }

    /// Whether the name is a single component that stays within its directory.
    pub(crate) fn has_safe_name(&self) -> bool {
        !matches!(self.name.as_slice(), b"" | b"." | b"..")
            && !self.name.iter().any(|b| matches!(b, b'/' | 0))
    }

    pub(crate) fn set_link_target(&mut self, target: &[u8]) {
        match std::str::from_utf8(target) {
            Ok(text) => self.linktarget = text.to_owned(),
            // restic 0.14 reads the first and writes what it can of it; later versions prefer the second.
            Err(_) => {
                self.linktarget = String::from_utf8_lossy(target).into_owned();
                self.linktarget_raw = target.to_owned();
            }
        }
    }

    pub(crate) fn link_target(&self) -> &[u8] {
        if self.linktarget_raw.is_empty() { self.linktarget.as_bytes() } else { &self.linktarget_raw }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_restic_is_written_back_byte_for_byte() {
        let trees: &[&str] = &[
            "{\"nodes\":[{\"name\":\"bad\\\\xff\\\\\\\"q\\\\\\\\\",\"type\":\"file\",\"mode\":420,\"mtime\":\"2026-11-22T02:13:10.52947937Z\",\"atime\":\"2026-11-22T02:13:10.52947937Z\",\"ctime\":\"2026-11-22T02:13:10.52947937Z\",\"uid\":0,\"gid\":0,\"user\":\"root\",\"group\":\"root\",\"inode\":10076637,\"device_id\":65024,\"links\":1,\"content\":[]},{\"name\":\"f\",\"type\":\"fifo\",\"mode\":33554852,\"mtime\":\"2026-11-22T02:13:10Z\",\"atime\":\"2026-11-22T02:13:10.517479369Z\",\"ctime\":\"2026-11-22T02:13:10.517479369Z\",\"uid\":0,\"gid\":0,\"user\":\"root\",\"group\":\"root\",\"inode\":10076635,\"device_id\":65024,\"content\":null},{\"name\":\"l\",\"type\":\"symlink\",\"mode\":134218239,\"mtime\":\"2026-11-22T02:13:10.513479369Z\",\"atime\":\"2026-11-22T02:13:10.513479369Z\",\"ctime\":\"2026-11-22T02:13:10.513479369Z\",\"uid\":0,\"gid\":0,\"user\":\"root\",\"group\":\"root\",\"inode\":10076634,\"device_id\":65024,\"links\":1,\"linktarget\":\"a.txt\",\"content\":null}]}\n",
            "{\"nodes\":[{\"name\":\"tmp\",\"type\":\"dir\",\"mode\":2148532735,\"mtime\":\"2026-11-22T02:13:14.573479543Z\",\"atime\":\"2026-11-22T02:13:14.573479543Z\",\"ctime\":\"2026-11-22T02:13:14.573479543Z\",\"uid\":0,\"gid\":0,\"user\":\"root\",\"group\":\"root\",\"inode\":246951,\"device_id\":65024,\"content\":null,\"subtree\":\"14aa9480afb0ecd52eddb5b91db284888309d383a97934a192b9a0133021d561\"}]}\n",
            "{\"nodes\":[]}\n",
        ];
        for tree in trees {
            let nodes = parse(tree.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(write(&nodes)).unwrap(), *tree);
        }
    }

    #[test]
    fn hostile_trees_are_refused() {
        let deep = format!("{{\"nodes\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let twice =
            r#"{"nodes":[{"name":"b","type":"file"},{"name":"a","type":"file"},{"name":"b","type":"dir"}]}"#;
        let again = r#"{"nodes":[],"nodes":[]}"#;
        for text in [
            deep.as_str(),
            twice,
            again,
            "{",
            "{}",
            r#"{"nodes":[]} {}"#,
            r#"{"nodes":[{"name":"\\q","type":"file"}]}"#,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{}", &text[..text.len().min(80)]);
        }
        let bomb: Vec<String> =
            (0..2000).map(|n| format!("{{\"name\":\"{n}\",\"type\":\"file\"}}")).collect();
        let bomb = format!("{{\"nodes\":[{}]}}", bomb.join(","));
        assert!(parse(bomb.as_bytes()).unwrap_err().contains("more entries"));
        for name in ["..", ".", "", "a/b", "../x", "a\0b"] {
            assert!(!Node::new(name.as_bytes(), Kind::File).has_safe_name(), "{name:?}");
        }
    }
}
