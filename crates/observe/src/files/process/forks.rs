//! Who forked whom, as the kernel tells at that very moment (its connector for process events): it still stands when the child has
//! ended, or its parent has and the child belongs to init.
//!
//! Telling waits for nobody: each message comes before anything that the child does. Only root in the first namespaces is told; elsewhere
//! nothing is known of those who have ended.

use std::collections::{HashMap, VecDeque};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::netlink::{CONNECTOR, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use rustix::time::{ClockId, clock_gettime};

/// Some hundred bytes each in the kernel: enough for ten thousand between two looks.
const QUEUE_BYTES: usize = 8 << 20;
const BIRTHS_MAX: usize = 32_768;
/// The kernel tells of a fork a little later than it dates the child, and in nanoseconds instead of ticks.
const TICKS_APART_MAX: u64 = 5;
const NANOSECONDS_A_TICK: u64 = 10_000_000;

/// Of linux/connector.h and linux/cn_proc.h.
const PROCESSES: u32 = 1;
const LISTEN: u32 = 1;
const NOTHING: u32 = 0;
const FORK: u32 = 1;
/// Headers of netlink and of the connector.
const HEADERS: usize = 16 + 20;

/// When a process was forked, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Birth {
    pub(super) parent: i32,
    /// Clock ticks since boot, as in proc_pid_stat(5), or a few more.
    pub(super) ticks: u64,
}

impl Birth {
    /// It is about the process of this id that was started then, and not about one that had or got the id at another time.
    pub(super) fn is_of(self, start_ticks: u64) -> bool {
        self.ticks.abs_diff(start_ticks) <= TICKS_APART_MAX
    }

    /// A process that was started then may have been forked before this one.
    pub(super) fn may_follow(self, start_ticks: u64) -> bool {
        start_ticks <= self.ticks + TICKS_APART_MAX
    }
}

/// What the kernel told of forks, as far back as there is room.
#[derive(Debug, Default)]
pub(super) struct Forks {
    socket: Option<OwnedFd>,
    births: HashMap<i32, Birth>,
    /// Their order, with those that were overwritten since.
    order: VecDeque<(i32, u64)>,
}

impl Forks {
    /// Has the kernel tell from now on, where it does.
    pub(super) fn listen() -> Self {
        let mut forks = Self { socket: socket().ok(), ..Self::default() };
        // Its refusal is the first that it tells.
        forks.hear();
        forks
    }

    /// Whether the kernel tells.
    pub(super) fn is_told(&self) -> bool {
        self.socket.is_some()
    }

    /// Takes in what was told meanwhile. What found no room in the queue is lost, and those are judged by what /proc shows.
    pub(super) fn hear(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        let (mut buffer, mut boot) = ([MaybeUninit::uninit(); 512], None);
        loop {
            match rustix::net::recv(&socket, &mut buffer, RecvFlags::DONTWAIT) {
                Ok(((told, _), _)) => match parse(told) {
                    Some(Told::Refused) => return,
                    Some(Told::Fork { parent, child, nanoseconds }) => {
                        let boot = *boot.get_or_insert_with(asleep);
                        let ticks = (nanoseconds + boot) / NANOSECONDS_A_TICK;
                        self.note(child, Birth { parent, ticks });
                    }
                    None => {}
                },
                Err(rustix::io::Errno::INTR | rustix::io::Errno::NOBUFS) => {}
                Err(_) => break,
            }
        }
        self.socket = Some(socket);
    }

    /// What is known of the process that had this id last.
    pub(super) fn birth(&self, pid: i32) -> Option<Birth> {
        self.births.get(&pid).copied()
    }

    fn note(&mut self, child: i32, birth: Birth) {
        self.births.insert(child, birth);
        self.order.push_back((child, birth.ticks));
        while self.order.len() > BIRTHS_MAX {
            let Some((oldest, ticks)) = self.order.pop_front() else { break };
            if self.births.get(&oldest).is_some_and(|birth| birth.ticks == ticks) {
                self.births.remove(&oldest);
            }
        }
    }
}

fn socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(CONNECTOR))?;
    // A smaller queue holds less and is no reason to go without.
    let _ = sockopt::set_socket_recv_buffer_size_force(&socket, QUEUE_BYTES);
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, PROCESSES))?;
    rustix::net::send(&socket, &request(), SendFlags::empty())?;
    Ok(socket)
}

