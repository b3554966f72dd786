//! Key files: the repository's key, sealed with a key that scrypt makes from a passphrase.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use scrypt::Params;
use serde::{Deserialize, Serialize};

use super::crypto::{Key, KeyBytes, random};
use super::id::Id;
use super::password::Password;
use crate::Error;

/// How much work it is to try a passphrase.
#[derive(Debug, Clone, Copy)]
pub struct KeyCost {
    log_n: u8,
}

impl KeyCost {
    /// restic's: N = 2^15, r = 8, p = 1: 32 MiB and about a tenth of a second.
    pub const RESTIC: KeyCost = KeyCost { log_n: 15 };
    /// For tests, which open hundreds of vaults and protect nothing.
    pub const TEST: KeyCost = KeyCost { log_n: 5 };
}

/// Memory that a key file may ask for, in bytes: 128 · N · r for the walk, 128 · r · p for what it begins with.
pub(crate) const MAX_MEMORY: u64 = 256 << 20;
/// Work that a key file may ask for: N · r · p. restic's calibration stays below 2^23.
const MAX_WORK: u64 = 1 << 25;

#[derive(Serialize, Deserialize)]
pub(crate) struct KeyFile {
    created: Timestamp,
    username: String,
    hostname: String,
    kdf: String,
    #[serde(rename = "N")]
    n: u64,
    r: u64,
    p: u64,
    salt: String,
    data: String,
}

#[derive(Serialize, Deserialize)]
struct MasterKey {
    mac: MacKey,
    encrypt: String,
}

#[derive(Serialize, Deserialize)]
struct MacKey {
    k: String,
    r: String,
}

/// What a key file says of itself without a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Name of its file.
    pub id: Id,
    /// When it was made.
    pub created: Timestamp,
    /// By whom.
    pub username: String,
    /// Where.
    pub hostname: String,
    /// Whether it is the one that the vault was opened with.
    pub is_current: bool,
}

/// A new repository key and the text of its key file.
pub(crate) fn create(
    password: &Password,
    cost: KeyCost,
    hostname: &str,
    username: &str,
) -> Result<(Key, Vec<u8>), Error> {
    let master = KeyBytes::random()?;
    let text = wrap(&master, password, cost, hostname, username)?;
    Ok((Key::new(&master), text))
}

/// The text of a key file that opens with a passphrase.
pub(crate) fn wrap(
    master: &KeyBytes,
    password: &Password,
    cost: KeyCost,
    hostname: &str,
    username: &str,
) -> Result<Vec<u8>, Error> {
    let plain = MasterKey {
        mac: MacKey { k: STANDARD.encode(&master.0[32..48]), r: STANDARD.encode(&master.0[48..]) },
        encrypt: STANDARD.encode(&master.0[..32]),
    };
    let mut salt = [0; 64];
    random(&mut salt)?;
    let (n, r, p) = (1u64 << cost.log_n, 8, 1);
    let wrapping = derive(password, &salt, &new_params(cost.log_n, r, p)?)?;
    let mut data = Vec::new();
    wrapping.seal(&to_json(&plain)?, &mut data)?;
    let file = KeyFile {
        created: Timestamp::now(),
        username: username.to_owned(),
        hostname: hostname.to_owned(),
        kdf: "scrypt".to_owned(),
        n,
        r: u64::from(r),
        p: u64::from(p),
        salt: STANDARD.encode(salt),
        data: STANDARD.encode(data),
    };
    to_json(&file)
}

fn damaged(id: &Id, cause: &str) -> Error {
    Error::Damaged { what: "key", id: id.to_string(), cause: cause.to_owned() }
}

fn parse(id: &Id, text: &[u8]) -> Result<KeyFile, Error> {
    if Id::of(text) != *id {
        return Err(damaged(id, "its content does not match its name"));
    }
    serde_json::from_slice(text).map_err(|e| damaged(id, &e.to_string()))
}

impl KeyFile {
    fn work(&self) -> u64 {
        self.n.saturating_mul(self.r).saturating_mul(self.p)
    }

    /// What it asks for, if that is not too much.
    fn params(&self, id: &Id) -> Result<Params, Error> {
        if self.kdf != "scrypt" || !self.n.is_power_of_two() || self.n < 2 {
            return Err(damaged(id, "unknown key derivation"));
        }
        let bound = || Error::KeyDerivationBound { id: id.to_string(), n: self.n, r: self.r, p: self.p };
        let memory = self.r.saturating_mul(self.n.max(self.p)).saturating_mul(128);
        if memory > MAX_MEMORY || self.work() > MAX_WORK {
            return Err(bound());
        }
        let (r, p) =
            (u32::try_from(self.r).map_err(|_| bound())?, u32::try_from(self.p).map_err(|_| bound())?);
        new_params(u8::try_from(self.n.trailing_zeros()).map_err(|_| bound())?, r, p)
    }
}

