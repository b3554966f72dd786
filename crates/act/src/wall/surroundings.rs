//! What stands around the packet filter and is never banned: the machine's own addresses, and where its packets go next.

use std::net::IpAddr;

use serde_json::Value;

use super::gate::Gate;

/// Routes that are looked at; a gateway of a hospital has a handful that lead everywhere.
const ROUTES_MAX: usize = 64;
/// Lines of a resolver's configuration that are read, and name servers that are taken from it.
const LINES_MAX: usize = 1_000;

impl Gate {
    /// Addresses of the machine itself, each with what it is.
    pub fn surroundings(&self) -> Vec<(&'static str, IpAddr)> {
        let own = self.whereabouts().own().to_vec();
        let mut found: Vec<(&str, IpAddr)> =
            own.into_iter().map(|address| ("this machine", address)).collect();
        for family in ["-4", "-6"] {
            let listed = self.ip(&[family, "route", "show", "default"]).unwrap_or_default();
            found.extend(gateways(&listed).into_iter().map(|address| ("the gateway", address)));
        }
        found
    }
}

/// What `ip -j route show default` says.
fn gateways(json: &[u8]) -> Vec<IpAddr> {
    let routes: Value = serde_json::from_slice(json).unwrap_or_default();
    let routes = routes.as_array().map(Vec::as_slice).unwrap_or_default().iter().take(ROUTES_MAX);
    let hops = routes.flat_map(|route| {
        let further = route.get("nexthops").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        further.iter().take(ROUTES_MAX).chain([route])
    });
    hops.filter_map(|hop| hop.get("gateway").or_else(|| hop.pointer("/via/host"))?.as_str()?.parse().ok())
        .collect()
}

/// The servers that a text such as `/etc/resolv.conf` names.
pub fn name_servers(text: &str) -> Vec<IpAddr> {
    let lines = text.lines().take(LINES_MAX);
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        let address = words.next().filter(|_| is_server)?.split('%').next()?;
        address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
    };
    lines.filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(addresses: Vec<IpAddr>) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn gateways_and_name_servers_are_found_where_there_are_any() {
        let routes = br#"[{"dst":"default","gateway":"192.0.2.1","dev":"eth0"},
            {"dst":"default","nexthops":[{"gateway":"192.0.2.2"},{"via":{"family":"inet6","host":"fe80::1"}}]},
            {"dst":"default","dev":"ppp0"}, 5]"#;
        assert_eq!(texts(gateways(routes)), ["192.0.2.1", "192.0.2.2", "fe80::1"]);
        assert!(gateways(b"").is_empty() && gateways(b"{}").is_empty());
        let resolver = "# nameserver 192.0.2.9\nsearch example\nnameserver 192.0.2.53\n nameserver\tfe80::53%eth0\nnameserver\nnameserver here\n";
        assert_eq!(texts(name_servers(resolver)), ["192.0.2.53", "fe80::53"]);
    }
}
