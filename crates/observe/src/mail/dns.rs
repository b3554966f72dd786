//! Where names are looked up.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::system_conf::read_system_conf;
use mail_auth::MessageAuthenticator;

/// How many answers are remembered, for as long as each says, at most a day; absent names at most ten minutes.
const REMEMBERED: u64 = 8_192;
const REMEMBERED_FOR: Duration = Duration::from_secs(86_400);
const ABSENT_FOR: Duration = Duration::from_secs(600);
/// One question to one server. Two tries, so that a lost datagram costs little.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Who answers questions about names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dns {
    /// The servers that this machine uses (`/etc/resolv.conf`).
    System,
    /// This server.
    Server(SocketAddr),
}

/// A text that names neither the system's servers nor an address with a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is neither `system` nor an address such as 192.0.2.1 or 192.0.2.1:53")]
pub struct BadDns {
    given: String,
}

impl FromStr for Dns {
    type Err = BadDns;

    fn from_str(text: &str) -> Result<Self, BadDns> {
        if text == "system" {
            return Ok(Dns::System);
        }
        let with_port = || text.parse::<SocketAddr>().ok();
        let address = text.parse().map(|address| SocketAddr::new(address, 53)).ok().or_else(with_port);
        address.map(Dns::Server).ok_or_else(|| BadDns { given: text.to_owned() })
    }
}

impl Dns {
    pub(super) fn resolver(self) -> Result<MessageAuthenticator, NetError> {
        let (config, mut options) = match self {
            Dns::System => read_system_conf()?,
            Dns::Server(address) => (only(address), ResolverOpts::default()),
        };
        options.timeout = ANSWER_WITHIN;
        options.attempts = 2;
        options.cache_size = REMEMBERED;
        options.positive_max_ttl = Some(REMEMBERED_FOR);
        options.negative_max_ttl = Some(ABSENT_FOR);
        // What a machine calls itself in its own list says nothing about senders.
        options.use_hosts_file = ResolveHosts::Never;
        MessageAuthenticator::new(config, options)
    }
}

fn only(address: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
    ResolverConfig::from_parts(None, Vec::new(), vec![server])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_people_write_them() {
        for (text, expected) in [
            ("system", Some(Dns::System)),
            ("192.0.2.1", Some(Dns::Server(([192, 0, 2, 1], 53).into()))),
            ("127.0.0.1:5353", Some(Dns::Server(([127, 0, 0, 1], 5353).into()))),
            ("::1", Some(Dns::Server("[::1]:53".parse().unwrap()))),
            ("dns.example", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }
}
