//! Sigma rules as operators keep them: files, and folders of them.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use judge::sigma::NotLoaded;

/// A rule is a page; a wrong path must not read a disk image into memory.
const FILE_BYTES_MAX: u64 = 4 << 20;
const BYTES_MAX: u64 = 256 << 20;
const FILES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 32;

/// Texts of rules by the names of their files, and what could not be read.
#[derive(Debug, Default)]
pub(crate) struct RuleFiles {
    pub(crate) files: Vec<(String, String)>,
    pub(crate) unread: Vec<NotLoaded>,
    bytes: u64,
}

impl RuleFiles {
    /// Everything below some paths, in the order of the names; links are not followed below a folder.
    ///
    /// # Errors
    /// When a path is not there.
    pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for path in paths {
            fs::metadata(path).with_context(|| format!("cannot read the rules {}", path.display()))?;
            all.gather(path, DEPTH_MAX, true);
        }
        Ok(all)
    }

    fn gather(&mut self, path: &Path, depth: usize, is_named: bool) {
        let shown = path.to_string_lossy().into_owned();
        if path.is_dir() {
            return match entries(path) {
                Ok(_) if depth == 0 => self.refuse(shown, "folders lie too deep in one another".to_owned()),
                Ok(entries) => entries.iter().for_each(|entry| self.gather(entry, depth - 1, false)),
                Err(error) => self.refuse(shown, error.to_string()),
            };
        }
        let is_rule = path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
        if !is_rule && !is_named {
            return;
        }
        if self.files.len() >= FILES_MAX || self.bytes > BYTES_MAX {
            return self.refuse(shown, format!("there are more than {FILES_MAX} files or {BYTES_MAX} bytes"));
        }
        match text(path) {
            Ok(text) if text.len() as u64 > FILE_BYTES_MAX => {
                self.refuse(shown, format!("the file is longer than {FILE_BYTES_MAX} bytes"));
            }
            Ok(text) => {
                self.bytes += text.len() as u64;
                self.files.push((shown, text));
            }
            Err(error) => self.refuse(shown, error.to_string()),
        }
    }

    fn refuse(&mut self, name: String, reason: String) {
        self.unread.push(NotLoaded { name, reason });
    }
}

fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let all = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut entries = all.collect::<std::io::Result<Vec<_>>>()?;
    entries.retain(|entry| !entry.is_symlink());
    entries.sort();
    Ok(entries)
}

fn text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// When something below some paths was written last, and how much there is: what changes when rules do.
pub(crate) fn mark(paths: &[PathBuf]) -> (u64, usize) {
    let mut mark = (0, 0);
    paths.iter().for_each(|path| newest(path, DEPTH_MAX, &mut mark));
    mark
}

fn newest(path: &Path, depth: usize, mark: &mut (u64, usize)) {
    let Ok(meta) = fs::metadata(path) else { return };
    let at = meta.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    mark.0 = mark.0.max(at.map_or(0, |at| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)));
    mark.1 += 1;
    if meta.is_dir() && depth > 0 && mark.1 < FILES_MAX {
        entries(path).unwrap_or_default().iter().for_each(|entry| newest(entry, depth - 1, mark));
    }
}
