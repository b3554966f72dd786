//! Key files: the repository's key, sealed with a key that scrypt makes from a passphrase.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
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

/// Memory that a key file may ask for, in bytes: 128 · N · r.
const MAX_MEMORY: u64 = 256 << 20;
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
    let wrapping = derive(password, &salt, cost.log_n, r, p)?;
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
    if file.kdf != "scrypt" || !file.n.is_power_of_two() || file.n < 2 {
        return Err(damaged("unknown key derivation"));
    }
    let bound = || Error::KeyDerivationBound { id: id.to_string(), n: file.n, r: file.r, p: file.p };
    let work = file.n.checked_mul(file.r).ok_or_else(bound)?;
    if work.saturating_mul(128) > MAX_MEMORY || work.saturating_mul(file.p) > MAX_WORK {
        return Err(bound());
    }
    let (r, p) = (u32::try_from(file.r).map_err(|_| bound())?, u32::try_from(file.p).map_err(|_| bound())?);
    let salt = STANDARD.decode(&file.salt).map_err(|_| damaged("its salt is not base64"))?;
    let mut data = STANDARD.decode(&file.data).map_err(|_| damaged("its data is not base64"))?;
    let log_n = u8::try_from(file.n.trailing_zeros()).map_err(|_| bound())?;
    let wrapping = derive(password, &salt, log_n, r, p)?;
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

fn derive(password: &Password, salt: &[u8], log_n: u8, r: u32, p: u32) -> Result<Key, Error> {
    let failed = |e: String| Error::Engine { op: "derive a key", source: std::io::Error::other(e) };
    let params = scrypt::Params::new(log_n, r, p).map_err(|e| failed(e.to_string()))?;
    let mut bytes = KeyBytes([0; 64]);
    scrypt::scrypt(password.bytes(), salt, &params, &mut bytes.0).map_err(|e| failed(e.to_string()))?;
    Ok(Key::new(&bytes))
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|e| Error::Engine { op: "serialise", source: e.into() })
}
