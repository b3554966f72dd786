//! A vault host: repositories of protected hosts, out of those hosts' reach.
//!
//! Here is what the host does with files; the protocol in front of it (HTTP, TLS) is the binary's.
//!
//! # What holds whatever a client does, its key stolen or root on it taken
//! - A client reaches its own repository and no other. Names are parsed, folders opened beneath the repository's, links never followed.
//! - It adds files and removes locks. A name that is taken stays what it is; every name but the config's is the SHA-256 of the content.
//! - A file is seen only when all of it is there, checked and durable.
//! - Every file has a receipt by the host's clock. [`View::AsOf`] shows a repository as it was at any time since, so whatever was added
//!   later (a forged index, keys, future-dated snapshots) can be looked past.
//!
//! # What holds whatever an administrator's credential does
//! - What it removes is set aside and can be put back, for `delay`, and until `retain` after its receipt; packs, indexes and keys
//!   until `retain` after the newest snapshot that may need them.
//! - The config is never removed.
//!
//! # Layout
//! `repositories/<client>/` (a restic repository), `aside/<client>/` (what waits for its removal), `incoming/<client>/` (uploads),
//! `receipts/<client>.jsonl`, `audit.jsonl`, `clients.json`.

mod audit;
mod chain;
mod folder;
mod name;
mod protection;
mod receipts;
mod refusal;
mod registry;
mod removal;
mod repository;
#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
pub mod untrusted;
mod upload;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use rustix::fs::{FlockOperation, flock};

pub use audit::Noted;
pub use name::{ClientName, FileName, Kind};
pub use protection::{Protected, Protection};
pub use receipts::{Event, Receipt};
pub use refusal::Refusal;
pub use registry::{Client, Registry};
pub use removal::Removal;
pub use repository::{Repository, View};
pub use upload::Upload;

use crate::Error;

/// How long things are kept.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long after its receipt nothing goes for good.
    pub retain: SignedDuration,
    /// How long a removal can be cancelled.
    pub delay: SignedDuration,
    /// Whether files get the immutable flag.
    pub immutable: bool,
}

/// A vault host's folder.
#[derive(Debug)]
pub struct Host {
    root: PathBuf,
    settings: Settings,
    registry: Registry,
    repositories: Mutex<HashMap<ClientName, Arc<Repository>>>,
    audit: Mutex<audit::Audit>,
    /// Held by the one process that serves.
    serving: Option<File>,
}

impl Host {
    /// Opens the folder to serve from it; only one process does.
    pub fn serve(root: &Path, settings: Settings) -> Result<Host, Error> {
        let mut host = Host::visit(root, settings)?;
        let path = root.join("serving.lock");
        let failed = |source| Error::Io { op: "lock", path: path.clone(), source };
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| Error::HostServed { dir: root.to_owned() })?;
        host.serving = Some(lock);
        for client in host.registry.clients()?.iter().filter(|client| !client.is_admin()) {
            host.repository(&client.name)?;
        }
        Ok(host)
    }

    /// Opens the folder for a command of the host's own, beside the process that serves. Made where it is missing.
    pub fn visit(root: &Path, settings: Settings) -> Result<Host, Error> {
        for folder in ["", "repositories", "aside", "incoming", "receipts"] {
            let path = root.join(folder);
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::Io { op: "create", path, source });
                }
                _ => {}
            }
        }
        let owner = fs::metadata(root)
            .map_err(|source| Error::Io { op: "look at", path: root.to_owned(), source })?
            .uid();
        if owner != rustix::process::geteuid().as_raw() {
            return Err(Error::HostOwner { dir: root.to_owned(), owner });
        }
        Ok(Host {
            root: root.to_owned(),
            settings,
            registry: Registry::new(root),
            repositories: Mutex::default(),
            audit: Mutex::new(audit::Audit::open(root)?),
            serving: None,
        })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its clients.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A client's repository, made at its first use.
    pub fn repository(&self, name: &ClientName) -> Result<Arc<Repository>, Error> {
        let mut open = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repository) = open.get(name) {
            return Ok(Arc::clone(repository));
        }
        let repository = Arc::new(Repository::open(&self.root, name, self.settings)?);
        if self.serving.is_some() {
            let missing = repository.settle()?;
            if !missing.is_empty() {
                let detail = format!(
                    "{} files that were received are not there, such as {}",
                    missing.len(),
                    missing[0]
                );
                self.note("files-missing", name.as_str(), "host", &detail)?;
            }
        }
        open.insert(name.clone(), Arc::clone(&repository));
        Ok(repository)
    }

    /// The receipts of a repository, oldest first, and the line at which they are broken.
    pub fn receipts(&self, name: &ClientName) -> Result<(Vec<Receipt>, Option<u64>), Error> {
        receipts::Receipts::all(&self.root, name)
    }

    /// The audit lines, oldest first, and the one at which they are broken.
    pub fn audit(&self) -> Result<(Vec<Noted>, Option<u64>), Error> {
        audit::Audit::all(&self.root)
    }

    /// Writes an audit line.
    pub fn note(&self, what: &str, client: &str, by: &str, detail: &str) -> Result<Noted, Error> {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner).note(what, client, by, detail)
    }

    /// Writes an audit line, unless there was the same within a minute.
    pub fn note_often(
        &self,
        what: &str,
        client: &str,
        by: &str,
        detail: &str,
    ) -> Result<Option<Noted>, Error> {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner).note_often(what, client, by, detail)
    }

    /// Tries the immutable flag on a file of its own.
    pub fn try_immutable(root: &Path) -> Result<(), Error> {
        let path = root.join("immutable.try");
        let try_it = || -> io::Result<()> {
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            let result =
                folder::set_immutable(&file, true).and_then(|()| folder::set_immutable(&file, false));
            fs::remove_file(&path)?;
            result
        };
        try_it().map_err(|source| Error::Io {
            op: "set the immutable flag in",
            path: root.to_owned(),
            source,
        })
    }
}
