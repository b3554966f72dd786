//! Collectors that post: JSON lines or an array of objects (NXLog, Fluent Bit, Vector), or Elasticsearch's bulk form (Winlogbeat).
//!
//! HTTP/1.1 as far as these need it (RFC 9112), over loopback or TLS. What is too large or malformed is refused and counted.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use flate2::read::MultiGzDecoder;
use rustls::ServerConfig;
use schema::Micros;
use serde_json::value::RawValue;

use super::listen::{Listener, secured, serve, waits};
use super::split::LINE_BYTES_MAX;
use super::{Batch, Losses, Source};
use crate::Error;

const HEAD_BYTES_MAX: usize = 16 << 10;
/// Collectors send some megabytes at once.
const BODY_BYTES_MAX: usize = 32 << 20;
const REQUEST_TIME: Duration = Duration::from_secs(60);

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
            let Some(head) = self.head(stream, &mut rest)? else { return Ok(()) };
            let Some(head) = parse(&head) else { return reply(stream, "400 Bad Request", "{}", true) };
            if head.expects {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let body = match self.body(stream, &mut rest, &head) {
                Ok(body) => body,
                Err(error) => {
                    let _ = reply(stream, "413 Content Too Large", "{}", true);
                    return Err(error);
                }
            };
            match (head.method.as_str(), head.path.as_str()) {
                ("POST" | "PUT", _) => {
                    let Some(lines) = self.hand_on(&body, head.path.contains("_bulk")) else {
                        return reply(stream, "503 Service Unavailable", "{}", true);
                    };
                    // Elasticsearch's clients count the items of the answer.
                    let items = if head.path.contains("_bulk") {
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

    /// The next request's head; `None`: there is none any more.
    fn head(&self, stream: &mut impl Read, rest: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let until = Instant::now() + REQUEST_TIME;
        loop {
            if let Some(end) = memchr::memmem::find(rest, b"\r\n\r\n") {
                return Ok(Some(rest.drain(..end + 4).collect()));
            }
            if rest.len() > HEAD_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if !self.more(stream, rest, until)? {
                return if rest.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Reads some more; `false` at the end.
    fn more(&self, stream: &mut impl Read, rest: &mut Vec<u8>, until: Instant) -> io::Result<bool> {
        let mut buffer = [0; 16 << 10];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
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

    fn body(&self, stream: &mut impl Read, rest: &mut Vec<u8>, head: &Head) -> io::Result<Vec<u8>> {
        let until = Instant::now() + REQUEST_TIME;
        let body = if head.is_chunked {
            self.chunks(stream, rest, until)?
        } else {
            self.exactly(stream, rest, head.length, until)?
        };
        if !head.is_gzip {
            return Ok(body);
        }
        let mut plain = Vec::new();
        MultiGzDecoder::new(&*body).take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut plain)?;
        if plain.len() > BODY_BYTES_MAX { Err(io::ErrorKind::InvalidData.into()) } else { Ok(plain) }
    }

    fn exactly(
        &self,
        stream: &mut impl Read,
        rest: &mut Vec<u8>,
        length: usize,
        until: Instant,
    ) -> io::Result<Vec<u8>> {
        if length > BODY_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        while rest.len() < length {
            if !self.more(stream, rest, until)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(rest.drain(..length).collect())
    }

    /// RFC 9112 §7.1.
    fn chunks(&self, stream: &mut impl Read, rest: &mut Vec<u8>, until: Instant) -> io::Result<Vec<u8>> {
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
            body.extend(self.exactly(stream, rest, size, until)?);
            self.exactly(stream, rest, 2, until)?;
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

    /// Lines of a body on their way; `None`: nobody takes them. In the bulk form every other line says what to do with the next.
    fn hand_on(&self, body: &[u8], is_bulk: bool) -> Option<usize> {
        let mut batch = Batch::new(self.source.clone(), (self.clock)());
        let mut add = |line: &[u8]| {
            let cut = line.get(..LINE_BYTES_MAX).unwrap_or(line);
            self.losses.cut(u64::from(cut.len() < line.len()));
            batch.push(cut);
        };
        let array = body
            .trim_ascii()
            .starts_with(b"[")
            .then(|| serde_json::from_slice::<Vec<&RawValue>>(body).ok())
            .flatten();
        if let Some(array) = array {
            array.iter().for_each(|value| add(value.get().as_bytes()));
        } else {
            for line in
                body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
            {
                let is_action =
                    is_bulk && (line.starts_with(b"{\"create\"") || line.starts_with(b"{\"index\""));
                if !is_action {
                    add(line);
                }
            }
        }
        let lines = batch.len();
        if lines > 0 {
            self.out.send(batch).ok()?;
        }
        Some(lines)
    }
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
