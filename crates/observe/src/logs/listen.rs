//! Syslog over datagrams (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425).
//!
//! Datagrams cannot wait: what finds no room, or is more than one sender's share, is lost and counted. Connections wait.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use schema::Micros;

use super::split::{LINE_BYTES_MAX, Splitter};
use super::{Batch, Losses, Source};
use crate::Error;

/// What the kernel keeps for us while we are busy.
const RECEIVE_BUFFER: usize = 8 << 20;
/// Lines of one sender in one second; honest machines send a hundredth.
const SHARE_MAX: u32 = 50_000;
const SENDERS_MAX: usize = 4_096;
const CONNECTIONS_MAX: usize = 512;
/// So that one sender cannot shut the others out.
const CONNECTIONS_OF_ONE: usize = 32;
/// Lines that travel together.
const BATCH_LINES: usize = 1_024;
/// What lines that travel together weigh.
pub(super) const BATCH_BYTES: usize = 256 << 10;
/// So long a stream waits for room.
const ROOM_TIME: Duration = Duration::from_secs(10);
/// So long one waits for more lines, or for the end to be told.
const PATIENCE: Duration = Duration::from_millis(50);
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How lines come.
#[derive(Clone)]
pub enum Transport {
    /// One message a datagram.
    Udp,
    /// A stream.
    Tcp,
    /// A stream inside of TLS.
    Tls(Arc<ServerConfig>),
}

/// A listener at work; dropped, it ends.
pub struct Listener {
    /// Where it listens; the port is known where none was given.
    pub at: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    pub(super) fn run(
        at: SocketAddr,
        work: impl FnOnce(&AtomicBool) + Send + 'static,
    ) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("logs listener".into()).spawn(move || work(&stopped));
        let thread = thread.map_err(|source| Error::ListenLogs { at: at.to_string(), source })?;
        Ok(Self { at, stop, thread: Some(thread) })
    }

    /// Takes nothing more; what came before may still wait in the queue.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn failed(at: SocketAddr) -> impl Fn(io::Error) -> Error {
    move |source| Error::ListenLogs { at: at.to_string(), source }
}

/// Listens for datagrams.
///
/// # Errors
/// When the address cannot be had.
pub fn udp(
    at: SocketAddr,
    out: Sender<Batch>,
    losses: Losses,
    clock: fn() -> Micros,
) -> Result<Listener, Error> {
    let socket = UdpSocket::bind(at).map_err(failed(at))?;
    // The kernel gives what it allows.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
    socket.set_read_timeout(Some(PATIENCE)).map_err(failed(at))?;
    let at = socket.local_addr().map_err(failed(at))?;
    let mut senders =
        Senders { prefix: format!("udp://{at}"), shares: HashMap::new(), second: Instant::now() };
    Listener::run(at, move |stop| {
        let mut buffer = vec![0; 65_536];
        while !stop.load(Ordering::Relaxed) {
            let mut batches: HashMap<IpAddr, Batch> = HashMap::new();
            let (mut lines, mut bytes) = (0, 0);
            // The first one is waited for, the others are there or not.
            while lines < BATCH_LINES && bytes < BATCH_BYTES {
                match socket.recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        lines += 1;
                        bytes += length;
                        let message = buffer.get(..length).unwrap_or_default();
                        if senders.may(from.ip()) {
                            let batch = batches
                                .entry(from.ip())
                                .or_insert_with(|| Batch::new(senders.source(from.ip()), clock()));
                            // A line end inside of a datagram is the sender's, never the end of a message (RFC 5426 §3.1).
                            batch.push(message.trim_ascii_end());
                        } else {
                            losses.lose(1);
                        }
                        if lines == 1 {
                            let _ = socket.set_nonblocking(true);
                        }
                    }
                    Err(_) => break,
                }
            }
            if lines > 0 {
                let _ = socket.set_nonblocking(false);
            }
            for mut batch in batches.into_values() {
                if !batch.hold(&losses.room) {
                    losses.lose(batch.len() as u64);
                } else if let Err(refused) = out.try_send(batch) {
                    losses.lose(refused.into_inner().len() as u64);
                }
            }
        }
    })
}

/// Who sends how much.
struct Senders {
    prefix: String,
    shares: HashMap<IpAddr, u32>,
    second: Instant,
}

impl Senders {
    fn may(&mut self, from: IpAddr) -> bool {
        if self.second.elapsed() >= Duration::from_secs(1) {
            self.shares.clear();
            self.second = Instant::now();
        }
        if self.shares.len() >= SENDERS_MAX && !self.shares.contains_key(&from) {
            return false;
        }
        let share = self.shares.entry(from).or_default();
        *share += 1;
        *share <= SHARE_MAX
    }

