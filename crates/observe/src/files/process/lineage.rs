//! Who acts: the uppermost process of a job, or the client behind Samba's server.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use schema::Circle;

use super::forks::Forks;
use super::smb::{self, Client, ClientName, Clients, Samba};
use super::standing::{Standing, circles, control_group, narrowest};
use super::{Actor, Stat};

/// Services whose children are jobs of their own: climbing past them would make one actor of a whole machine.
const SERVICES: [&str; 19] = [
    "systemd",
    "init",
    "sshd",
    "sshd-session",
    "cron",
    "crond",
    "atd",
    "login",
    "dockerd",
    "containerd",
    "containerd-shim",
    "smbd",
    "tmux: server",
    "screen",
    "supervisord",
    "runsvdir",
    "s6-supervise",
    "xinetd",
    "launchd",
];
const CLIMB_MAX: usize = 64;
const REMEMBERED_MAX: usize = 8192;
const FRESH: Duration = Duration::from_secs(2);
const CIRCLES_EACH_MAX: usize = 8;

/// Finds the actor behind a thread, and remembers it for the events that arrive after the process has ended.
#[derive(Debug, Default)]
pub struct Lineage {
    /// The guard and its ancestors: never part of an actor.
    own: Vec<i32>,
    own_group: Option<String>,
    forks: Forks,
    /// With the start of the process, since ids are given out anew.
    remembered: HashMap<i32, (Instant, Actor, u64)>,
    /// Processes that were seen at work, by actor: what a double fork would otherwise hide.
    members: HashMap<Actor, Vec<(i32, u64)>>,
    /// Actors of process groups whose leader may have ended since.
    groups: HashMap<i32, Actor>,
    circles: HashMap<Actor, Vec<Circle>>,
    clients: Clients,
    /// Processes of a server whose connection was gone when they were looked at.
    unnamed: HashSet<Actor>,
}

impl Lineage {
    /// For the calling process.
    pub fn new() -> Self {
        Self::with_samba(Samba::default())
    }

