//! TLS: the name in the ClientHello (RFC 6066 §3), and certificates of remote-support tools before encryption begins.

use memchr::memmem;
use schema::{NameSource, Service, Side, Sight};
use tls_parser::{TlsExtension, parse_tls_extension, parse_tls_handshake_client_hello};

use super::bytes::{be16, be24, host, part};
use super::frame::{Fed, Framer, Step};
use super::{Next, index, tools};

const RECORD: usize = 5;
const CHANGE_CIPHER: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION: u8 = 23;
const CLIENT_HELLO: u8 = 1;
/// The largest ClientHello that is read: with keys that withstand quantum computers they have about 2 KiB.
const HELLO_MAX: usize = 8 << 10;
/// So much of each side's handshake is looked through for certificates.
const LOOKED_MAX: u32 = 12 << 10;

/// Whether a TLS record can begin so: handshake with a ClientHello or ServerHello.
pub(super) fn is_hello(head: &[u8; 6]) -> bool {
    head[0] == HANDSHAKE && head[1] == 3 && head[2] <= 4 && matches!(head[5], 1 | 2)
}

/// Whether a record of a connection that is encrypted already can begin so.
pub(super) fn is_sealed(head: &[u8; 5]) -> bool {
    head[0] == APPLICATION && head[1] == 3 && (1..=4).contains(&head[2]) && head[3] <= 0x41
}

/// A TLS connection before it encrypts.
#[derive(Debug, Default)]
pub(super) struct Tls {
    sides: [Framer; 2],
    /// The ClientHello as far as it came, out of its records.
    hello: Vec<u8>,
    heard: bool,
    /// Who sent it, also where the flow's direction was guessed wrongly.
    greeter: Option<Side>,
    looked: u32,
    /// A tool was told.
    told: bool,
    /// The server's.
    port: u16,
}

impl Tls {
    /// Nothing was read yet of a connection to `port`.
    pub(super) fn to(port: u16) -> Self {
        Self { port, ..Self::default() }
    }

    pub(super) fn feed(&mut self, side: Side, bytes: &[u8], out: &mut Vec<Sight>) -> Next {
        let Self { sides, hello, heard, greeter, looked, told, port } = self;
        let fed = sides[index(side)].feed(bytes, RECORD, |record| {
            let length = usize::from(be16(record, 3).unwrap_or_default());
            let is_record = (CHANGE_CIPHER..=APPLICATION + 1).contains(&record[0]) && record[1] == 3;
            if !is_record || length > 0x4800 {
                return Step::Lost;
            }
            if record[0] == APPLICATION {
                return Step::Stop;
            }
            if record[0] != HANDSHAKE || (*heard && (*told || *looked >= LOOKED_MAX)) {
                return Step::Next((RECORD + length) as u64);
            }
            let shown = RECORD + length.min(HELLO_MAX);
            if record.len() < shown {
                return Step::More(shown);
            }
            let message = &record[RECORD..];
            if message.first() == Some(&CLIENT_HELLO) {
                greeter.get_or_insert(side);
            }
            if *greeter == Some(side) && !*heard {
                let more = part(message, 0, HELLO_MAX - hello.len().min(HELLO_MAX));
                // Nearly always it stands in one record, and is not copied.
                *heard = hello.is_empty() && greet(more, *port, told, out);
                if !*heard {
                    hello.extend_from_slice(more);
                    *heard = greet(hello, *port, told, out) || hello.len() >= HELLO_MAX;
                }
                if *heard {
                    *hello = Vec::new();
                }
            } else {
                *looked += message.len() as u32;
                // AnyDesk shows certificates that it signs itself, on both sides.
                if !*told && memmem::find(message, b"AnyDesk Client").is_some() {
                    *told = true;
                    out.push(Sight::Speaks { service: Service::AnyDesk });
                }
            }
            Step::Next((RECORD + length) as u64)
        });
        if fed == Fed::All { Next::On } else { Next::Done }
    }

    pub(super) fn pass(&mut self, side: Side, bytes: u64) -> bool {
        self.sides[index(side)].pass(bytes)
    }

    /// A handshake with a hole is not read on.
    pub(super) fn gap(&mut self) -> Next {
        Next::Done
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.hello.capacity() + self.sides.iter().map(Framer::room).sum::<usize>()
    }
}

/// Tells the name of a ClientHello that came as a whole; whether it did, or never will.
fn greet(hello: &[u8], port: u16, told: &mut bool, out: &mut Vec<Sight>) -> bool {
    let Some(length) = be24(hello, 1) else { return false };
    let Some(body) = hello.get(4..4 + length as usize) else { return false };
    let name = server_name(body);
    let tool = match &name {
        Some(name) => tools::tool(name),
        // Tools that reach for addresses do it on ports of their own.
        None => tools::port(port),
    };
    *told = tool.is_some();
    out.extend(name.map(|name| Sight::Named { name, source: NameSource::Sni }));
    out.extend(tool.map(|service| Sight::Speaks { service }));
    true
}

/// The server's name in the body of a ClientHello.
pub(super) fn server_name(body: &[u8]) -> Option<Box<str>> {
    let (_, hello) = parse_tls_handshake_client_hello(body).ok()?;
    let mut rest = hello.ext?;
    while let Some(length) = be16(rest, 2) {
        let end = 4 + usize::from(length);
        // Only this extension is parsed: a strange one beside it must not hide the name.
        if be16(rest, 0) == Some(0)
            && let Ok((_, TlsExtension::SNI(names))) = parse_tls_extension(rest.get(..end)?)
        {
            return names.iter().find_map(|(_, name)| host(name));
        }
        rest = rest.get(end..)?;
    }
    None
}
