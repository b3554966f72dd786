//! `manifest.js`: in the open how the passphrase opens it; encrypted what the bundle is made of.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use schema::Lang;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::files;
use super::keys::Lock;
use super::seal::{KEY_LEN, Sealer};
use crate::downtime::signed::Signer;

pub(super) const FORMAT: &str = "chartward-bundle/1";
/// The name that the manifest is sealed under.
const NAME: &str = "manifest";
/// A million patients need 4,000 parts; a manifest that unpacks to more is not ours.
const BYTES_MAX: usize = 64 * 1024 * 1024;
const BEFORE: &str = "chartward.manifest(";
const AFTER: &str = ");\n";

/// What stands in the open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) format: String,
    /// 32 hexadecimal digits, the same for every edition until there is a new key.
    pub(super) bundle: String,
    pub(super) made_at: Timestamp,
    /// Which language comes first.
    pub(super) lang: Lang,
    pub(super) lock: Lock,
    /// Base64 of the sealed [`Manifest`].
    pub(super) manifest: String,
}

/// What the bundle is made of, and what every page of it says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// One more with each export: a browser that has seen a later one says so.
    pub(super) edition: u64,
    pub(super) made_at: Timestamp,
    /// What the charts rest on, as lines in both languages, and whether a drill proved it.
    pub(super) basis: BasisLines,
    pub(super) patients: u64,
    /// Folders and records that could not be read while patients were listed.
    pub(super) unread: u64,
    /// Seconds without a key or a touch after which the page locks itself.
    pub(super) lock_after_seconds: u32,
    /// How many patients a part holds on average: kept, so that the next export cuts in the same places.
    pub(super) patients_per_part: u64,
    pub(super) parts: Vec<Part>,
    /// The key pair that signs notes.
    pub(super) signing: Signing,
    /// Bundles that this one took the place of: notes that a browser still holds under their keys are taken over.
    pub(super) former: Vec<Former>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BasisLines {
    pub(super) en: Vec<String>,
    pub(super) ja: Vec<String>,
    pub(super) proven: bool,
    /// Full id, or the folder's path.
    pub(super) origin: String,
    /// The snapshot that a note names; `None` for a folder.
    pub(super) snapshot: Option<String>,
}

/// One file of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) kind: Kind,
    /// What it is sealed under, and what index lines call it.
    pub(super) name: String,
    /// Drawn anew with each content, so that old and new never meet under one name.
    pub(super) file: String,
    /// SHA-256 of what is sealed.
    pub(super) sha256: String,
    /// Bytes of the file.
    pub(super) bytes: u64,
    pub(super) patients: u64,
    /// Keyed digest of the content, by which the next export knows that it is the same.
    pub(super) content: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Index,
    Charts,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signing {
    /// As [`Signer::public_key`] has it.
    pub(super) public_key: String,
    /// Base64 of PKCS #8.
    pub(super) private_key: String,
}

impl Signing {
    pub(super) fn new() -> Result<Signing, Error> {
        let signer = Signer::generate().map_err(Error::Signer)?;
        Ok(Signing { public_key: signer.public_key(), private_key: STANDARD.encode(signer.pkcs8()) })
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Former {
    pub(super) bundle: String,
    /// Base64 of the data key.
    pub(super) key: String,
}

/// A bundle that was opened.
pub(super) struct Opened {
    pub(super) header: Header,
    pub(super) key: [u8; KEY_LEN],
    pub(super) manifest: Manifest,
}

/// The text of `manifest.js`.
pub(super) fn text(header: &Header) -> Result<String, Error> {
    let json =
        serde_json::to_string(header).map_err(|source| Error::Json { what: "the manifest", source })?;
    // Everything in it is ASCII without a `<`, so the text is the same to every reader.
    Ok(format!("{BEFORE}{json}{AFTER}"))
}

/// The manifest, sealed.
pub(super) fn sealed(manifest: &Manifest, sealer: &Sealer) -> Result<String, Error> {
    let json = serde_json::to_vec(manifest).map_err(|source| Error::Json { what: "the manifest", source })?;
    Ok(STANDARD.encode(sealer.seal(NAME, &json)?))
}

/// What stands in the open in `manifest.js`; `None` where there is none.
pub(super) fn header(dir: &Path) -> Result<Option<Header>, Error> {
    let Some(text) = files::read_manifest(dir)? else { return Ok(None) };
    let damaged = |cause| Error::Damaged { dir: dir.to_path_buf(), cause };
    let json = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.strip_prefix(BEFORE)?.strip_suffix(AFTER))
        .ok_or_else(|| damaged("manifest.js is damaged"))?;
    let header: Header = serde_json::from_str(json).map_err(|_| damaged("manifest.js is damaged"))?;
    let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if header.format != FORMAT {
        return Err(damaged("it has a format that this version cannot read"));
    }
    if header.bundle.len() != 32 || !header.bundle.bytes().all(is_hex) {
        return Err(damaged("manifest.js is damaged"));
    }
    Ok(Some(header))
}

/// Opens the bundle in a folder; `None` where there is none.
pub(super) fn open(dir: &Path, passphrase: &str) -> Result<Option<Opened>, Error> {
    let Some(header) = header(dir)? else { return Ok(None) };
    let key = header.lock.open(&header.bundle, passphrase)?;
    let key = key.ok_or_else(|| Error::WrongPassphrase { dir: dir.to_path_buf() })?;
    let sealed = STANDARD.decode(&header.manifest).ok();
    let sealer = Sealer::new(&header.bundle, &key)?;
    let manifest = sealed
        .and_then(|sealed| sealer.open(NAME, &sealed, BYTES_MAX))
        .and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or_else(|| Error::Damaged { dir: dir.to_path_buf(), cause: "its manifest is damaged" })?;
    Ok(Some(Opened { header, key, manifest }))
}

/// The key by which the bundle in a folder signs notes, for [`signed::read`](crate::downtime::signed::read).
pub fn public_key(dir: &Path, passphrase: &str) -> Result<Option<String>, Error> {
    Ok(open(dir, passphrase)?.map(|opened| opened.manifest.signing.public_key))
}
