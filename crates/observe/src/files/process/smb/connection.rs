//! Connections of Samba's clients, read from /proc: which process serves which address.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::socket_acceptconn;
use rustix::net::{getpeername, getsockname};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::is_server;
use crate::files::process::Stat;

/// Of SMB, directly and over NetBIOS.
const USUAL: [u16; 2] = [445, 139];
const LISTEN: &str = "0A";
/// Established, and those that one side has closed already: what the client asked for may still be under way.
const CONNECTED: [&str; 4] = ["01", "04", "05", "08"];
const TABLE_LINES_MAX: usize = 65_536;
const DESCRIPTORS_MAX: usize = 65_536;
/// How often all processes are looked through for servers; their children are looked at each time.
const SERVERS_FRESH: Duration = Duration::from_millis(500);

/// One client's connection: the process that serves it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The process.
    pub pid: i32,
    /// Its start in clock ticks since boot.
    pub start_ticks: u64,
    /// The client's address; an IPv4-mapped IPv6 address is given as IPv4.
    pub address: IpAddr,
}

/// The listening servers of this machine, for finding new connections within milliseconds.
#[derive(Debug, Default)]
pub struct Servers {
    servers: Vec<Stat>,
    looked_at: Option<Instant>,
    /// Children whose address is known; those that were forked a moment ago are looked at again.
    known: HashMap<(i32, u64), IpAddr>,
}

impl Servers {
    /// Connections that stand now.
    pub fn connections(&mut self) -> Vec<Connection> {
        if self.looked_at.is_none_or(|at| at.elapsed() >= SERVERS_FRESH) {
            self.looked_at = Some(Instant::now());
            let all: Vec<Stat> = processes().filter(|stat| is_server(&stat.command)).collect();
            // The listening ones are nobody's children; one that serves a client comes and goes.
            let listens =
                |stat: &Stat| Stat::of(stat.parent).is_none_or(|parent| !is_server(&parent.command));
            self.servers = all.into_iter().filter(listens).collect();
        }
        let mut found = Vec::new();
        let pids = self.servers.iter().flat_map(|server| children(server.pid)).collect::<BTreeSet<_>>();
        self.known.retain(|(pid, _), _| pids.contains(pid));
        for stat in pids.into_iter().filter_map(Stat::of).filter(|stat| is_server(&stat.command)) {
            let (pid, start_ticks) = (stat.pid, stat.start_ticks);
            let known = self.known.get(&(pid, start_ticks)).copied();
            let connection =
                known.map(|address| Connection { pid, start_ticks, address }).or_else(|| of(&stat));
            if let Some(connection) = connection {
                self.known.insert((pid, start_ticks), connection.address);
                found.push(connection);
            }
        }
        found
    }
}

/// The connection that a process of the server serves. `None` for the listening server itself, for whatever has servers as
/// children, and for one of its helpers: none of them may ever be ended, since all clients would go with them.
pub(super) fn of(process: &Stat) -> Option<Connection> {
    let pid = process.pid;
    let parent = Stat::of(process.parent)?;
    if !is_server(&process.command) || !is_server(&parent.command) || serves_all(pid) {
        return None;
    }
    let own = held(pid).unwrap_or_else(|| listed(pid));
    if own.is_empty() || own.iter().any(|socket| socket.listens) {
        return None;
    }
    // A server may have connections of its own, to a directory service for one: the client's leads to a port that is listened on.
    let elsewhere = || held(parent.pid).unwrap_or_else(|| listed(parent.pid));
    let ports: BTreeSet<u16> = if own.iter().any(|socket| USUAL.contains(&socket.port)) {
        USUAL.into()
    } else {
        elsewhere().iter().filter(|socket| socket.listens).map(|socket| socket.port).collect()
    };
    let served = |socket: &&Socket| ports.contains(&socket.port);
    let address = own.iter().find(served)?.remote;
    // Looked up from a process id that may have been given out anew meanwhile.
    let still = Stat::of(pid)?.start_ticks == process.start_ticks;
    still.then_some(Connection { pid, start_ticks: process.start_ticks, address })
}

/// A process of Samba's that has others of its kind as children: the listening server. It is neither frozen nor ended.
pub fn serves_all(pid: i32) -> bool {
    let is_one = |pid| Stat::of(pid).is_some_and(|stat| is_server(&stat.command));
    is_one(pid) && children(pid).any(is_one)
}

