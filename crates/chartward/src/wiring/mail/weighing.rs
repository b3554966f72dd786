//! The file that says how mail is weighed differently here: changed by the command line and the console, never lost, always undone.
//!
//! The file lies at `weighing` of `[mail]`, else beside the quarantine in a folder that the gateway's user may write to: nothing in it is
//! followed as a link. What stood in it before each change is kept in the state folder, which only the hub's user writes to.

mod history;
mod sheet;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use judge::mail::MailPolicy;
use prove::{Fact, Ledger};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::wiring::control;
use history::History;
pub(crate) use history::Version;
pub(crate) use sheet::{Allowed, Change, Note, Sheet, Tuned, Tuning, all_reasons};

/// Beside the quarantine, when nothing else is said.
pub(crate) const FILE_NAME: &str = "policy.toml";
const HISTORY: &str = "mail-policy.history.jsonl";
/// A thousand changes with their reasons.
const BYTES_MAX: u64 = 256 << 10;
/// A gateway that reads a policy has nothing else to do for it.
const GATEWAY_WITHIN: Duration = Duration::from_secs(5);

/// Who changes something, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hand<'a> {
    pub(crate) by: &'a str,
    pub(crate) because: &'a str,
    pub(crate) at: Timestamp,
}

/// What a running gateway made of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gateway {
    /// It weighs by it now.
    Reloaded,
    /// None answers at its socket: the next one that starts does.
    Absent,
    /// It goes on as before.
    Refused(String),
}

/// The policy of a state folder.
#[derive(Debug, Clone)]
pub(crate) struct Weighing {
    pub(crate) file: PathBuf,
    state: PathBuf,
}

impl Weighing {
    /// At the file that the configuration names, else where the gateway looks for it.
    pub(crate) fn new(state: &Path, configured: Option<&Path>) -> Self {
        let file = configured.map_or_else(|| state.join("mail").join(FILE_NAME), Path::to_owned);
        Self { file, state: state.to_owned() }
    }

    /// What stands in it, and whether anything but these commands wrote it.
    pub(crate) fn read(&self) -> anyhow::Result<(Sheet, bool)> {
        let text = self.text()?;
        let sheet = Sheet::parse(&text).with_context(|| format!("cannot use {}", self.file.display()))?;
        let last = self.history().versions()?.pop();
        let by_hand = match last {
            Some(last) => last.after_sha256 != sha256(&text),
            None => !text.is_empty(),
        };
        Ok((sheet, by_hand))
    }

    /// All changes that are remembered, the first one first.
    pub(crate) fn versions(&self) -> anyhow::Result<Vec<Version>> {
        self.history().versions()
    }

    /// Carries out one change: checked as a whole, remembered, written, and told the ledger.
    pub(crate) fn change(&self, change: &Change, hand: Hand<'_>, ledger: &Ledger) -> anyhow::Result<Version> {
        let _alone = self.history().lock()?;
        let before = self.text()?;
        let mut sheet =
            Sheet::parse(&before).with_context(|| format!("cannot use {}", self.file.display()))?;
        sheet.apply(change, hand)?;
        self.write(&before, &sheet.to_toml()?, change.what(), None, hand, ledger)
    }

    /// Takes back the last change that was not taken back yet. What somebody else wrote since is not thrown away.
    pub(crate) fn undo(&self, hand: Hand<'_>, ledger: &Ledger) -> anyhow::Result<Version> {
        let _alone = self.history().lock()?;
        let versions = self.history().versions()?;
        let Some(last) = history::to_undo(&versions) else { bail!("there is no change to take back") };
        let now = self.text()?;
        if sha256(&now) != last.after_sha256 {
            bail!(
                "{} was changed by another hand since; next: look at it, and remove single entries instead",
                self.file.display()
            );
        }
        let what = format!("take back: {}", last.what);
        self.write(&now, &last.before.clone(), what, Some(last.number), hand, ledger)
    }

    /// Tells the gateway behind this socket to weigh by what the file says now.
    pub(crate) fn tell(&self, socket: &Path) -> anyhow::Result<Gateway> {
        let asked = json!({"do": "reload", "policy": self.text()?});
        let Ok(answer) = control::ask(socket, &asked, GATEWAY_WITHIN) else { return Ok(Gateway::Absent) };
        if answer["ok"] == true {
            return Ok(Gateway::Reloaded);
        }
        Ok(Gateway::Refused(answer["error"].as_str().unwrap_or("it did not say why").to_owned()))
    }

    /// Where the hub's gateway answers.
    pub(crate) fn socket(&self) -> PathBuf {
        self.state.join("mail").join("control.sock")
    }

    fn history(&self) -> History {
        History { file: self.state.join(HISTORY) }
    }

    /// Nothing where there is no file.
    fn text(&self) -> anyhow::Result<String> {
        let opened =
            OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&self.file);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.file.display())),
        };
        let mut text = String::new();
        let read = file.take(BYTES_MAX + 1).read_to_string(&mut text);
        read.with_context(|| format!("cannot read {}", self.file.display()))?;
        if text.len() as u64 > BYTES_MAX {
            bail!("{} is longer than any policy", self.file.display());
        }
        Ok(text)
    }

    fn write(
        &self,
        before: &str,
        after: &str,
        what: String,
        undoes: Option<u64>,
        hand: Hand<'_>,
        ledger: &Ledger,
    ) -> anyhow::Result<Version> {
        if after.len() as u64 > BYTES_MAX {
            bail!("the policy would be longer than a gateway reads; remove what is not needed any more");
        }
        MailPolicy::parse(after)?;
        let version = self.history().add(before, sha256(after), what, undoes, hand)?;
        replace(&self.file, after).with_context(|| format!("write {}", self.file.display()))?;
        let fact = Fact::MailPolicyChanged {
            what: version.what.clone(),
            by: version.by.clone(),
            because: version.because.clone(),
            sha256: version.after_sha256.clone(),
        };
        ledger.append(fact, hand.at)?;
        Ok(version)
    }
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The whole text under the file's name or the old one, also after a power cut; owner and rights stay as they are.
fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !dir.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let old = fs::symlink_metadata(file).ok().filter(fs::Metadata::is_file);
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let part = dir.join(format!(".policy-{}", hex::encode(random)));
    // A new file or none: nobody's link is followed.
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&part)?;
    let named = (|| {
        new.write_all(text.as_bytes())?;
        let mode = old.as_ref().map_or(0o644, |old| old.mode() & 0o666);
        new.set_permissions(fs::Permissions::from_mode(mode))?;
        if let Some(old) = old.as_ref().filter(|_| rustix::process::geteuid().is_root()) {
            std::os::unix::fs::fchown(&new, Some(old.uid()), Some(old.gid()))?;
        }
        new.sync_all()?;
        fs::rename(&part, file)
    })();
    if let Err(error) = named {
        let _ = fs::remove_file(&part);
        return Err(error.into());
    }
    Ok(File::open(dir)?.sync_all()?)
}
