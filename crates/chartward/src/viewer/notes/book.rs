//! The journals of the viewer: notes, and what is decided of them.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use recover::Error;
use recover::downtime::chain::Secret;
use recover::downtime::{Added, Findings, Journal, Kept, Notes, Via};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What opens the journals.
#[derive(Clone)]
pub(crate) enum Key {
    /// Beside the journal of notes.
    File(PathBuf),
    Passphrase(Zeroizing<Vec<u8>>),
}

impl Key {
    pub(crate) fn secret(&self) -> Secret<'_> {
        match self {
            Key::File(path) => Secret::File(path),
            Key::Passphrase(text) => Secret::Passphrase(text),
        }
    }
}

/// The journal of notes, open for writing, shared by all requests.
pub(crate) struct Book {
    journal: Mutex<Journal>,
    vouching: [u8; 32],
    pub(crate) path: PathBuf,
    pub(crate) key: Key,
    pub(crate) findings: Findings,
}

impl Book {
    pub(crate) fn open(path: &Path, key: Key, now: Timestamp) -> Result<Book, Error> {
        let (journal, findings) = Journal::open(path, key.secret(), now)?;
        let vouching = journal.key_for("author of a draft");
        Ok(Book { journal: Mutex::new(journal), vouching, path: path.to_owned(), key, findings })
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `look` makes of the notes, without a copy of all of them.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Notes) -> T) -> T {
        look(self.journal().notes())
    }

    /// Takes a note in; waits for the disk.
    pub(crate) fn add(&self, kept: Kept) -> Result<(Added, (u64, String)), Error> {
        let mut journal = self.journal();
        let added = journal.add(kept)?;
        Ok((added, journal.head()))
    }

    /// Vouches that somebody was inside under this name: a draft that was written under it may be handed in under it later, after the
    /// log-in has ended or the viewer was started again.
    pub(super) fn voucher(&self, author: &str) -> String {
        hex::encode(self.mac(author).finalize().into_bytes())
    }

    pub(super) fn vouches(&self, author: &str, voucher: &str) -> bool {
        hex::decode(voucher).is_ok_and(|voucher| self.mac(author).verify_slice(&voucher).is_ok())
    }

    fn mac(&self, author: &str) -> Hmac<Sha256> {
        let mut key = [0; 64];
        key[..32].copy_from_slice(&self.vouching);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        mac.update(author.as_bytes());
        mac
    }
}

/// A note as the viewer takes it.
pub(super) fn kept(note: recover::downtime::Note, by: String) -> Kept {
    Kept { note, received_at: Timestamp::now(), by, via: Via::Viewer, file: None }
}
