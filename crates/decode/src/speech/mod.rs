//! What flows say: protocols told and read by their contents.
//!
//! [`Speech`] is what is known of one flow. It is fed with the bytes of both sides in their order, says what it saw as
//! [`Sight`]s, and says through [`Speech::wants`] when it needs no more of them, which for most flows is after a few hundred bytes. The
//! same bytes give the same sights, however they were cut into segments.
//!
//! Bounds: a flow holds at most the beginning of one message per side (24 KiB, mostly nothing) and small tables; bodies are counted and
//! let go. Nothing is kept of a flow that was given up.

mod bytes;
mod dns;
mod frame;
mod greeting;
mod http;
mod kerberos;
mod ldap;
mod ntlm;
mod probe;
mod quic;
mod rdp;
mod rpc;
mod smb;
#[cfg(test)]
mod tests;
mod tls;
mod tools;
mod udp;

use schema::{Contact, Service, Side, Sight};

pub use bytes::account_hash;
pub use tools::tool;

use probe::{HEAD_MAX, Kind, Verdict};

/// What one UDP datagram says by itself; as [`Speech::datagram`] of a flow of which nothing is known.
pub fn datagram(contact: &Contact, side: Side, bytes: &[u8], out: &mut Vec<Sight>) {
    udp::Udp::default().take(contact, side, bytes, out);
}

/// What one flow says.
#[derive(Debug)]
pub struct Speech {
    talk: Talk,
}

#[derive(Debug)]
enum Talk {
    Unknown(Unknown),
    Smb(Box<smb::Smb>),
    // The commonest ones need no memory of their own.
    Tls(tls::Tls),
    Http(http::Http),
    Rdp(Box<rdp::Rdp>),
    Rpc(Box<rpc::Rpc>),
    Kerberos(Box<kerberos::Kerberos>),
    Ldap(Box<ldap::Ldap>),
    Dns(Box<dns::Dns>),
    Greeting(Box<greeting::Greeting>),
    Udp(Box<udp::Udp>),
    Done,
}

/// What a reader wants after it was fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The next bytes.
    On,
    /// Nothing more.
    Done,
    /// Another protocol begins here with the next bytes of either side.
    Afresh,
}

/// A flow of which nothing is known yet.
#[derive(Debug, Default)]
struct Unknown {
    /// First bytes that could still become something.
    heads: Option<Box<[Vec<u8>; 2]>>,
    /// Sides whose first bytes are nothing that is known.
    off: [bool; 2],
    /// Segments that came when there was no more hope.
    misses: u16,
}

/// Segments without anything that is known, after which a flow is given up: with both sides heard, with one, and on the ports of
/// SMB, where a capture can begin in the middle of a long write.
const MISSES_MAX: u16 = 3;
const MISSES_ONE_SIDED_MAX: u16 = 8;
const MISSES_SMB_MAX: u16 = 2_048;

impl Default for Speech {
    fn default() -> Self {
        Self::new()
    }
}

