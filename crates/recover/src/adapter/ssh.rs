//! A tree of another machine, pulled over SSH into a mirror here; nothing of ours is installed there.
//!
//! Where the other side has `find` and `tar`, only what changed is fetched; where it has nothing but SFTP, everything is. What
//! comes over the wire is hostile: it is unpacked into an empty folder, and only regular files that were asked for
//! are moved into the mirror, whose folders are never entered through a link.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, Metadata};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use schema::{Exception, ExceptionKind};

use super::settings::{Setting, optional, required};
use super::{Adapter, Entry, Findings, Place, Restored, Settings, Taken, program};
use crate::error::Error;

/// The adapter.
pub const ENTRY: Entry = Entry {
    kind: "ssh",
    title: (
        "A folder of another machine, pulled over SSH (or SFTP alone) with a key that may only read",
        "ほかの機械のフォルダー:読み取り専用の鍵によりSSH(またはSFTPのみ)で取得",
    ),
    settings: &SETTINGS,
    open: |settings| Ok(Box::new(Pull::new(settings)?)),
    proves: Some((
        "the files of {}, pulled over SSH, were compared like all others",
        "{}：SSHで取得したファイルを、ほかのファイルと同様に照合した",
    )),
    drill: |_: &Restored<'_>| Ok(Findings::default()),
};

static SETTINGS: [Setting; 8] = [
    required("host", "its name or address", "名前またはアドレス"),
    required("path", "the folder there, absolute", "相手側のフォルダー(絶対パス)"),
    required("user", "user to log in as", "接続に使うユーザー"),
    required("identity", "file with the private key", "秘密鍵のファイル"),
    required(
        "known-hosts",
        "file with that machine's host key, and no other is believed",
        "相手のホスト鍵を書いたファイル(ほかの鍵は信用しない)",
    ),
    required(
        "mirror",
        "folder here that becomes a copy of it, on an encrypted disk",
        "写しを作る、この機械のフォルダー(暗号化したディスク)",
    ),
    optional("port", "its port", "ポート"),
    optional("method", "tar (default) or sftp", "tar(既定)または sftp"),
];

const PART: &str = "tree";
const PACKAGE: &str = "openssh-client";
/// Looks at a tree that goes on changing.
const PASSES: usize = 3;
/// Beside the mirror, what was just fetched.
const INCOMING: &str = "incoming";
const COPY: &str = "copy";

struct Pull {
    host: String,
    path: String,
    mirror: PathBuf,
    options: Vec<String>,
    is_sftp: bool,
}

impl Pull {
    fn new(settings: &Settings) -> Result<Pull, Error> {
        let missing = |key: &str| settings.refuse(format!("{key}= is missing"));
        let text = |key: &str| settings.text(key).ok_or_else(|| missing(key));
        let (host, path) = (text("host")?, text("path")?);
        let user = text("user")?;
        let is_plain = |text: &str| {
            !text.starts_with('-')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:[]\\@".contains(c))
        };
        if !is_plain(host) || !is_plain(user) || !path.starts_with('/') {
            return Err(settings.refuse("host, user or path cannot be used".to_owned()));
        }
        let identity = settings.secret_file("identity")?.ok_or_else(|| missing("identity"))?;
        let known = settings.path("known-hosts")?.ok_or_else(|| missing("known-hosts"))?;
        let is_sftp = match settings.text("method") {
            None | Some("tar") => false,
            Some("sftp") => true,
            Some(_) => return Err(settings.refuse("method is neither tar nor sftp".to_owned())),
        };
        let quoted = |path: &Path| format!("\"{}\"", path.display());
        let mut options = vec![
            "BatchMode=yes".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            format!("UserKnownHostsFile={}", quoted(&known)),
            "GlobalKnownHostsFile=/dev/null".to_owned(),
            "IdentitiesOnly=yes".to_owned(),
            "IdentityAgent=none".to_owned(),
            format!("IdentityFile={}", quoted(&identity)),
            "ClearAllForwardings=yes".to_owned(),
            "PermitLocalCommand=no".to_owned(),
            "ConnectTimeout=15".to_owned(),
            "ServerAliveInterval=15".to_owned(),
            format!("User={user}"),
        ];
        options.extend(settings.number("port")?.map(|port| format!("Port={port}")));
        let mirror = settings.path("mirror")?.ok_or_else(|| missing("mirror"))?;
        Ok(Pull { host: host.to_owned(), path: path.to_owned(), mirror, options, is_sftp })
    }

