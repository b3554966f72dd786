use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Somebody wider than one actor: what several processes have in common that share no ancestor. Narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "circle", rename_all = "snake_case")]
pub enum Circle {
    /// A control group that a job or a service has for itself.
    Cgroup {
        /// Stands for its path.
        number: u64,
    },
    /// All accounts that work from one address, through Samba.
    Address {
        /// The address.
        address: IpAddr,
    },
    /// All processes of one user.
    User {
        /// User id.
        uid: u32,
    },
    /// Whoever works below the protected folders.
    Anybody,
}