    /// For the calling process, with a Samba that stands somewhere else.
    pub fn with_samba(samba: Samba) -> Self {
        let mut own = vec![0, 1, 2];
        let mut pid = rustix::process::getpid().as_raw_nonzero().get();
        while let Some(stat) = Stat::of(pid).filter(|_| own.len() < CLIMB_MAX) {
            own.push(pid);
            pid = stat.parent;
        }
        let own_group = std::fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| narrowest(&text));
        Self { own, own_group, clients: Clients::new(samba), ..Self::default() }
    }

    /// Has the kernel tell of every fork from now on, so that who has ended, and who left its job by a double fork, is still known by
    /// its descent. `false` where it tells nobody; else [`Lineage::keep_up`] is due several times a second.
    pub fn listen(&mut self) -> bool {
        self.forks = Forks::listen();
        self.forks.is_told()
    }

    /// Takes in what the kernel told of forks.
    pub fn keep_up(&mut self) {
        self.forks.hear();
    }

    /// The guard's process id and those of its ancestors.
    pub fn own(&self) -> &[i32] {
        &self.own
    }

    /// The actor that thread or process `tid` belongs to; `None` when it has ended and was never seen.
    pub fn actor(&mut self, tid: i32) -> Option<Actor> {
        if let Some((_, actor, _)) = self.remembered.get(&tid).filter(|(seen, ..)| seen.elapsed() < FRESH) {
            return Some(*actor);
        }
        self.forks.hear();
        self.look(tid).or_else(|| self.departed(tid))
    }

    /// The actor of thread `tid`, which waits in an open: whom a server acts for is asked anew each time.
    pub fn opener(&mut self, tid: i32) -> Option<Actor> {
        match self.actor(tid)? {
            client if client.is_client() => self.look(tid).or(Some(client)),
            actor => Some(actor),
        }
    }

    /// The client that `actor` stands for.
    pub fn client(&self, actor: Actor) -> Option<Client> {
        self.clients.client(actor)
    }

    /// A client of whom only the address is known: its connection ended before it opened anything.
    pub fn stranger(&mut self, address: IpAddr) -> Actor {
        self.clients.number(Client { address, uid: u32::MAX })
    }

    /// It worked through a server, and whom that served could not be seen: its connection is gone.
    pub fn is_unnamed(&self, actor: Actor) -> bool {
        self.unnamed.contains(&actor)
    }

    /// What Samba calls a client, once it has told.
    pub fn client_name(&self, client: Client) -> Option<ClientName> {
        self.clients.name(client)
    }

    /// Processes that were seen to belong to `actor`, with their start times; some may have ended.
    pub fn members(&self, actor: Actor) -> &[(i32, u64)] {
        self.members.get(&actor).map_or(&[], Vec::as_slice)
    }

    /// What `actor` has in common with others, narrowest first; everybody belongs to the last.
    pub fn circles(&self, actor: Actor) -> Vec<Circle> {
        if let Some(client) = self.client(actor) {
            return vec![Circle::Address { address: client.address }, Circle::Anybody];
        }
        let mut circles = self.circles.get(&actor).cloned().unwrap_or_default();
        circles.push(Circle::Anybody);
        circles
    }

    fn look(&mut self, tid: i32) -> Option<Actor> {
        let standing = Standing::of(tid)?;
        let process = Stat::of(standing.process)?;
        if self.remembered.len() >= REMEMBERED_MAX {
            self.forget_all();
        }
        let member = (process.pid, process.start_ticks);
        let client = if smb::is_server(&process.command) {
            self.clients.actor(&process, standing.effective_user)
        } else {
            None
        };
        let actor = match client {
            Some(client) => client,
            None if smb::is_server(&process.command) => {
                let actor = self.climb(process, 0);
                self.unnamed.insert(actor);
                actor
            }
            None => self.climb(process, 0),
        };
        self.join(actor, member);
        if client.is_none() {
            self.note_circles(actor, member.0, standing.user);
        }
        // Under the process as well: names that change are told by it.
        for id in [tid, member.0] {
            self.remembered.insert(id, (Instant::now(), actor, member.1));
        }
        Some(actor)
    }

    /// Of a process that has ended: whom it was seen to work for, or who forked it.
    fn departed(&mut self, tid: i32) -> Option<Actor> {
        let seen = self.remembered.get(&tid).map(|(_, actor, start_ticks)| (*actor, *start_ticks));
        match (self.forks.birth(tid), seen) {
            (Some(birth), Some((actor, start_ticks))) if birth.is_of(start_ticks) => Some(actor),
            // Whom a server's process served went with it: whoever opened the file last is nearer to the truth than a nameless one.
            (Some(birth), _) if serves(birth.parent) => None,
            (Some(birth), _) => Some(self.climb(Stat::of_departed(tid, birth.parent, birth.ticks), 0)),
            (None, seen) => seen.map(|(actor, _)| actor),
        }
    }

    fn forget_all(&mut self) {
        self.remembered.clear();
        self.members.clear();
        self.groups.clear();
        self.circles.clear();
        self.unnamed.clear();
    }

    fn note_circles(&mut self, actor: Actor, pid: i32, user: u32) {
        let group = control_group(pid, self.own_group.as_deref());
        let known = self.circles.entry(actor).or_default();
        for circle in circles(group.as_deref(), user) {
            if known.len() < CIRCLES_EACH_MAX && !known.contains(&circle) {
                known.push(circle);
            }
        }
        known.sort_unstable();
    }

    fn climb(&mut self, first: Stat, depth: usize) -> Actor {
        let mut top = first;
        for _ in 0..CLIMB_MAX {
            if let Some(known) = self.seen(&top) {
                // An ancestor that was seen at work decides, even when its own parent has since gone.
                return known;
            }
            let Some(parent) = self.parent(&top) else { break };
            let is_login_shell = parent.session == parent.pid && parent.terminal != 0;
            if is_login_shell || SERVICES.contains(&parent.command.as_str()) {
                break;
            }
            top = parent;
        }
        let own = Actor { pid: top.pid, start_ticks: top.start_ticks };
        let by_group = if depth == 0 && !top.has_departed() { self.by_group(&top) } else { None };
        let actor = by_group.unwrap_or(own);
        self.remembered.insert(top.pid, (Instant::now(), actor, top.start_ticks));
        actor
    }

    fn seen(&self, process: &Stat) -> Option<Actor> {
        let (_, actor, start_ticks) = self.remembered.get(&process.pid)?;
        let is_same = *start_ticks == process.start_ticks
            || self.forks.birth(process.pid).is_some_and(|birth| {
                process.has_departed() && birth.is_of(*start_ticks) && birth.is_of(process.start_ticks)
            });
        is_same.then_some(*actor)
    }

    /// Who forked `child`, unless that is the guard, its ancestor or unknown. Whoever has ended is known by what the kernel told; without
    /// that, an orphan's parent is whoever took it in.
    fn parent(&self, child: &Stat) -> Option<Stat> {
        let birth = self.forks.birth(child.pid).filter(|birth| birth.is_of(child.start_ticks));
        let pid = birth.map_or(child.parent, |birth| birth.parent);
        if self.own.contains(&pid) {
            return None;
        }
        // Its id may be another's by now.
        let living =
            Stat::of(pid).filter(|parent| birth.is_none_or(|birth| birth.may_follow(parent.start_ticks)));
        living.or_else(|| {
            let (birth, its) = (birth?, self.forks.birth(pid)?);
            birth.may_follow(its.ticks).then(|| Stat::of_departed(pid, its.parent, its.ticks))
        })
    }

    /// The actor of the process group that an orphan was born into: a double fork leaves it the group of its job.
    fn by_group(&mut self, top: &Stat) -> Option<Actor> {
        if top.group == top.pid || self.own.contains(&top.group) {
            self.groups.insert(top.group, Actor { pid: top.pid, start_ticks: top.start_ticks });
            return None;
        }
        let leader = Stat::of(top.group).filter(|leader| leader.start_ticks <= top.start_ticks);
        let actor = match (leader, self.groups.get(&top.group)) {
            (Some(leader), _) => self.climb(leader, 1),
            (None, Some(known)) => *known,
            // Its leader ended before it was ever seen: whoever else was born into the group joins this one.
            (None, None) => Actor { pid: top.group, start_ticks: 0 },
        };
        self.groups.insert(top.group, actor);
        Some(actor)
    }

    fn join(&mut self, actor: Actor, member: (i32, u64)) {
        let members = self.members.entry(actor).or_default();
        if !members.contains(&member) {
            // Of a job with thousands of short-lived children the youngest are the ones that may still live.
            if members.len() >= 256 {
                members.remove(0);
            }
            members.push(member);
        }
    }
}

