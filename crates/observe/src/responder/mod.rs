//! A low-interaction SMB server: it answers Negotiate and the first half of NTLM, hears what system a client says it runs, and hangs up.
//!
//! It has no shares, no accounts and no files, and answers nothing else. What it hears are claims of clients: they can be forged. All is
//! bounded: bytes and time of a connection, connections at once, and connections of one address.

mod ntlm;
mod session;
mod smb1;
mod smb2;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use schema::SystemVersion;

pub use session::{Goes, Session};

/// What one connection may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more are closed unheard.
    pub connections: usize,
    /// Of one address.
    pub connections_of_one: usize,
    /// How long one may last.
    pub lasts: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 64, connections_of_one: 4, lasts: Duration::from_secs(20) }
    }
}

/// What a client said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Who.
    pub source: IpAddr,
    /// To which port of ours.
    pub port: u16,
    /// What it says it runs.
    pub version: SystemVersion,
}

/// Serves until the listener fails. `heard` is told of each version that a connection names, once.
///
/// # Errors
/// What the listener says; a connection that fails is none.
pub fn serve(
    listener: &TcpListener,
    limits: Limits,
    heard: impl Fn(Heard) + Send + Sync + 'static,
) -> std::io::Result<()> {
    let port = listener.local_addr()?.port();
    let open: Arc<Mutex<HashMap<IpAddr, usize>>> = Arc::default();
    let heard = Arc::new(heard);
    loop {
        let (stream, from) = match listener.accept() {
            Ok(it) => it,
            // The client went away meanwhile, or there are too many descriptors: the next one may do better.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {
                continue;
            }
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            Err(error) => return Err(error),
        };
        let source = from.ip().to_canonical();
        let Some(seat) = Seat::take(&open, source, limits) else { continue };
        let heard = Arc::clone(&heard);
        // A machine without room for a thread hangs up.
        let _ = std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
            for version in converse(stream, limits.lasts) {
                heard(Heard { source, port, version });
            }
            drop(seat);
        });
    }
}

/// A place among the connections, given back when it ends.
struct Seat {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    source: IpAddr,
}

impl Seat {
    fn take(open: &Arc<Mutex<HashMap<IpAddr, usize>>>, source: IpAddr, limits: Limits) -> Option<Seat> {
        let mut taken = open.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.get(&source).copied().unwrap_or(0);
        if all >= limits.connections || own >= limits.connections_of_one {
            return None;
        }
        taken.insert(source, own + 1);
        Some(Seat { open: Arc::clone(open), source })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.source);
            }
        }
    }
}

/// One connection, to its end. A client that is slow has no more time than one that is fast.
fn converse(mut stream: TcpStream, lasts: Duration) -> Vec<SystemVersion> {
    let ends = Instant::now() + lasts;
    let mut session = Session::new(challenge(), filetime());
    let mut buffer = [0; 4096];
    loop {
        let left = ends.saturating_duration_since(Instant::now());
        if left.is_zero()
            || stream.set_read_timeout(Some(left)).is_err()
            || stream.set_write_timeout(Some(left)).is_err()
        {
            break;
        }
        let count = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let mut answer = Vec::new();
        let goes = session.feed(buffer.get(..count).unwrap_or_default(), &mut answer);
        if stream.write_all(&answer).is_err() || goes == Goes::Over {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
    session.heard().to_vec()
}

/// Eight bytes that differ from connection to connection. They protect nothing: whatever is answered to them is thrown away.
fn challenge() -> [u8; 8] {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(filetime()).to_le_bytes()
}

/// Now, in 100 nanoseconds since 1601.
fn filetime() -> u64 {
    const TO_1970: u64 = 116_444_736_000_000_000;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    TO_1970 + (since.as_nanos() / 100) as u64
}
