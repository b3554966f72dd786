//! Rehearsals: an incident of the past replayed on real parts, in a folder of its own.

mod agentless;
mod encryptor;
mod fingerprint;
mod narrator;
mod network;
mod processes;
mod samba;
mod script;
mod settings;
mod stage;
mod story;
mod uda_2018;
mod watched;

pub(crate) use encryptor::{EncryptorArgs, run as run_encryptor};
pub(crate) use script::Script;
pub(crate) use uda_2018::play;
