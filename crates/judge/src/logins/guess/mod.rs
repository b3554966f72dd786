//! Guessing of passwords, seen from each of its sides: the source, the account, the host.

pub(crate) mod account;
pub(crate) mod host;
pub(crate) mod hosts;
pub(crate) mod many_sources;
pub(crate) mod slow;
pub(crate) mod source;
pub(crate) mod spray;
pub(crate) mod stale;
pub(crate) mod success;
pub(super) mod tries;

use schema::{Attack, Tactic};

use super::telling::attack;

fn guessing() -> Vec<Attack> {
    vec![attack("T1110.001", "Brute Force: Password Guessing", Tactic::CredentialAccess)]
}
