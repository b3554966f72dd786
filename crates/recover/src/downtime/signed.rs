//! The signed file in which a static bundle's notes leave the browser: read, verified, nothing silently dropped.
//!
//! ```json
//! {"format": "chartward-notes/1", "bundle": "32 hex digits", "public_key": "base64 of 65 bytes", "exported_at": "2018-10-16T05:40:00Z",
//!  "notes": "base64 of a JSON array of notes", "opened": "base64 of a JSON array", "signature": "base64 of 64 bytes"}
//! ```
//!
//! The signature is ECDSA over P-256 with SHA-256, `r` and `s` beside each other, as WebCrypto makes it. What is signed are six lines,
//! each ended by a line feed: the domain `chartward downtime notes`, then the values of `format`, `bundle`, `exported_at`, `notes` and
//! `opened` as they stand in the file. The signature says that the file comes from the bundle whose key that is, opened with its
//! passphrase; *who* wrote a note is what its author typed.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use schema::PatientId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::note::{Fault, Note, NoteId};

/// What stands in `format`.
pub const FORMAT: &str = "chartward-notes/1";
/// Bytes of a file.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Notes in a file: a ward of 60 writes fewer in a week.
pub const NOTES_MAX: usize = 20_000;
/// Charts opened, as a file says it.
pub const OPENED_MAX: usize = 200_000;
const DOMAIN: &str = "chartward downtime notes";

/// What a file holds whose signature is right.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedNotes {
    /// The bundle that it comes from: 32 hexadecimal digits.
    pub bundle: String,
    /// Its public key: base64 of an uncompressed point.
    pub public_key: String,
    /// When it was exported, by the device's clock.
    pub exported_at: Timestamp,
    /// Notes that may be taken, in the order of the file.
    pub notes: Vec<Note>,
    /// Entries that may not, each with why: a person looks at them.
    pub refused: Vec<Refused>,
    /// Who opened which chart on that device.
    pub opened: Vec<Opened>,
    /// Lines of that record which say something else.
    pub opened_unread: usize,
}

/// An entry that is no note, or not one that may be taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refused {
    /// Which entry of the file, counted from 1.
    pub entry: usize,
    /// As it stands in the file.
    pub said: Value,
    /// Why it cannot be taken.
    #[serde(skip)]
    pub why: Why,
}

/// Why an entry is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// A field is missing, misspelt or of another type; its value stays out of the text, since it may name a patient.
    #[error("the entry is not a note as this version knows it")]
    NotANote,
    /// Its content.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Two entries of one id that say different things.
    #[error("another note in the file has the same id and says something else")]
    SameId,
}

/// One chart that somebody opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// By the device's clock.
    pub at: Timestamp,
    /// The name that was typed when the bundle was opened.
    pub who: String,
    /// Whose chart.
    pub patient: PatientId,
    /// Whether it was read or printed.
    pub what: Access,
}

/// What was done with a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Shown on the screen.
    Read,
    /// Handed to the browser's print dialogue.
    Printed,
}

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// More than [`BYTES_MAX`].
    #[error("the file of notes has {bytes} bytes, more than can be read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// No JSON, cut short, a field missing or one too many.
    #[error("the file is no file of notes, or it was cut short")]
    NotNotes(#[source] serde_json::Error),
    /// Made by a version that is not known here.
    #[error("the file of notes has a format that this version cannot read")]
    Format,
    /// A field holds something that no bundle writes.
    #[error("the field {field} of the file of notes is damaged")]
    Field {
        /// Which one.
        field: &'static str,
    },
    /// The key is nobody's who is known.
    #[error("the file of notes is signed by a bundle that is not known here ({bundle})")]
    Unknown {
        /// The bundle that it names.
        bundle: String,
        /// The key that it brings.
        public_key: String,
    },
    /// It was changed, or signed by another key.
    #[error("the signature of the file of notes is wrong: it was changed after its export")]
    Signature,
    /// More entries than can be taken at once.
    #[error("the file holds {entries} {what}, more than can be read")]
    TooMany {
        /// `notes` or `opened`.
        what: &'static str,
        /// How many.
        entries: usize,
    },
    /// A key pair that cannot be used for signing.
    #[error("the bundle's key for signing notes cannot be used")]
    Key,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    bundle: String,
    public_key: String,
    exported_at: String,
    notes: String,
    opened: String,
    signature: String,
}

impl File {
    fn signed_text(&self) -> Vec<u8> {
        let File { format, bundle, exported_at, notes, opened, .. } = self;
        format!("{DOMAIN}\n{format}\n{bundle}\n{exported_at}\n{notes}\n{opened}\n").into_bytes()
    }
}

