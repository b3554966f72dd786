//! Which part of a large store a sampled drill restores.
//!
//! What is chosen follows from a seed alone, so anybody can repeat it; who attacks a vault cannot know the seed beforehand, since it is drawn
//! for each drill. Databases of sources are always whole: half a dump is none.

use std::collections::BinaryHeap;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use decode::ssmix2::{locate, locate_document, patient_folder};
use schema::Coverage;
use sha2::{Digest, Sha256};

use crate::adapter;
use crate::error::Error;
use crate::vault::{Kind, SnapshotFiles};

/// How much a sampled drill looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SampleSize {
    /// So many of a hundred.
    Percent(f64),
    /// So many units: patients, and files that belong to none.
    Count(usize),
}

impl FromStr for SampleSize {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<SampleSize, Self::Err> {
        const WRONG: &str = "neither a share such as 5% nor a number above 0";
        match text.strip_suffix('%') {
            Some(share) => match share.parse::<f64>() {
                Ok(share) if share > 0.0 && share <= 100.0 => Ok(SampleSize::Percent(share)),
                _ => Err(WRONG),
            },
            None => match text.parse::<usize>() {
                Ok(count) if count > 0 => Ok(SampleSize::Count(count)),
                _ => Err(WRONG),
            },
        }
    }
}

impl fmt::Display for SampleSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SampleSize::Percent(share) => write!(f, "{share}%"),
            SampleSize::Count(count) => write!(f, "{count}"),
        }
    }
}

/// A sample to draw.
#[derive(Debug, Clone)]
pub struct SampleRequest {
    /// How much.
    pub size: SampleSize,
    /// What it is drawn with.
    pub seed: String,
}

/// What was chosen.
pub(super) struct Chosen {
    /// Folders of patients, and single files.
    pub(super) paths: Vec<PathBuf>,
    pub(super) coverage: Coverage,
}

/// Chooses among everything at and below `roots`.
pub(super) fn choose(
    files: &SnapshotFiles<'_>,
    roots: &[PathBuf],
    request: &SampleRequest,
) -> Result<Chosen, Error> {
    // Two walks over the list rather than one that holds all of it: a count first needs every unit's number.
    let limit = match request.size {
        SampleSize::Percent(share) => share_of(share),
        SampleSize::Count(count) => nth_smallest(files, roots, request, count)?,
    };
    let coverage =
        Coverage { seed: request.seed.clone(), files: 0, files_total: 0, bytes: 0, bytes_total: 0 };
    let mut chosen = Chosen { paths: Vec::new(), coverage };
    each(files, roots, &mut |path, size| {
        chosen.coverage.files_total += 1;
        chosen.coverage.bytes_total += size;
        let unit = unit(path);
        if unit.starts_with(adapter::FOLDER) || number(&request.seed, &unit) <= limit {
            chosen.coverage.files += 1;
            chosen.coverage.bytes += size;
            if chosen.paths.last() != Some(&unit) {
                chosen.paths.push(unit);
            }
        }
    })?;
    if chosen.paths.is_empty() && chosen.coverage.files_total > 0 {
        // A small share of a small store may be nothing, and a restore of nothing in particular is one of everything.
        let one = SampleRequest { size: SampleSize::Count(1), seed: request.seed.clone() };
        return choose(files, roots, &one);
    }
    chosen.paths.sort();
    chosen.paths.dedup();
    Ok(chosen)
}

fn each(files: &SnapshotFiles<'_>, roots: &[PathBuf], look: &mut dyn FnMut(&Path, u64)) -> Result<(), Error> {
    for root in roots {
        for entry in files.walk(root)? {
            let entry = entry?;
            if entry.kind() == Kind::File {
                look(&entry.path, entry.size());
            }
        }
    }
    Ok(())
}

fn nth_smallest(
    files: &SnapshotFiles<'_>,
    roots: &[PathBuf],
    request: &SampleRequest,
    count: usize,
) -> Result<u64, Error> {
    let mut smallest = BinaryHeap::new();
    let mut last = PathBuf::new();
    each(files, roots, &mut |path, _| {
        let unit = unit(path);
        // Files of a patient follow each other.
        if unit == last || unit.starts_with(adapter::FOLDER) {
            return;
        }
        smallest.push(number(&request.seed, &unit));
        if smallest.len() > count {
            smallest.pop();
        }
        last = unit;
    })?;
    Ok(smallest.peek().copied().unwrap_or(0))
}

/// A patient's folder, so that whole charts are read; else the file itself; of a source, all of it.
fn unit(path: &Path) -> PathBuf {
    if let Ok(below) = path.strip_prefix(adapter::FOLDER) {
        return below
            .iter()
            .next()
            .map_or_else(|| path.to_path_buf(), |name| Path::new(adapter::FOLDER).join(name));
    }
    let of_patient = locate(path)
        .map(|record| record.root.join(patient_folder(&record.name.patient)))
        .or_else(|| locate_document(path).map(|found| found.root.join(patient_folder(&found.name.patient))));
    of_patient.filter(|folder| path.starts_with(folder)).unwrap_or_else(|| path.to_path_buf())
}

/// Evenly spread over all numbers.
fn number(seed: &str, unit: &Path) -> u64 {
    let hash = Sha256::new().chain_update(seed).chain_update([0]).chain_update(unit.as_os_str().as_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first)
}

fn share_of(percent: f64) -> u64 {
    // Whoever asks for everything gets everything; else the loss of a float's last digits does not matter.
    if percent >= 100.0 { u64::MAX } else { (u64::MAX as f64 * percent / 100.0) as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shares_or_counts() {
        for (text, expected) in [
            ("5%", Ok(SampleSize::Percent(5.0))),
            ("0.5%", Ok(SampleSize::Percent(0.5))),
            ("200", Ok(SampleSize::Count(200))),
            ("0", Err(())),
            ("0%", Err(())),
            ("101%", Err(())),
            ("NaN%", Err(())),
            ("many", Err(())),
        ] {
            let read = text.parse::<SampleSize>().map_err(|_| ());
            assert_eq!(read, expected, "{text}");
            assert!(read.is_err() || read.map(|size| size.to_string()) == Ok(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_patient_is_one_unit_and_a_source_is_whole() {
        for (path, expected) in [
            (
                "/s/000/000/0000001/-/ADT-00/0000001_-_ADT-00_999999999999999_20180103090000000_-_1",
                "/s/000/000/0000001",
            ),
            ("/s/readme.txt", "/s/readme.txt"),
            ("/chartward-source/emr/dump/emr.dump", "/chartward-source/emr"),
        ] {
            assert_eq!(unit(Path::new(path)), Path::new(expected));
        }
    }

    #[test]
    fn the_share_is_what_was_asked_for() {
        let chosen =
            (0..10_000).filter(|n| number("seed", Path::new(&format!("/f/{n}"))) <= share_of(5.0)).count();
        assert!((400..600).contains(&chosen), "{chosen}");
    }
}
