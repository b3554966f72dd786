//! The vault against the outside world: a stock restic, damage, hostile repositories and a source that does not hold still.
// Helpers of tests may fail as tests do.
#![allow(clippy::unwrap_used)]

mod servers;
mod source_postgresql;
mod support;
mod vault_damage;
mod vault_restic;
mod vault_source;
