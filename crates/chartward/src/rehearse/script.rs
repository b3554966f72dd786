//! What a rehearsal is asked to play, and what came of its attack.

use std::path::PathBuf;

use schema::{Finding, Lang};
use serde_json::Value;

use super::encryptor::Deed;

/// What to play.
pub(crate) struct Script {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) patients: u32,
    pub(crate) seed: u64,
    pub(crate) files_per_second: u32,
    pub(crate) guard: bool,
    pub(crate) backup: bool,
    pub(crate) lang: Lang,
}

/// What came of the attack.
#[derive(Default)]
pub(super) struct Outcome {
    /// What the attacker wrote down.
    pub(super) deeds: Vec<Deed>,
    /// The guard's first line.
    pub(super) ready: Option<Value>,
    /// What it found.
    pub(super) findings: Vec<Finding>,
    /// Files it put back.
    pub(super) put_back: u64,
    /// From the first harmful act to the attacker standing still.
    pub(super) time_to_stop_ms: Option<u64>,
}