/// nlmsghdr, cn_msg and the operation.
fn request() -> Vec<u8> {
    let length = u32::try_from(HEADERS + size_of::<u32>()).unwrap_or_default();
    let words = [
        length,
        u32::from(u16::try_from(libc::NLMSG_DONE).unwrap_or_default()),
        0,
        0,
        PROCESSES,
        PROCESSES,
        0,
        0,
    ];
    let mut request: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    // Two fields of 16 bits: the operation's length, and flags.
    request.extend(4_u16.to_ne_bytes());
    request.extend(0_u16.to_ne_bytes());
    request.extend(LISTEN.to_ne_bytes());
    request
}

enum Told {
    Refused,
    Fork { parent: i32, child: i32, nanoseconds: u64 },
}

/// Of a process, not of a thread. The layout is that of `struct proc_event`, in this machine's order of bytes.
fn parse(told: &[u8]) -> Option<Told> {
    let event = told.get(HEADERS..)?;
    let word = |at: usize| Some(u32::from_ne_bytes(event.get(at..at + 4)?.try_into().ok()?));
    match word(0)? {
        NOTHING => (word(16)? != 0).then_some(Told::Refused),
        FORK => {
            let id = |at: usize| i32::try_from(word(at)?).ok();
            let (parent, child, its_process) = (id(20)?, id(24)?, id(28)?);
            let nanoseconds = u64::from_ne_bytes(event.get(8..16)?.try_into().ok()?);
            (child == its_process).then_some(Told::Fork { parent, child, nanoseconds })
        }
        _ => None,
    }
}

/// Nanoseconds that the machine has slept since boot: processes are dated with them, what is told is not.
fn asleep() -> u64 {
    let clock = |id| {
        let at = clock_gettime(id);
        let seconds = Duration::from_secs(u64::try_from(at.tv_sec).unwrap_or_default());
        seconds + Duration::from_nanos(u64::try_from(at.tv_nsec).unwrap_or_default())
    };
    let (awake, all) = (clock(ClockId::Monotonic), clock(ClockId::Boottime));
    u64::try_from(all.saturating_sub(awake).as_nanos()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::files::process::Stat;

    #[test]
    fn who_forked_a_process_stands_when_both_have_ended() {
        let mut forks = Forks::listen();
        if !forks.is_told() {
            testkit::skip(
                "who_forked_a_process_stands_when_both_have_ended",
                "the kernel tells nobody here of forks",
            );
            return;
        }
        // A shell, its child, and the child's orphan, which is the only one left.
        let line = "sh -c 'sleep 30 >/dev/null 2>&1 & echo $$ $!'; echo $$";
        let told = Command::new("sh").args(["-c", line]).output().unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        let pids: Vec<i32> = told.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect();
        let [child, orphan, shell] = pids[..] else { panic!("{told}") };
        forks.hear();
        let (birth, stat) = (forks.birth(orphan).unwrap(), Stat::of(orphan).unwrap());
        assert_eq!(birth.parent, child);
        assert!(birth.is_of(stat.start_ticks), "{birth:?} {stat:?}");
        assert_ne!(stat.parent, child, "it belongs to init");
        assert_eq!(forks.birth(child).unwrap().parent, shell);
        assert_eq!(forks.birth(shell).unwrap().parent, i32::try_from(std::process::id()).unwrap());
        let _ = Command::new("kill").arg(orphan.to_string()).status();
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest() {
        let mut forks = Forks::default();
        for ticks in 0..3 * BIRTHS_MAX as u64 {
            // Ids are given out again.
            let child = i32::try_from(ticks % (BIRTHS_MAX as u64 + 1000)).unwrap();
            forks.note(child, Birth { parent: 1, ticks });
        }
        assert!(forks.births.len() <= BIRTHS_MAX && forks.order.len() <= BIRTHS_MAX);
        let last = 3 * BIRTHS_MAX as u64 - 1;
        let child = i32::try_from(last % (BIRTHS_MAX as u64 + 1000)).unwrap();
        assert_eq!(forks.birth(child), Some(Birth { parent: 1, ticks: last }));
    }

    #[test]
    fn anything_but_a_fork_of_a_process_is_no_birth() {
        for length in 0..80 {
            assert!(parse(&vec![0xff; length]).is_none());
            assert!(parse(&vec![0; length]).is_none());
        }
    }
}
