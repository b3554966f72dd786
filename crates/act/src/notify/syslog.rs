use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use schema::Severity;

use super::{Facility, Notice, Transport, one_line, relay, within};
use crate::Error;

/// What every receiver should take, RFC 5424 §6.1.
const LINE_MAX: usize = 2048;
/// UTF-8 says so by its byte order mark, RFC 5424 §6.4.
const BOM: &str = "\u{feff}";

/// One line, RFC 5424. The enterprise number 32473 is the one for documents (RFC 5612): we have none of our own.
pub(super) fn line(notice: &Notice, facility: Facility, app_name: &str) -> Vec<u8> {
    let priority = number(facility) * 8 + severity(notice.severity_id);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let incident = notice.incident.map(|id| format!(" incident=\"{id}\"")).unwrap_or_default();
    let severity_id = u8::from(notice.severity_id);
    let lang = notice.lang.tag();
    let mut line = format!(
        "<{priority}>1 {:.3} {} {} {} notice [chartward@32473 severity_id=\"{severity_id}\" lang=\"{lang}\"{incident}] {BOM}{}",
        notice.at,
        name(&host, 255),
        name(app_name, 48),
        std::process::id(),
        notice.shown_title(),
    );
    let body = one_line(&notice.shown_body(), LINE_MAX);
    if !body.is_empty() {
        line.push_str(": ");
        line.push_str(&body);
    }
    let end = (0..=LINE_MAX.min(line.len())).rev().find(|end| line.is_char_boundary(*end));
    line.truncate(end.unwrap_or_default());
    line.into_bytes()
}

/// Printable ASCII without blanks, `-` when nothing is left.
fn name(text: &str, len_max: usize) -> String {
    let name: String = text.chars().filter(char::is_ascii_graphic).take(len_max).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

fn number(facility: Facility) -> u8 {
    match facility {
        Facility::User => 1,
        Facility::Daemon => 3,
        Facility::Auth => 4,
        Facility::Authpriv => 10,
        Facility::Local0 => 16,
        Facility::Local1 => 17,
        Facility::Local2 => 18,
        Facility::Local3 => 19,
        Facility::Local4 => 20,
        Facility::Local5 => 21,
        Facility::Local6 => 22,
        Facility::Local7 => 23,
    }
}

/// RFC 5424 §6.2.1: critical, error, warning, notice, informational. Alert and emergency are left to what fells a whole site.
fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Informational => 6,
    }
}

pub(super) fn send(
    address: &str,
    transport: Transport,
    line: Vec<u8>,
    timeout: Duration,
) -> Result<String, Error> {
    // A little before the caller's time is over, so that a server that keeps the connection open is told of as what it is.
    let end = Instant::now() + timeout.mul_f64(0.8);
    let to = address.to_owned();
    within(timeout, address, move || {
        Ok(match transport {
            Transport::Udp => datagram(&to, &line)?,
            Transport::Tcp => stream(&to, &line, end)?,
        })
    })
}

fn datagram(to: &str, line: &[u8]) -> io::Result<String> {
    let target = to.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("the name has no address"))?;
    let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(target)?;
    socket.send(line)?;
    Ok(format!("given to the network for {target}; UDP has no receipt"))
}

/// Ends the stream and waits for the other side to end it too: by then its kernel has all of it. More than that syslog does not tell.
fn stream(to: &str, line: &[u8], end: Instant) -> io::Result<String> {
    let mut stream = relay::connect(to, end)?;
    let target = stream.peer_addr()?;
    stream.set_write_timeout(Some(relay::left(end)?))?;
    let mut frame = format!("{} ", line.len()).into_bytes();
    frame.extend_from_slice(line);
    stream.write_all(&frame)?;
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(relay::left(end)?))?;
    match stream.read(&mut [0; 64]) {
        Ok(_) => Ok(format!("accepted by the kernel of {target}; syslog has no receipt")),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(format!("sent to {target}, which did not end the connection; syslog has no receipt"))
        }
        Err(error) => Err(error),
    }
}