/// Reads a file and verifies it. `trusted` says of a public key (as [`SignedNotes::public_key`] has it) whether it belongs to a bundle of
/// ours; a signature by any other key proves nothing. Entries that are no notes are named in [`SignedNotes::refused`]; an entry that
/// stands in the file twice, word by word, is taken once.
pub fn read(bytes: &[u8], trusted: impl Fn(&str) -> bool) -> Result<SignedNotes, Invalid> {
    if bytes.len() > BYTES_MAX {
        return Err(Invalid::TooLarge { bytes: bytes.len() });
    }
    let file: File = serde_json::from_slice(bytes).map_err(Invalid::NotNotes)?;
    if file.format != FORMAT {
        return Err(Invalid::Format);
    }
    let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if file.bundle.len() != 32 || !file.bundle.bytes().all(is_hex) {
        return Err(Invalid::Field { field: "bundle" });
    }
    let exported_at = file.exported_at.parse().map_err(|_| Invalid::Field { field: "exported_at" })?;
    let public_key = decoded("public_key", &file.public_key)?;
    let signature = decoded("signature", &file.signature)?;
    if !trusted(&file.public_key) {
        return Err(Invalid::Unknown { bundle: file.bundle, public_key: file.public_key });
    }
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public_key)
        .verify(&file.signed_text(), &signature)
        .map_err(|_| Invalid::Signature)?;
    let (notes, refused) = sorted(entries("notes", &file.notes, NOTES_MAX)?);
    let lines = entries("opened", &file.opened, OPENED_MAX)?;
    let said = lines.len();
    let opened: Vec<Opened> =
        lines.into_iter().filter_map(|line| serde_json::from_value(line).ok()).collect();
    let opened_unread = said - opened.len();
    let File { bundle, public_key, .. } = file;
    Ok(SignedNotes { bundle, public_key, exported_at, notes, refused, opened, opened_unread })
}

fn decoded(field: &'static str, text: &str) -> Result<Vec<u8>, Invalid> {
    STANDARD.decode(text).map_err(|_| Invalid::Field { field })
}

fn entries(field: &'static str, text: &str, max: usize) -> Result<Vec<Value>, Invalid> {
    let entries: Vec<Value> =
        serde_json::from_slice(&decoded(field, text)?).map_err(|_| Invalid::Field { field })?;
    match entries.len() > max {
        true => Err(Invalid::TooMany { what: field, entries: entries.len() }),
        false => Ok(entries),
    }
}

/// What may be taken, and what may not.
fn sorted(entries: Vec<Value>) -> (Vec<Note>, Vec<Refused>) {
    let mut notes: Vec<Note> = Vec::new();
    let mut refused = Vec::new();
    let mut known: BTreeMap<NoteId, usize> = BTreeMap::new();
    for (index, said) in entries.into_iter().enumerate() {
        let read = serde_json::from_value::<Note>(said.clone()).map_err(|_| Why::NotANote);
        let why = match read.and_then(|note| note.check().map(|()| note).map_err(Why::from)) {
            Ok(note) => match known.get(&note.id).and_then(|at| notes.get(*at)) {
                Some(before) if *before == note => continue,
                Some(_) => Why::SameId,
                None => {
                    known.insert(note.id.clone(), notes.len());
                    notes.push(note);
                    continue;
                }
            },
            Err(why) => why,
        };
        refused.push(Refused { entry: index + 1, said, why });
    }
    (notes, refused)
}

/// A key pair that signs files of notes. Its private half is kept nowhere but in the bundle, encrypted.
pub struct Signer {
    pkcs8: Vec<u8>,
    pair: EcdsaKeyPair,
}

impl Signer {
    /// A new one.
    pub fn generate() -> Result<Signer, Invalid> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| Invalid::Key)?;
        Signer::from_pkcs8(pkcs8.as_ref())
    }

    /// The one that a bundle holds.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Signer, Invalid> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new())
            .map_err(|_| Invalid::Key)?;
        Ok(Signer { pkcs8: pkcs8.to_vec(), pair })
    }

    /// The private key as PKCS #8, which WebCrypto imports.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// As [`SignedNotes::public_key`] has it.
    pub fn public_key(&self) -> String {
        STANDARD.encode(self.pair.public_key().as_ref())
    }

    /// The file that the bundle's page makes in the browser, byte for byte but for the signature's chance.
    pub fn write(
        &self,
        bundle: &str,
        exported_at: Timestamp,
        notes: &Value,
        opened: &[Opened],
    ) -> Result<Vec<u8>, Invalid> {
        let opened = serde_json::to_vec(opened).map_err(Invalid::NotNotes)?;
        let mut file = File {
            format: FORMAT.to_owned(),
            bundle: bundle.to_owned(),
            public_key: self.public_key(),
            exported_at: exported_at.to_string(),
            notes: STANDARD.encode(notes.to_string()),
            opened: STANDARD.encode(opened),
            signature: String::new(),
        };
        let signature =
            self.pair.sign(&SystemRandom::new(), &file.signed_text()).map_err(|_| Invalid::Key)?;
        file.signature = STANDARD.encode(signature.as_ref());
        serde_json::to_vec(&file).map_err(Invalid::NotNotes)
    }
}

#[cfg(test)]
#[path = "signed/tests.rs"]
mod tests;