    fn command(&self, name: &str) -> Result<Command, Error> {
        let mut command = program::command(&program::find(name, PACKAGE)?);
        command.args(["-F", "none"]).args(self.options.iter().flat_map(|option| ["-o", option.as_str()]));
        Ok(command)
    }

    /// Runs `script` there, whose only variable part is the folder.
    fn there(&self, script: &str) -> Result<Command, Error> {
        let mut ssh = self.command("ssh")?;
        let quoted = self.path.replace('\'', r"'\''");
        ssh.args(["--", &self.host, &script.replace("FOLDER", &format!("'{quoted}'"))]);
        Ok(ssh)
    }
}

impl Adapter for Pull {
    fn capture(&self, place: &Place<'_>) -> Result<Taken, Error> {
        let copy = self.mirror.join(COPY);
        program::folder(&copy)?;
        let exceptions =
            if self.is_sftp { self.fetch_everything(&copy)? } else { self.fetch_changed(&copy)? };
        let instant = Some((place.now)());
        Ok(Taken { parts: vec![(PART.to_owned(), copy)], instant, exceptions, ..Taken::default() })
    }
}

impl Pull {
    fn fetch_everything(&self, copy: &Path) -> Result<Vec<Exception>, Error> {
        let incoming = self.empty_incoming()?;
        let mut sftp = self.command("sftp")?;
        sftp.args(["-q", "-b", "-", "--", &self.host]);
        let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let target = incoming.join(COPY);
        let batch = format!("get -R -p {} {}\n", quote(&self.path), quote(&target.to_string_lossy()));
        feed(&mut sftp, batch.as_bytes(), Stdio::null())?;
        let fail = |source| Error::Io { op: "replace", path: copy.to_path_buf(), source };
        fs::remove_dir_all(copy).and_then(|()| fs::rename(&target, copy)).map_err(fail)?;
        Ok(Vec::new())
    }

    /// Lists, fetches what differs, and lists again until both sides agree.
    fn fetch_changed(&self, copy: &Path) -> Result<Vec<Exception>, Error> {
        let mut wanted = self.list()?;
        for pass in 1.. {
            let fetched = self.bring(copy, &wanted);
            let again = self.list()?;
            let still = again == wanted;
            let behind = differing(copy, &again);
            // A file that vanished while it was read makes tar fail; the next pass knows that it is gone.
            if pass == PASSES || (still && fetched.is_ok()) {
                fetched?;
                return Ok(behind.into_iter().map(|path| self.unstable(&path)).collect());
            }
            wanted = again;
        }
        Ok(Vec::new())
    }

    fn unstable(&self, path: &Path) -> Exception {
        Exception {
            path: format!("{}:{}", self.host, Path::new(&self.path).join(path).display()),
            kind: ExceptionKind::Unstable,
            cause: "it kept changing while it was fetched".to_owned(),
        }
    }

    fn list(&self) -> Result<Tree, Error> {
        let mut find = self.there(
            r"LC_ALL=C find FOLDER/ -mindepth 1 \( -type f -o -type d -o -type l \) -printf '%y/%s/%T@/%P\0%l\0'",
        )?;
        let listed = program::output(&mut find)?;
        let mut fields = listed.split(|byte| *byte == 0);
        let mut tree = Tree::new();
        while let (Some(head), Some(link)) = (fields.next(), fields.next()) {
            let entry = Listed::read(head, link).ok_or_else(|| Error::Answer {
                program: "find",
                answer: String::from_utf8_lossy(head).into_owned(),
            })?;
            tree.insert(entry.0, entry.1);
        }
        Ok(tree)
    }

