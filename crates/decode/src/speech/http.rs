//! HTTP's first request: its host, WinRM by its path, NTLM in its fields, and proxies that connect through.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schema::{NameSource, NtlmStep, Service, Side, Sight};

use super::bytes::{account_hash, host};
use super::probe::{Kind, Verdict};
use super::{Next, index, ntlm, tools};

/// The longest field that is read; of a longer one its beginning.
const FIELD_MAX: usize = 4 << 10;
/// So many bytes of each side are gone through for a log-on that takes several requests.
const READ_MAX: u32 = 256 << 10;

const METHODS: &[&[u8]] = &[
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"CONNECT ",
    b"OPTIONS ",
    b"DELETE ",
    b"PATCH ",
    b"TRACE ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"MKCOL ",
    b"LOCK ",
    b"UNLOCK ",
    b"REPORT ",
    b"SEARCH ",
    b"RPC_IN_DATA ",
    b"RPC_OUT_DATA ",
    b"SUBSCRIBE ",
    b"NOTIFY ",
    b"BITS_POST ",
    b"CCM_POST ",
    b"MKACTIVITY ",
    b"PRI * HTTP/2",
];

/// Room for a line that is kept from one to the next.
const LINE_KEPT: usize = 64;

/// So many bytes tell whether a line begins a message, whatever follows.
const METHOD_MAX: usize = 16;

/// Tells HTTP by a method or a status line.
pub(super) fn probe(side: Side, head: &[u8]) -> Verdict {
    let marks: &[&[u8]] = if side == Side::Client { METHODS } else { &[b"HTTP/1."] };
    // Bodies are asked line by line: nearly always the first letter suffices.
    let begins = |mark: &&[u8]| {
        let shared = mark.len().min(head.len());
        (head.is_empty() || mark.first() == head.first()) && mark[..shared] == head[..shared]
    };
    match marks.iter().find(|mark| begins(mark)) {
        Some(mark) if head.len() >= mark.len() => Verdict::Is(Kind::Http),
        Some(_) => Verdict::Maybe,
        None => Verdict::Not,
    }
}

/// One side's lines.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    /// In the fields of a message; otherwise in its body, or before the first.
    in_head: bool,
    /// Fields of a message have ended.
    ended: bool,
    read: u32,
}

impl Lines {
    /// How much of a line is held that goes on with `piece`: of a body's the beginning, by which it is told that it begins no message.
    fn most(&self, side: Side, piece: &[u8]) -> usize {
        let begin = if self.line.is_empty() { piece } else { &self.line };
        let is_body = !self.in_head && begin.len() >= METHOD_MAX && probe(side, begin) == Verdict::Not;
        if is_body { METHOD_MAX } else { FIELD_MAX }
    }
}

/// A connection of HTTP.
#[derive(Debug, Default)]
pub(super) struct Http {
    sides: [Lines; 2],
    told: bool,
    /// Of the name that was told last; 0 for none.
    named: u64,
    /// The client asks a proxy, which fetches from other hosts with every request.
    is_proxied: bool,
    is_connect: bool,
    /// The server agreed to connect through.
    is_through: bool,
    /// A log-on by NTLM began and is not over.
    is_logging_on: bool,
}

