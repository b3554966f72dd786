//! Collectors that post: JSON lines or an array of objects (NXLog, Fluent Bit, Vector), or Elasticsearch's bulk form (Winlogbeat).
//!
//! HTTP/1.1 as far as these need it (RFC 9112), over loopback or TLS. What is too large or malformed is refused and counted.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{SendTimeoutError, Sender};
use flate2::read::MultiGzDecoder;
use rustls::ServerConfig;
use schema::Micros;
use serde_json::value::RawValue;

use super::listen::{BATCH_BYTES, Listener, secured, serve, waits};
use super::room::Held;
use super::split::LINE_BYTES_MAX;
use super::{Batch, Losses, Source};
use crate::Error;

const HEAD_BYTES_MAX: usize = 16 << 10;
/// Collectors send some megabytes at once.
const BODY_BYTES_MAX: usize = 32 << 20;
/// More than any collector sends at once: the answer has a word on each.
const BULK_MAX: usize = 250_000;
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// How often one who waits for the queue looks whether it is to end.
const QUEUE_LOOK: Duration = Duration::from_millis(100);

/// Listens for collectors.
///
/// # Errors
/// When the address cannot be had.
pub fn serve_http(
    at: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    out: Sender<Batch>,
    losses: Losses,
    clock: fn() -> Micros,
) -> Result<Listener, Error> {
    let listener =
        TcpListener::bind(at).map_err(|source| Error::ListenLogs { at: at.to_string(), source })?;
    let at = listener.local_addr().map_err(|source| Error::ListenLogs { at: at.to_string(), source })?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let prefix = format!("{scheme}://{at}");
    serve(listener, at, losses.clone(), move |stream, from, stop| {
        let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
        let _ = stream.set_write_timeout(Some(Duration::from_secs(10)));
        let desk = Desk { source: source(&prefix, from), out: &out, losses: &losses, clock, stop };
        let served = match &tls {
            Some(config) => match secured(stream, config) {
                Some(mut stream) => desk.all(&mut stream),
                None => Err(io::ErrorKind::ConnectionAborted.into()),
            },
            None => {
                let mut stream = stream;
                desk.all(&mut stream)
            }
        };
        if served.is_err() {
            losses.refuse();
        }
    })
}

fn source(prefix: &str, from: IpAddr) -> Source {
    Source::new(&format!("{prefix} {from}"))
}

struct Desk<'d> {
    source: Source,
    out: &'d Sender<Batch>,
    losses: &'d Losses,
    clock: fn() -> Micros,
    stop: &'d AtomicBool,
}

/// What a request's head says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    method: String,
    path: String,
    length: usize,
    is_chunked: bool,
    is_gzip: bool,
    closes: bool,
    expects: bool,
}

