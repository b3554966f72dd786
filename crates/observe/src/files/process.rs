//! Processes as /proc shows them: who descends from whom, and what a waiting open asked for.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

/// One line of proc_pid_stat(5), as far as the guard needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Process or thread id.
    pub pid: i32,
    /// Name of the command, at most 15 bytes.
    pub command: String,
    /// `R`, `S`, `D`, `T`, `Z` and so on.
    pub state: char,
    /// Parent's process id.
    pub parent: i32,
    /// Session id; equal to `pid` in a session leader.
    pub session: i32,
    /// Controlling terminal, 0 for none.
    pub terminal: i32,
    /// Clock ticks since boot.
    pub start_ticks: u64,
}

impl Stat {
    /// Of a process or a thread that lives.
    pub fn of(pid: i32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(line);
        // The name may hold blanks and parentheses, so it ends at the last one.
        let (pid, rest) = text.split_once(" (")?;
        let (command, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        Some(Self {
            pid: pid.trim().parse().ok()?,
            command: command.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            terminal: fields.get(4)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }
}

/// Somebody who acts on files: the uppermost process of a job, with all that descend from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor {
    /// Process id of the uppermost process.
    pub pid: i32,
    /// Its start in clock ticks since boot.
    pub start_ticks: u64,
}

impl Actor {
    /// Whoever it was: where nobody can tell who wrote, all that happens to the tree counts together.
    pub const ANYBODY: Actor = Actor { pid: 0, start_ticks: 0 };

    /// One number for both.
    pub fn number(self) -> u64 {
        (self.start_ticks << 22) ^ u64::from(self.pid.unsigned_abs())
    }
}

/// Finds the actor behind a thread, and remembers it for the events that arrive after the process has ended.
#[derive(Debug, Default)]
pub struct Lineage {
    /// The guard and its ancestors: never part of an actor.
    own: Vec<i32>,
    remembered: HashMap<i32, (Instant, Actor)>,
    /// Processes that were seen at work, by actor: what a double fork would otherwise hide.
    members: HashMap<Actor, Vec<(i32, u64)>>,
}

impl Lineage {
    /// For the calling process.
    pub fn new() -> Self {
        let mut own = vec![0, 1, 2];
        let mut pid = rustix::process::getpid().as_raw_nonzero().get();
        while let Some(stat) = Stat::of(pid).filter(|_| own.len() < CLIMB_MAX) {
            own.push(pid);
            pid = stat.parent;
        }
        Self { own, ..Self::default() }
    }

    /// The guard's process id and those of its ancestors.
    pub fn own(&self) -> &[i32] {
        &self.own
    }

    /// The actor that thread or process `tid` belongs to; `None` when it has ended and was never seen.
    pub fn actor(&mut self, tid: i32) -> Option<Actor> {
        if let Some((_, actor)) = self.remembered.get(&tid).filter(|(seen, _)| seen.elapsed() < FRESH) {
            return Some(*actor);
        }
        let found = self.climb(tid);
        match found {
            Some(actor) => {
                if self.remembered.len() >= REMEMBERED_MAX {
                    self.remembered.clear();
                    self.members.clear();
                }
                self.remembered.insert(tid, (Instant::now(), actor));
                Some(actor)
            }
            None => self.remembered.get(&tid).map(|(_, actor)| *actor),
        }
    }

    /// Processes that were seen to belong to `actor`, with their start times; some may have ended.
    pub fn members(&self, actor: Actor) -> &[(i32, u64)] {
        self.members.get(&actor).map_or(&[], Vec::as_slice)
    }

    fn climb(&mut self, tid: i32) -> Option<Actor> {
        let pid = process_of(tid)?;
        let first = Stat::of(pid)?;
        let member = (pid, first.start_ticks);
        let mut top = first;
        for _ in 0..CLIMB_MAX {
            if let Some((_, known)) =
                self.remembered.get(&top.pid).filter(|(_, known)| known.start_ticks <= top.start_ticks)
            {
                // An ancestor that was seen at work decides, even when its own parent has since gone.
                let known = *known;
                self.join(known, member);
                return Some(known);
            }
            if self.own.contains(&top.parent) {
                break;
            }
            let Some(parent) = Stat::of(top.parent) else { break };
            let is_login_shell = parent.session == parent.pid && parent.terminal != 0;
            if is_login_shell || SERVICES.contains(&parent.command.as_str()) {
                break;
            }
            top = parent;
        }
        let actor = Actor { pid: top.pid, start_ticks: top.start_ticks };
        self.remembered.insert(top.pid, (Instant::now(), actor));
        self.join(actor, member);
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

/// How close a process is to a tree, as far as an ordinary user sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// It works in a folder of the tree, has one open, or names the tree on its command line.
    Beside,
    /// It reads a file of the tree.
    Reads,
    /// It has a file of the tree open for writing.
    Writes,
}

/// Processes other than `own` that are near one of `dirs`, with their start times.
pub fn near(dirs: &[PathBuf], own: &[i32]) -> Vec<((i32, u64), Nearness)> {
    let Ok(entries) = fs::read_dir("/proc") else { return vec![] };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| !own.contains(pid))
        .filter_map(|pid| {
            let nearness = nearness(pid, dirs)?;
            let stat = Stat::of(pid).filter(|stat| !matches!(stat.state, 'T' | 'Z' | 'X'))?;
            Some(((pid, stat.start_ticks), nearness))
        })
        .collect()
}

/// Files below `dirs` that process `pid` has open for writing.
pub fn written_by(pid: i32, dirs: &[PathBuf]) -> Vec<PathBuf> {
    open_below(pid, dirs)
        .filter(|(_, nearness)| *nearness == Nearness::Writes)
        .map(|(path, _)| path)
        .collect()
}

fn nearness(pid: i32, dirs: &[PathBuf]) -> Option<Nearness> {
    let below = |path: &Path| dirs.iter().any(|dir| path.starts_with(dir));
    let open = open_below(pid, dirs).map(|(_, nearness)| nearness);
    open.max().or_else(|| {
        let works_there = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|path| below(&path));
        let named = || {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|&byte| byte == 0).any(|word| below(Path::new(OsStr::from_bytes(word))))
        };
        (works_there || named()).then_some(Nearness::Beside)
    })
}