/// The sockets that a process holds, asked of themselves (pidfd_getfd(2)): some microseconds, while the kernel's table of all
/// connections takes 9 ms to print on a machine with much memory (measured), long enough for a client to slip in. `None` where
/// that is not allowed.
fn held(pid: i32) -> Option<Vec<Socket>> {
    let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let mut sockets = Vec::new();
    for (descriptor, inode) in sockets_of(pid) {
        let socket = match pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty()) {
            Ok(socket) => socket,
            // Closed meanwhile.
            Err(Errno::BADF) => continue,
            Err(_) => return None,
        };
        // Sockets that lead to no address are of no interest, nor is one whose other side is gone.
        let Some(local) = getsockname(&socket).ok().and_then(|any| SocketAddr::try_from(any).ok()) else {
            continue;
        };
        let peer = getpeername(&socket).ok().flatten().and_then(|any| SocketAddr::try_from(any).ok());
        let listens = socket_acceptconn(&socket).unwrap_or(false);
        if let Some(peer) = peer.or(listens.then_some(local)) {
            sockets.push(Socket { listens, port: local.port(), remote: peer.ip().to_canonical(), inode });
        }
    }
    Some(sockets)
}

/// The same from the kernel's table.
fn listed(pid: i32) -> Vec<Socket> {
    let own: BTreeSet<u64> = sockets_of(pid).map(|(_, inode)| inode).collect();
    let tables = ["tcp", "tcp6"].into_iter();
    let tables = tables.filter_map(|name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).ok());
    let lines =
        |text: String| text.lines().take(TABLE_LINES_MAX).filter_map(Socket::parse).collect::<Vec<_>>();
    tables.flat_map(lines).filter(|socket| own.contains(&socket.inode)).collect()
}

/// A socket that listens or is connected, as a line of `/proc/net/tcp` or `tcp6` (proc_pid_net(5)) has it.
#[derive(Debug, PartialEq, Eq)]
struct Socket {
    listens: bool,
    port: u16,
    remote: IpAddr,
    inode: u64,
}

impl Socket {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        let (remote, state) = (fields.next()?, fields.next()?);
        let inode = fields.nth(5)?.parse().ok()?;
        let listens = state == LISTEN;
        if !listens && !CONNECTED.contains(&state) {
            return None;
        }
        let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        Some(Self { listens, port, remote: address(remote.rsplit_once(':')?.0)?, inode })
    }
}

/// The kernel prints the words of an address as its own machine has them in memory.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at * 8)?);
            }
            Some(IpAddr::from(Ipv6Addr::from(bytes)).to_canonical())
        }
        _ => None,
    }
}

/// Descriptors of sockets, with their inodes.
fn sockets_of(pid: i32) -> impl Iterator<Item = (i32, u64)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.take(DESCRIPTORS_MAX).filter_map(|entry| {
        let link = fs::read_link(entry.path()).ok()?;
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, inode))
    })
}

fn children(pid: i32) -> impl Iterator<Item = i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>().into_iter()
}

fn processes() -> impl Iterator<Item = Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Stat::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_of_connections_is_read() {
        for (line, expected) in [
            (
                "   1: 0100007F:11C1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1930564 1 0 100",
                Some((true, 0x11c1, "0.0.0.0", 1_930_564)),
            ),
            (
                "   6: 0100007F:11C1 0200007F:8CAA 01 00000000:00000000 02:000AFBFA 00000000     0        0 1930597 2 0 20",
                Some((false, 0x11c1, "127.0.0.2", 1_930_597)),
            ),
            (
                "0: 0000000000000000FFFF00000100007F:01BD 0000000000000000FFFF0000070200C0:8CAA 01 0:0 0:0 0 0 0 77 1",
                Some((false, 445, "192.0.2.7", 77)),
            ),
            // Closing, headings, nonsense.
            ("6: 0100007F:11C1 0200007F:8CAA 06 00000000:00000000 02:0 0 0 0 12 2", None),
            (
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
                None,
            ),
            ("6: 0100007F 0200007F 01", None),
            ("", None),
        ] {
            let found = Socket::parse(line);
            let expected = expected.map(|(listens, port, remote, inode)| Socket {
                listens,
                port,
                remote: remote.parse().unwrap(),
                inode,
            });
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn a_socket_says_itself_what_the_table_says_of_it() {
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listening.local_addr().unwrap()).unwrap();
        let (_served, from) = listening.accept().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let port = listening.local_addr().unwrap().port();
        for sockets in [held(own).unwrap(), listed(own)] {
            let there = |listens: bool, peer: Option<IpAddr>| {
                sockets.iter().any(|socket| {
                    socket.listens == listens
                        && socket.port == port
                        && peer.is_none_or(|peer| socket.remote == peer)
                })
            };
            assert!(there(true, None) && there(false, Some(from.ip())), "{sockets:?}");
        }
        drop(client);
    }

    #[test]
    fn a_process_that_serves_nobody_has_no_connection() {
        let own = Stat::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(of(&own), None);
        assert_eq!(of(&Stat { command: "smbd".into(), ..own }), None);
    }
}
