//! A connection with a bound on its time and on what comes back over it, for a library that has no such bounds itself.
//!
//! The mail library reads a line however long it gets and begins its timeout anew with every byte, so that a mail server that
//! was taken over could fill the memory of the hub. It is given a port of loopback instead; what comes and goes there is carried
//! to the server, at most so much and so long. Encryption goes through it from end to end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

/// Far more than the answers of a mail server with its certificates take.
const ANSWERS_MAX: usize = 256 * 1024;

/// Connects to the server and gives back where to find it on loopback, for one connection, until `end`.
pub(super) fn bounded(server: &str, port: u16, end: Instant) -> io::Result<SocketAddr> {
    let remote = connect((server, port), end)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || carry(&listener, &remote, end));
    Ok(address)
}

/// The first of the addresses that takes a connection.
pub(super) fn connect(to: impl ToSocketAddrs, end: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in to.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(end)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The time that is left; an error when it is over.
pub(super) fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn carry(listener: &TcpListener, remote: &TcpStream, end: Instant) -> io::Result<()> {
    let patience = left(end)?.try_into().map_err(io::Error::other)?;
    if poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&patience))? == 0 {
        return Err(ErrorKind::TimedOut.into());
    }
    let (near, _) = listener.accept()?;
    let (from, to) = (near.try_clone()?, remote.try_clone()?);
    // What we send ourselves is bounded already, in size by the notice.
    let sending = thread::spawn(move || pump(&from, &to, usize::MAX, end));
    let _ = pump(remote, &near, ANSWERS_MAX, end);
    // Whatever the reason was, both ends learn of it, and so does the other direction.
    let _ = near.shutdown(Shutdown::Both);
    let _ = remote.shutdown(Shutdown::Both);
    let _ = sending.join();
    Ok(())
}

fn pump(mut from: &TcpStream, mut to: &TcpStream, mut bytes_max: usize, end: Instant) -> io::Result<()> {
    let mut buffer = [0; 8192];
    loop {
        from.set_read_timeout(Some(left(end)?))?;
        let bytes = from.read(&mut buffer)?;
        if bytes == 0 || bytes > bytes_max {
            return Ok(());
        }
        bytes_max -= bytes;
        to.set_write_timeout(Some(left(end)?))?;
        to.write_all(buffer.get(..bytes).unwrap_or_default())?;
    }
}
