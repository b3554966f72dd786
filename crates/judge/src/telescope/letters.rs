//! Sources grouped by the network that they belong to: one letter for each.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use schema::telescope::{LetterEvidence, Network, Target};

use super::{Confirmed, SourceRow};

/// A table of networks; the narrowest that holds an address is the one.
#[derive(Debug, Clone, Default)]
pub struct Contacts {
    by_prefix: BTreeMap<IpNet, Network>,
    lengths: Vec<u8>,
}

impl Contacts {
    /// Adds a network; the first of two with one prefix stays.
    pub fn add(&mut self, prefix: IpNet, name: &str, email: &str) {
        let prefix = prefix.trunc();
        if !self.lengths.contains(&prefix.prefix_len()) {
            self.lengths.push(prefix.prefix_len());
            self.lengths.sort_unstable_by(|a, b| b.cmp(a));
        }
        self.by_prefix.entry(prefix).or_insert_with(|| Network {
            prefix: prefix.to_string(),
            name: name.to_owned(),
            email: email.to_owned(),
        });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_prefix.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_prefix.is_empty()
    }

    /// Whose an address is.
    pub fn of(&self, address: IpAddr) -> Option<&Network> {
        self.lengths.iter().find_map(|length| {
            let net = IpNet::new(address, *length).ok()?.trunc();
            self.by_prefix.get(&net)
        })
    }
}

/// Addresses of one letter; what is more is counted.
const ADDRESSES_MAX: usize = 500;
const TARGETS_MAX: usize = 20;

/// Evidence of each network, and how many addresses no network is known of. Addresses with fewer than `packets_min` packets are left
/// out: one stray packet, whose sender may be forged, is no reason to write to anybody.
pub fn group(
    contacts: &Contacts,
    rows: &[SourceRow],
    confirmed: &[Confirmed],
    packets_min: u64,
) -> (Vec<(Network, Vec<LetterEvidence>, u64)>, u64) {
    let mut by_address: BTreeMap<IpAddr, LetterEvidence> = BTreeMap::new();
    let mut ports: BTreeMap<(IpAddr, Target), u64> = BTreeMap::new();
    for row in rows {
        let it = by_address.entry(row.source).or_insert_with(|| LetterEvidence {
            source: row.source,
            first: row.first,
            last: row.last,
            targets: Vec::new(),
            said: Vec::new(),
        });
        it.first = it.first.min(row.first);
        it.last = it.last.max(row.last);
        *ports.entry((row.source, row.target)).or_default() += row.packets;
    }
    for ((source, target), packets) in ports {
        if let Some(it) = by_address.get_mut(&source) {
            it.targets.push((target, packets));
        }
    }
    for it in confirmed {
        if let Some(evidence) = by_address.get_mut(&it.source)
            && evidence.said.len() < TARGETS_MAX
            && !evidence.said.contains(&it.version)
        {
            evidence.said.push(it.version);
        }
    }
    let (mut unknown, mut groups) = (0, BTreeMap::<Network, (Vec<LetterEvidence>, u64)>::new());
    for (source, mut evidence) in by_address {
        if evidence.targets.iter().map(|(_, packets)| packets).sum::<u64>() < packets_min {
            continue;
        }
        evidence.targets.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        evidence.targets.truncate(TARGETS_MAX);
        match contacts.of(source) {
            None => unknown += 1,
            Some(network) => {
                let (list, more) = groups.entry(network.clone()).or_default();
                if list.len() < ADDRESSES_MAX { list.push(evidence) } else { *more += 1 }
            }
        }
    }
    (groups.into_iter().map(|(network, (list, more))| (network, list, more)).collect(), unknown)
}

#[cfg(test)]
mod tests {
    use schema::{SystemVersion, Transport};

    use super::*;

    #[test]
    fn each_network_gets_the_evidence_of_its_addresses_and_the_narrowest_prefix_counts() {
        let mut contacts = Contacts::default();
        for (prefix, name) in
            [("192.0.2.0/24", "wide"), ("192.0.2.128/25", "narrow"), ("2001:db8::/32", "six")]
        {
            contacts.add(prefix.parse().unwrap(), name, "abuse@example.test");
        }
        let row = |source: &str, port, packets| SourceRow {
            source: source.parse().unwrap(),
            target: Target { port, transport: Transport::Tcp },
            first: 5,
            last: 9,
            packets,
        };
        let rows = [
            row("192.0.2.1", 445, 4),
            row("192.0.2.1", 23, 7),
            row("192.0.2.1", 445, 9),
            row("192.0.2.200", 445, 3),
            row("2001:db8::9", 22, 3),
            row("203.0.113.5", 22, 3),
            row("192.0.2.9", 22, 1),
        ];
        let version = SystemVersion { major: 5, minor: 2, build: 3790 };
        let said = Confirmed { source: "192.0.2.1".parse().unwrap(), port: 445, version, at: 6 };
        let (groups, unknown) = group(&contacts, &rows, &[said, said], 3);
        assert_eq!(unknown, 1);
        let found: Vec<(&str, usize)> =
            groups.iter().map(|(net, list, _)| (net.name.as_str(), list.len())).collect();
        assert_eq!(found, [("wide", 1), ("narrow", 1), ("six", 1)]);
        let wide = &groups.iter().find(|(net, ..)| net.name == "wide").unwrap().1[0];
        assert_eq!(
            wide.targets.iter().map(|(target, n)| (target.port, *n)).collect::<Vec<_>>(),
            [(445, 13), (23, 7)]
        );
        assert_eq!(wide.said, [version]);
    }
}