    /// Makes the copy what the list says.
    fn bring(&self, copy: &Path, wanted: &Tree) -> Result<(), Error> {
        let missing = differing(copy, wanted);
        let files: Vec<&PathBuf> =
            missing.iter().filter(|path| matches!(wanted.get(*path), Some(Listed::File { .. }))).collect();
        let incoming = self.empty_incoming()?;
        let fetched = if files.is_empty() { Ok(()) } else { self.fetch(&files, &incoming) };
        remove_others(copy, Path::new(""), wanted)?;
        for (path, entry) in wanted {
            let target = copy.join(path);
            let put = match entry {
                Listed::Folder => folder(&target),
                Listed::Link(to) => link(&target, to),
                Listed::File { .. } => take(&incoming.join(path), &target),
            };
            put.map_err(|source| Error::Io { op: "write", path: target, source })?;
        }
        fetched
    }

    fn fetch(&self, files: &[&PathBuf], incoming: &Path) -> Result<(), Error> {
        let mut names = Vec::new();
        for file in files {
            names.extend_from_slice(b"./");
            names.extend_from_slice(file.as_os_str().as_bytes());
            names.push(0);
        }
        let mut unpack = program::command(&program::find("tar", "tar")?);
        unpack.args(["--extract", "--file", "-", "--no-same-owner", "--directory"]).arg(incoming);
        let mut tar =
            program::spawn(unpack.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()))?;
        let complaints = program::Complaints::of(&mut tar);
        let pipe = tar.stdin.take().map_or_else(Stdio::null, Stdio::from);
        let script = "tar --create --format=posix --directory=FOLDER --null --no-recursion --verbatim-files-from --files-from=-";
        let sent = self.there(script).and_then(|mut ssh| feed(&mut ssh, &names, pipe));
        let status =
            tar.wait().map_err(|source| Error::Io { op: "run", path: PathBuf::from("tar"), source })?;
        let said = complaints.said();
        sent?;
        if status.success() { Ok(()) } else { Err(program::failed(&unpack, status, said)) }
    }

    fn empty_incoming(&self) -> Result<PathBuf, Error> {
        let incoming = self.mirror.join(INCOMING);
        let fail = |source| Error::Io { op: "empty", path: incoming.clone(), source };
        match fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        program::folder(&incoming)?;
        Ok(incoming)
    }
}

/// Runs with `input` on its standard input.
fn feed(command: &mut Command, input: &[u8], stdout: Stdio) -> Result<(), Error> {
    let mut child = program::spawn(command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped()))?;
    // The command holds the other end of the pipe too, as long as it keeps what it was told.
    command.stdout(Stdio::null());
    let complaints = program::Complaints::of(&mut child);
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends early says why in its status.
        let _ = stdin.write_all(input);
    }
    let fail = |source| Error::Io { op: "run", path: PathBuf::from(program::name_of(command)), source };
    let status = child.wait().map_err(fail)?;
    let said = complaints.said();
    if status.success() { Ok(()) } else { Err(program::failed(command, status, said)) }
}

/// What is there, by its path below the folder.
type Tree = BTreeMap<PathBuf, Listed>;

#[derive(Debug, PartialEq, Eq)]
enum Listed {
    Folder,
    Link(PathBuf),
    /// Its length, and when it was changed, in nanoseconds since 1970.
    File {
        size: u64,
        changed: i128,
    },
}

