//! Who and what no act may be done to, whatever a verdict says: one list for all acts.

mod spared;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use schema::Act;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::process::Process;
pub use spared::{Spared, is_internal};

/// The never-touch list.
///
/// Loopback, unspecified, multicast and broadcast addresses, processes 1 and 2 and the root control group belong to it always.
/// The machine's own addresses and those of the vault, the console and the listed host names come from outside
/// ([`NeverTouch::know`]), since this list asks no name server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NeverTouch {
    /// Addresses and networks: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`.
    pub networks: Vec<Network>,
    /// Names of machines. Their addresses are told with [`NeverTouch::know`].
    pub hosts: Vec<String>,
    /// Names of commands, as in `/proc/PID/comm`.
    pub commands: Vec<String>,
    /// Control groups, by their path below the cgroup mount, with all that lies below and above them.
    pub cgroups: Vec<String>,
    /// Process ids: the hub or the guard itself and its ancestors.
    #[serde(skip)]
    pub pids: Vec<i32>,
    /// Who is spared from bans alone: this machine's other addresses, gateways, name servers, domain controllers, the servers of
    /// the record, administrators who have just proven who they are.
    #[serde(skip)]
    pub spared: Spared,
    #[serde(skip)]
    known: Vec<(String, IpAddr)>,
}

impl NeverTouch {
    /// The list of those who only spare commands, as the guard's own command line names them.
    pub fn of_commands(commands: Vec<String>) -> Self {
        Self { commands, ..Self::default() }
    }

    /// Adds the addresses of something that is never touched; `what` says in the console what it is: `the vault`, `this machine`,
    /// or a name of [`NeverTouch::hosts`].
    pub fn know(&mut self, what: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses {
            let entry = (what.to_owned(), address.to_canonical());
            if !self.known.contains(&entry) {
                self.known.push(entry);
            }
        }
    }

    /// The entry that keeps this act from being done; `None` when it may be done.
    ///
    /// For [`Act::Freeze`] the name of the command is read from /proc; nothing is changed.
    pub fn forbids(&self, act: &Act) -> Option<String> {
        match act {
            Act::BlockAddress { address } => {
                self.holds_address(*address).or_else(|| self.spared.holds(*address))
            }
            Act::BlockEgress { address } | Act::IsolateHost { address } => self.holds_address(*address),
            Act::Freeze { pid, start_ticks } => {
                let process = Process::of(*pid).filter(|process| process.start_ticks == *start_ticks);
                self.holds_pid(*pid).or_else(|| self.holds_command(&process?.command))
            }
            Act::FreezeCgroup { path } => self.holds_cgroup(path),
            Act::SnapshotNow { .. } | Act::LockVault | Act::StartViewer | Act::Notify { .. } => None,
        }
    }

    /// The entry that an address belongs to. An IPv4-mapped IPv6 address is the IPv4 address.
    pub fn holds_address(&self, address: IpAddr) -> Option<String> {
        let address = address.to_canonical();
        if let Some(always) = always(address) {
            return Some(format!("{always} {address}"));
        }
        if let Some((what, _)) = self.known.iter().find(|(_, known)| *known == address) {
            return Some(format!("{what} {address}"));
        }
        self.networks.iter().find(|network| network.0.contains(&address)).map(Network::to_string)
    }

    /// Whether an administrator named anybody who is never cut off. Where nobody did, nothing bans by itself: whoever forgot to
    /// name himself would be the first to be locked out.
    pub fn has_allow_list(&self) -> bool {
        !self.networks.is_empty()
            || self.known.iter().any(|(what, _)| self.hosts.iter().any(|host| same_name(host, what)))
    }

    /// The entry that a machine's name belongs to, in whatever case it is written, while no address is known for that entry.
    ///
    /// As soon as there is one, the address decides: the name in a log line is often chosen by whoever logs in, and an attacker
    /// who calls itself after a listed machine must not be safe by that.
    pub fn holds_host(&self, name: &str) -> Option<String> {
        let entry = self.hosts.iter().find(|entry| same_name(entry, name))?;
        let is_known = self.known.iter().any(|(what, _)| same_name(what, entry));
        (!is_known).then(|| entry.clone())
    }

