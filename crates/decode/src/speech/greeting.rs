//! `220 …`: FTP and SMTP greet with the same number; their words or the client's first command tell them apart.

use schema::{Service, Side, Sight};

use super::Next;

/// So many bytes of a greeting and of the client's first command are looked at.
const HELD_MAX: usize = 1_024;

/// A server's greeting and what the client says to it.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    held: [Vec<u8>; 2],
}

impl Greeting {
    pub(super) fn feed(&mut self, side: Side, bytes: &[u8], out: &mut Vec<Sight>) -> Next {
        let held = &mut self.held[super::index(side)];
        held.extend_from_slice(&bytes[..bytes.len().min(HELD_MAX - held.len())]);
        let is_full = held.len() >= HELD_MAX;
        let Some(end) = held.iter().position(|byte| *byte == b'\n') else {
            return if is_full { Next::Done } else { Next::On };
        };
        let line = held[..end].to_ascii_uppercase();
        let told = match side {
            Side::Client => command(&line),
            Side::Server => words(&line),
        };
        match told {
            Some(service) => {
                out.push(Sight::Speaks { service });
                Next::Done
            }
            None if side == Side::Client || is_full => Next::Done,
            None => Next::On,
        }
    }

    /// The few bytes that would tell are missing.
    pub(super) fn gap(&mut self) -> Next {
        Next::Done
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.held.iter().map(Vec::capacity).sum()
    }
}

fn command(line: &[u8]) -> Option<Service> {
    let is = |words: &[&[u8]]| words.iter().any(|word| line.starts_with(word));
    if is(&[b"EHLO", b"HELO", b"LHLO", b"STARTTLS", b"MAIL FROM"]) {
        Some(Service::Smtp)
    } else if is(&[
        b"USER ",
        b"AUTH TLS",
        b"AUTH SSL",
        b"FEAT",
        b"SYST",
        b"HOST ",
        b"OPTS ",
        b"PASS ",
        b"CLNT ",
    ]) {
        Some(Service::Ftp)
    } else {
        None
    }
}

fn words(line: &[u8]) -> Option<Service> {
    let has = |word: &[u8]| memchr::memmem::find(line, word).is_some();
    match (has(b"SMTP"), has(b"FTP")) {
        (true, false) => Some(Service::Smtp),
        (false, true) => Some(Service::Ftp),
        _ => None,
    }
}
