//! Where the quarantine lies: named, or below the state folder that is named here or in the configuration.

use std::path::PathBuf;

use crate::config::{self, Config};
use crate::wiring::mail::release;

#[derive(Debug, clap::Args)]
pub(super) struct PlaceArgs {
    /// Folder of the quarantine (default: mail/quarantine in the state folder)
    #[arg(long, value_name = "DIR")]
    quarantine: Option<PathBuf>,
    /// Configuration file (default: chartward.toml, then /etc/chartward/chartward.toml)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder: the quarantine lies below it (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl PlaceArgs {
    pub(super) fn configuration(&self) -> anyhow::Result<Option<Config>> {
        Ok(config::find(self.config.as_deref()).as_deref().map(Config::load).transpose()?)
    }

    pub(super) fn folder(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.quarantine {
            return Ok(dir.clone());
        }
        let state = match &self.state {
            Some(state) => Some(state.clone()),
            None => self.configuration()?.and_then(|config| config.state),
        };
        Ok(release::folder(&crate::cli::state_dir(state)?))
    }
}
