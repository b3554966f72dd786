//! Real and generated files of the kinds that a hospital's server holds. No person's data is among them.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::tidy;
use super::tree::{self, Contents};

const OFFICE: &str = include_str!("../../corpus/office.py");
/// From PyPI: the DICOM files that its tests read.
const DICOM: &str = "pydicom==3.0.1";
const SHARED: &str = "/usr/share";
/// Suffixes that are taken from there, each as often.
const SUFFIXES: [&str; 9] = ["png", "svg", "pdf", "gz", "html", "txt", "jpg", "xml", "json"];
const EACH_BYTES: std::ops::RangeInclusive<u64> = 200..=1 << 20;
/// 2018-10-16, and how far back from there the files' times reach.
const NEWEST_SECS: u64 = 1_539_640_000;
const SPAN_SECS: u64 = 3 * 365 * 86_400;

/// A folder of files, and what they hold.
#[derive(Debug)]
pub(crate) struct Corpus {
    pub(crate) dir: PathBuf,
    pub(crate) contents: Contents,
    /// What of it could not be had, each with the reason.
    pub(crate) missing: Vec<String>,
}

/// Makes a corpus of about `files` files below `room`.
pub(crate) fn make(
    room: &Path,
    cache: &Path,
    binary: &Path,
    seed: u64,
    files: usize,
) -> anyhow::Result<Corpus> {
    let dir = room.join("corpus");
    let mut dice = ChaCha20Rng::seed_from_u64(seed);
    let mut missing = Vec::new();
    let hospital = room.join("hospital");
    tidy::run(Command::new(binary).args(["sample", "hospital"]).arg(&hospital).args([
        "--patients",
        "8",
        "--seed",
        &seed.to_string(),
    ]))?;
    take(&hospital, &dir.join("records"), pick(all_files(&hospital), files * 45 / 100, &mut dice))?;

    match dicom(cache) {
        Ok(found) => take(&found, &dir.join("dicom"), pick(all_files(&found), files * 15 / 100, &mut dice))?,
        Err(error) => missing.push(format!("pydicom's DICOM files: {error:#}")),
    }
    let shared = Path::new(SHARED);
    let mut by_suffix: Vec<_> = SUFFIXES.iter().map(|suffix| (suffix, Vec::new())).collect();
    for path in all_files(shared) {
        let suffix = path.extension().and_then(|suffix| suffix.to_str());
        if let Some((_, found)) = by_suffix.iter_mut().find(|(name, _)| Some(**name) == suffix) {
            found.push(path);
        }
    }
    for (suffix, found) in by_suffix {
        if found.is_empty() {
            missing.push(format!("*.{suffix} below {SHARED}"));
        }
        take(shared, &dir.join("share"), pick(found, files * 25 / 100 / SUFFIXES.len(), &mut dice))?;
    }
    let office = dir.join("office");
    fs::create_dir_all(&office)?;
    let count = (files * 15 / 100 / 3).max(2).to_string();
    tidy::run(Command::new("python3").args(["-c", OFFICE]).arg(&office).args([&seed.to_string(), &count]))?;
    settle(&dir, &mut dice)?;
    let contents = tree::contents(&dir)?;
    Ok(Corpus { dir, contents, missing })
}

/// The DICOM files, unpacked in the cache.
fn dicom(cache: &Path) -> anyhow::Result<PathBuf> {
    let dir = cache.join("dicom");
    if dir.is_dir() {
        return Ok(dir);
    }
    let wheels = tempfile::tempdir()?;
    let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"];
    tidy::run(Command::new("python3").args(pip).arg(wheels.path()).arg(DICOM))?;
    let wheel = fs::read_dir(wheels.path())?.next().context("pip downloaded nothing")??.path();
    let unpacked = wheels.path().join("unpacked");
    tidy::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(&unpacked))?;
    let found: Vec<_> = all_files(&unpacked)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "dcm"))
        .collect();
    anyhow::ensure!(!found.is_empty(), "the package holds no DICOM files");
    let fresh = cache.join(format!("dicom-{}", std::process::id()));
    take(&unpacked, &fresh, found)?;
    // Only a complete folder gets the name that the next run believes.
    fs::rename(&fresh, &dir).context("keep the DICOM files")?;
    Ok(dir)
}

/// Regular files of a fitting size, sorted.
fn all_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && entry.metadata().is_ok_and(|meta| EACH_BYTES.contains(&meta.len())) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn pick(mut from: Vec<PathBuf>, count: usize, dice: &mut ChaCha20Rng) -> Vec<PathBuf> {
    let count = count.min(from.len());
    let mut picked = Vec::with_capacity(count);
    for _ in 0..count {
        picked.push(from.swap_remove(below(from.len(), dice)));
    }
    picked
}

fn below(bound: usize, dice: &mut ChaCha20Rng) -> usize {
    usize::try_from(dice.next_u64() % (bound.max(1) as u64)).unwrap_or(0)
}

/// Copies files to the same places below another folder.
fn take(from: &Path, to: &Path, files: Vec<PathBuf>) -> anyhow::Result<()> {
    for path in files {
        let target = to.join(path.strip_prefix(from)?);
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        fs::copy(&path, &target).with_context(|| format!("copy {}", path.display()))?;
    }
    Ok(())
}

/// Gives every file a time of its own, and everybody the right to write: some attackers come with many users.
fn settle(dir: &Path, dice: &mut ChaCha20Rng) -> anyhow::Result<()> {
    let mut files = all_files(dir);
    files.sort();
    for path in &files {
        let at = UNIX_EPOCH + Duration::from_secs(NEWEST_SECS - dice.next_u64() % SPAN_SECS);
        fs::set_permissions(path, PermissionsExt::from_mode(0o666))?;
        File::options().write(true).open(path)?.set_modified(at).context("set a file's time")?;
    }
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o777))?;
        for entry in fs::read_dir(folder)?.flatten().filter(|entry| entry.path().is_dir()) {
            folders.push(entry.path());
        }
    }
    Ok(())
}
