//! Connections of Samba's clients, read from /proc: which process serves which address.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::is_server;
use crate::files::process::Stat;

const LISTEN: &str = "0A";
/// Established, and those that one side has closed already: what the client asked for may still be under way.
const CONNECTED: [&str; 4] = ["01", "04", "05", "08"];
const TABLE_LINES_MAX: usize = 65_536;
const DESCRIPTORS_MAX: usize = 65_536;
/// How often all processes are looked through for servers; their children are looked at each time.
const SERVERS_FRESH: Duration = Duration::from_secs(10);

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
        // Looking through all processes takes long enough for a client to slip in, so it is done seldom, and when a server is gone.
        let gone = self
            .servers
            .iter()
            .any(|server| Stat::of(server.pid).is_none_or(|now| now.start_ticks != server.start_ticks));
        if gone || self.looked_at.is_none_or(|at| at.elapsed() >= SERVERS_FRESH) {
            self.looked_at = Some(Instant::now());
            let all: Vec<Stat> = processes().filter(|stat| is_server(&stat.command)).collect();
            let standing: BTreeSet<(i32, u64)> =
                all.iter().map(|stat| (stat.pid, stat.start_ticks)).collect();
            self.known.retain(|key, _| standing.contains(key));
            // Who serves a connection has no children: the listening ones are the others.
            self.servers = all.into_iter().filter(|stat| of(stat).is_none()).collect();
        }
        let mut found = Vec::new();
        let pids = self.servers.iter().flat_map(|server| children(server.pid)).collect::<BTreeSet<_>>();
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
    let own = sockets(pid);
    let table: Vec<Socket> = ["tcp", "tcp6"]
        .iter()
        .filter_map(|name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).ok())
        .flat_map(|text| text.lines().take(TABLE_LINES_MAX).filter_map(Socket::parse).collect::<Vec<_>>())
        .collect();
    if table.iter().any(|socket| socket.listens && own.contains(&socket.inode)) {
        return None;
    }
    // A server may have connections of its own, to a directory service for one: the client's leads to a port that is listened on.
    let ports: BTreeSet<u16> =
        table.iter().filter(|socket| socket.listens).map(|socket| socket.port).collect();
    let served = |socket: &&Socket| {
        !socket.listens
            && own.contains(&socket.inode)
            && (ports.contains(&socket.port) || [139, 445].contains(&socket.port))
    };
    let address = table.iter().find(served)?.remote;
    // Looked up from a process id that may have been given out anew meanwhile.
    let still = Stat::of(pid)?.start_ticks == process.start_ticks;
    still.then_some(Connection { pid, start_ticks: process.start_ticks, address })
}

/// A process of Samba's that has others of its kind as children: the listening server. It is neither frozen nor ended.
pub fn serves_all(pid: i32) -> bool {
    let is_one = |pid| Stat::of(pid).is_some_and(|stat| is_server(&stat.command));
    is_one(pid) && children(pid).any(is_one)
}

/// A line of `/proc/net/tcp` or `tcp6` (proc_pid_net(5)) that listens or is connected.
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

fn sockets(pid: i32) -> BTreeSet<u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = entries.take(DESCRIPTORS_MAX).filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
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
    fn a_process_that_serves_nobody_has_no_connection() {
        let own = Stat::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(of(&own), None);
        assert_eq!(of(&Stat { command: "smbd".into(), ..own }), None);
    }
}