    /// Every network that no packet filter may cut off: the configured ones and the known addresses.
    pub fn networks(&self) -> impl Iterator<Item = IpNet> {
        let known = self.known.iter().map(|(_, address)| IpNet::from(*address));
        self.networks.iter().map(|network| network.0).chain(known)
    }

    pub(crate) fn holds_process(&self, process: &Process) -> Option<String> {
        self.holds_pid(process.pid).or_else(|| self.holds_command(&process.command))
    }

    fn holds_pid(&self, pid: i32) -> Option<String> {
        (pid <= 2 || self.pids.contains(&pid)).then(|| format!("process {pid}"))
    }

    fn holds_command(&self, command: &str) -> Option<String> {
        self.commands.iter().find(|entry| *entry == command).cloned()
    }

    /// A freezer holds all that is below, so a group above a listed one is as forbidden as one within it.
    fn holds_cgroup(&self, path: &str) -> Option<String> {
        let wanted: Vec<&str> = steps(path).collect();
        if wanted.is_empty() {
            return Some("the root control group".to_owned());
        }
        let related = |entry: &&String| {
            let mut pairs = steps(entry).zip(&wanted);
            steps(entry).next().is_some() && pairs.all(|(a, b)| a == *b)
        };
        self.cgroups.iter().find(related).cloned()
    }
}

fn same_name(a: &str, b: &str) -> bool {
    a.trim_end_matches('.').eq_ignore_ascii_case(b.trim_end_matches('.'))
}

fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|step| !step.is_empty() && *step != ".")
}

/// What nobody ever cuts off, by the sort of address.
fn always(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_loopback() => Some("loopback"),
        _ if address.is_unspecified() => Some("unspecified"),
        _ if address.is_multicast() => Some("multicast"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("broadcast"),
        // 0.0.0.0/8: "this network" (RFC 1122 §3.2.1.3) is never somebody's address either.
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some("unspecified"),
        _ => None,
    }
}

/// A network, or one address written without a length. IPv4-mapped IPv6 networks are kept as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpNet);

impl Network {
    /// The network as a value.
    pub fn net(self) -> IpNet {
        self.0
    }
}

