//! Reading a bundle back, as the page in the browser does.

use std::path::Path;

use serde::Serialize;

use super::error::Error;
use super::files;
use super::manifest::{self, Kind};
use super::seal::{Sealer, sha256};

/// What a part unpacks to; it is cut far below.
const BYTES_MAX: usize = 256 * 1024 * 1024;

/// What a bundle turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Its id.
    pub bundle: String,
    /// Patients whose entry in a part of charts was read.
    pub patients: u64,
    /// Patients that the manifest names.
    pub patients_expected: u64,
    /// Parts that were read.
    pub parts: u64,
    /// Parts that are missing, damaged or replaced.
    pub parts_faulty: u64,
}

impl Checked {
    /// Whether everything is there.
    pub fn is_whole(&self) -> bool {
        self.parts_faulty == 0 && self.patients == self.patients_expected
    }
}

/// Opens the bundle in a folder and decrypts all of it; `None` where there is none.
pub fn check(dir: &Path, passphrase: &str) -> Result<Option<Checked>, Error> {
    let Some(opened) = manifest::open(dir, passphrase)? else { return Ok(None) };
    let sealer = Sealer::new(&opened.header.bundle, &opened.key)?;
    let (mut patients, mut parts, mut parts_faulty) = (0, 0, 0);
    for part in &opened.manifest.parts {
        let read = files::read_part(dir, &part.name, &part.file)
            .filter(|sealed| sha256(sealed) == part.sha256)
            .and_then(|sealed| sealer.open(&part.name, &sealed, BYTES_MAX))
            .and_then(|content| entries(part.kind, &content));
        match read {
            Some(entries) => {
                parts += 1;
                patients += if part.kind == Kind::Charts { entries } else { 0 };
            }
            None => parts_faulty += 1,
        }
    }
    let patients_expected = opened.manifest.patients;
    Ok(Some(Checked { bundle: opened.header.bundle, patients, patients_expected, parts, parts_faulty }))
}

fn entries(kind: Kind, content: &[u8]) -> Option<u64> {
    match kind {
        Kind::Index => std::str::from_utf8(content).ok().map(|text| text.lines().count() as u64),
        Kind::Charts => {
            let entries: Vec<(String, serde::de::IgnoredAny)> = serde_json::from_slice(content).ok()?;
            Some(entries.len() as u64)
        }
    }
}