fn open_below(pid: i32, dirs: &[PathBuf]) -> impl Iterator<Item = (PathBuf, Nearness)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let target = fs::read_link(entry.path()).ok()?;
        dirs.iter().any(|dir| target.starts_with(dir)).then_some(())?;
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_str()?)).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = i32::from_str_radix(flags.trim(), 8).ok()?;
        let nearness = if flags & libc::O_ACCMODE != libc::O_RDONLY {
            Nearness::Writes
        } else if target.is_dir() {
            Nearness::Beside
        } else {
            Nearness::Reads
        };
        Some((target, nearness))
    })
}

/// The process that a thread belongs to.
pub(super) fn process_of(tid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    line.trim().parse().ok()
}

/// What an open may do to the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Intent {
    /// It can only read.
    Read,
    /// It may write, or nobody can tell.
    Write,
}

/// What an open asked for, from a line of proc_pid_syscall(5).
///
/// Only flags passed in a register are believed: `openat2` takes them from memory that another thread could change after
/// the kernel has read it. What cannot be told (io_uring, a 32-bit process, a kernel thread) counts as a write.
pub(super) fn parse_syscall(line: &str) -> Option<Intent> {
    let mut fields = line.split_ascii_whitespace();
    let number: i64 = fields.next()?.parse().ok()?;
    let mut arguments = fields.map(|field| u64::from_str_radix(field.trim_start_matches("0x"), 16).ok());
    let flags = if number == libc::SYS_openat {
        arguments.nth(2)??
    } else if is_old_open(number) {
        arguments.nth(1)??
    } else if number == libc::SYS_execve || number == libc::SYS_execveat {
        return Some(Intent::Read);
    } else {
        return None;
    };
    let flags = i32::try_from(flags & 0x7fff_ffff).ok()?;
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || flags & (libc::O_TRUNC | libc::O_CREAT) != 0;
    Some(if writes { Intent::Write } else { Intent::Read })
}

#[cfg(target_arch = "x86_64")]
fn is_old_open(number: i64) -> bool {
    number == libc::SYS_open
}

/// Newer architectures have openat only.
#[cfg(not(target_arch = "x86_64"))]
fn is_old_open(_: i64) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_and_blanks_does_not_shift_the_fields() {
        let line = b"42 (a) (b c) S 7 42 41 34816 42 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 100 200 1\n";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(
            (stat.command.as_str(), stat.parent, stat.session, stat.terminal, stat.start_ticks),
            ("a) (b c", 7, 41, 34816, 987_654)
        );
        assert_eq!(Stat::parse(b"42 (cut off"), None);
    }

    #[test]
    fn only_an_open_that_surely_reads_is_a_read() {
        let openat = libc::SYS_openat;
        for (line, expected) in [
            (format!("{openat} 0xffffff9c 0x7ffe 0x80000 0x0 0x0 0x0 0x7ffd 0x7f"), Some(Intent::Read)),
            (format!("{openat} 0xffffff9c 0x7ffe 0x80241 0x1b6 0x0 0x0 0x7ffd 0x7f"), Some(Intent::Write)),
            (format!("{openat} 0xffffff9c 0x7ffe 0x200 0x0 0x0 0x0 0x7ffd 0x7f"), Some(Intent::Write)),
            (format!("{} 0xffffff9c 0x7ffe 0x7fff 0x18 0x0 0x0 0x7ffd 0x7f", libc::SYS_openat2), None),
            ("running".to_owned(), None),
            ("-1 0x7ffd 0x7f".to_owned(), None),
        ] {
            assert_eq!(parse_syscall(&line), expected, "{line}");
        }
    }

    #[test]
    fn the_guard_and_its_ancestors_are_no_actors() {
        let lineage = Lineage::new();
        assert!(lineage.own().contains(&1));
        assert!(lineage.own().contains(&i32::try_from(std::process::id()).unwrap()));
    }
}
