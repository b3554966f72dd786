//! What all cases of a run have in common.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::corpus::Corpus;
use super::settings::Settings;
use super::volume::Volume;

/// Where and with what a case plays.
pub(crate) struct Stage<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) binary: &'a Path,
    /// Holds everything; marked with `token`.
    pub(crate) room: &'a Path,
    pub(crate) token: &'a str,
    pub(crate) volume: &'a Volume,
    pub(crate) corpus: &'a Corpus,
    pub(crate) python: PathBuf,
    /// Indicator of the guard that is switched off.
    pub(crate) without: Option<String>,
}

impl Stage<'_> {
    /// An empty folder beside the tree, on its file system.
    pub(crate) fn fresh_place(&self) -> anyhow::Result<PathBuf> {
        let place = self.volume.dir.join("beside");
        if place.exists() {
            fs::remove_dir_all(&place).context("clear the place beside the tree")?;
        }
        fs::create_dir_all(&place).context("make a place beside the tree")?;
        fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
        Ok(place)
    }

    pub(crate) fn guard_arguments(&self) -> Vec<String> {
        let without = self.without.iter().flat_map(|name| ["--without".to_owned(), name.clone()]);
        self.settings.guard_argument.iter().cloned().chain(without).collect()
    }
}

/// Where a program is.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}