/// It is a file server's process, whose children serve one client each.
fn serves(pid: i32) -> bool {
    Stat::of(pid).is_some_and(|process| smb::is_server(&process.command))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_guard_and_its_ancestors_are_no_actors() {
        let lineage = Lineage::new();
        assert!(lineage.own().contains(&1));
        assert!(lineage.own().contains(&i32::try_from(std::process::id()).unwrap()));
    }

    /// Processes of one shell line, by what it prints: the actor of each.
    fn actors(mut lineage: Lineage, line: &str) -> Vec<Actor> {
        use std::os::unix::process::CommandExt;
        let out = Command::new("sh").args(["-c", line]).process_group(0).output().unwrap();
        let pids = String::from_utf8(out.stdout).unwrap();
        let pids: Vec<i32> = pids.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect();
        let actors = pids.iter().filter_map(|pid| lineage.actor(*pid)).collect();
        for pid in pids.into_iter().filter_map(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        actors
    }

    #[test]
    fn orphans_of_one_job_are_one_actor_and_new_sessions_share_the_user() {
        let orphan = "(sleep 60 >/dev/null 2>&1 & echo $!)";
        let found = actors(Lineage::new(), &format!("{orphan}; {orphan}"));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], found[1], "both were born into the group of a shell that has ended");
        let session = "(setsid sleep 60 >/dev/null 2>&1 & echo $!)";
        let found = actors(Lineage::new(), &format!("{session}; {session}"));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn by_their_descent_orphans_in_sessions_of_their_own_are_one_actor_and_so_is_who_has_ended() {
        let mut lineage = Lineage::new();
        if !lineage.listen() {
            testkit::skip(
                "by_their_descent_orphans_in_sessions_of_their_own_are_one_actor_and_so_is_who_has_ended",
                "the kernel tells nobody here of forks",
            );
            return;
        }
        let session = "(setsid sleep 60 >/dev/null 2>&1 & echo $!)";
        let ended = "(setsid sh -c 'echo $$')";
        let found = actors(lineage, &format!("{session}; {session}; {ended}"));
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|actor| *actor == found[0]), "{found:?}");
    }

    #[test]
    fn two_jobs_of_one_service_are_two_actors_though_both_have_ended() {
        let mut lineage = Lineage::new();
        if !lineage.listen() {
            testkit::skip(
                "two_jobs_of_one_service_are_two_actors_though_both_have_ended",
                "the kernel tells nobody here of forks",
            );
            return;
        }
        // The test's own process is the guard's here, so each shell is a job.
        let jobs: Vec<i32> = (0..2)
            .map(|_| {
                let mut job = Command::new("true").spawn().unwrap();
                job.wait().unwrap();
                i32::try_from(job.id()).unwrap()
            })
            .collect();
        let [one, other] = jobs[..] else { panic!("{jobs:?}") };
        let (first, second) = (lineage.actor(one).unwrap(), lineage.actor(other).unwrap());
        assert_ne!(first, second);
        assert_eq!((first.pid, second.pid), (one, other));
    }

    #[test]
    fn everybody_belongs_to_the_widest_circle_and_to_a_users() {
        let mut lineage = Lineage::new();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let actor = lineage.actor(i32::try_from(child.id()).unwrap()).unwrap();
        let circles = lineage.circles(actor);
        child.kill().unwrap();
        child.wait().unwrap();
        let uid = rustix::process::getuid().as_raw();
        assert!(circles.contains(&Circle::User { uid }), "{circles:?}");
        assert_eq!(circles.last(), Some(&Circle::Anybody));
    }
}
