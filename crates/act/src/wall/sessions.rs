//! Who is at work on this machine over the network: they must still be able to log in under a new policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::gate::Gate;
use super::policy::{Action, Answer, Moment, Policy, Probe, Transport};
use crate::Error;

/// Sessions that are looked at.
const SESSIONS_MAX: usize = 1000;
const ESTABLISHED: &str = "01";

/// One TCP session to this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session {
    /// Who.
    pub from: IpAddr,
    /// This machine.
    pub to: IpAddr,
    /// Its port.
    pub port: u16,
}

impl Session {
    /// From what sshd leaves in `SSH_CONNECTION`: `CLIENT PORT SERVER PORT`.
    pub fn of_ssh(connection: &str) -> Option<Self> {
        let mut words = connection.split_whitespace();
        let (from, _, to, port) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let address = |text: &str| -> Option<IpAddr> {
            let text = text.split('%').next()?;
            Some(text.parse::<IpAddr>().ok()?.to_canonical())
        };
        Some(Self { from: address(from)?, to: address(to)?, port: port.parse().ok()? })
    }
}

/// What one machine knows about where addresses are.
#[derive(Debug, Clone, Default)]
pub struct Whereabouts {
    own: Vec<IpAddr>,
}

impl Whereabouts {
    /// Addresses of the machine itself.
    pub fn own(&self) -> &[IpAddr] {
        &self.own
    }
}

impl Gate {
    /// The addresses of the machine; none where it has no `ip`.
    pub fn whereabouts(&self) -> Whereabouts {
        let listed = self.ip(&["addr", "show"]).ok();
        let listed: Value = listed.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
        let links = listed.as_array().map(Vec::as_slice).unwrap_or_default();
        let infos = links.iter().filter_map(|link| link.get("addr_info")?.as_array()).flatten();
        let own = infos.filter_map(|info| info.get("local")?.as_str()?.parse().ok()).collect();
        Whereabouts { own }
    }

    /// Which interface leads to an address.
    pub fn interface_to(&self, address: IpAddr) -> Option<String> {
        let text = address.to_string();
        let json = self.ip(&["route", "get", &text]).ok()?;
        let routes: Value = serde_json::from_slice(&json).ok()?;
        Some(routes.get(0)?.get("dev")?.as_str()?.to_owned())
    }

    /// Sessions that stand now to these ports of the machine.
    pub fn sessions(&self, ports: &[u16]) -> Result<Vec<Session>, Error> {
        let text = self.sockets()?;
        let text = String::from_utf8_lossy(&text);
        let mut sessions: Vec<Session> =
            text.lines().filter_map(of_line).filter(|session| ports.contains(&session.port)).collect();
        sessions.sort_unstable();
        sessions.dedup();
        sessions.truncate(SESSIONS_MAX);
        Ok(sessions)
    }

    /// What becomes of a new connection, with the interfaces looked up where zones ask for them. An error names the zone of
    /// which nobody can tell whether an address lies in it.
    pub fn answer(
        &self,
        policy: &Policy,
        whereabouts: &Whereabouts,
        asked: &Asked<'_>,
    ) -> Result<Answer, String> {
        let needs_interfaces = policy.zones.iter().any(|zone| !zone.interfaces.is_empty());
        let interface = |given: Option<&str>, address| match given {
            Some(given) => Some(given.to_owned()),
            None if needs_interfaces => self.interface_to(address),
            None => None,
        };
        policy.answer(&Probe {
            source: asked.source,
            destination: asked.destination,
            in_interface: interface(asked.in_interface, asked.source),
            out_interface: interface(asked.out_interface, asked.destination),
            is_to_self: whereabouts.own.contains(&asked.destination),
            transport: asked.transport,
            at: asked.at,
        })
    }

    /// Sessions whose like could not begin anew under a policy.
    pub fn cut_off(&self, policy: &Policy, sessions: &[Session], at: Moment) -> Vec<Session> {
        let mut whereabouts = self.whereabouts();
        if whereabouts.own.is_empty() {
            whereabouts.own = sessions.iter().map(|session| session.to).collect();
        }
        let is_cut_off = |session: &&Session| {
            let asked = Asked {
                source: session.from,
                destination: session.to,
                transport: Transport::Tcp(session.port),
                in_interface: None,
                out_interface: None,
                at,
            };
            let is_own = session.from.is_loopback() || whereabouts.own.contains(&session.from);
            let answer = self.answer(policy, &whereabouts, &asked);
            !is_own && answer.map_or(true, |answer| answer.action == Action::Refuse)
        };
        sessions.iter().filter(is_cut_off).copied().collect()
    }
}

/// A connection that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who begins it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// To which port.
    pub transport: Transport,
    /// Where it comes in; `None`: where the machine would send an answer.
    pub in_interface: Option<&'a str>,
    /// Where it goes out; `None`: where the machine would send it.
    pub out_interface: Option<&'a str>,
    /// When.
    pub at: Moment,
}

/// A line of `/proc/net/tcp`: addresses are words of 32 bits in the machine's own order, in hexadecimal digits.
fn of_line(line: &str) -> Option<Session> {
    let mut words = line.split_whitespace().skip(1);
    let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
    if state != ESTABLISHED {
        return None;
    }
    let ((to, port), (from, _)) = (endpoint(local)?, endpoint(remote)?);
    Some(Session { from, to, port })
}

fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| -> Option<[u8; 4]> {
        Some(u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes())
    };
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let bytes: Vec<u8> = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical()
        }
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_read_from_the_kernels_lines_and_from_ssh() {
        let session = |from: &str, to: &str, port| Session {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            port,
        };
        for (line, expected) in [
            (
                "  0: 010011AC:0016 0200A8C0:D431 01 00000000:0",
                Some(session("192.168.0.2", "172.17.0.1", 22)),
            ),
            ("  0: 00000000:0016 00000000:0000 0A 00000000:0", None),
            (
                "  1: 0000000000000000FFFF0000010011AC:0016 0000000000000000FFFF00000200A8C0:D431 01",
                Some(session("192.168.0.2", "172.17.0.1", 22)),
            ),
            ("  sl  local_address rem_address   st", None),
            ("x: 01:16 02:16 01", None),
        ] {
            assert_eq!(of_line(line), expected, "{line}");
        }
        let ssh = Session::of_ssh("fe80::2%eth0 50000 fe80::1%eth0 2222");
        assert_eq!(ssh, Some(session("fe80::2", "fe80::1", 2222)));
        assert_eq!(Session::of_ssh("192.0.2.1 5"), None);
    }
}
