//! What `ls` and `find` say of an entry, with restic's field names in restic's order.

use std::os::unix::ffi::OsStrExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Serialize;

use super::files::Entry;
use super::tree::Kind;
use super::{meta, tree};

/// An entry as `restic ls --json` prints it, and what later versions added.
#[derive(Debug, Serialize)]
pub struct Listed<'e> {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    path: String,
    /// The path's bytes in base64, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_raw: Option<String>,
    uid: u32,
    gid: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    mode: u32,
    permissions: String,
    mtime: Timestamp,
    atime: Timestamp,
    ctime: Timestamp,
    inode: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    linktarget: Option<String>,
    struct_type: &'static str,
    message_type: &'static str,
}

/// An entry as `restic find --json` prints it.
#[derive(Debug, Serialize)]
pub struct Match<'e> {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_raw: Option<String>,
    permissions: String,
    #[serde(rename = "type")]
    kind: &'static str,
    mode: u32,
    mtime: Timestamp,
    atime: Timestamp,
    ctime: Timestamp,
    uid: u32,
    gid: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'e str,
    inode: u64,
    device_id: u64,
    size: u64,
    links: u64,
}

impl Entry {
    /// As `restic ls --json` prints it.
    pub fn listed(&self) -> Listed<'_> {
        let node = self.node();
        let target = || String::from_utf8_lossy(node.link_target()).into_owned();
        Listed {
            name: String::from_utf8_lossy(&node.name).into_owned(),
            kind: node.kind.name(),
            path: self.path.to_string_lossy().into_owned(),
            path_raw: self.raw_path(),
            uid: node.uid,
            gid: node.gid,
            user: &node.user,
            group: &node.group,
            size: (node.kind == Kind::File).then_some(node.size),
            mode: node.mode,
            permissions: self.permissions(),
            mtime: node.mtime,
            atime: node.atime,
            ctime: node.ctime,
            inode: node.inode,
            linktarget: (node.kind == Kind::Symlink).then(target),
            struct_type: "node",
            message_type: "node",
        }
    }

    /// As `restic find --json` prints it.
    pub fn matched(&self) -> Match<'_> {
        let node = self.node();
        Match {
            path: self.path.to_string_lossy().into_owned(),
            path_raw: self.raw_path(),
            permissions: self.permissions(),
            kind: node.kind.name(),
            mode: node.mode,
            mtime: node.mtime,
            atime: node.atime,
            ctime: node.ctime,
            uid: node.uid,
            gid: node.gid,
            user: &node.user,
            group: &node.group,
            inode: node.inode,
            device_id: node.device_id,
            size: node.size,
            links: node.links,
        }
    }

    /// Kind and permissions as Go writes them, such as `-rw-r--r--`, `drwxr-xr-x` or `urwxr-xr-x` for a set-uid program.
    pub fn permissions(&self) -> String {
        meta::permissions(self.node().mode)
    }

    /// The owner's number.
    pub fn uid(&self) -> u32 {
        self.node().uid
    }

    /// The group's number.
    pub fn gid(&self) -> u32 {
        self.node().gid
    }

    fn raw_path(&self) -> Option<String> {
        let raw = || STANDARD.encode(self.path.as_os_str().as_bytes());
        self.path.to_str().is_none().then(raw)
    }

    pub(crate) fn subtree(&self) -> Option<super::id::Id> {
        self.node().subtree.filter(|_| self.node().kind == tree::Kind::Dir)
    }
}
