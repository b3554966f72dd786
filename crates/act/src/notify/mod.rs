//! Telling people: mail, a webhook, syslog, a signal lamp.
//!
//! A notice carries titles and counts, never patient data. Its delivery is proven by the receiver's own words, or said not to be.

mod http;
mod relay;
mod smtp;
mod syslog;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use schema::{IncidentId, Lang, Severity};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Bytes of a receiver's answer that are kept.
const ANSWER_MAX: usize = 512;
const TITLE_MAX: usize = 200;
const BODY_MAX: usize = 8000;

/// One way to tell people, as the configuration names it. Secrets are names; what they stand for never lies in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Channel {
    /// Mail, handed to a server.
    Smtp {
        /// Name or address of the server.
        server: String,
        /// Its port: 25, 587 or 465.
        port: u16,
        /// Sender.
        from: String,
        /// Receivers; the server has to take all of them.
        to: Vec<String>,
        /// Whether the connection is encrypted.
        tls: Tls,
        /// PEM file of the authority that signed the server's certificate, where it is the hospital's own.
        #[serde(default)]
        ca: Option<PathBuf>,
        /// User name, where the server wants one.
        #[serde(default)]
        user: Option<String>,
        /// Name of the secret that holds the password.
        #[serde(default)]
        secret: Option<String>,
    },
    /// An HTTP POST of a JSON object. Its `text` is what chat services show.
    Webhook {
        /// Where to.
        url: String,
        /// Name of the secret that signs the body: header `X-Chartward-Signature: sha256=HEX`, HMAC-SHA256 of the body.
        #[serde(default)]
        secret: Option<String>,
        /// Further headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// A line of syslog, RFC 5424.
    Syslog {
        /// `HOST:PORT`.
        address: String,
        /// How it travels.
        transport: Transport,
        /// Its facility.
        #[serde(default)]
        facility: Facility,
        /// APP-NAME.
        #[serde(default = "app_name")]
        app_name: String,
    },
    /// A signal lamp or another device that is set by one HTTP request.
    Lamp {
        /// `{severity}` becomes 1 to 5, `{lights}` the entry of `lights`, `{incident}` its number, `{lang}` en or ja. For a lamp
        /// of Patlite's NH series: `http://ADDRESS/api/control?alert={lights}`.
        url: String,
        /// How it is asked.
        #[serde(default)]
        method: Method,
        /// What stands for `{lights}` at severity 1 to 5. Without it red, yellow, green, blue, white and the buzzer, as Patlite
        /// counts them: 0 off, 1 on, 2 blinking.
        #[serde(default = "lights")]
        lights: [String; 5],
    },
}

fn app_name() -> String {
    "chartward".to_owned()
}

/// The buzzer only sounds for the worst: an alarm that sounds for everything is switched off.
fn lights() -> [String; 5] {
    ["001000", "001000", "010000", "100000", "200001"].map(str::to_owned)
}

/// Whether a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Not at all; no password is sent over it.
    None,
    /// Begun in the clear and then encrypted, or nothing is sent (port 587).
    Starttls,
    /// From the first byte (port 465).
    Tls,
}

/// How a line of syslog travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// One datagram, RFC 5426. Nobody ever learns whether it arrived.
    Udp,
    /// Octet counting, RFC 6587 §3.4.1.
    Tcp,
}

/// RFC 5424 §6.2.1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the RFC's")]
pub enum Facility {
    User,
    Daemon,
    Auth,
    Authpriv,
    #[default]
    Local0,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

/// How a lamp is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are HTTP's")]
pub enum Method {
    #[default]
    Get,
    Post,
    Put,
}

/// What is told. No patient data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notice {
    /// The incident it is about; `None` for a trial and for what is no incident.
    pub incident: Option<IncidentId>,
    /// How bad it is.
    pub severity_id: Severity,
    /// One sentence in English.
    pub title: String,
    /// The same in Japanese.
    pub title_ja: String,
    /// More in English.
    pub body: String,
    /// The same in Japanese.
    pub body_ja: String,
    /// When it happened.
    pub at: Timestamp,
    /// The language of those who are told.
    pub lang: Lang,
}

