//! Datagrams: DNS, Kerberos, LDAP without a connection, QUIC, TeamViewer.

use schema::{Contact, NameSource, Service, Side, Sight};

use super::{Next, dns, kerberos, ldap, quic, tools};

/// Datagrams without anything that is known, after which a flow is given up.
const MISSES_MAX: u8 = 3;
/// mDNS, LLMNR and NetBIOS names have DNS's form, but ask the neighbours for names that mean nothing elsewhere.
const NEIGHBOURS: [u16; 3] = [5353, 5355, 137];

/// A flow of datagrams.
#[derive(Debug, Default)]
pub(super) struct Udp {
    told: Option<Service>,
    misses: u8,
    /// Of the name that was told last: clients ask for it twice, for addresses of both kinds.
    last: u64,
    hello: quic::Hello,
}

impl Udp {
    pub(super) fn take(&mut self, contact: &Contact, side: Side, bytes: &[u8], out: &mut Vec<Sight>) -> Next {
        if self.told.is_none() {
            let Some(service) = service(contact, bytes) else {
                self.misses += 1;
                return if self.misses >= MISSES_MAX { Next::Done } else { Next::On };
            };
            self.told = Some(service);
            out.push(Sight::Speaks { service });
        }
        match self.told {
            Some(Service::Dns) if side == Side::Client && dns::is_query(bytes) => self.ask(bytes, out),
            Some(Service::Dns) => {}
            Some(Service::Kerberos) => {
                if kerberos::is_whole(bytes, u32::try_from(bytes.len()).unwrap_or(0)) {
                    out.extend(kerberos::read(bytes).map(Sight::Kerberos));
                }
            }
            // QUIC is TLS in datagrams.
            Some(Service::Tls) if side == Side::Client => return self.greet(bytes, out),
            Some(Service::Tls) => {}
            _ => return Next::Done,
        }
        Next::On
    }

    fn greet(&mut self, bytes: &[u8], out: &mut Vec<Sight>) -> Next {
        match self.hello.take(bytes) {
            Ok(None) => Next::On,
            Ok(Some(name)) => {
                let tool = tools::tool(&name);
                out.push(Sight::Named { name, source: NameSource::Sni });
                out.extend(tool.map(|service| Sight::Speaks { service }));
                Next::Done
            }
            Err(()) => Next::Done,
        }
    }

    fn ask(&mut self, bytes: &[u8], out: &mut Vec<Sight>) {
        let Some(name) = dns::question(bytes) else { return };
        let hash = super::account_hash("", &name);
        if std::mem::replace(&mut self.last, hash) != hash {
            out.push(Sight::Named { name, source: NameSource::Dns });
        }
    }
}

fn service(contact: &Contact, bytes: &[u8]) -> Option<Service> {
    let is_neighbourly =
        NEIGHBOURS.contains(&contact.server.port) || NEIGHBOURS.contains(&contact.client.port);
    if kerberos::is_whole(bytes, u32::try_from(bytes.len()).unwrap_or(0)) {
        return Some(Service::Kerberos);
    }
    if !is_neighbourly && is_dns(contact, bytes) {
        return Some(Service::Dns);
    }
    if ldap::is_datagram(bytes) {
        return Some(Service::Ldap);
    }
    if quic::is_initial(bytes) {
        return Some(Service::Tls);
    }
    // TeamViewer's UDP: a zero, a counter, and behind them the mark of its framing.
    let is_teamviewer = bytes.len() > 13 && bytes[0] == 0 && bytes[11..13] == [0x17, 0x24];
    is_teamviewer.then_some(Service::TeamViewer)
}

/// On DNS's own port a sound header suffices; elsewhere a whole question is wanted.
fn is_dns(contact: &Contact, bytes: &[u8]) -> bool {
    let is_query = dns::is_query(bytes);
    if contact.server.port == 53 {
        return is_query || dns::is_answer(bytes);
    }
    is_query && dns::question(bytes).is_some()
}
