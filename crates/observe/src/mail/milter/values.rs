use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Who brings a mail, from whom, for whom: the SMTP dialogue (RFC 5321), not the mail's own header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Envelope {
    /// The machine that brings it; `None` for a program on the mail server itself.
    pub client: Option<IpAddr>,
    /// That machine's name, as the mail server looked it up.
    pub client_name: String,
    /// How it called itself.
    pub helo: String,
    /// Sender without brackets; empty for a bounce.
    pub from: String,
    /// Recipients without brackets.
    pub to: Vec<String>,
    /// The mail server's own number for it; empty where it said none.
    pub queue_id: String,
    /// Whether the sender logged in.
    pub authenticated: bool,
    /// Whether addresses and answers may hold more than ASCII (RFC 6531).
    pub smtputf8: bool,
}

/// A field of the header, as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value with folding (`\n`), and the blank before it.
    pub value: Vec<u8>,
}

/// One mail as the mail server has it.
#[derive(Debug, Default)]
pub struct Mail {
    /// How it came.
    pub envelope: Envelope,
    /// Header, empty line and body with CRLF line ends; cut where it was told to be [`Trouble::TooLong`] or [`Trouble::Busy`].
    pub message: Vec<u8>,
    /// The header's fields in their order.
    pub fields: Vec<Field>,
    /// Where the body begins in `message`.
    pub body_at: usize,
    pub(super) held: Option<Held>,
}

/// A part of what may be held in memory by all mails together; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    all: Arc<AtomicUsize>,
    bytes: usize,
    most: usize,
}

impl Held {
    pub(super) fn none(all: &Arc<AtomicUsize>, most: usize) -> Self {
        Self { all: Arc::clone(all), bytes: 0, most }
    }

    /// Takes so many bytes more, unless all mails together would hold too many.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let before = self.all.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.most {
            self.all.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Why there is no judgement of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is longer than [`Bounds::message_bytes`], or has too many header fields.
    TooLong,
    /// The mails that are here together are longer than [`Bounds::held_bytes`].
    Busy,
    /// The judgement took longer than [`Bounds::judge_within`].
    Late,
    /// The judgement broke off.
    Broke,
}

/// What becomes of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It goes on, with these changes.
    Pass(Vec<Edit>),
    /// The mail server says that it took it, and forgets it. Only for whoever has it on disk already.
    Discard,
    /// It is refused for good; each line is ASCII, unless the session speaks more.
    Reject {
        /// 550 to 559.
        code: u16,
        /// Enhanced status code (RFC 3463), such as `5.7.1`.
        status: &'static str,
        /// What the sender reads.
        lines: Vec<String>,
    },
    /// It is refused for now; the sender tries again.
    TryLater {
        /// What the sender reads.
        line: String,
    },
}

/// A change to a mail that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// A field at the top.
    Insert {
        /// Name.
        name: String,
        /// Value in one line.
        value: String,
    },
    /// The field of that name becomes this; an empty value removes it.
    Change {
        /// Name.
        name: String,
        /// Which of them, counted from 1.
        index: u32,
        /// Value; folding as it came.
        value: Vec<u8>,
    },
    /// A new body, as long as the old header describes it.
    Body(Vec<u8>),
}

/// How much is taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once; further ones are closed, which a mail server takes for a milter that is down.
    pub connections: usize,
    /// Bytes of one mail.
    pub message_bytes: usize,
    /// Bytes of all mails that are here at once.
    pub held_bytes: usize,
    /// How long the judgement of one mail may take, waiting for its turn included.
    pub judge_within: Duration,
    /// Mails judged at once.
    pub workers: usize,
    /// How often the mail server is told that it is still being worked at.
    pub progress_every: Duration,
    /// A connection that says nothing for so long is closed.
    pub idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 200,
            message_bytes: 64 << 20,
            held_bytes: 256 << 20,
            judge_within: Duration::from_secs(60),
            workers: 4,
            progress_every: Duration::from_secs(10),
            idle: Duration::from_secs(900),
        }
    }
}

/// Where the mail server reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A Unix socket.
    Unix(PathBuf),
    /// A port on this machine.
    Inet(SocketAddr),
}

/// A text that is no place to listen at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is neither unix:/ABSOLUTE/PATH nor inet:PORT@127.0.0.1")]
pub struct BadListen {
    given: String,
}

impl FromStr for Listen {
    type Err = BadListen;

    /// As Postfix and Sendmail write it. Only this machine may connect: the protocol knows no passwords.
    fn from_str(text: &str) -> Result<Self, BadListen> {
        let unix = || {
            let path = PathBuf::from(text.strip_prefix("unix:")?);
            path.is_absolute().then_some(Self::Unix(path))
        };
        let inet = || {
            let (port, host) = text.strip_prefix("inet:")?.split_once('@')?;
            let host = if host == "localhost" { "127.0.0.1" } else { host };
            let address: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
            address.is_loopback().then_some(Self::Inet(SocketAddr::new(address, port.parse().ok()?)))
        };
        unix().or_else(inet).ok_or_else(|| BadListen { given: text.to_owned() })
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
            Listen::Inet(at) => write!(f, "inet:{}@{}", at.port(), at.ip()),
        }
    }
}
