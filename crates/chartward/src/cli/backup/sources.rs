//! What was named on the command line, as the paths that are read.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail, ensure};
use recover::Error;
use recover::vault::expand;

use super::leave_out::{LeaveOut, read_list, read_whole};
use crate::output::printable;

#[derive(Debug, clap::Args)]
pub(super) struct FilesFromArgs {
    /// Back up also what this file names, one pattern of paths a line; `#` begins a comment (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    files_from: Vec<PathBuf>,
    /// Back up also what this file names, each line a path as it is
    #[arg(long, value_name = "FILE")]
    files_from_verbatim: Vec<PathBuf>,
    /// Back up also what this file names, paths that end with a zero byte, such as `find -print0` writes
    #[arg(long, value_name = "FILE")]
    files_from_raw: Vec<PathBuf>,
}

impl FilesFromArgs {
    /// A line that names nothing is an error, as a missing source is.
    pub(super) fn read(self) -> anyhow::Result<Vec<PathBuf>> {
        let mut named = Vec::new();
        for file in &self.files_from {
            for line in read_list(file)? {
                let found = expand(Path::new(&line))?;
                ensure!(!found.is_empty(), "{} in {} matches nothing", printable(&line), file.display());
                named.extend(found);
            }
        }
        let verbatim = self.files_from_verbatim.iter().map(|file| (file, b'\n'));
        for (file, end) in verbatim.chain(self.files_from_raw.iter().map(|file| (file, 0))) {
            let bytes = read_whole(file)?;
            let paths = bytes.split(|byte| *byte == end).filter(|path| !path.is_empty());
            named.extend(paths.map(|path| PathBuf::from(OsStr::from_bytes(path))));
        }
        ensure!(
            !named.is_empty() || self.is_unused(),
            "nothing to back up was named: the lists of files are empty"
        );
        Ok(named)
    }

    fn is_unused(&self) -> bool {
        [&self.files_from, &self.files_from_verbatim, &self.files_from_raw]
            .iter()
            .all(|lists| lists.is_empty())
    }
}

/// Where a backup reads, and what it leaves out.
pub(super) struct Sources {
    /// Absolute, with every symbolic link resolved.
    pub(super) roots: Vec<PathBuf>,
    /// Absolute; only the links on the way are resolved, so that a link itself can be left out.
    pub(super) exclude: Vec<PathBuf>,
    /// For people: what is read in place of what was named.
    pub(super) resolved: Vec<String>,
    /// For people: excluded paths that leave nothing out.
    pub(super) warnings: Vec<String>,
}

impl Sources {
    /// A source that is missing, or of which nothing is left, is an error.
    pub(super) fn resolve(named: &[PathBuf], leave_out: &LeaveOut) -> anyhow::Result<Sources> {
        let mut sources =
            Sources { roots: Vec::new(), exclude: Vec::new(), resolved: Vec::new(), warnings: Vec::new() };
        for source in named {
            // A link that is captured as a link protects nothing of what it points to.
            let root = source
                .canonicalize()
                .map_err(|cause| Error::RootMissing { path: source.clone(), source: cause })?;
            if root != cleaned(source)? {
                let (source, root) = (source.to_string_lossy(), root.to_string_lossy());
                sources.resolved.push(format!("Reading {} for {}.", printable(&root), printable(&source)));
            }
            sources.roots.push(root);
        }
        for root in &sources.roots {
            if leave_out.filter.leaves_out(root, None) {
                let matching = leave_out.filter.patterns.iter().find(|pattern| pattern.matches(root));
                let pattern = matching.map_or_else(String::new, |pattern| pattern.text().to_owned());
                bail!("--exclude {pattern} leaves nothing of {} to back up", root.display());
            }
        }
        for path in &leave_out.paths {
            let excluded = absolute(path)?;
            if let Some(root) = sources.roots.iter().find(|root| root.starts_with(&excluded)) {
                bail!("--exclude {} leaves nothing of {} to back up", path.display(), root.display());
            }
            sources.warnings.extend(sources.warning(path, &excluded));
            sources.exclude.push(excluded);
        }
        Ok(sources)
    }

    fn warning(&self, named: &Path, excluded: &Path) -> Option<String> {
        let why = if !self.roots.iter().any(|root| excluded.starts_with(root)) {
            "lies in none of the folders that are backed up"
        } else if excluded.symlink_metadata().is_err() {
            "does not exist"
        } else {
            return None;
        };
        let (named, excluded) = (named.to_string_lossy(), excluded.to_string_lossy());
        Some(format!("--exclude {} leaves nothing out: {} {why}", printable(&named), printable(&excluded)))
    }
}

/// An absolute path to what `path` names itself, be it a link or missing.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    let whole = std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()))?;
    let resolved = match (whole.parent(), whole.file_name()) {
        (Some(folder), Some(name)) => folder.canonicalize().map(|folder| folder.join(name)),
        _ => whole.canonicalize(),
    };
    resolved.or_else(|_| cleaned(path))
}

/// An absolute path without dots, by its letters alone.
fn cleaned(path: &Path) -> anyhow::Result<PathBuf> {
    let whole = std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()))?;
    let mut clean = PathBuf::new();
    for component in whole.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    Ok(clean)
}
