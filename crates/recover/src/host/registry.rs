//! Who may talk to the host. Only hashes of keys are stored.
//!
//! A key is 256 random bits that nobody chose, so its plain SHA-256 cannot be guessed backwards; a slow hash such as argon2id protects
//! what people think up, and would have to be paid again for each of the thousands of requests of one backup.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::name::ClientName;
use crate::Error;
use crate::vault::random_bytes;

/// Clients that a host has at most; each request compares with all of them.
const CLIENTS_MAX: usize = 1000;

/// One that may talk to the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Client {
    /// Its name, and its repository's unless it is an administrator's.
    pub name: ClientName,
    /// Repositories whose files it may set aside. Empty for a protected host, which has its own and removes nothing.
    #[serde(default)]
    pub administers: Vec<ClientName>,
    /// Bytes that its repository may take.
    pub quota: u64,
    /// When it was added.
    pub added: Timestamp,
    /// When its key was made.
    pub key_made: Timestamp,
    /// When its key stopped being accepted. Its repository stays.
    pub revoked: Option<Timestamp>,
    key_sha256: String,
}

impl Client {
    /// Whether it is an administrator's credential.
    pub fn is_admin(&self) -> bool {
        !self.administers.is_empty()
    }

    /// Whether it may read and add to a repository.
    pub fn may_use(&self, repository: &ClientName) -> bool {
        if self.is_admin() { self.administers.contains(repository) } else { self.name == *repository }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Clients {
    clients: Vec<Client>,
}

/// Inode, time and length of the file that was read last.
type Seen = (u64, i64, i64, u64);

/// The clients of a host, in a file of its own.
#[derive(Debug)]
pub struct Registry {
    path: PathBuf,
    read: Mutex<Option<(Seen, Arc<Clients>)>>,
}

impl Registry {
    pub(super) fn new(root: &Path) -> Registry {
        Registry { path: root.join("clients.json"), read: Mutex::default() }
    }

    /// All of them, also those whose key was revoked.
    pub fn clients(&self) -> Result<Vec<Client>, Error> {
        Ok(self.current()?.clients.clone())
    }

    /// The client of that name.
    pub fn client(&self, name: &ClientName) -> Result<Option<Client>, Error> {
        Ok(self.current()?.clients.iter().find(|client| client.name == *name).cloned())
    }

    /// Whose key it is. Takes as long for a wrong name as for a wrong key.
    pub fn who(&self, name: &str, key: &str) -> Result<Option<Client>, Error> {
        let given = hash(key);
        let clients = self.current()?;
        let mut found = None;
        for client in &clients.clients {
            let same_key: Choice = client.key_sha256.as_bytes().ct_eq(given.as_bytes());
            let same_name = Choice::from(u8::from(client.name.as_str() == name));
            if bool::from(same_key & same_name) && client.revoked.is_none() {
                found = Some(client.clone());
            }
        }
        Ok(found)
    }

    /// Adds a client and returns its key, which is stored nowhere.
    pub fn add(
        &self,
        name: ClientName,
        administers: Vec<ClientName>,
        quota: u64,
        now: Timestamp,
    ) -> Result<String, Error> {
        let key = new_key()?;
        self.change(|clients| {
            if clients.iter().any(|client| client.name == name) {
                return Err(Error::HostClient { name: name.to_string(), problem: "exists already" });
            }
            if clients.len() >= CLIENTS_MAX {
                return Err(Error::HostClient { name: name.to_string(), problem: "would be one too many" });
            }
            for of in &administers {
                if !clients.iter().any(|client| client.name == *of && !client.is_admin()) {
                    return Err(Error::HostClient {
                        name: of.to_string(),
                        problem: "has no repository here",
                    });
                }
            }
            let key_sha256 = hash(&key);
            clients.push(Client {
                name,
                administers,
                quota,
                added: now,
                key_made: now,
                revoked: None,
                key_sha256,
            });
            Ok(())
        })?;
        Ok(key)
    }

    /// Gives a client a new key; the old one, if any, is not accepted any more.
    pub fn renew(&self, name: &ClientName, now: Timestamp) -> Result<String, Error> {
        let key = new_key()?;
        self.change_one(name, |client| {
            (client.key_sha256, client.key_made, client.revoked) = (hash(&key), now, None);
        })?;
        Ok(key)
    }

    /// Accepts a client's key no more.
    pub fn revoke(&self, name: &ClientName, now: Timestamp) -> Result<(), Error> {
        self.change_one(name, |client| _ = client.revoked.get_or_insert(now))
    }

    /// Sets how much a client's repository may take.
    pub fn set_quota(&self, name: &ClientName, quota: u64) -> Result<(), Error> {
        self.change_one(name, |client| client.quota = quota)
    }

    fn change_one(&self, name: &ClientName, change: impl FnOnce(&mut Client)) -> Result<(), Error> {
        self.change(|clients| match clients.iter_mut().find(|client| client.name == *name) {
            Some(client) => {
                change(client);
                Ok(())
            }
            None => Err(Error::HostClient { name: name.to_string(), problem: "is not known here" }),
        })
    }

    /// As the file is now; read again only when it was replaced.
    fn current(&self) -> Result<Arc<Clients>, Error> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = match fs::metadata(&self.path) {
            Ok(meta) => (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Arc::default()),
            Err(e) => return Err(self.failed("look at", e)),
        };
        if let Some((before, clients)) = &*read
            && *before == seen
        {
            return Ok(Arc::clone(clients));
        }
        let clients = Arc::new(self.load()?);
        *read = Some((seen, Arc::clone(&clients)));
        Ok(clients)
    }

    fn load(&self) -> Result<Clients, Error> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| self.failed("read", e.into())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Clients::default()),
            Err(e) => Err(self.failed("read", e)),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Client>) -> Result<(), Error>) -> Result<(), Error> {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.with_extension("lock"))
            .map_err(|e| self.failed("lock", e))?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| self.failed("lock", e.into()))?;
        let mut clients = self.load()?;
        change(&mut clients.clients)?;
        self.store(&clients).map_err(|e| self.failed("write", e))
    }

    fn store(&self, clients: &Clients) -> io::Result<()> {
        let partial = self.path.with_extension("partial");
        let _ = fs::remove_file(&partial);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(&serde_json::to_vec_pretty(clients)?)?;
        file.sync_all()?;
        fs::rename(&partial, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::File::open(folder)?.sync_all()
    }

    fn failed(&self, op: &'static str, source: io::Error) -> Error {
        Error::Io { op, path: self.path.clone(), source }
    }
}