    fn source(&self, from: IpAddr) -> Source {
        Source::new(&format!("{} {}", self.prefix, from.to_canonical()))
    }
}

/// Listens for streams.
///
/// # Errors
/// When the address cannot be had.
pub fn tcp(
    at: SocketAddr,
    transport: Transport,
    out: Sender<Batch>,
    losses: Losses,
    clock: fn() -> Micros,
) -> Result<Listener, Error> {
    let listener = TcpListener::bind(at).map_err(failed(at))?;
    let at = listener.local_addr().map_err(failed(at))?;
    let scheme = if matches!(transport, Transport::Tls(_)) { "tls" } else { "tcp" };
    let prefix = format!("{scheme}://{at}");
    serve(listener, at, losses.clone(), move |stream, from, stop| {
        let source = Source::new(&format!("{prefix} {from}"));
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let mut reading = Reading { source, out: &out, losses: &losses, clock, frame: Frame::default() };
        match &transport {
            Transport::Tls(config) => {
                let Some(stream) = secured(stream, config) else { return losses.refuse() };
                reading.all(stream, stop);
            }
            _ => reading.all(stream, stop),
        }
    })
}

/// Takes connections, each on a thread of its own, within a bound.
pub(super) fn serve(
    listener: TcpListener,
    at: SocketAddr,
    losses: Losses,
    attend: impl Fn(TcpStream, IpAddr, &AtomicBool) + Send + Sync + 'static,
) -> Result<Listener, Error> {
    listener.set_nonblocking(true).map_err(failed(at))?;
    let attend = Arc::new(attend);
    Listener::run(at, move |stop| {
        let (going, ending) = (Arc::new(Going::default()), Arc::new(AtomicBool::new(false)));
        while !stop.load(Ordering::Relaxed) {
            let Ok((stream, from)) = listener.accept() else {
                thread::sleep(PATIENCE);
                continue;
            };
            let _ = stream.set_nonblocking(false);
            let from = from.ip().to_canonical();
            let Some(place) = Going::enter(&going, from) else {
                losses.refuse();
                continue;
            };
            let (attend, ending) = (Arc::clone(&attend), Arc::clone(&ending));
            let spawned = thread::Builder::new().name("logs client".into()).spawn(move || {
                attend(stream, from, &ending);
                drop(place);
            });
            if spawned.is_err() {
                losses.refuse();
            }
        }
        ending.store(true, Ordering::Relaxed);
    })
}

/// Connections that are open, by who opened them.
#[derive(Default)]
struct Going {
    of: Mutex<HashMap<IpAddr, usize>>,
}

/// The place of one connection, free again once it is dropped.
struct Place {
    going: Arc<Going>,
    from: IpAddr,
}

impl Going {
    fn of(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(going: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let mut of = going.of();
        if of.values().sum::<usize>() >= CONNECTIONS_MAX {
            return None;
        }
        let count = of.entry(from).or_default();
        if *count >= CONNECTIONS_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Place { going: Arc::clone(going), from })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of = self.going.of();
        if let Entry::Occupied(mut count) = of.entry(self.from) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// The handshake, within its time.
pub(super) fn secured(
    mut stream: TcpStream,
    config: &Arc<ServerConfig>,
) -> Option<StreamOwned<ServerConnection, TcpStream>> {
    let mut connection = ServerConnection::new(Arc::clone(config)).ok()?;
    let until = Instant::now() + HANDSHAKE;
    let _ = stream.set_write_timeout(Some(HANDSHAKE));
    while connection.is_handshaking() {
        match connection.complete_io(&mut stream) {
            Ok(_) | Err(_) if Instant::now() >= until => return None,
            Ok(_) => {}
            Err(error) if waits(&error) => {}
            Err(_) => return None,
        }
    }
    Some(StreamOwned::new(connection, stream))
}

pub(super) fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// One connection.
struct Reading<'r> {
    source: Source,
    out: &'r Sender<Batch>,
    losses: &'r Losses,
    clock: fn() -> Micros,
    frame: Frame,
}

impl Reading<'_> {
    fn all(&mut self, mut stream: impl Read, stop: &AtomicBool) {
        let mut buffer = vec![0; 64 << 10];
        let Some(mut held) = self.losses.room.hold(buffer.len()) else { return self.losses.refuse() };
        while !stop.load(Ordering::Relaxed) {
            let length = match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if waits(&error) => continue,
                Err(_) => break,
            };
            let mut batch = Batch::new(self.source.clone(), (self.clock)());
            let cut = self.frame.feed(buffer.get(..length).unwrap_or_default(), &mut |line| batch.push(line));
            self.losses.cut(cut);
            // The sender waits when we are slow.
            if !batch.is_empty() && !self.hand_on(batch, stop) {
                return;
            }
            if !held.resize(buffer.len() + self.frame.waiting()) {
                return self.losses.refuse();
            }
        }
        let mut batch = Batch::new(self.source.clone(), (self.clock)());
        self.frame.finish(&mut |line| batch.push(line));
        if !batch.is_empty() {
            self.hand_on(batch, stop);
        }
    }

    /// Waits for room, but not for ever; `false`: nobody takes lines any more.
    fn hand_on(&self, mut batch: Batch, stop: &AtomicBool) -> bool {
        let until = Instant::now() + ROOM_TIME;
        while !batch.hold(&self.losses.room) {
            if Instant::now() >= until || stop.load(Ordering::Relaxed) {
                self.losses.lose(batch.len() as u64);
                return true;
            }
            thread::sleep(PATIENCE);
        }
        self.out.send(batch).is_ok()
    }
}

