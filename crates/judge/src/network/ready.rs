//! What is made of the rules once, so that no event pays for it.

use std::net::IpAddr;

use ipnet::IpNet;

use super::rules::Rules;
use super::scan::trw::Steps;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    inside: Nets,
    pub(super) steps: Steps,
}

impl Ready {
    pub(super) fn of(rules: &Rules) -> Self {
        Self { inside: Nets::of(&rules.internal), steps: Steps::of(rules) }
    }

    /// As [`Rules::is_internal`], which every event asks of both its ends.
    #[inline]
    pub(super) fn is_internal(&self, address: IpAddr) -> bool {
        self.inside.contain(address)
    }
}

/// Networks as masks, each with the bits that it wants.
#[derive(Debug, Clone, Default)]
struct Nets {
    four: Vec<[u32; 2]>,
    six: Vec<[u128; 2]>,
}

impl Nets {
    fn of(nets: &[IpNet]) -> Self {
        let mut masks = Self::default();
        for net in nets {
            match net {
                IpNet::V4(net) => masks.four.push([net.netmask().to_bits(), net.network().to_bits()]),
                IpNet::V6(net) => masks.six.push([net.netmask().to_bits(), net.network().to_bits()]),
            }
        }
        masks
    }

    #[inline]
    fn contain(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.four.iter().any(|[mask, net]| address.to_bits() & mask == *net),
            IpAddr::V6(address) => self.six.iter().any(|[mask, net]| address.to_bits() & mask == *net),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_say_what_networks_say() {
        let mut rules = Rules::default();
        rules.internal.extend(
            ["0.0.0.0/32", "203.0.113.64/26", "2001:db8:4::/46"].map(|net| net.parse::<IpNet>().unwrap()),
        );
        let ready = Ready::of(&rules);
        for address in [
            "0.0.0.0",
            "0.0.0.1",
            "9.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.31.255.255",
            "192.168.3.4",
            "203.0.113.63",
            "203.0.113.127",
            "203.0.113.128",
            "::",
            "::1",
            "fd00::1",
            "fe80::9",
            "2001:db8:7::1",
            "2001:db8:8::1",
            "ffff::",
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(ready.is_internal(address), rules.is_internal(address), "{address}");
        }
        let all = Ready::of(&Rules { internal: vec!["0.0.0.0/0".parse().unwrap()], ..Rules::default() });
        assert!(
            all.is_internal("198.51.100.1".parse().unwrap())
                && !all.is_internal("2001:db8::1".parse().unwrap())
        );
    }
}
