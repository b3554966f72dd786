//! Whom a process talks to.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

use super::proc::text;

const SOCKETS_MAX: usize = 512;

/// One socket of a process, as its network namespace shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Socket {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Its own address.
    pub local: SocketAddr,
    /// The other side; unspecified where there is none.
    pub remote: SocketAddr,
    /// For TCP the state's name, else empty.
    pub state: &'static str,
}

/// The sockets of process `pid`.
pub(super) fn of(pid: i32) -> Vec<Socket> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return vec![] };
    let inodes: Vec<u64> = entries
        .flatten()
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .take(SOCKETS_MAX)
        .collect();
    if inodes.is_empty() {
        return vec![];
    }
    let mut known = BTreeMap::new();
    for (protocol, table) in [("tcp", "tcp"), ("tcp", "tcp6"), ("udp", "udp"), ("udp", "udp6")] {
        known.extend(parse(protocol, &text(&format!("/proc/{pid}/net/{table}"))));
    }
    inodes.iter().filter_map(|inode| known.get(inode).cloned()).collect()
}

/// proc_pid_net(5): `sl local_address rem_address st … inode`, numbers in hexadecimal.
fn parse<'a>(protocol: &'static str, table: &'a str) -> impl Iterator<Item = (u64, Socket)> + 'a {
    table.lines().skip(1).filter_map(move |line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let socket = Socket {
            protocol,
            local: address(fields.get(1)?)?,
            remote: address(fields.get(2)?)?,
            state: if protocol == "tcp" { state(fields.get(3)?) } else { "" },
        };
        Some((fields.get(9)?.parse().ok()?, socket))
    })
}

/// Words of four bytes each, written as numbers of this machine.
fn address(field: &str) -> Option<SocketAddr> {
    let (address, port) = field.split_once(':')?;
    let words: Vec<[u8; 4]> = address
        .as_bytes()
        .chunks(8)
        .filter_map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok())
        .map(u32::to_ne_bytes)
        .collect();
    let ip: IpAddr = match words.as_slice() {
        [word] => Ipv4Addr::from(*word).into(),
        [a, b, c, d] => {
            let bytes: [u8; 16] = [*a, *b, *c, *d].concat().try_into().ok()?;
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// The kernel's numbers, from include/net/tcp_states.h.
fn state(number: &str) -> &'static str {
    match number {
        "01" => "established",
        "02" => "connecting",
        "03" => "accepting",
        "04" | "05" | "07" | "08" | "09" | "0B" => "closing",
        "06" => "time-wait",
        "0A" => "listening",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_connection_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1538 0200007F:01BB 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n";
        let found: Vec<_> = parse("tcp", table).collect();
        assert_eq!(found.len(), 1);
        let (inode, socket) = &found[0];
        assert_eq!((*inode, socket.state), (4711, "established"));
        assert_eq!(
            (socket.local.to_string(), socket.remote.to_string()),
            ("127.0.0.1:5432".into(), "127.0.0.2:443".into())
        );
        assert!(parse("tcp", "head\ncut off: 01\n").next().is_none());
        assert_eq!(
            address("0000000000000000FFFF00000100007F:0016").map(|a| a.to_string()).as_deref(),
            Some("127.0.0.1:22")
        );
    }
}
