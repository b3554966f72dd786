//! What the store held before the attack and what it holds now: the judge over the rehearsal that trusts neither
//! the guard nor the vault.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use decode::ssmix2::{locate, locate_document};
use sha2::{Digest, Sha256};

/// SHA-256 of every regular file of a store by its path below the store. SQLite's own working files are left out: they
/// come and go with whoever reads the database.
pub(crate) struct Fingerprint {
    files: BTreeMap<PathBuf, [u8; 32]>,
}

/// How a store differs from what it was.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// Files that are gone or hold something else.
    pub(crate) damaged: BTreeSet<PathBuf>,
}

impl Fingerprint {
    /// Reads every file below `store`.
    pub(crate) fn take(store: &Path) -> anyhow::Result<Fingerprint> {
        let mut files = BTreeMap::new();
        read(store, Path::new(""), &mut files)
            .with_context(|| format!("the store {} cannot be read for comparison", store.display()))?;
        Ok(Fingerprint { files })
    }

    /// Patients who have a record here.
    pub(crate) fn patients(&self) -> BTreeSet<String> {
        self.files.keys().filter_map(|path| patient_of(path)).collect()
    }

    /// The same for some of the files.
    pub(crate) fn only(mut self, is_meant: impl Fn(&Path) -> bool) -> Fingerprint {
        self.files.retain(|path, _| is_meant(path));
        self
    }

    /// Their paths, in order.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// How many files.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// What `now` lacks or has otherwise.
    pub(crate) fn difference(&self, now: &Fingerprint) -> Difference {
        let damaged = self
            .files
            .iter()
            .filter(|(path, hash)| now.files.get(*path) != Some(hash))
            .map(|(path, _)| path.clone());
        Difference { damaged: damaged.collect() }
    }
}

impl Difference {
    /// Patients of whom at least one record is damaged.
    pub(crate) fn patients(&self) -> BTreeSet<String> {
        self.damaged.iter().filter_map(|path| patient_of(path)).collect()
    }
}

/// The patient whose record a path is, in standardized or in extended storage.
pub(crate) fn patient_of(path: &Path) -> Option<String> {
    let name = locate(path).map(|located| located.name).or_else(|| Some(locate_document(path)?.name))?;
    Some(name.patient.0)
}

fn read(dir: &Path, below: &Path, files: &mut BTreeMap<PathBuf, [u8; 32]>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, name) = (entry.path(), below.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            read(&path, &name, files)?;
        } else if kind.is_file() && !is_working_file(&name) {
            let mut hasher = Sha256::new();
            io::copy(&mut File::open(&path)?, &mut Writer(&mut hasher))?;
            files.insert(name, hasher.finalize().into());
        }
    }
    Ok(())
}

fn is_working_file(name: &Path) -> bool {
    let name = name.to_string_lossy();
    name.ends_with("-wal") || name.ends_with("-shm")
}

struct Writer<'h>(&'h mut Sha256);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
