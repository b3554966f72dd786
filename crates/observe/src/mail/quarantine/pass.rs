//! What lets a released mail pass the milter once, and the hash that stands for a recipient.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{Store, failed, is_id};
use crate::Error;

/// A release that never came by is forgotten after this.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5 * 86_400);

impl Store {
    /// The value of the header field that lets this mail pass once. It is worth nothing with another body, and nothing a second time.
    pub fn pass(&self, id: &str, message: &[u8]) -> Result<String, Error> {
        let failed = failed(&self.dir, "let a mail pass out of");
        self.name(id)?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|source| failed(io::Error::other(source)))?;
        let nonce = hex::encode(random);
        let path = self.dir.join("pass").join(&nonce);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let proof = hex::encode(self.proof(id, &nonce, message).finalize().into_bytes());
        Ok(format!("{id}.{nonce}.{proof}"))
    }

    /// Whether that value lets this mail pass; it never will again. The id of the mail, if it does.
    pub fn passes(&self, value: &str, message: &[u8]) -> Option<String> {
        let mut words = value.trim().split('.');
        let (id, nonce, proof) = (words.next()?, words.next()?, words.next()?);
        let is_nonce = nonce.len() == 32 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit());
        if words.next().is_some() || !is_id(id) || !is_nonce {
            return None;
        }
        self.proof(id, nonce, message).verify_slice(&hex::decode(proof).ok()?).ok()?;
        // Whoever removes it is the one who passes.
        fs::remove_file(self.dir.join("pass").join(nonce)).ok()?;
        Some(id.to_owned())
    }

    /// Stands for a recipient in findings: the same for the same one, and nobody else can compute it.
    pub fn recipient(&self, address: &str) -> String {
        let mac = self.keyed("recipient").chain_update(address.trim().to_lowercase());
        let mut hash = hex::encode(mac.finalize().into_bytes());
        hash.truncate(16);
        hash
    }

    fn proof(&self, id: &str, nonce: &str, message: &[u8]) -> Hmac<Sha256> {
        let body = Sha256::digest(body(message));
        self.keyed("pass")
            .chain_update(id)
            .chain_update([0])
            .chain_update(nonce)
            .chain_update([0])
            .chain_update(body)
    }

    fn keyed(&self, purpose: &str) -> Hmac<Sha256> {
        // A key shorter than a block is filled up with zeros, RFC 2104 §2.
        let mut key = [0; 64];
        key.iter_mut().zip(self.secret).for_each(|(place, byte)| *place = byte);
        let mac = Hmac::<Sha256>::new(&key.into());
        mac.chain_update(purpose).chain_update([0])
    }

    pub(super) fn forget_passes(&self) {
        let Ok(entries) = fs::read_dir(self.dir.join("pass")) else { return };
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|meta| meta.modified());
            if modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > FORGOTTEN_AFTER)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The body: what servers on the way leave as it is. They may add empty lines at its end.
fn body(message: &[u8]) -> &[u8] {
    let at = message.windows(4).position(|four| four == b"\r\n\r\n").map_or(message.len(), |at| at + 4);
    let body = message.get(at..).unwrap_or_default();
    let end = body.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    body.get(..end).unwrap_or_default()
}
