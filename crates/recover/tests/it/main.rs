//! The vault against the outside world: a stock restic, damage, hostile repositories and a source that does not hold still.
// Helpers of tests may fail as tests do.
#![allow(clippy::unwrap_used)]

mod charts_mapping;
mod drill;
mod durable;
mod instant;
mod jail;
mod servers;
mod source_gnumed;
mod source_group;
mod source_mariadb;
mod source_orthanc;
mod source_postgresql;
mod source_ssh;
mod support;
mod vault_cache;
mod vault_damage;
mod vault_look;
mod vault_media;
mod vault_meta;
mod vault_prune;
mod vault_restic;
mod vault_retain;
mod vault_source;