impl Desk<'_> {
    fn all(&self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        let mut rest = Vec::new();
        loop {
            rest.shrink_to(HEAD_BYTES_MAX);
            let Some(head) = self.head(stream, &mut rest)? else { return Ok(()) };
            let Some(mut held) = self.losses.room.hold(rest.len()) else {
                return self.full(stream);
            };
            let Some(head) = parse(&head) else { return reply(stream, "400 Bad Request", "{}", true) };
            if head.expects {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let body = match self.body(stream, &mut rest, &head, &mut held) {
                Ok(body) => body,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return self.full(stream),
                Err(error) => {
                    let _ = reply(stream, "413 Content Too Large", "{}", true);
                    return Err(error);
                }
            };
            match (head.method.as_str(), head.path.as_str()) {
                ("POST" | "PUT", _) => {
                    let is_bulk = head.path.contains("_bulk");
                    let pairs = if is_bulk { memchr::memchr_iter(b'\n', &body).count() / 2 } else { 0 };
                    if pairs > BULK_MAX {
                        let _ = reply(stream, "413 Content Too Large", "{}", true);
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    let Some(lines) = self.hand_on(&body, is_bulk, &mut held) else {
                        return self.full(stream);
                    };
                    drop((body, held));
                    // Elasticsearch's clients count the items of the answer.
                    let items = if is_bulk {
                        vec![r#"{"create":{"status":201}}"#; lines].join(",")
                    } else {
                        String::new()
                    };
                    reply(
                        stream,
                        "200 OK",
                        &format!(r#"{{"took":0,"errors":false,"taken":{lines},"items":[{items}]}}"#),
                        head.closes,
                    )?;
                }
                // Winlogbeat asks whom it talks to.
                ("GET" | "HEAD", "/") => {
                    let body = r#"{"name":"chartward","cluster_name":"chartward","version":{"number":"8.0.0","build_flavor":"default"},"tagline":"You Know, for Search"}"#;
                    reply(stream, "200 OK", if head.method == "HEAD" { "" } else { body }, head.closes)?;
                }
                ("GET" | "HEAD", _) => reply(stream, "200 OK", "{}", head.closes)?,
                _ => return reply(stream, "405 Method Not Allowed", "{}", true),
            }
            if head.closes {
                return Ok(());
            }
        }
    }

    /// It is tried again later by whoever has not lost it.
    fn full(&self, stream: &mut impl Write) -> io::Result<()> {
        let _ = reply(stream, "503 Service Unavailable", "{}", true);
        Err(io::ErrorKind::StorageFull.into())
    }

    /// The next request's head; `None`: there is none any more.
    fn head(&self, stream: &mut impl Read, rest: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let mut until = Instant::now() + REQUEST_TIME;
        loop {
            if let Some(end) = memchr::memmem::find(rest, b"\r\n\r\n") {
                return Ok(Some(rest.drain(..end + 4).collect()));
            }
            if rest.len() > HEAD_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let was_idle = rest.is_empty();
            if !self.more(stream, rest, until)? {
                return if rest.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            if was_idle {
                until = Instant::now() + REQUEST_TIME;
            }
        }
    }

    /// Reads some more; `false` at the end.
    fn more(&self, stream: &mut impl Read, rest: &mut Vec<u8>, until: Instant) -> io::Result<bool> {
        let mut buffer = [0; 16 << 10];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
                // One who always sends a little does not stay for ever.
                Ok(_) if Instant::now() > until => return Err(io::ErrorKind::TimedOut.into()),
                Ok(length) => {
                    rest.extend_from_slice(buffer.get(..length).unwrap_or_default());
                    return Ok(true);
                }
                Err(error) if waits(&error) => {
                    let is_idle = rest.is_empty() && Instant::now() > until;
                    if is_idle || self.stop.load(Ordering::Relaxed) {
                        return Ok(false);
                    }
                    if Instant::now() > until {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn body(
        &self,
        stream: &mut impl Read,
        rest: &mut Vec<u8>,
        head: &Head,
        held: &mut Held,
    ) -> io::Result<Vec<u8>> {
        let until = Instant::now() + REQUEST_TIME;
        let body = if head.is_chunked {
            self.chunks(stream, rest, until, held)?
        } else {
            self.exactly(stream, rest, head.length, until, held)?
        };
        if !head.is_gzip {
            return Ok(body);
        }
        let (mut plain, mut packed) = (Vec::new(), MultiGzDecoder::new(&*body));
        while packed.by_ref().take(BATCH_BYTES as u64).read_to_end(&mut plain)? > 0 {
            if plain.len() > BODY_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            room(held.grow(BATCH_BYTES))?;
        }
        Ok(plain)
    }

    fn exactly(
        &self,
        stream: &mut impl Read,
        rest: &mut Vec<u8>,
        length: usize,
        until: Instant,
        held: &mut Held,
    ) -> io::Result<Vec<u8>> {
        if length > BODY_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        while rest.len() < length {
            let before = rest.len();
            if !self.more(stream, rest, until)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            room(held.grow(rest.len() - before))?;
        }
        // The copy.
        room(held.grow(length))?;
        Ok(rest.drain(..length).collect())
    }

    /// RFC 9112 §7.1.
    fn chunks(
        &self,
        stream: &mut impl Read,
        rest: &mut Vec<u8>,
        until: Instant,
        held: &mut Held,
    ) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = self.line(stream, rest, until)?;
            let size = std::str::from_utf8(&size)
                .ok()
                .and_then(|text| usize::from_str_radix(text.split(';').next()?.trim(), 16).ok());
            let size =
                size.filter(|size| body.len() + size <= BODY_BYTES_MAX).ok_or(io::ErrorKind::InvalidData)?;
            if size == 0 {
                // Trailers, up to an empty line.
                while !self.line(stream, rest, until)?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(stream, rest, size, until, held)?);
            self.exactly(stream, rest, 2, until, held)?;
        }
    }

    fn line(&self, stream: &mut impl Read, rest: &mut Vec<u8>, until: Instant) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = memchr::memmem::find(rest, b"\r\n") {
                let line = rest.drain(..end).collect();
                rest.drain(..2);
                return Ok(line);
            }
            if rest.len() > HEAD_BYTES_MAX || !self.more(stream, rest, until)? {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    /// Lines of a body on their way; `None`: there is no room, or nobody takes them. In the bulk form every other line says what to do with
    /// the next.
    fn hand_on(&self, body: &[u8], is_bulk: bool, held: &mut Held) -> Option<usize> {
        let mut batch = Batch::new(self.source.clone(), (self.clock)());
        let (mut lines, mut goes_on) = (0, true);
        let mut add = |line: &[u8]| {
            let cut = line.get(..LINE_BYTES_MAX).unwrap_or(line);
            self.losses.cut(u64::from(cut.len() < line.len()));
            batch.push(cut);
            lines += 1;
            if batch.weight() >= BATCH_BYTES {
                let next = Batch::new(self.source.clone(), batch.arrived);
                goes_on = self.queue(std::mem::replace(&mut batch, next));
            }
            goes_on
        };
        let mut array = None;
        if !is_bulk && body.trim_ascii_start().starts_with(b"[") {
            let elements = memchr::memchr_iter(b',', body).count();
            if !held.grow(elements * size_of::<&RawValue>()) {
                return None;
            }
            array = serde_json::from_slice::<Vec<&RawValue>>(body).ok();
        }
        if let Some(array) = array {
            let _ = array.iter().all(|value| add(value.get().as_bytes()));
        } else {
            let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            let is_action = |line: &[u8]| {
                is_bulk && (line.starts_with(b"{\"create\"") || line.starts_with(b"{\"index\""))
            };
            let _ = lines.filter(|line| !line.is_empty() && !is_action(line)).all(&mut add);
        }
        (goes_on && (batch.is_empty() || self.queue(batch))).then_some(lines)
    }

    /// Waits where the queue is full; `false`: there is no room, or it is to end.
    fn queue(&self, mut batch: Batch) -> bool {
        if !batch.hold(&self.losses.room) {
            return false;
        }
        loop {
            match self.out.send_timeout(batch, QUEUE_LOOK) {
                Ok(()) => return true,
                Err(SendTimeoutError::Timeout(_)) if self.stop.load(Ordering::Relaxed) => return false,
                Err(SendTimeoutError::Timeout(back)) => batch = back,
                Err(SendTimeoutError::Disconnected(_)) => return false,
            }
        }
    }
}

fn room(is_there: bool) -> io::Result<()> {
    if is_there { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
}

fn parse(head: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path, version) = (words.next()?, words.next()?, words.next()?);
    let path = path.split('?').next()?;
    let mut head =
        Head { method: method.into(), path: path.into(), closes: version == "HTTP/1.0", ..Head::default() };
    if !version.starts_with("HTTP/1.") {
        return None;
    }
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = value.parse().ok()?,
            "transfer-encoding" => head.is_chunked = value.eq_ignore_ascii_case("chunked"),
            "content-encoding" => head.is_gzip = value.eq_ignore_ascii_case("gzip"),
            "connection" => head.closes |= value.eq_ignore_ascii_case("close"),
            "expect" => head.expects = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
    }
    Some(head)
}

fn reply(stream: &mut impl Write, status: &str, body: &str, closes: bool) -> io::Result<()> {
    let connection = if closes { "close" } else { "keep-alive" };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-elastic-product: Elasticsearch\r\ncontent-length: {}\r\nconnection: {connection}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_sends_a_little_at_a_time_does_not_stay_for_ever() {
        let (out, _batches) = crossbeam_channel::bounded(1);
        let (losses, stop) = (Losses::default(), AtomicBool::new(false));
        let desk = Desk { source: Source::new("x"), out: &out, losses: &losses, clock: || 7, stop: &stop };
        let until = Instant::now();
        std::thread::sleep(Duration::from_millis(2));
        let more = desk.more(&mut io::repeat(b'x'), &mut b"POST".to_vec(), until);
        assert_eq!(more.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