impl Speech {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self { talk: Talk::Unknown(Unknown::default()) }
    }

    /// Whether bytes that come later can still show something. Once false it stays so, and [`Speech::feed`] does nothing.
    pub fn wants(&self) -> bool {
        !matches!(self.talk, Talk::Done)
    }

    /// Where in memory that begins what [`Speech::feed`] will read besides this, to be fetched before; null for nothing.
    #[inline]
    pub fn begins(&self) -> *const u8 {
        match &self.talk {
            Talk::Smb(smb) => std::ptr::from_ref(&**smb).cast(),
            _ => std::ptr::null(),
        }
    }

    /// Takes the next bytes of one side of a TCP connection, in order and without holes (else see [`Speech::gap`]).
    pub fn feed(&mut self, contact: &Contact, side: Side, bytes: &[u8], out: &mut Vec<Sight>) {
        if bytes.is_empty() {
            return;
        }
        let next = match &mut self.talk {
            Talk::Done => return,
            Talk::Unknown(unknown) => {
                if let Some(talk) = unknown.look(contact, side, bytes, out) {
                    self.talk = talk;
                }
                return;
            }
            talk => talk.feed(side, bytes, out),
        };
        self.go(next);
    }

    /// Bytes of one side are missing here: what comes next lies further on in its stream.
    pub fn gap(&mut self, side: Side) {
        let next = match &mut self.talk {
            Talk::Unknown(unknown) => {
                unknown.gap(side);
                return;
            }
            Talk::Smb(smb) => smb.gap(side),
            Talk::Tls(tls) => tls.gap(),
            Talk::Http(http) => http.gap(),
            Talk::Rdp(rdp) => rdp.gap(),
            Talk::Rpc(rpc) => rpc.gap(side),
            Talk::Kerberos(kerberos) => kerberos.gap(),
            Talk::Ldap(ldap) => ldap.gap(),
            Talk::Dns(dns) => dns.gap(),
            Talk::Greeting(greeting) => greeting.gap(),
            Talk::Udp(_) | Talk::Done => return,
        };
        self.go(next);
    }

    /// As [`Speech::gap`], where it is known that `bytes` are missing: inside of a body that is only counted they do no harm.
    pub fn gap_of(&mut self, side: Side, bytes: u64) {
        if !self.talk.pass(side, bytes) {
            self.gap(side);
        }
    }

    /// Takes one UDP datagram.
    pub fn datagram(&mut self, contact: &Contact, side: Side, bytes: &[u8], out: &mut Vec<Sight>) {
        if let Talk::Unknown(_) = self.talk {
            self.talk = Talk::Udp(Box::default());
        }
        if let Talk::Udp(udp) = &mut self.talk
            && udp.take(contact, side, bytes, out) == Next::Done
        {
            self.talk = Talk::Done;
        }
    }

    /// Bytes that are held, besides the readers' own size.
    #[cfg(test)]
    fn room(&self) -> usize {
        match &self.talk {
            Talk::Unknown(unknown) => {
                unknown.heads.iter().flat_map(|heads| heads.iter()).map(Vec::capacity).sum()
            }
            Talk::Smb(smb) => smb.room(),
            Talk::Tls(tls) => tls.room(),
            Talk::Http(http) => http.room(),
            Talk::Rdp(rdp) => rdp.room(),
            Talk::Rpc(rpc) => rpc.room(),
            Talk::Kerberos(kerberos) => kerberos.room(),
            Talk::Ldap(ldap) => ldap.room(),
            Talk::Dns(dns) => dns.room(),
            Talk::Greeting(greeting) => greeting.room(),
            Talk::Udp(_) | Talk::Done => 0,
        }
    }

    fn go(&mut self, next: Next) {
        match next {
            Next::On => {}
            Next::Done => self.talk = Talk::Done,
            Next::Afresh => self.talk = Talk::Unknown(Unknown::default()),
        }
    }
}

impl Talk {
    fn of(kind: Kind, contact: &Contact, out: &mut Vec<Sight>) -> Self {
        let (talk, service) = match kind {
            Kind::Smb => (Self::Smb(Box::default()), Some(Service::Smb)),
            Kind::Tls => (Self::Tls(tls::Tls::to(contact.server.port)), Some(Service::Tls)),
            // What HTTP carries is told by its first request, and a greeting by its words.
            Kind::Http => (Self::Http(http::Http::default()), None),
            Kind::Greeting => (Self::Greeting(Box::default()), None),
            Kind::Rdp => (Self::Rdp(Box::default()), Some(Service::Rdp)),
            Kind::Rpc => (Self::Rpc(Box::default()), Some(Service::Rpc)),
            Kind::Kerberos => (Self::Kerberos(Box::default()), Some(Service::Kerberos)),
            Kind::Ldap => (Self::Ldap(Box::default()), Some(Service::Ldap)),
            Kind::Dns => (Self::Dns(Box::default()), Some(Service::Dns)),
        };
        out.extend(service.map(|service| Sight::Speaks { service }));
        talk
    }

    /// Whether missing bytes belong to nothing that is looked at, and were passed by.
    fn pass(&mut self, side: Side, bytes: u64) -> bool {
        match self {
            Self::Smb(smb) => smb.pass(side, bytes),
            Self::Rpc(rpc) => rpc.pass(side, bytes),
            Self::Tls(tls) => tls.pass(side, bytes),
            Self::Kerberos(kerberos) => kerberos.pass(side, bytes),
            Self::Ldap(ldap) => ldap.pass(side, bytes),
            Self::Dns(dns) => dns.pass(side, bytes),
            // Few and short messages, or lines.
            Self::Unknown(_) | Self::Http(_) | Self::Rdp(_) | Self::Greeting(_) => false,
            Self::Udp(_) | Self::Done => true,
        }
    }

