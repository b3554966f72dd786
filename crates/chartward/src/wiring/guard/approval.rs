//! Approvals: which program may encrypt, by whom it is run, where and until when. They lie in the state folder, each in a file that only
//! its owner may read or write, so that only who runs the guard can give one.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use act::evidence::{private_dir, write_json};
use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const FOLDER: &str = "allowed";
const APPROVALS_MAX: usize = 256;
const APPROVAL_BYTES_MAX: u64 = 64 * 1024;
const TOOL_BYTES_MAX: u64 = 1 << 30;

/// One approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Approval {
    /// A number, or `config-1` for one of the configuration.
    pub(crate) id: String,
    /// The program's file, without symbolic links.
    pub(crate) tool: PathBuf,
    /// SHA-256 of it. Without one (in the configuration) any program that root put there will do.
    pub(crate) sha256: Option<String>,
    /// Name and number of the user; anybody when there is neither user nor group.
    pub(crate) user: Option<(String, u32)>,
    pub(crate) group: Option<(String, u32)>,
    /// What it writes lies below this.
    pub(crate) dir: PathBuf,
    pub(crate) from: Timestamp,
    /// `None` holds until it is revoked: for the configuration only.
    pub(crate) until: Option<Timestamp>,
    pub(crate) reason: String,
    /// Who gave it.
    pub(crate) by: String,
    pub(crate) revoked: Option<Revoked>,
}

/// How an approval was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revoked {
    pub(crate) at: Timestamp,
    pub(crate) by: String,
    /// What was done under it is put back: it was an attack.
    pub(crate) put_back: bool,
}

impl Approval {
    pub(crate) fn is_in_force(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now >= self.from && self.until.is_none_or(|until| now < until)
    }

    pub(crate) fn write(&self, state: &Path) -> anyhow::Result<()> {
        let dir = private_dir(&state.join(FOLDER))?;
        Ok(write_json(&dir.join(format!("{}.json", self.id)), self)?)
    }
}

/// When the folder changed last, so that a guard reads it again only then.
pub(crate) fn changed(state: &Path) -> Option<(i64, i64)> {
    let meta = fs::metadata(state.join(FOLDER)).ok()?;
    Some((meta.mtime(), meta.mtime_nsec()))
}

/// All approvals by number, and the names of files that are none or that somebody else could have written.
pub(crate) fn all(state: &Path) -> anyhow::Result<(Vec<Approval>, Vec<PathBuf>)> {
    let dir = state.join(FOLDER);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((vec![], vec![])),
        Err(error) => return Err(error).with_context(|| format!("read {}", dir.display())),
    };
    let (mut approvals, mut refused) = (Vec::new(), Vec::new());
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|suffix| suffix != "json") {
            continue;
        }
        match read(&path) {
            Ok(approval) if approvals.len() < APPROVALS_MAX => approvals.push(approval),
            _ => refused.push(path),
        }
    }
    approvals.sort_by_key(|approval: &Approval| approval.id.parse().unwrap_or(u32::MAX));
    refused.sort();
    Ok((approvals, refused))
}

fn read(path: &Path) -> anyhow::Result<Approval> {
    let meta = fs::symlink_metadata(path)?;
    let own = rustix::process::geteuid().as_raw();
    if !meta.is_file() || meta.mode() & 0o077 != 0 || (meta.uid() != own && meta.uid() != 0) {
        bail!("somebody else could have written {}", path.display());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(APPROVAL_BYTES_MAX).read_to_end(&mut bytes)?;
    let approval: Approval = serde_json::from_slice(&bytes)?;
    if path.file_stem().is_none_or(|stem| *stem != *approval.id) {
        bail!("{} holds another approval", path.display());
    }
    Ok(approval)
}

/// A number that no approval has had.
pub(crate) fn next_id(known: &[Approval], refused: &[PathBuf]) -> String {
    let of_files = refused.iter().filter_map(|path| path.file_stem()?.to_str()?.parse().ok());
    let highest = known.iter().filter_map(|approval| approval.id.parse::<u32>().ok()).chain(of_files).max();
    highest.map_or(1, |highest| highest.saturating_add(1)).to_string()
}

/// The program behind a name: its file without links, and the file's hash. Scripts are refused: what runs then is their interpreter.
pub(crate) fn tool(path: &Path) -> anyhow::Result<(PathBuf, String)> {
    let real = path.canonicalize().with_context(|| format!("find the program {}", path.display()))?;
    let mut file = File::open(&real).with_context(|| format!("read the program {}", real.display()))?;
    let mut head = [0; 2];
    let len = file.read(&mut head)?;
    if head.get(..len) == Some(b"#!") {
        bail!(
            "{} is a script: what runs is its interpreter, and approving that would approve every script. Name the program \
             that it starts",
            real.display()
        );
    }
    if !is_roots(&fs::metadata(&real)?) {
        bail!("{} can be changed by others than root, so it can become another program", real.display());
    }
    let sha256 = sha256(&real)?;
    Ok((real, sha256))
}

/// Only root can change it.
pub(crate) fn is_roots(meta: &Metadata) -> bool {
    meta.uid() == 0 && meta.mode() & 0o022 == 0
}

pub(crate) fn sha256(path: &Path) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?.take(TOOL_BYTES_MAX);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            len => hash.update(buffer.get(..len).unwrap_or_default()),
        }
    }
}

/// Name and number of a user or group, from passwd(5) or group(5); a number stands for itself. Name services of the network are
/// left out on purpose: what a guard believes must not come from there.
pub(crate) fn account(table: &str, name: &str) -> anyhow::Result<(String, u32)> {
    let known = fs::read_to_string(table).unwrap_or_default();
    let listed = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let login = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        (login == name || name.parse() == Ok(id)).then(|| (login.to_owned(), id))
    });
    match listed.or_else(|| Some((name.to_owned(), name.parse().ok()?))) {
        Some(account) => Ok(account),
        None => bail!("{table} knows nobody called {name:?}; a number will do"),
    }
}

/// One standing approval as the hub passes it on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standing {
    pub(crate) id: String,
    pub(crate) tool: PathBuf,
    pub(crate) sha256: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    #[serde(rename = "in")]
    pub(crate) dir: PathBuf,
    pub(crate) reason: String,
}

/// Reads it. A program or an account that is not there (yet) is no error: the guard has to start, and the approval fits nobody.
pub(crate) fn standing(text: &str) -> anyhow::Result<Approval> {
    let standing: Standing = serde_json::from_str(text).context("read a standing approval")?;
    let account = |table: &str, name: &Option<String>| {
        let find = |name: &String| account(table, name).unwrap_or((name.clone(), u32::MAX));
        name.as_ref().map(find)
    };
    Ok(Approval {
        id: standing.id,
        tool: standing.tool.canonicalize().unwrap_or(standing.tool),
        sha256: standing.sha256,
        user: account("/etc/passwd", &standing.user),
        group: account("/etc/group", &standing.group),
        dir: standing.dir.canonicalize().unwrap_or(standing.dir),
        from: Timestamp::UNIX_EPOCH,
        until: None,
        reason: standing.reason,
        by: "the configuration".into(),
        revoked: None,
    })
}
