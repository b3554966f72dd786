//! Gives a mail back to the mail server.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use crate::Error;

const LINE_MAX: u64 = 4_096;
const LINES_MAX: usize = 100;

/// How the mail server takes mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// SMTP in the clear, on this machine or inside the hospital.
    Smtp(SocketAddr),
    /// A program with the options of sendmail(1).
    Program(PathBuf),
}

/// A text that is no way back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is neither ADDRESS:PORT nor the absolute path of a sendmail program")]
pub struct BadWay {
    given: String,
}

impl FromStr for Way {
    type Err = BadWay;

    fn from_str(text: &str) -> Result<Self, BadWay> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Smtp(address));
        }
        let path = PathBuf::from(text);
        if path.is_absolute() { Ok(Self::Program(path)) } else { Err(BadWay { given: text.to_owned() }) }
    }
}

/// A mail on its way back.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Envelope sender; empty for a bounce.
    pub from: &'a str,
    /// Recipients.
    pub to: &'a [String],
    /// The whole mail with CRLF line ends.
    pub message: &'a [u8],
}

impl Way {
    /// Returns once the mail server has taken it over for all recipients; with an error it has it for none, unless the connection
    /// broke at the very end.
    pub fn give(&self, mail: &Given<'_>, within: Duration) -> Result<(), Error> {
        let plain =
            |address: &&str| !address.contains(['\r', '\n', '\0', ' ', '<', '>']) && address.len() < 1_000;
        let bad = mail.to.iter().map(String::as_str).chain([mail.from]).find(|address| !plain(address));
        if bad.is_some() || mail.to.is_empty() {
            return Err(failed(self)(io::Error::new(ErrorKind::InvalidInput, "an address cannot be used")));
        }
        match self {
            Way::Smtp(server) => smtp(*server, mail, within).map_err(failed(self)),
            Way::Program(program) => run(program, mail).map_err(failed(self)),
        }
    }
}

fn failed(way: &Way) -> impl Fn(io::Error) -> Error {
    let server = match way {
        Way::Smtp(server) => server.to_string(),
        Way::Program(program) => program.display().to_string(),
    };
    move |source| Error::GiveBack { server: server.clone(), source }
}

fn run(program: &PathBuf, mail: &Given<'_>) -> io::Result<()> {
    let mut child = Command::new(program)
        .args(["-i", "-f", mail.from, "--"])
        .args(mail.to)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // It takes the line ends of this machine.
        let text =
            mail.message.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        input.write_all(&text.collect::<Vec<_>>().join(&b'\n'))?;
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("it ended with {status}"))) }
}

fn smtp(server: SocketAddr, mail: &Given<'_>, within: Duration) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&server, within)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    let mut talk = Talk { reader: BufReader::new(stream.try_clone()?), stream };
    talk.expect(220)?;
    let can = talk.say("EHLO chartward.invalid", 250)?;
    let can = |word: &str| can.iter().any(|line| line.eq_ignore_ascii_case(word));
    let ascii = mail.to.iter().map(String::as_str).chain([mail.from]).all(str::is_ascii);
    let mut options = String::new();
    if can("8BITMIME") && !mail.message.is_ascii() {
        options.push_str(" BODY=8BITMIME");
    }
    if can("SMTPUTF8") && !ascii {
        options.push_str(" SMTPUTF8");
    }
    talk.say(&format!("MAIL FROM:<{}>{options}", mail.from), 250)?;
    for to in mail.to {
        talk.say(&format!("RCPT TO:<{to}>"), 250)?;
    }
    talk.say("DATA", 354)?;
    talk.stream.write_all(&dotted(mail.message))?;
    talk.expect(250)?;
    // It has the mail: how it says good-bye changes nothing.
    let _ = talk.say("QUIT", 221);
    Ok(())
}

struct Talk {
    reader: BufReader<TcpStream>,
    stream: TcpStream,
}

impl Talk {
    fn say(&mut self, line: &str, code: u16) -> io::Result<Vec<String>> {
        self.stream.write_all(format!("{line}\r\n").as_bytes())?;
        self.expect(code)
    }

    /// The answer's lines without their codes; another code than that is an error with the answer in it.
    fn expect(&mut self, code: u16) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        while lines.len() < LINES_MAX {
            let mut line = Vec::new();
            self.reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let (Some(digits), rest) = (line.get(..3), line.get(4..).unwrap_or_default()) else {
                return Err(ErrorKind::UnexpectedEof.into());
            };
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            if digits.parse() != Ok(code) {
                return Err(io::Error::other(format!("it answered {line}")));
            }
            lines.push(rest.to_owned());
            if is_last {
                return Ok(lines);
            }
        }
        Err(io::Error::new(ErrorKind::InvalidData, "an answer without an end"))
    }
}

/// The mail as DATA carries it: a dot before every dot at the begin of a line, and the dot that ends it.
fn dotted(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 8);
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_begin_with_a_dot_stay_in_the_mail() {
        for (message, sent) in [
            (&b"a\r\n.b\r\n..c\r\n"[..], &b"a\r\n..b\r\n...c\r\n.\r\n"[..]),
            (b".", b"..\r\n.\r\n"),
            (b"", b"\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
        ] {
            assert_eq!(dotted(message), sent);
        }
    }

    #[test]
    fn ways_are_read_and_addresses_that_would_command_the_server_are_refused() {
        assert_eq!("127.0.0.1:25".parse(), Ok(Way::Smtp(([127, 0, 0, 1], 25).into())));
        assert_eq!("/usr/sbin/sendmail".parse(), Ok(Way::Program("/usr/sbin/sendmail".into())));
        assert!("localhost".parse::<Way>().is_err());
        let way = Way::Smtp(([127, 0, 0, 1], 9).into());
        for (from, to) in [("", "a@b\r\nDATA"), ("a>b", "c@d"), ("", "")] {
            let to: Vec<String> = Some(to.to_owned()).filter(|to| !to.is_empty()).into_iter().collect();
            let given = Given { from, to: &to, message: b"x" };
            let error = way.give(&given, Duration::from_secs(1)).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!(cause, "an address cannot be used");
        }
    }
}
