//! What a new edition of a bundle starts from: the keys of the one in the folder, or new ones.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::Error;
use super::keys::Lock;
use super::manifest::{self, Former, Manifest, Signing};
use super::seal::{KEY_LEN, Sealer, random};

/// Former bundles whose notes are still taken over.
const FORMER_MAX: usize = 8;

pub(super) struct Edition {
    pub(super) bundle: String,
    pub(super) lock: Lock,
    pub(super) sealer: Sealer,
    pub(super) signing: Signing,
    pub(super) former: Vec<Former>,
    /// What is in the folder under the same key.
    pub(super) before: Option<Manifest>,
    pub(super) number: u64,
    /// There was a bundle that the passphrase did not open: notes that browsers hold under its key stay under that key.
    pub(super) former_is_lost: bool,
}

impl Edition {
    /// The next edition of the bundle in `dir`, or the first of a new one. With `new_key` nothing of the one before is kept but the means
    /// to read the notes that browsers wrote under its key.
    pub(super) fn next(dir: &Path, passphrase: &str, new_key: bool) -> Result<Edition, Error> {
        let opened = match manifest::open(dir, passphrase) {
            Err(Error::WrongPassphrase { .. } | Error::Damaged { .. }) if new_key => {
                return Ok(Edition { former_is_lost: true, ..Edition::first(passphrase, Vec::new())? });
            }
            other => other?,
        };
        match opened {
            None => Edition::first(passphrase, Vec::new()),
            Some(opened) if new_key => {
                let mut former = opened.manifest.former;
                former.push(Former { bundle: opened.header.bundle, key: STANDARD.encode(opened.key) });
                let surplus = former.len().saturating_sub(FORMER_MAX);
                Edition::first(passphrase, former.split_off(surplus))
            }
            Some(opened) => Ok(Edition {
                sealer: Sealer::new(&opened.header.bundle, &opened.key)?,
                bundle: opened.header.bundle,
                lock: opened.header.lock,
                signing: opened.manifest.signing.clone(),
                former: opened.manifest.former.clone(),
                number: opened.manifest.edition.saturating_add(1),
                before: Some(opened.manifest),
                former_is_lost: false,
            }),
        }
    }

    fn first(passphrase: &str, former: Vec<Former>) -> Result<Edition, Error> {
        let bundle = hex::encode(random::<16>()?);
        let key = random::<KEY_LEN>()?;
        Ok(Edition {
            lock: Lock::new(&bundle, &key, passphrase)?,
            sealer: Sealer::new(&bundle, &key)?,
            bundle,
            signing: Signing::new()?,
            former,
            before: None,
            number: 1,
            former_is_lost: false,
        })
    }
}