impl Listed {
    /// One line of the list: kind, size, time, path; where a link leads to.
    fn read(head: &[u8], link: &[u8]) -> Option<(PathBuf, Listed)> {
        let mut fields = head.splitn(4, |byte| *byte == b'/');
        let kind = fields.next()?;
        let size = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let changed = nanoseconds(std::str::from_utf8(fields.next()?).ok()?)?;
        let path = PathBuf::from(OsStr::from_bytes(fields.next()?));
        let inside = path.components().all(|component| matches!(component, Component::Normal(_)));
        if path.as_os_str().is_empty() || !inside {
            return None;
        }
        let entry = match kind {
            b"d" => Listed::Folder,
            b"l" => Listed::Link(PathBuf::from(OsStr::from_bytes(link))),
            b"f" => Listed::File { size, changed },
            _ => return None,
        };
        Some((path, entry))
    }

    fn is_same(&self, path: &Path, metadata: &Metadata) -> bool {
        match self {
            Listed::Folder => metadata.is_dir(),
            Listed::Link(to) => metadata.is_symlink() && fs::read_link(path).is_ok_and(|is| is == *to),
            Listed::File { size, changed } => {
                let here = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
                metadata.is_file() && metadata.len() == *size && here == *changed
            }
        }
    }
}

/// Seconds with a fraction, as `find` prints them.
fn nanoseconds(text: &str) -> Option<i128> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let (whole, part) = (seconds.parse::<i128>().ok()?, fraction.parse::<i128>().ok()?);
    Some(if seconds.starts_with('-') { whole * 1_000_000_000 - part } else { whole * 1_000_000_000 + part })
}

/// What is not here as it is there.
fn differing(copy: &Path, wanted: &Tree) -> Vec<PathBuf> {
    let is_here = |path: &Path, entry: &Listed| {
        let here = copy.join(path);
        fs::symlink_metadata(&here).is_ok_and(|metadata| entry.is_same(&here, &metadata))
    };
    wanted.iter().filter(|(path, entry)| !is_here(path, entry)).map(|(path, _)| path.clone()).collect()
}

/// Removes what is not there, or is something else there. After this no folder of the copy is a link.
fn remove_others(copy: &Path, below: &Path, wanted: &Tree) -> Result<(), Error> {
    let here = copy.join(below);
    let fail = |source| Error::Io { op: "tidy", path: here.clone(), source };
    for entry in fs::read_dir(&here).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let path = below.join(entry.file_name());
        let is_dir = entry.file_type().map_err(fail)?.is_dir();
        match (wanted.get(&path), is_dir) {
            (Some(Listed::Folder), true) => remove_others(copy, &path, wanted)?,
            (Some(Listed::File { .. } | Listed::Link(_)), false) => {}
            (_, true) => fs::remove_dir_all(entry.path()).map_err(fail)?,
            (_, false) => fs::remove_file(entry.path()).map_err(fail)?,
        }
    }
    Ok(())
}

/// Parents come first in the list's order, so each folder is made before what lies in it.
fn folder(target: &Path) -> std::io::Result<()> {
    if fs::symlink_metadata(target).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(());
    }
    DirBuilder::new().mode(0o700).create(target)
}

fn link(target: &Path, to: &Path) -> std::io::Result<()> {
    if fs::read_link(target).is_ok_and(|is| is == to) {
        return Ok(());
    }
    let _ = fs::remove_file(target);
    symlink(to, target)
}

/// Moves a file that was fetched; one that was not stays as it is.
fn take(fetched: &Path, target: &Path) -> std::io::Result<()> {
    if fs::symlink_metadata(fetched).is_ok_and(|metadata| metadata.is_file()) {
        return fs::rename(fetched, target);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_entry_stays_in_the_folder() {
        let read =
            |head: &[u8]| Listed::read(head, b"").map(|(path, entry)| (path.display().to_string(), entry));
        let file = Listed::File { size: 3, changed: 1_500_000_000 };
        assert_eq!(read(b"f/3/1.5000000000/a/b"), Some(("a/b".to_owned(), file)));
        for hostile in [&b"f/3/1/../x"[..], b"f/3/1//etc/passwd", b"f/3/1/", b"x/3/1/a", b"f/3", b"f/-1/1/a"]
        {
            assert_eq!(read(hostile), None, "{}", String::from_utf8_lossy(hostile));
        }
    }
}
