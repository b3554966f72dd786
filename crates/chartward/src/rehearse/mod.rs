//! Rehearsals: an incident of the past replayed on real parts, in a folder of its own.

mod agentless;
mod encryptor;
mod ending;
mod fingerprint;
mod narrator;
mod network;
mod outcome;
mod processes;
mod samba;
mod scene;
mod script;
mod settings;
mod stage;
mod story;
mod uda_2018;
mod watched;

pub(crate) use encryptor::{EncryptorArgs, run as run_encryptor};
pub(crate) use script::Script;

use crate::output::Output;
use ending::Summary;

/// Plays the rehearsal to its end and prints the summary.
pub(crate) fn play(script: &Script, output: Output) -> anyhow::Result<Summary> {
    match script.agentless {
        true => agentless::play(script, output),
        false => uda_2018::play(script, output),
    }
}
