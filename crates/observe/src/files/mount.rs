//! A mount of its own for each protected tree, so that only opens below it ever wait for the guard.

use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::CWD;
use rustix::mount::{
    MountPropagationFlags, OpenTreeFlags, UnmountFlags, mount_bind_recursive, mount_change, open_tree,
    unmount,
};

use crate::Error;

/// A file system that has not answered by then is taken for silent.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How a tree is set apart from what surrounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// It is the root of a file system: the file system is marked, whoever mounts it wherever.
    FileSystem,
    /// It was mounted onto itself and the mount is marked.
    SelfBind,
    /// A self-bind that a killed guard left behind is used again.
    SelfBindReused,
}

/// A protected tree with its mount; dropped, a self-bind goes away.
#[derive(Debug)]
pub(super) struct Ward {
    /// Absolute path without symbolic links.
    pub(super) path: PathBuf,
    pub(super) apart: Apart,
    /// Mounts to mark: the tree's own and those below it.
    pub(super) mounts: Vec<Mount>,
    /// Mounts below it that are not marked.
    pub(super) foreign: Vec<Foreign>,
    /// The same files through a mount that nobody else sees and no mark covers.
    pub(super) tree: OwnedFd,
}

impl Ward {
    /// Sets the tree apart.
    pub(super) fn new(path: &Path) -> Result<Self, Error> {
        let path = resolve(path)?;
        let bind = |source: rustix::io::Errno| Error::Bind { path: path.clone(), source: source.into() };
        let apart = match own_mount(&path)? {
            Some(Mount { root, .. }) if root == Path::new("/") => Apart::FileSystem,
            Some(_) if device(&path)? == device(path.parent().unwrap_or(&path))? => Apart::SelfBindReused,
            _ => Apart::SelfBind,
        };
        // Taken before the new mount exists, so that what is put back never waits for the guard itself.
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let tree = open_tree(CWD, &path, flags).map_err(bind)?;
        if apart == Apart::SelfBind {
            mount_bind_recursive(&path, &path).map_err(bind)?;
            // Without this a mount made in another namespace would travel in, and ours would travel out.
            mount_change(&path, MountPropagationFlags::PRIVATE).map_err(bind)?;
        }
        // Of several mounts on one folder the last one covers the others.
        let mut below: Vec<Mount> = Vec::new();
        for mount in mounts()?.into_iter().filter(|mount| mount.at.starts_with(&path)) {
            below.retain(|other| other.at != mount.at);
            below.push(mount);
        }
        below.sort_by(|a, b| a.at.cmp(&b.at));
        // The tree itself is watched wherever it lies: the operator asked for it.
        let (foreign, mounts): (Vec<_>, Vec<_>) =
            below.into_iter().partition(|mount| mount.at != path && is_foreign(&mount.kind));
        let foreign = foreign.into_iter().map(|Mount { at, kind, .. }| Foreign { at, kind }).collect();
        Ok(Self { mounts, foreign, path, apart, tree })
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        if self.apart != Apart::FileSystem {
            // A mount that is gone already needs no unmounting, and there is nobody to tell at this point.
            let _ = unmount(&self.path, UnmountFlags::DETACH);
        }
    }
}

/// A mount below a protected tree that is not watched: its server or program may stop to answer, and whoever touches it then
/// waits for good, the guard included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Where.
    pub at: PathBuf,
    /// The file system's name.
    pub kind: String,
}

/// Whether a server or a program answers for this kind of file system.
fn is_foreign(kind: &str) -> bool {
    const KINDS: [&str; 14] = [
        "9p", "afs", "autofs", "beegfs", "ceph", "cifs", "coda", "fuse", "gfs2", "lustre", "nfs", "nfs4",
        "smb3", "virtiofs",
    ];
    KINDS.contains(&kind) || kind.starts_with("fuse.")
}

/// The absolute path of a folder to protect, without symbolic links. A file system that does not answer is an error.
pub fn resolve(path: &Path) -> Result<PathBuf, Error> {
    let ask = |path: PathBuf| {
        let path = fs::canonicalize(path)?;
        // The kernel may know the folder itself by heart; its file system has to be asked.
        rustix::fs::statfs(&path)?;
        fs::read_dir(&path)?;
        Ok(path)
    };
    within(path, ask)?.map_err(|source| Error::OpenRoot { path: path.to_owned(), source })
}

/// Asks the file system about `path` on a thread of its own, since one that does not answer keeps whoever asks.
fn within<T: Send + 'static>(
    path: &Path,
    ask: impl FnOnce(PathBuf) -> T + Send + 'static,
) -> Result<T, Error> {
    let silent = || Error::Silent { path: path.to_owned(), seconds: ANSWERS_WITHIN.as_secs() };
    let (send, answer) = crossbeam_channel::bounded(1);
    let asked = path.to_owned();
    let thread = std::thread::Builder::new().name("ask".into());
    thread.spawn(move || send.send(ask(asked))).map_err(Error::Read)?;
    answer.recv_timeout(ANSWERS_WITHIN).map_err(|_| silent())
}

/// One line of proc_pid_mountinfo(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// What part of the file system is mounted.
    pub(super) root: PathBuf,
    /// Where.
    pub(super) at: PathBuf,
    /// The file system's name.
    pub(super) kind: String,
}

fn own_mount(path: &Path) -> Result<Option<Mount>, Error> {
    Ok(mounts()?.into_iter().rfind(|mount| mount.at == path))
}

fn mounts() -> Result<Vec<Mount>, Error> {
    let text = fs::read("/proc/self/mountinfo").map_err(Error::Mounts)?;
    Ok(parse_mountinfo(&text))
}

/// The fourth field is the root within the file system, the fifth the mount point; the name of the file system follows a dash, after
/// fields whose number varies.
fn parse_mountinfo(text: &[u8]) -> Vec<Mount> {
    text.split(|&byte| byte == b'\n')
        .filter_map(|line| {
            let mut fields = line.split(|&byte| byte == b' ').skip(3);
            let (root, at) = (unescape(fields.next()?), unescape(fields.next()?));
            let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
            Some(Mount { root, at, kind: String::from_utf8_lossy(kind).into_owned() })
        })
        .collect()
}

/// The kernel writes blanks, tabs, newlines and backslashes as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal =
            tail.get(..3).filter(|digits| first == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        if let Some(digits) = octal {
            bytes.push(
                digits.iter().fold(0u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')),
            );
            rest = tail.get(3..).unwrap_or_default();
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn device(path: &Path) -> Result<u64, Error> {
    fs::metadata(path)
        .map(|meta| meta.dev())
        .map_err(|source| Error::OpenRoot { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_with_blanks_and_their_roots_are_read() {
        let text = b"22 27 0:21 / /proc rw - proc proc rw\n99 27 254:0 /srv/a\\040b /srv/a\\040b rw - ext4 /dev/vda rw\n";
        let all = parse_mountinfo(text);
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[1].root.as_path(), all[1].at.as_path(), all[1].kind.as_str()),
            (Path::new("/srv/a b"), Path::new("/srv/a b"), "ext4")
        );
        let shared = b"36 35 98:0 /m /mnt rw,noatime master:1 shared:3 - fuse.sshfs host rw\n";
        assert!(is_foreign(&parse_mountinfo(shared)[0].kind));
        assert_eq!(parse_mountinfo(b"36 35 98:0 /m /mnt rw"), []);
    }

    #[test]
    fn local_file_systems_are_not_foreign() {
        for kind in ["ext4", "xfs", "btrfs", "tmpfs", "zfs", "fuseblk", "overlay"] {
            assert!(!is_foreign(kind), "{kind}");
        }
    }
}