    fn feed(&mut self, side: Side, bytes: &[u8], out: &mut Vec<Sight>) -> Next {
        match self {
            Self::Smb(smb) => smb.feed(side, bytes, out),
            Self::Tls(tls) => tls.feed(side, bytes, out),
            Self::Http(http) => http.feed(side, bytes, out),
            Self::Rdp(rdp) => rdp.feed(side, bytes, out),
            Self::Rpc(rpc) => rpc.feed(side, bytes, out),
            Self::Kerberos(kerberos) => kerberos.feed(side, bytes, out),
            Self::Ldap(ldap) => ldap.feed(side, bytes, out),
            Self::Dns(dns) => dns.feed(side, bytes, out),
            Self::Greeting(greeting) => greeting.feed(side, bytes, out),
            Self::Unknown(_) | Self::Udp(_) | Self::Done => Next::On,
        }
    }
}

impl Unknown {
    /// What the flow turned out to be with these bytes, which were used then.
    fn look(&mut self, contact: &Contact, side: Side, bytes: &[u8], out: &mut Vec<Sight>) -> Option<Talk> {
        if self.off[index(side)] {
            return match probe::midstream(bytes) {
                Verdict::Is(kind) => Some(self.begin(kind, contact, side, &[], bytes, out)),
                Verdict::Only(service) => Some(tell(service, out)),
                Verdict::Maybe | Verdict::Not => self.miss(contact),
            };
        }
        let mut held = match &mut self.heads {
            Some(heads) => std::mem::take(&mut heads[index(side)]),
            None => Vec::new(),
        };
        let mut rest = bytes;
        if !held.is_empty() {
            let (more, after) = bytes.split_at(bytes.len().min(HEAD_MAX - held.len()));
            held.extend_from_slice(more);
            rest = after;
        }
        let head = if held.is_empty() { &bytes[..bytes.len().min(HEAD_MAX)] } else { &held };
        match probe::stream(contact, side, head) {
            Verdict::Is(kind) => Some(self.begin(kind, contact, side, &held, rest, out)),
            Verdict::Only(service) => Some(tell(service, out)),
            Verdict::Maybe if head.len() < HEAD_MAX => {
                let held = if held.is_empty() { bytes.to_vec() } else { held };
                self.heads.get_or_insert_default()[index(side)] = held;
                None
            }
            Verdict::Maybe | Verdict::Not => {
                self.off[index(side)] = true;
                // The beginning may lie before the capture.
                match probe::midstream(bytes) {
                    Verdict::Is(kind) => Some(self.begin(kind, contact, side, &[], bytes, out)),
                    Verdict::Only(service) => Some(tell(service, out)),
                    _ => self.miss(contact),
                }
            }
        }
    }

    /// The reader of `kind`, fed with all that was held, the other side's first as it came before.
    fn begin(
        &mut self,
        kind: Kind,
        contact: &Contact,
        side: Side,
        held: &[u8],
        bytes: &[u8],
        out: &mut Vec<Sight>,
    ) -> Talk {
        let mut speech = Speech { talk: Talk::of(kind, contact, out) };
        let heads = self.heads.take().map(|heads| *heads).unwrap_or_default();
        let other = if side == Side::Client { Side::Server } else { Side::Client };
        for (side, bytes) in [(other, heads[index(other)].as_slice()), (side, held), (side, bytes)] {
            if !bytes.is_empty() && speech.wants() {
                let next = speech.talk.feed(side, bytes, out);
                speech.go(next);
            }
        }
        speech.talk
    }

    /// Counts a segment in which there was nothing.
    fn miss(&mut self, contact: &Contact) -> Option<Talk> {
        self.misses = self.misses.saturating_add(1);
        let is_smb = matches!(contact.server.port, 445 | 139) || matches!(contact.client.port, 445 | 139);
        let max = match self.off {
            _ if is_smb => MISSES_SMB_MAX,
            [true, true] => MISSES_MAX,
            _ => MISSES_ONE_SIDED_MAX,
        };
        (self.misses >= max).then_some(Talk::Done)
    }

    fn gap(&mut self, side: Side) {
        self.off[index(side)] = true;
        if let Some(heads) = &mut self.heads {
            heads[index(side)] = Vec::new();
        }
    }
}

fn tell(service: Service, out: &mut Vec<Sight>) -> Talk {
    out.push(Sight::Speaks { service });
    Talk::Done
}

fn index(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}