/// Memory in bytes that a key file's derivation takes, where it is allowed at all.
#[cfg(any(test, fuzzing))]
pub(crate) fn memory(id: &Id, text: &[u8]) -> Option<u64> {
    let params = parse(id, text).ok()?.params(id).ok()?;
    Some(128 * u64::from(params.r()) * u64::from(params.p()).max(1 << params.log_n()))
}

/// How much work it is to try a passphrase on a key file; none where trying comes to nothing at once.
pub(crate) fn work(id: &Id, text: &[u8]) -> u64 {
    parse(id, text).map_or(0, |file| file.work())
}

/// What a key file says of itself.
pub(crate) fn describe(id: Id, text: &[u8], current: Option<Id>) -> Result<KeyInfo, Error> {
    let file = parse(&id, text)?;
    Ok(KeyInfo {
        id,
        created: file.created,
        username: file.username,
        hostname: file.hostname,
        is_current: current == Some(id),
    })
}

/// The repository's key from a key file, or `None` if the passphrase is not the one that sealed it.
pub(crate) fn open(id: &Id, text: &[u8], password: &Password) -> Result<Option<KeyBytes>, Error> {
    let damaged = |cause: &str| damaged(id, cause);
    let file = parse(id, text)?;
    let params = file.params(id)?;
    let salt = STANDARD.decode(&file.salt).map_err(|_| damaged("its salt is not base64"))?;
    let mut data = STANDARD.decode(&file.data).map_err(|_| damaged("its data is not base64"))?;
    let wrapping = derive(password, &salt, &params)?;
    let Some(plain) = wrapping.open(&mut data) else { return Ok(None) };
    let master: MasterKey =
        serde_json::from_slice(plain).map_err(|_| damaged("its sealed part is not a key"))?;
    let mut bytes = KeyBytes([0; 64]);
    for (part, text) in [(0..32, &master.encrypt), (32..48, &master.mac.k), (48..64, &master.mac.r)] {
        let decoded = STANDARD.decode(text).map_err(|_| damaged("its sealed part is not base64"))?;
        if decoded.len() != part.len() {
            return Err(damaged("its sealed part has the wrong length"));
        }
        bytes.0[part].copy_from_slice(&decoded);
    }
    Ok(Some(bytes))
}

fn underivable(cause: &dyn std::fmt::Display) -> Error {
    Error::Engine { op: "derive a key", source: std::io::Error::other(cause.to_string()) }
}

fn new_params(log_n: u8, r: u32, p: u32) -> Result<Params, Error> {
    Params::new(log_n, r, p).map_err(|e| underivable(&e))
}

fn derive(password: &Password, salt: &[u8], params: &Params) -> Result<Key, Error> {
    let mut bytes = KeyBytes([0; 64]);
    scrypt::scrypt(password.bytes(), salt, params, &mut bytes.0).map_err(|e| underivable(&e))?;
    Ok(Key::new(&bytes))
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|e| Error::Engine { op: "serialise", source: e.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_asks_for_no_more_memory_and_work_than_is_stated() {
        let password = Password::new("known");
        let (_, text) = create(&password, KeyCost::TEST, "host", "user").unwrap();
        let open = |n: u64, r: u64, p: u64| {
            let mut file: KeyFile = serde_json::from_slice(&text).unwrap();
            (file.n, file.r, file.p) = (n, r, p);
            let text = to_json(&file).unwrap();
            super::open(&Id::of(&text), &text, &password)
        };
        assert!(matches!(open(32, 8, 1), Ok(Some(_))));
        assert!(matches!(open(64, 8, 1), Ok(None)));
        for (n, r, p) in [
            (1 << 22, 8, 1),
            // Little work, and two gibibytes before it begins.
            (2, 1, 1 << 24),
            (2, 1 << 24, 1),
            (1 << 15, 8, 1 << 10),
            (1 << 63, 1 << 63, 1),
            (2, u64::MAX, u64::MAX),
        ] {
            assert!(matches!(open(n, r, p), Err(Error::KeyDerivationBound { .. })), "{n} {r} {p}");
        }
        for (n, r, p) in [(0, 8, 1), (1, 8, 1), (48, 8, 1), (32, 0, 1), (32, 8, 0), (1 << 63, 0, 0)] {
            assert!(open(n, r, p).is_err(), "{n} {r} {p}");
        }
    }
}
