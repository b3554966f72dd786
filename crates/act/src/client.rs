//! Cutting off somebody who works over the network, at the server that serves it: its connections are ended and new ones are not
//! served until a person lets it back in.
//!
//! A server's process is not frozen for good as an attacker's own is: it may hold a lock or an oplock on which other clients wait,
//! and the key is on the client's machine, so there is nothing to keep in its memory. It is stopped with SIGSTOP at once, so that
//! nothing more is written while evidence is taken, and then ended with SIGKILL: SIGTERM would have it close its files in order, and
//! with that carry out the removals that the client asked for on closing. The kernel releases its locks, the listening server
//! clears up after it, the other clients' processes go on.
//!
//! Beside that, a wall ([`crate::wall`]) can keep the address out altogether. It is the hub's: it has a deadline and an undo there.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use schema::Outcome;
use serde::{Deserialize, Serialize};

use crate::evidence::{private_dir, write_private};
use crate::freeze::signal;
use crate::process::Process;
use crate::{Error, NeverTouch};

const POLL: Duration = Duration::from_micros(200);
const REFUSALS_MAX: usize = 4096;

/// A client that is no longer served. Its file in the state folder keeps it out, also when the guard is started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// From where it works.
    pub address: IpAddr,
    /// Its account, as far as it is known.
    pub user: Option<String>,
    /// Why, in one sentence.
    pub because: String,
    /// Since when.
    pub at: Timestamp,
}

/// Writes down that a client is refused, for the owner of the state folder only.
pub fn refuse(state: &Path, refusal: &Refusal) -> Result<PathBuf, Error> {
    let path = place(state, refusal.address);
    private_dir(&folder(state))?;
    write_private(&path, &serde_json::to_vec_pretty(refusal).map_err(Error::Encode)?)?;
    Ok(path)
}

/// Everybody who is refused, as far as the files can be read.
pub fn refused(state: &Path) -> Vec<Refusal> {
    let entries = fs::read_dir(folder(state)).into_iter().flatten().flatten().take(REFUSALS_MAX);
    let mut found: Vec<Refusal> =
        entries.filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok()).collect();
    found.sort_by_key(|refusal| (refusal.at, refusal.address));
    found
}

/// Whether the file that keeps this address out is still there.
pub fn is_refused(state: &Path, address: IpAddr) -> bool {
    place(state, address).exists()
}

/// Lets a client back in; `false` when it was not refused. A running guard notices within a moment.
pub fn admit(state: &Path, address: IpAddr) -> Result<bool, Error> {
    let path = place(state, address);
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::Write { path, source }),
    }
}

/// The entry of the never-touch list that spares an address. Loopback is spared from the packet filter, where a whole machine
/// would lose itself; ending one connection to a file server is another matter, so only named addresses count here.
pub fn spared(never: &NeverTouch, address: IpAddr) -> Option<String> {
    never.holds_address(address).filter(|_| !address.to_canonical().is_loopback())
}

/// Ends the process that serves a connection, and waits until it has let go of everything. It must be one that serves this
/// connection alone: the caller has seen that it neither listens nor has other servers as children.
pub fn end(pid: i32, start_ticks: u64, never: &NeverTouch, patience: Duration) -> Outcome {
    let process = Process::of(pid).filter(|process| process.start_ticks == start_ticks);
    if process.is_some_and(|process| never.holds_process(&process).is_some()) {
        return Outcome::NeverTouch;
    }
    let outcome = signal(pid, start_ticks, rustix::process::Signal::KILL, Outcome::Applied);
    let end = Instant::now() + patience;
    while outcome == Outcome::Applied && lives(pid, start_ticks) {
        if Instant::now() >= end {
            return Outcome::Failed { cause: "it has not ended yet".into() };
        }
        thread::sleep(POLL);
    }
    outcome
}

/// A dead process has closed its files before it becomes a zombie, but its other threads may still be at it.
fn lives(pid: i32, start_ticks: u64) -> bool {
    let is_same =
        |process: &Process| process.start_ticks == start_ticks && !matches!(process.state, 'Z' | 'X');
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    Process::of(pid)
        .is_some_and(|process| is_same(&process) || process.start_ticks == start_ticks && threads() > 1)
}

fn folder(state: &Path) -> PathBuf {
    state.join("refused")
}

fn place(state: &Path, address: IpAddr) -> PathBuf {
    folder(state).join(format!("{}.json", address.to_canonical()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_client_is_refused_until_it_is_let_back_in() {
        let state = tempfile::tempdir().unwrap();
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let refusal = Refusal { address, user: None, because: "test".into(), at: Timestamp::UNIX_EPOCH };
        assert_eq!(refused(state.path()), []);
        refuse(state.path(), &refusal).unwrap();
        assert_eq!(refused(state.path()), [refusal]);
        assert!(is_refused(state.path(), "::ffff:192.0.2.7".parse().unwrap()));
        assert!(admit(state.path(), address).unwrap());
        assert!(!admit(state.path(), address).unwrap() && !is_refused(state.path(), address));
    }

    #[test]
    fn only_the_very_process_is_ended_and_never_one_on_the_list() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let start = Process::of(pid).unwrap().start_ticks;
        let never = NeverTouch::of_commands(vec!["sleep".into()]);
        let patience = Duration::from_secs(5);
        assert_eq!(end(pid, start, &never, patience), Outcome::NeverTouch);
        assert!(matches!(end(pid, start + 1, &NeverTouch::default(), patience), Outcome::Failed { .. }));
        assert!(child.try_wait().unwrap().is_none());
        assert_eq!(end(pid, start, &NeverTouch::default(), patience), Outcome::Applied);
        child.wait().unwrap();
    }

    #[test]
    fn loopback_is_spared_from_the_packet_filter_only() {
        let mut never = NeverTouch::default();
        never.know("the record server", ["192.0.2.1".parse().unwrap()]);
        for (address, expected) in [("127.0.0.2", false), ("192.0.2.1", true), ("192.0.2.2", false)] {
            assert_eq!(spared(&never, address.parse().unwrap()).is_some(), expected, "{address}");
        }
    }
}