fn new_key() -> Result<String, Error> {
    let mut key = [0; 32];
    random_bytes(&mut key)?;
    Ok(hex::encode(key))
}

fn hash(key: &str) -> String {
    hex::encode(Sha256::digest(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_its_own_clients_door_until_it_is_revoked_or_renewed() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::new(dir.path());
        // Another process has the same file open.
        let other = Registry::new(dir.path());
        let now = Timestamp::now();
        let name = |text| ClientName::parse(text).unwrap();
        let one = registry.add(name("one"), Vec::new(), 1, now).unwrap();
        let two = registry.add(name("two"), Vec::new(), 1, now).unwrap();
        let admin = registry.add(name("admin"), vec![name("two")], 1, now).unwrap();
        assert!(registry.add(name("one"), Vec::new(), 1, now).is_err());
        assert!(registry.add(name("admin2"), vec![name("nobody")], 1, now).is_err());
        let who = |name: &str, key: &str| other.who(name, key).unwrap().map(|client| client.name.to_string());
        assert_eq!(who("one", &one).as_deref(), Some("one"));
        assert_eq!(
            (who("one", &two), who("two", &one), who("", ""), who("one", "")),
            (None, None, None, None)
        );
        let client = other.who("admin", &admin).unwrap().unwrap();
        assert!(
            client.may_use(&name("two")) && !client.may_use(&name("one")) && !client.may_use(&name("admin"))
        );
        let renewed = registry.renew(&name("one"), now).unwrap();
        assert_eq!((who("one", &one), who("one", &renewed).as_deref()), (None, Some("one")));
        registry.revoke(&name("one"), now).unwrap();
        assert_eq!(who("one", &renewed), None);
        let stored = fs::read_to_string(dir.path().join("clients.json")).unwrap();
        assert!(!stored.contains(&renewed) && !stored.contains(&two));
    }
}
