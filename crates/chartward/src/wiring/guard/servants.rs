//! Who writes into a database: its server, somebody else, or somebody else in the server's own job, who is accused by himself so that the
//! server goes on.
//!
//! Servers have children that write and end within a millisecond, and whatever is still open is closed when there is no program left to
//! look at. Such a child is known by the kernel's word that it was forked from the server and never ran another program.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use observe::files::{Actor, Stat};

use super::databases::{Database, Identity};

const KNOWN_MAX: usize = 8192;
/// Later a process id may be another process's.
const HEARD_OF_WITHIN: Duration = Duration::from_secs(10);
const SAME_FOR: Duration = Duration::from_millis(50);
const CLIMB_MAX: usize = 64;

/// Who wrote into a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    Server,
    /// Somebody who can be stopped without the server.
    Somebody(Actor),
    /// It has ended, and nothing but the server's own job is left to be blamed.
    Nobody,
}

/// Processes that were seen to be a server's.
#[derive(Debug, Default)]
pub(super) struct Servants {
    known: HashMap<i32, (u64, Instant)>,
}

impl Servants {
    /// Who is behind thread `tid`, which belongs to `actor` with these `members`.
    pub(super) fn writer(
        &mut self,
        database: &Database,
        tid: i32,
        actor: Option<Actor>,
        members: &[(i32, u64)],
    ) -> Writer {
        if self.is_server(database, tid) {
            return Writer::Server;
        }
        let Some(actor) = actor else { return Writer::Nobody };
        let all = members.iter().copied().chain([(actor.pid, actor.start_ticks)]);
        let servers: Vec<i32> =
            all.filter(|member| runs(*member) && database.is_server(member.0)).map(|(pid, _)| pid).collect();
        if servers.is_empty() {
            return Writer::Somebody(actor);
        }
        apart(tid, actor.pid, &servers).map_or(Writer::Nobody, Writer::Somebody)
    }

    /// Whether `tid` belongs to the server, as long as anything can be known of it.
    fn is_server(&mut self, database: &Database, tid: i32) -> bool {
        // A server closes hundreds of files in a row: that often /proc is not read, and no process id is given out again so soon.
        if self.known.get(&tid).is_some_and(|(_, at)| at.elapsed() < SAME_FOR) {
            return true;
        }
        let Some(identity) = Identity::of(tid) else {
            // Gone altogether: what was said of it a moment ago holds.
            return self.known.get(&tid).is_some_and(|(_, at)| at.elapsed() < HEARD_OF_WITHIN);
        };
        let Some(stat) = Stat::of(identity.process) else { return false };
        let has_ended = fs::read_link(format!("/proc/{tid}/exe")).is_err();
        let is_known = |pid: i32, start: u64| self.known.get(&pid).is_some_and(|(known, _)| *known == start);
        let is_server = if has_ended {
            let parent_serves = || {
                database.is_server(stat.parent)
                    || Stat::of(stat.parent).is_some_and(|parent| is_known(parent.pid, parent.start_ticks))
            };
            is_known(identity.process, stat.start_ticks)
                || (stat.forked && database.is_owners(identity) && parent_serves())
        } else {
            database.is_server(tid)
        };
        if is_server {
            if self.known.len() >= KNOWN_MAX {
                self.known.clear();
            }
            for id in [tid, identity.process] {
                self.known.insert(id, (stat.start_ticks, Instant::now()));
            }
        }
        is_server
    }
}

/// It is still the process that was meant.
fn runs((pid, start_ticks): (i32, u64)) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.start_ticks == start_ticks)
}

/// The uppermost process of the job below `job` that `tid` descends from (or itself), that is no server and has none below it: what can be
/// stopped without one. A script that started the server is above it, so it goes on as well.
fn apart(tid: i32, job: i32, servers: &[i32]) -> Option<Actor> {
    let above: Vec<i32> = servers.iter().flat_map(|server| ancestors(*server)).collect();
    let own = Identity::of(tid).map_or(tid, |identity| identity.process);
    let mut line = ancestors(own);
    // Whoever has left the job's line of descent is blamed for itself alone.
    let end = line.iter().position(|pid| *pid == job).unwrap_or(0);
    line.truncate(end + 1);
    let lives = |stat: &Stat| !matches!(stat.state, 'Z' | 'X');
    let line = line.into_iter().take_while(|pid| !above.contains(pid));
    let top = line.filter_map(Stat::of).filter(lives).last()?;
    Some(Actor { pid: top.pid, start_ticks: top.start_ticks })
}

/// `pid` and whom it descends from.
fn ancestors(pid: i32) -> Vec<i32> {
    let mut line = vec![pid];
    while let Some(stat) = line.last().and_then(|pid| Stat::of(*pid)).filter(|stat| stat.parent > 1) {
        if line.len() >= CLIMB_MAX {
            break;
        }
        line.push(stat.parent);
    }
    line
}

/// Of `processes`, those that can be stopped without a server of one of the databases; all of them when nobody else is there.
pub(super) fn without_servers(databases: &[&Database], processes: Vec<(i32, u64)>) -> Vec<(i32, u64)> {
    let is_server = |pid: i32| databases.iter().any(|database| database.is_server(pid));
    let servers: Vec<i32> = processes.iter().map(|(pid, _)| *pid).filter(|pid| is_server(*pid)).collect();
    if servers.is_empty() {
        return processes;
    }
    let above: Vec<i32> = servers.iter().flat_map(|server| ancestors(*server)).collect();
    let lives = |pid: i32| Stat::of(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'));
    let others: Vec<(i32, u64)> =
        processes.iter().copied().filter(|(pid, _)| !above.contains(pid) && lives(*pid)).collect();
    if others.is_empty() { processes } else { others }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Family(Child);

    impl Drop for Family {
        fn drop(&mut self) {
            use rustix::process::{Pid, Signal, kill_process_group};
            if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = self.0.wait();
        }
    }

    /// A shell with two children, of which one has a child itself: the shell, the one, the other, its child.
    fn family() -> (Family, Vec<i32>) {
        use std::io::{BufRead, BufReader};
        use std::os::unix::process::CommandExt;
        let line = "sleep 60 & a=$!; sh -c 'sleep 60 & echo $$ $!; wait' & echo $$ $a; wait";
        let mut command = Command::new("sh");
        command.args(["-c", line]).process_group(0).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(2);
        let mut told: Vec<Vec<i32>> =
            lines.map(|line| line.unwrap().split(' ').map(|pid| pid.parse().unwrap()).collect()).collect();
        told.sort_by_key(|line| line[0] != i32::try_from(child.id()).unwrap());
        (Family(child), told.concat())
    }

    #[test]
    fn who_works_beside_a_server_is_stopped_without_it_and_what_is_above_it() {
        let (_family, pids) = family();
        let [shell, server, beside, below] = pids[..] else { panic!("{pids:?}") };
        // The first child stands for the server: the shell above both goes on with it.
        assert_eq!(apart(below, shell, &[server]).unwrap().pid, beside);
        assert_eq!(apart(below, 4_194_300, &[server]).unwrap().pid, below);
        assert_eq!(apart(server, shell, &[server]), None);
        assert_eq!(apart(shell, shell, &[below]), None, "a script that started the server is above it");
        assert_eq!(apart(4_194_300, shell, &[server]), None);
    }
}
