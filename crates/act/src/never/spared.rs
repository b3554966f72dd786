//! Who is never banned, although it may be isolated: what the hospital stands on, and who was just proven to be an administrator.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use jiff::Timestamp;

/// Addresses that are kept at most; a machine has few of its own, and few people administer a hospital.
const SPARED_MAX: usize = 1_024;

/// Addresses that no ban ever holds, for a time or for good.
///
/// Clones share one list, so that who logs in at the console is known to the wall at once. A ban cuts off whoever comes from an
/// address; an isolation of a server that encrypts its own records must stay possible, so these are spared from bans alone.
#[derive(Debug, Clone, Default)]
pub struct Spared(Arc<Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    by_address: BTreeMap<IpAddr, (String, Option<Timestamp>)>,
    /// Counts changes, so that the kernel's list is renewed only after one.
    changes: u64,
}

/// Two lists of different machines are the same as far as the configuration goes.
impl PartialEq for Spared {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Spared {}

impl Spared {
    /// Adds addresses for good; `what` says in the console what they are: `a name server`, `the gateway`.
    pub fn add(&self, what: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        addresses.into_iter().for_each(|address| self.put(what, address, None));
    }

    /// Adds the address of somebody who has just proven who they are, until then.
    pub fn vouch(&self, what: &str, address: IpAddr, until: Timestamp) {
        self.put(what, address, Some(until));
    }

    fn put(&self, what: &str, address: IpAddr, until: Option<Timestamp>) {
        let address = address.to_canonical();
        let is_nobody = address.is_loopback() || address.is_unspecified() || address.is_multicast();
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = list.by_address.get(&address).is_some_and(|(_, known)| match (known, until) {
            (None, _) => true,
            (Some(known), Some(until)) => *known >= until,
            (Some(_), None) => false,
        });
        if is_nobody
            || stands
            || (list.by_address.len() >= SPARED_MAX && !list.by_address.contains_key(&address))
        {
            return;
        }
        list.by_address.insert(address, (what.to_owned(), until));
        list.changes += 1;
    }

    /// Forgets those whose time is over.
    pub fn sweep(&self, now: Timestamp) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = list.by_address.len();
        list.by_address.retain(|_, (_, until)| until.is_none_or(|until| until > now));
        list.changes += u64::from(list.by_address.len() != before);
    }

    /// What an address is spared as.
    pub fn holds(&self, address: IpAddr) -> Option<String> {
        let address = address.to_canonical();
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.by_address.get(&address).map(|(what, _)| format!("{what} {address}"))
    }

    /// All of them.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.by_address.keys().copied().collect()
    }

    /// Another number after each change.
    pub fn changes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).changes
    }
}

/// Whether an address belongs to a private network, or to one of `own`: behind it there may be a ward, a router that translates
/// addresses or a server of virtual desktops, and not one person.
pub fn is_internal(address: IpAddr, own: &[IpNet]) -> bool {
    let address = address.to_canonical();
    let is_private = match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || is_shared(v4),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || is_site_local(v6),
    };
    is_private || own.iter().any(|network| network.contains(&address))
}

/// 100.64.0.0/10 (RFC 6598): providers' and VPNs' own networks.
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && second & 0xc0 == 64
}

/// fec0::/10, which old networks still use (RFC 3879).
fn is_site_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfec0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_vouched_for_is_spared_until_then_and_who_is_added_for_good() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let spared = Spared::default();
        let shared = spared.clone();
        spared.vouch("an administrator", address("::ffff:198.51.100.4"), at(100));
        spared.vouch("an administrator", address("198.51.100.4"), at(50));
        spared.add("the gateway", [address("192.0.2.1"), address("127.0.0.1"), address("::")]);
        spared.vouch("an administrator", address("192.0.2.1"), at(100));
        assert_eq!(shared.holds(address("198.51.100.4")).as_deref(), Some("an administrator 198.51.100.4"));
        assert_eq!(shared.addresses(), [address("192.0.2.1"), address("198.51.100.4")]);
        let changes = shared.changes();
        shared.sweep(at(99));
        assert_eq!(shared.changes(), changes);
        shared.sweep(at(100));
        assert_eq!((spared.addresses(), spared.changes()), (vec![address("192.0.2.1")], changes + 1));
        for n in 0..2 * SPARED_MAX as u32 {
            spared.add("x", [IpAddr::from(Ipv4Addr::from(0x0a00_0000 + n))]);
        }
        assert_eq!(spared.addresses().len(), SPARED_MAX);
    }

    #[test]
    fn private_addresses_and_the_hospitals_own_are_internal() {
        let own: Vec<IpNet> = vec!["203.0.113.0/24".parse().unwrap(), "2001:db8:5::/48".parse().unwrap()];
        for (address, expected) in [
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("192.168.9.9", true),
            ("169.254.1.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("::ffff:10.1.2.3", true),
            ("fd00::5", true),
            ("fe80::5", true),
            ("fec0::5", true),
            ("2001:db8::1", false),
            ("198.51.100.7", false),
            ("203.0.113.9", true),
            ("2001:db8:5::9", true),
        ] {
            assert_eq!(is_internal(address.parse().unwrap(), &own), expected, "{address}");
        }
    }
}
