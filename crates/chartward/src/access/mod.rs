//! Who may do what: accounts, one-time codes, roles, sessions, tokens, the sealed store.
//!
//! [`Access`] is the one door. Each of its calls takes the time from its caller, checks its limits before it does
//! anything costly, and tells the auditor what it allowed and refused. Nothing that it keeps lets its reader in:
//! the database holds hashes, and secrets that are needed in the clear lie in [`Sealed`].
//!
//! The order of a log-in: limits, the password (always one argon2 computation, whoever asks), the second factor,
//! and then one transaction that uses the factor up and opens the session.

mod audit;
mod denied;
pub(crate) mod desk;
mod guests;
mod invitation;
mod limits;
mod log_in;
mod password;
mod role;
mod sealed;
mod second;
mod secrets;
mod session;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod totp;
mod user;

use std::path::Path;
use std::sync::Arc;

use prove::State;
pub(crate) use prove::state::accounts::Role;

pub(crate) use audit::{Audit, Auditor};
pub(crate) use denied::{Denied, Error, Why};
pub(crate) use guests::Guests;
pub(crate) use invitation::Code;
pub(crate) use limits::Limits;
pub(crate) use password::{Cost, is_soon_guessed, password_rule};
pub(crate) use role::{Permission, Who, covers, may};
pub(crate) use sealed::{Sealed, Secret};
pub(crate) use session::{LoggedIn, Session};
pub(crate) use user::Account;

use password::Hasher;

/// What the configuration says about access.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The hospital's name: shown by authenticators, refused as a password.
    pub(crate) hospital: String,
    /// Whether the console is served over TLS: then the cookie is `__Host-` and `Secure`.
    pub(crate) tls: bool,
    /// The cost of a password's hash.
    pub(crate) cost: Cost,
}

impl Settings {
    /// With the cost that is used for real.
    pub(crate) fn new(hospital: impl Into<String>, tls: bool) -> Self {
        Self { hospital: hospital.into(), tls, cost: Cost::default() }
    }
}

/// The door: everything about who somebody is and what they may do. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Access(Arc<Inner>);

struct Inner {
    state: State,
    sealed: Sealed,
    settings: Settings,
    hasher: Hasher,
    limits: Limits,
    audit: audit::Recorder,
}

impl Access {
    /// Opens the door of a state folder. `auditor` is called before each call here returns; it writes the ledger.
    pub(crate) fn open(
        state: State,
        sealed: Sealed,
        settings: Settings,
        auditor: Auditor,
    ) -> Result<Self, Error> {
        let hasher = Hasher::new(settings.cost)?;
        let limits = Limits::default();
        // Where people are known from survives a restart, so that a flood cannot use one to lock them out.
        for (user, address) in state.session_places()? {
            if let Ok(address) = address.parse() {
                limits.welcome(&user, address);
            }
        }
        let audit = audit::Recorder::new(auditor);
        Ok(Self(Arc::new(Inner { state, sealed, settings, hasher, limits, audit })))
    }

    /// The secrets of this state folder.
    pub(crate) fn sealed(&self) -> &Sealed {
        &self.0.sealed
    }
}

/// Opens what the hub and the command line need of a state folder; the sealing key is made where there is none.
pub(crate) fn open_sealed(state_dir: &Path) -> Result<Sealed, Error> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(std::path::PathBuf::from);
    Sealed::open(state_dir, credentials.as_deref())
}

/// Random bytes of the operating system: the only place where this module gets any.
fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes)
}
