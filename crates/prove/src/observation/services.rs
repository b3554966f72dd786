use std::collections::BTreeMap;
use std::io::Read;

use schema::Transport;
use schema::telescope::Target;

/// Names of ports: a few that scans reach for, in IANA's spelling, and those of this machine's `/etc/services`.
#[derive(Debug, Clone, Default)]
pub struct Services {
    of_the_machine: BTreeMap<(u16, bool), String>,
}

const BYTES_MAX: u64 = 4 << 20;

/// What scans reach for; UDP where it says so. Names as IANA registers them, else as the product is called.
const KNOWN: [(u16, bool, &str); 62] = [
    (21, true, "ftp"),
    (22, true, "ssh"),
    (23, true, "telnet"),
    (25, true, "smtp"),
    (53, true, "domain"),
    (53, false, "domain"),
    (69, false, "tftp"),
    (80, true, "http"),
    (81, true, "http (81)"),
    (88, true, "http (88)"),
    (104, true, "acr-nema (DICOM)"),
    (110, true, "pop3"),
    (111, true, "sunrpc"),
    (111, false, "sunrpc"),
    (123, false, "ntp"),
    (135, true, "epmap"),
    (137, false, "netbios-ns"),
    (139, true, "netbios-ssn"),
    (143, true, "imap"),
    (161, false, "snmp"),
    (389, true, "ldap"),
    (389, false, "ldap (CLDAP)"),
    (443, true, "https"),
    (445, true, "microsoft-ds"),
    (465, true, "submissions"),
    (500, false, "isakmp"),
    (502, true, "mbap (Modbus)"),
    (587, true, "submission"),
    (1023, true, "telnet (1023)"),
    (1433, true, "ms-sql-s"),
    (1434, false, "ms-sql-m"),
    (1521, true, "ncube-lm (Oracle)"),
    (1723, true, "pptp"),
    (1883, true, "mqtt"),
    (1900, false, "ssdp"),
    (2222, true, "ssh (2222)"),
    (2323, true, "telnet (2323)"),
    (2375, true, "docker"),
    (2575, true, "hl7 (MLLP)"),
    (3306, true, "mysql"),
    (3389, true, "ms-wbt-server (RDP)"),
    (4786, true, "smart-install"),
    (5038, true, "asterisk manager"),
    (5060, true, "sip"),
    (5060, false, "sip"),
    (5353, false, "mdns"),
    (5432, true, "postgresql"),
    (5555, true, "adb"),
    (5900, true, "rfb (VNC)"),
    (5985, true, "wsman"),
    (6379, true, "redis"),
    (7547, true, "cwmp (TR-069)"),
    (8000, true, "http (8000)"),
    (8080, true, "http-alt"),
    (8088, true, "http (8088)"),
    (8443, true, "pcsync-https"),
    (8545, true, "ethereum rpc"),
    (9200, true, "elasticsearch"),
    (11112, true, "dicom"),
    (11211, true, "memcache"),
    (11211, false, "memcache"),
    (52869, true, "upnp (52869)"),
];

impl Services {
    /// With what `/etc/services` says; a machine without one has the small table alone.
    pub fn of_this_machine() -> Services {
        let mut text = String::new();
        let opened = std::fs::File::open("/etc/services");
        let read = opened.and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
        if read.is_err() {
            text.clear();
        }
        Services::parse(&text)
    }

    /// Reads services(5).
    pub fn parse(text: &str) -> Services {
        let mut of_the_machine = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let (Some(name), Some((port, transport))) =
                (words.next(), words.next().and_then(|it| it.split_once('/')))
            else {
                continue;
            };
            if let (Ok(port), "tcp" | "udp") = (port.parse(), transport) {
                of_the_machine
                    .entry((port, transport == "tcp"))
                    .or_insert_with(|| name.chars().take(40).collect());
            }
        }
        Services { of_the_machine }
    }

    /// What is served at a port; empty when nobody knows.
    pub fn name(&self, target: Target) -> &str {
        let is_tcp = match target.transport {
            Transport::Tcp => true,
            Transport::Udp => false,
            _ => return "",
        };
        let known = KNOWN.iter().find(|(port, tcp, _)| (*port, *tcp) == (target.port, is_tcp)).map(|it| it.2);
        known
            .or_else(|| self.of_the_machine.get(&(target.port, is_tcp)).map(String::as_str))
            .unwrap_or_default()
    }
}
