//! The vault against the outside world: a stock restic, damage, hostile repositories and a source that does not hold still.
// Helpers of tests may fail as tests do.
#![allow(clippy::unwrap_used)]

mod drill;
mod jail;
mod servers;
mod source_gnumed;
mod source_group;
mod source_mariadb;
mod source_orthanc;
mod source_postgresql;
mod source_ssh;
mod support;
mod vault_damage;
mod vault_restic;
mod vault_source;
