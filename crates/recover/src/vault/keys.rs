//! Several passphrases for one vault. Each has a key file of its own that holds the same repository key, as in restic.
//!
//! Removing a key file takes away a passphrase, not knowledge: who had both the passphrase and a copy of its file can still read every copy
//! of the vault that they can reach. That needs a new vault, not a new passphrase.

use super::file_kind::FileKind;
use super::id::Id;
use super::key::{self, KeyCost, KeyInfo};
use super::lock::Lock;
use super::meta;
use super::password::Password;
use super::repository::{Vault, find_key};
use crate::Error;

impl Vault {
    /// All keys, oldest first, and what is wrong with those that cannot be read.
    pub fn keys(&self) -> Result<(Vec<KeyInfo>, Vec<Error>), Error> {
        let (mut keys, mut damaged) = (Vec::new(), Vec::new());
        for (id, _) in self.backend.list(FileKind::Key)? {
            let text = self.backend.read(FileKind::Key, &id);
            match text.and_then(|text| key::describe(id, &text, self.opened_with)) {
                Ok(info) => keys.push(info),
                Err(error) => damaged.push(error),
            }
        }
        keys.sort_by_key(|info| (info.created, info.id));
        Ok((keys, damaged))
    }

    /// Lets a further passphrase open the vault, on the word of one that does. Returns the new key's id.
    pub fn add_key(&self, present: &Password, new: &Password, cost: KeyCost) -> Result<Id, Error> {
        let _lock = Lock::take(&self.backend, &self.codecs)?;
        let (_, master) = find_key(&self.backend, present)?;
        let text = key::wrap(&master, new, cost, &meta::hostname(), &meta::username())?;
        let id = self.backend.save(FileKind::Key, &text)?;
        // Before anybody relies on it, it is opened as it lies there.
        let stored = self.backend.read(FileKind::Key, &id)?;
        if key::open(&id, &stored, new)?.is_none() {
            self.backend.remove(FileKind::Key, &id)?;
            return Err(Error::WrongPassphrase { dir: self.dir().to_owned() });
        }
        Ok(id)
    }

    /// Takes away the passphrase of the key whose id begins with these digits. The one that this vault was opened with cannot be removed,
    /// so one that somebody knows always remains.
    pub fn remove_key(&self, wanted: &str) -> Result<Id, Error> {
        let _lock = Lock::take_exclusive(&self.backend, &self.codecs)?;
        let keys = self.backend.list(FileKind::Key)?;
        let mut matching = keys.iter().map(|(id, _)| *id);
        let mut matching =
            matching.by_ref().filter(|id| !wanted.is_empty() && id.to_string().starts_with(wanted));
        let (Some(id), None) = (matching.next(), matching.next()) else {
            return Err(Error::KeyNotFound { wanted: wanted.to_owned() });
        };
        if self.opened_with.is_none_or(|current| current == id) || keys.len() < 2 {
            return Err(Error::KeyInUse { id: id.short() });
        }
        self.backend.remove(FileKind::Key, &id)?;
        self.backend.sync_folder(FileKind::Key)?;
        Ok(id)
    }

    /// Puts a new passphrase in the place of the present one. The old one opens the vault until the new one does.
    pub fn change_password(
        &mut self,
        present: &Password,
        new: &Password,
        cost: KeyCost,
    ) -> Result<Id, Error> {
        let (old, _) = find_key(&self.backend, present)?;
        let id = self.add_key(present, new, cost)?;
        self.opened_with = Some(id);
        let removed = self.remove_key(&old.to_string());
        // A lock of somebody else leaves both passphrases; whoever asked has to know.
        removed.map(|_| id)
    }
}
