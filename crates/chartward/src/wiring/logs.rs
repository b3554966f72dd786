//! The watcher of logs: observe gives lines, decode reads them, judge weighs logons and rules.

pub(crate) mod hit;
mod order;
mod people;
mod pipeline;
mod report;
pub(crate) mod rules;
mod scan;
mod settings;
mod sources;
mod standing;
pub(crate) mod state;
mod watch;

pub(crate) use pipeline::Told;
pub(crate) use report::{Report, as_json, coverage, not_loaded, words};
pub(crate) use scan::{Outcome, scan};
pub(crate) use settings::{Door, Level, Settings};
pub(crate) use watch::{Asked, Place, tls, watch};

use std::path::{Path, PathBuf};

/// The watcher's own folder: places, memory, what pages show.
pub(crate) fn folder(state: &Path) -> PathBuf {
    state.join("logs")
}
