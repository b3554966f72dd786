//! Processes as /proc shows them: who descends from whom, who is behind a server, and what a waiting open asked for.

use std::fs::File;
use std::io::Read;

mod forks;
mod intent;
mod lineage;
mod near;
pub(crate) mod smb;
mod standing;
mod stat;

pub use intent::Intent;
pub(super) use intent::{CALL_PAUSE, CALL_TRIES, RUNNING, call_of, intent, parse_syscall};
pub use lineage::Lineage;
pub use near::{Nearness, near, written_by};
pub(super) use standing::process_of;
pub use stat::Stat;

/// What most of them fit into.
const PAGE: usize = 4096;
const FILE_MAX: u64 = 1 << 20;

/// Somebody who acts on files: the uppermost process of a job with all that descend from it, or a client of Samba's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor {
    /// Process id of the uppermost process; a client has a negative number, which no process has.
    pub pid: i32,
    /// Its start in clock ticks since boot; 0 for a client and for a job whose first process was never seen.
    pub start_ticks: u64,
}

impl Actor {
    /// Whoever it was: where nobody can tell who wrote, all that happens to the tree counts together.
    pub const ANYBODY: Actor = Actor { pid: 0, start_ticks: 0 };

    /// One number for both.
    pub fn number(self) -> u64 {
        (self.start_ticks << 22) ^ u64::from(self.pid.unsigned_abs()) ^ (u64::from(self.is_client()) << 63)
    }

    /// It works over the network, through a server's process.
    pub fn is_client(self) -> bool {
        self.pid < 0
    }
}

/// A small file of /proc. It tells no length beforehand, for which the standard library reads it in pieces of 32 bytes and more.
fn whole(path: &str) -> Option<Vec<u8>> {
    let mut content = Vec::with_capacity(PAGE);
    File::open(path).ok()?.take(FILE_MAX).read_to_end(&mut content).ok()?;
    Some(content)
}