impl Http {
    pub(super) fn feed(&mut self, side: Side, bytes: &[u8], out: &mut Vec<Sight>) -> Next {
        let mut rest = bytes;
        while !rest.is_empty() {
            let lines = &mut self.sides[index(side)];
            let end = memchr::memchr(b'\n', rest);
            let (piece, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            rest = after;
            lines.read = lines.read.saturating_add(piece.len() as u32);
            let most = lines.most(side, piece);
            let piece = &piece[..piece.len().min(most - lines.line.len().min(most))];
            // A line that stands in this segment as a whole is not copied.
            let is_whole = end.is_some() && lines.line.is_empty();
            if !is_whole {
                lines.line.extend_from_slice(piece);
            }
            if end.is_some() {
                let mut held = std::mem::take(&mut lines.line);
                let line = if is_whole { piece } else { &held };
                self.line(side, line.trim_ascii_end(), out);
                // A body's lines are many, and what is held of them is short.
                if held.capacity() <= LINE_KEPT {
                    held.clear();
                    self.sides[index(side)].line = held;
                }
                let next = self.next(side);
                if next != Next::On {
                    return next;
                }
            }
        }
        if self.sides[index(side)].read > READ_MAX { Next::Done } else { Next::On }
    }

    /// What a whole line means for what is still wanted.
    fn next(&self, side: Side) -> Next {
        let [client, server] = &self.sides;
        if self.is_through && !server.in_head {
            return Next::Afresh;
        }
        let goes_on = self.is_logging_on || self.is_proxied;
        let is_over = client.ended && server.ended && !goes_on;
        // With one side alone visible its first message is all there is to wait for, and the next shows that it is so.
        let is_alone = match side {
            Side::Client => client.read > 64 << 10,
            Side::Server => server.ended && client.read == 0,
        };
        if is_over || (is_alone && !goes_on) { Next::Done } else { Next::On }
    }

    fn line(&mut self, side: Side, line: &[u8], out: &mut Vec<Sight>) {
        let lines = &mut self.sides[index(side)];
        if !lines.in_head {
            // A body's lines are passed by until one begins a message.
            if probe(side, line) == Verdict::Is(Kind::Http) {
                lines.in_head = true;
                self.begin(side, line, out);
            }
            return;
        }
        if line.is_empty() {
            lines.in_head = false;
            lines.ended = true;
            return;
        }
        let Some(colon) = memchr::memchr(b':', line) else { return };
        let (field, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if field.eq_ignore_ascii_case(b"host") {
            self.name(host(value), out);
        } else if ends(field, b"authorization") || ends(field, b"authenticate") {
            self.log_on(value, out);
        }
    }

    /// A request's or a status line.
    fn begin(&mut self, side: Side, line: &[u8], out: &mut Vec<Sight>) {
        let mut words = line.split(|byte| *byte == b' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_wsman = side == Side::Client && after(second, b"/wsman").is_some();
        if !self.told {
            // A one-way mirror shows answers alone; otherwise the request came before and has told.
            self.told = true;
            out.push(Sight::Speaks { service: if is_wsman { Service::WinRm } else { Service::Http } });
        }
        match side {
            Side::Client => {
                self.is_connect = first == b"CONNECT";
                if self.is_connect {
                    self.name(host(second), out);
                } else if let Some(rest) = after(second, b"http://") {
                    self.is_proxied = true;
                    self.name(host(rest.split(|byte| *byte == b'/').next().unwrap_or_default()), out);
                }
            }
            Side::Server => self.is_through = self.is_connect && second.starts_with(b"2"),
        }
    }

    fn name(&mut self, name: Option<Box<str>>, out: &mut Vec<Sight>) {
        let Some(name) = name else { return };
        let hash = account_hash("", &name);
        // A request without a proxy goes to the host that the first one named.
        if hash == self.named || (self.named != 0 && !self.is_proxied) {
            return;
        }
        self.named = hash;
        let tool = tools::tool(&name);
        out.push(Sight::Named { name, source: NameSource::HttpHost });
        out.extend(tool.map(|service| Sight::Speaks { service }));
    }

    /// `NTLM …` and `Negotiate …`, in which NTLM can stand too.
    fn log_on(&mut self, value: &[u8], out: &mut Vec<Sight>) {
        let mut words = value.split(|byte| *byte == b' ');
        let scheme = words.next().unwrap_or_default();
        if !scheme.eq_ignore_ascii_case(b"NTLM") && !scheme.eq_ignore_ascii_case(b"Negotiate") {
            return;
        }
        let token = words.next().unwrap_or_default();
        // The first answer names the scheme alone: the log-on follows. Cut fields end inside of a group of four.
        let token = STANDARD.decode(&token[..token.len() / 4 * 4]).unwrap_or_default();
        let found = ntlm::find(&token);
        self.is_logging_on = match found {
            Some(found) => found.step != NtlmStep::Authenticate,
            None => token.is_empty(),
        };
        out.extend(found.map(Sight::Ntlm));
    }

    /// Without its log-on half read, one hole ends the reading.
    pub(super) fn gap(&mut self) -> Next {
        Next::Done
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.sides.iter().map(|lines| lines.line.capacity()).sum()
    }
}

/// What follows `mark`, in upper or lower case.
fn after<'a>(path: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let (begin, rest) = path.split_at_checked(mark.len())?;
    begin.eq_ignore_ascii_case(mark).then_some(rest)
}

fn ends(field: &[u8], end: &[u8]) -> bool {
    field.len() >= end.len() && field[field.len() - end.len()..].eq_ignore_ascii_case(end)
}