impl From<IpNet> for Network {
    fn from(net: IpNet) -> Self {
        let mapped = |net: ipnet::Ipv6Net| {
            let v4 = net.addr().to_ipv4_mapped()?;
            ipnet::Ipv4Net::new(v4, net.prefix_len().checked_sub(96)?).ok()
        };
        let net = match net {
            IpNet::V6(v6) => mapped(v6).map_or(IpNet::V6(v6), IpNet::V4),
            v4 => v4,
        };
        Self(net.trunc())
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(IpNet::from(address.to_canonical()))
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = || text.parse::<IpAddr>().ok().map(Network::from);
        let net = || text.parse::<IpNet>().ok().map(Network::from);
        address().or_else(net).ok_or_else(|| format!("{text:?} is neither an address nor a network"))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            return write!(f, "{}", self.0.addr());
        }
        write!(f, "{}", self.0)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Network;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address such as 192.0.2.7 or a network such as 192.0.2.0/24")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Network, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> NeverTouch {
        let mut never: NeverTouch = serde_json::from_str(
            r#"{"networks": ["192.0.2.0/24", "2001:db8::/64", "::ffff:198.51.100.0/120", "203.0.113.9"],
                "hosts": ["EMR1.example."], "commands": ["postgres"], "cgroups": ["/system.slice/emr.service"]}"#,
        )
        .unwrap();
        never.know("the vault", ["10.9.0.1".parse().unwrap(), "::ffff:10.9.0.2".parse().unwrap()]);
        never
    }

    #[test]
    fn addresses_are_held_by_sort_by_network_and_by_what_they_belong_to() {
        let never = list();
        for (address, entry) in [
            ("127.8.8.8", Some("loopback 127.8.8.8")),
            ("::1", Some("loopback ::1")),
            ("::ffff:127.0.0.1", Some("loopback 127.0.0.1")),
            ("0.0.0.0", Some("unspecified 0.0.0.0")),
            ("::", Some("unspecified ::")),
            ("224.0.0.251", Some("multicast 224.0.0.251")),
            ("ff02::1", Some("multicast ff02::1")),
            ("255.255.255.255", Some("broadcast 255.255.255.255")),
            ("192.0.2.77", Some("192.0.2.0/24")),
            ("::ffff:192.0.2.77", Some("192.0.2.0/24")),
            ("198.51.100.3", Some("198.51.100.0/24")),
            ("203.0.113.9", Some("203.0.113.9")),
            ("2001:db8::5", Some("2001:db8::/64")),
            ("10.9.0.1", Some("the vault 10.9.0.1")),
            ("10.9.0.2", Some("the vault 10.9.0.2")),
            ("10.9.0.3", None),
            ("2001:db8:0:1::5", None),
            ("203.0.113.10", None),
        ] {
            let address: IpAddr = address.parse().unwrap();
            for act in
                [Act::BlockAddress { address }, Act::BlockEgress { address }, Act::IsolateHost { address }]
            {
                assert_eq!(never.forbids(&act).as_deref(), entry, "{address}");
            }
        }
    }

    #[test]
    fn a_listed_group_is_held_with_what_is_above_and_below_it() {
        let never = list();
        for (path, held) in [
            ("/", true),
            ("", true),
            ("/./", true),
            ("/system.slice", true),
            ("/system.slice/emr.service", true),
            ("/system.slice//emr.service/worker", true),
            ("/system.slice/emr.service2", false),
            ("/user.slice", false),
        ] {
            assert_eq!(never.forbids(&Act::FreezeCgroup { path: path.into() }).is_some(), held, "{path}");
        }
    }

    #[test]
    fn processes_are_held_by_number_and_by_command_and_hosts_by_name() {
        let mut never = list();
        let me = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let act = Act::Freeze { pid: me.pid, start_ticks: me.start_ticks };
        assert_eq!(never.forbids(&act), None);
        never.commands.push(me.command.clone());
        assert_eq!(never.forbids(&act), Some(me.command));
        never.commands.clear();
        never.pids.push(me.pid);
        assert_eq!(never.forbids(&act), Some(format!("process {}", me.pid)));
        assert!(never.forbids(&Act::Freeze { pid: 1, start_ticks: 1 }).is_some());
        assert_eq!(never.holds_host("emr1.EXAMPLE"), Some("EMR1.example.".into()));
        assert_eq!(never.holds_host("emr2.example"), None);
        never.know("emr1.example", ["10.9.0.7".parse().unwrap()]);
        assert_eq!(never.holds_host("emr1.example"), None);
        assert!(never.holds_address("10.9.0.7".parse().unwrap()).is_some());
        assert_eq!(never.forbids(&Act::LockVault), None);
    }

    #[test]
    fn what_is_spared_may_be_isolated_and_never_banned_and_an_empty_list_is_told_from_one() {
        let never = list();
        let address = "198.51.101.1".parse().unwrap();
        never.spared.add("a name server", [address]);
        let held = never.forbids(&Act::BlockAddress { address });
        assert_eq!(held.as_deref(), Some("a name server 198.51.101.1"));
        assert_eq!(never.forbids(&Act::IsolateHost { address }), None);
        assert_eq!(never.forbids(&Act::BlockEgress { address }), None);
        assert!(never.has_allow_list());
        let mut empty = NeverTouch::default();
        empty.know("this machine", [address]);
        empty.hosts.push("emr1".into());
        assert!(!empty.has_allow_list());
        empty.know("EMR1", [address]);
        assert!(empty.has_allow_list());
    }

    #[test]
    fn what_is_written_wrongly_is_named() {
        let error = serde_json::from_str::<NeverTouch>(r#"{"networks": ["10.0.0.0/33"]}"#).unwrap_err();
        assert!(error.to_string().contains("\"10.0.0.0/33\" is neither an address nor a network"));
        assert!(serde_json::from_str::<NeverTouch>(r#"{"addresses": []}"#).is_err());
    }
}