impl Notice {
    /// The title on one line: it goes into headers, where a line break would begin another header.
    fn shown_title(&self) -> String {
        one_line(self.lang.pick(&self.title, &self.title_ja), TITLE_MAX)
    }

    fn shown_body(&self) -> String {
        let body = self.lang.pick(&self.body, &self.body_ja);
        body.chars().filter(|c| *c == '\n' || !c.is_control()).take(BODY_MAX).collect()
    }
}

fn one_line(text: &str, chars_max: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars_max).collect()
}

/// A letter to somebody outside, which a person has read and lets go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Receivers; the server has to take all of them.
    pub to: Vec<String>,
    /// Its subject, put on one line.
    pub subject: String,
    /// Its text.
    pub body: String,
    /// When it is sent.
    pub at: Timestamp,
}

/// A notice that was delivered, as far as anybody can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The receiver's own words: a mail server's line with its queue id, the status and the start of the answer of a web server.
    /// Where the receiver never says anything, a sentence that says so.
    pub proof: String,
}

/// Delivers a notice, once. `secrets` gives what the name of a secret stands for.
pub fn send(
    channel: &Channel,
    notice: &Notice,
    secrets: &dyn Fn(&str) -> Option<String>,
    timeout: Duration,
) -> Result<Delivery, Error> {
    let proof = match channel {
        Channel::Smtp { .. } => smtp::send(channel, notice, secrets, timeout),
        Channel::Webhook { url, secret, headers } => {
            let key = secret.as_deref().map(|name| secret_of(name, secrets)).transpose()?;
            http::webhook(url, key.as_deref(), headers, notice, timeout)
        }
        Channel::Syslog { address, transport, facility, app_name } => {
            let line = syslog::line(notice, *facility, app_name);
            syslog::send(address, *transport, line, timeout)
        }
        Channel::Lamp { url, method, lights } => http::lamp(url, *method, lights, notice, timeout),
    }?;
    Ok(Delivery { proof })
}

/// Delivers a letter over a mail channel, once, to the letter's receivers and not to the channel's.
pub fn send_letter(
    channel: &Channel,
    letter: &Letter,
    secrets: &dyn Fn(&str) -> Option<String>,
    timeout: Duration,
) -> Result<Delivery, Error> {
    smtp::send_letter(channel, letter, secrets, timeout).map(|proof| Delivery { proof })
}

fn secret_of(name: &str, secrets: &dyn Fn(&str) -> Option<String>) -> Result<String, Error> {
    secrets(name).ok_or_else(|| Error::NoSecret { name: name.to_owned() })
}

/// How long to wait after the `tries`th failure: 2 s, doubled each time, at most 15 minutes, and of that between a half and the
/// whole as `jitter` (0 to 1) says, so that many channels that failed together do not all come back together.
pub fn retry_after(tries: u32, jitter: f64) -> Duration {
    let whole = Duration::from_secs(2u64.saturating_pow(tries.clamp(1, 16)).min(900));
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
    whole.mul_f64(0.5 + jitter / 2.0)
}

/// An answer from outside: its start, on one line.
fn answer(bytes: &[u8]) -> String {
    let start = bytes.get(..ANSWER_MAX).unwrap_or(bytes);
    one_line(String::from_utf8_lossy(start).trim(), ANSWER_MAX)
}

/// The source of an error that ends in [`Error::Deliver`].
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Does something on a thread and waits so long at most: asking for the address of a name knows no timeout.
fn within<T: Send + 'static>(
    timeout: Duration,
    to: &str,
    deliver: impl FnOnce() -> Result<T, Cause> + Send + 'static,
) -> Result<T, Error> {
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(deliver()));
    match result.recv_timeout(timeout) {
        Ok(result) => result.map_err(|source| failed(to, source)),
        Err(_) => Err(failed(to, format!("no answer within {} s", timeout.as_secs_f64()))),
    }
}

fn failed(to: &str, source: impl Into<Cause>) -> Error {
    Error::Deliver { to: to.to_owned(), source: source.into() }
}
