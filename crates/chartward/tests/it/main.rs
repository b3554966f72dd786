//! What the binary does, seen from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod access;
mod backup_cli;
mod cli;
mod config;
mod drill_cli;
mod guard;
mod hub;
mod kill;
mod look;
mod media;
mod promise;
mod prove;
mod real_input;
mod rehearse;
mod samba;
mod sample;
mod share;
mod share_cutoff;
mod source;
mod supervise;
mod support;
mod uda_failures;
mod vault_cli;
mod vault_host;
