//! What a rehearsal is asked to play.

use std::path::PathBuf;

use schema::Lang;

/// What to play.
pub(crate) struct Script {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) patients: u32,
    pub(crate) seed: u64,
    pub(crate) files_per_second: u32,
    pub(crate) guard: bool,
    pub(crate) backup: bool,
    /// The store is a share of a server on which nothing of ours runs.
    pub(crate) agentless: bool,
    pub(crate) lang: Lang,
}
