//! ClamAV's daemon as a client sees it: a file goes in over its socket, a verdict comes out.
//!
//! A connection for each question, blocks with their length before them (`zINSTREAM`), everything within one deadline. An answer that
//! is not one of those that clamd documents is an error, never a clean file.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::error::Error;

/// Bytes that go to the daemon in one block.
const BLOCK: usize = 64 << 10;
/// Bytes of an answer that are read.
const ANSWER_MAX: usize = 4_096;
/// Characters of a name that are kept.
const NAME_MAX: usize = 200;
/// What clamd takes where nobody changed `StreamMaxLength`.
const LENGTH_MAX: u64 = 100 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `LocalSocket`.
    Unix(PathBuf),
    /// `TCPSocket`, on this machine only: the protocol neither encrypts nor says who asks.
    Tcp(SocketAddr),
}

impl FromStr for Endpoint {
    type Err = Error;

    /// `/run/clamav/clamd.ctl`, `unix:/run/…`, `127.0.0.1:3310`, `tcp:[::1]:3310`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let path = text.strip_prefix("unix:").or_else(|| text.starts_with('/').then_some(text));
        if let Some(path) = path.filter(|path| path.starts_with('/')) {
            return Ok(Endpoint::Unix(PathBuf::from(path)));
        }
        let address = text.strip_prefix("tcp:").unwrap_or(text).parse::<SocketAddr>();
        match address {
            Ok(address) if address.ip().is_loopback() => Ok(Endpoint::Tcp(address)),
            _ => Err(Error::ClamdEndpoint { given: text.to_owned() }),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
            Endpoint::Tcp(address) => write!(f, "{address}"),
        }
    }
}

/// What the daemon says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// Nothing that it knows.
    Clean,
    /// Malware, by the signature's name.
    Found(String),
    /// Longer than it, or we, take: nothing is known about it.
    TooLarge,
}

/// A daemon that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clamd {
    endpoint: Endpoint,
    patience: Duration,
    length_max: u64,
}

impl Clamd {
    /// The daemon there, asked with a patience of 30 s for each question and files up to 100 MiB.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, patience: PATIENCE, length_max: LENGTH_MAX }
    }

    /// Waits this long for an answer, the way there included.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends no file longer than this; set it to the daemon's own `StreamMaxLength`.
    #[must_use]
    pub fn up_to(self, length_max: u64) -> Self {
        Self { length_max, ..self }
    }

    /// Whether it answers.
    pub fn ping(&self) -> Result<(), Error> {
        match self.ask("reach", b"zPING\0", None)?.as_str() {
            "PONG" => Ok(()),
            other => Err(self.strange(other)),
        }
    }

    /// Its version and that of its signatures: `ClamAV 1.4.3/27650/Mon May 26 08:30:00 2025`.
    pub fn version(&self) -> Result<String, Error> {
        let answer = self.ask("ask the version of", b"zVERSION\0", None)?;
        if answer.starts_with("ClamAV ") { Ok(answer) } else { Err(self.strange(&answer)) }
    }

    /// What it says about a file's content.
    pub fn scan(&self, bytes: &[u8]) -> Result<Scan, Error> {
        if bytes.len() as u64 > self.length_max {
            return Ok(Scan::TooLarge);
        }
        let answer = self.ask("have a file scanned by", b"zINSTREAM\0", Some(bytes))?;
        parse(&answer).ok_or_else(|| self.strange(&answer))
    }

    fn ask(&self, operation: &'static str, question: &[u8], content: Option<&[u8]>) -> Result<String, Error> {
        let fail = |source| Error::Clamd { operation, endpoint: self.endpoint.to_string(), source };
        let end = Instant::now() + self.patience;
        let mut line = Line::open(&self.endpoint, end).map_err(fail)?;
        // A daemon that has read enough answers and closes while we still write: the answer counts.
        let sent = send(&mut line, question, content);
        let answer = receive(&mut line);
        match (sent, answer) {
            (Ok(()), Ok(answer)) => Ok(answer),
            (Err(_), Ok(answer)) if !answer.is_empty() => Ok(answer),
            (Err(error), _) | (_, Err(error)) => Err(fail(error)),
        }
    }

    fn strange(&self, answer: &str) -> Error {
        let answer: String = answer.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
        Error::ClamdAnswer { endpoint: self.endpoint.to_string(), answer }
    }
}

/// `None` for anything that is no verdict.
fn parse(answer: &str) -> Option<Scan> {
    if answer == "INSTREAM size limit exceeded. ERROR" {
        return Some(Scan::TooLarge);
    }
    let verdict = answer.strip_prefix("stream: ")?;
    if verdict == "OK" {
        return Some(Scan::Clean);
    }
    let name = verdict.strip_suffix(" FOUND")?;
    // With AlertExceedsMax, what was too long to look at is reported as if it were found.
    if name.starts_with("Heuristics.Limits.Exceeded") {
        return Some(Scan::TooLarge);
    }
    let sound =
        (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    sound.then(|| Scan::Found(name.to_owned()))
}

fn send(line: &mut Line, question: &[u8], content: Option<&[u8]>) -> io::Result<()> {
    line.send(question)?;
    let Some(content) = content else { return Ok(()) };
    for block in content.chunks(BLOCK) {
        // A block is far below what four bytes count.
        line.send(&(block.len() as u32).to_be_bytes())?;
        line.send(block)?;
    }
    line.send(&[0; 4])
}

/// Up to the NUL that ends an answer, or the end of the connection.
fn receive(line: &mut Line) -> io::Result<String> {
    let mut answer = Vec::new();
    let mut block = [0; 512];
    while answer.len() < ANSWER_MAX && !answer.contains(&0) {
        match line.receive(&mut block)? {
            0 => break,
            read => answer.extend(block.iter().take(read)),
        }
    }
    let text = answer.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8(text.trim_ascii_end().to_vec()).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// A connection whose every step ends with the deadline.
struct Line {
    stream: Stream,
    end: Instant,
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Line {
    fn open(endpoint: &Endpoint, end: Instant) -> io::Result<Self> {
        let stream = match endpoint {
            Endpoint::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
            Endpoint::Tcp(address) => Stream::Tcp(TcpStream::connect_timeout(address, left(end)?)?),
        };
        Ok(Self { stream, end })
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let left = Some(left(self.end)?);
            let written = match &mut self.stream {
                Stream::Unix(stream) => stream.set_write_timeout(left).and_then(|()| stream.write(bytes)),
                Stream::Tcp(stream) => stream.set_write_timeout(left).and_then(|()| stream.write(bytes)),
            };
            let written = retried(written)?;
            bytes = bytes.get(written.unwrap_or(0)..).unwrap_or_default();
            if written == Some(0) {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    fn receive(&mut self, block: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = Some(left(self.end)?);
            let read = match &mut self.stream {
                Stream::Unix(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(block)),
                Stream::Tcp(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(block)),
            };
            if let Some(read) = retried(read)? {
                return Ok(read);
            }
        }
    }
}

/// `None` where a signal came in between. A timeout reads as one, not as "try again".
fn retried(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::TimedOut.into()),
        Err(error) => Err(error),
    }
}

fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests;