/// RFC 6587: messages with their length before them (§3.4.1), or with a line end behind them (§3.4.2); senders do not mix them.
#[derive(Default)]
pub(super) enum Frame {
    /// Nothing came yet.
    #[default]
    Unknown,
    Lines(Box<Splitter>),
    Counted {
        waiting: Vec<u8>,
        /// Bytes of a message that is longer than a line may be.
        skip: usize,
    },
}

impl Frame {
    /// More of a stream; says how many messages were cut.
    pub(super) fn feed(&mut self, bytes: &[u8], line: &mut impl FnMut(&[u8])) -> u64 {
        if let Frame::Unknown = self {
            *self = match bytes.first() {
                Some(b'1'..=b'9') => Frame::Counted { waiting: Vec::new(), skip: 0 },
                _ => Frame::Lines(Box::default()),
            };
        }
        match self {
            Frame::Lines(splitter) => {
                let before = splitter.cut;
                splitter.feed(bytes, line);
                splitter.cut - before
            }
            Frame::Counted { waiting, skip } => {
                let passed = (*skip).min(bytes.len());
                *skip -= passed;
                waiting.extend_from_slice(bytes.get(passed..).unwrap_or_default());
                match counted(waiting, skip, line) {
                    Some(cut) => cut,
                    None => {
                        // It counted wrong, or never did: lines, then.
                        let rest = std::mem::take(waiting);
                        let mut splitter = Box::<Splitter>::default();
                        splitter.feed(&rest, line);
                        *self = Frame::Lines(splitter);
                        0
                    }
                }
            }
            Frame::Unknown => 0,
        }
    }

    /// Bytes that wait for the rest of their message.
    fn waiting(&self) -> usize {
        match self {
            Frame::Unknown => 0,
            Frame::Lines(splitter) => splitter.held(),
            Frame::Counted { waiting, .. } => waiting.capacity(),
        }
    }

    pub(super) fn finish(&mut self, line: &mut impl FnMut(&[u8])) {
        if let Frame::Lines(splitter) = self {
            splitter.finish(line);
        }
    }
}

/// Whole messages are taken out; `None`: this is no count.
fn counted(waiting: &mut Vec<u8>, skip: &mut usize, line: &mut impl FnMut(&[u8])) -> Option<u64> {
    let (mut at, mut cut) = (0, 0);
    loop {
        let rest = waiting.get(at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 9 || rest.get(digits).is_some_and(|byte| *byte != b' ') || digits == 0 && !rest.is_empty()
        {
            waiting.drain(..at);
            return None;
        }
        let Some(b' ') = rest.get(digits) else { break };
        let length = rest.iter().take(digits).fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        let start = at + digits + 1;
        let body = waiting.get(start..).unwrap_or_default();
        if length > LINE_BYTES_MAX {
            if body.len() < LINE_BYTES_MAX {
                break;
            }
            line(body.get(..LINE_BYTES_MAX).unwrap_or_default());
            cut += 1;
            let there = length.min(body.len());
            *skip = length - there;
            at = start + there;
            continue;
        }
        let Some(message) = body.get(..length) else { break };
        line(message.trim_ascii_end());
        at = start + length;
    }
    waiting.drain(..at);
    Some(cut)
}
