//! One connection of a mail server: several mails, one after the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;

use super::Core;
use super::packet::{self, Packet, how, may};
use super::values::{Decision, Edit, Envelope, Field, Held, Mail, Trouble};

/// More fields or recipients than any mail has that somebody wants to read.
const FIELDS_MAX: usize = 10_000;
const RECIPIENTS_MAX: usize = 10_000;

pub(super) struct Session<'a, J, S> {
    core: &'a Core<J>,
    stream: S,
    /// What was agreed on (`SMFIP_*`, `SMFIF_*`).
    protocol: u32,
    actions: u32,
    client: Option<IpAddr>,
    client_name: String,
    helo: String,
    current: Current,
}

/// The mail that is coming in.
struct Current {
    mail: Mail,
    held: Held,
    in_body: bool,
    trouble: Option<Trouble>,
}

impl<'a, J: Send + 'static, S: Read + Write> Session<'a, J, S> {
    pub(super) fn new(core: &'a Core<J>, stream: S) -> Self {
        let current = core.fresh();
        let (client, client_name, helo) = (None, String::new(), String::new());
        Self { core, stream, protocol: 0, actions: may::ALL, client, client_name, helo, current }
    }

    /// Until the mail server ends it, or breaks the protocol.
    pub(super) fn run(mut self) -> io::Result<()> {
        while let Some(packet) = packet::read(&mut self.stream)? {
            if !self.step(&packet)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes one packet; says whether the connection goes on.
    fn step(&mut self, packet: &Packet) -> io::Result<bool> {
        let data = packet.data.as_slice();
        match packet.command {
            b'O' => self.agree(data)?,
            b'D' => self.learn(data),
            b'C' => {
                (self.client_name, self.client) = packet::client(data);
                self.go_on(how::NO_ANSWER_CONNECT)?;
            }
            b'H' => {
                self.helo = packet::texts(data).next().map(lossy).unwrap_or_default();
                self.go_on(how::NO_ANSWER_HELO)?;
            }
            b'M' => {
                self.sender(data);
                self.go_on(how::NO_ANSWER_MAIL)?;
            }
            b'R' => {
                self.recipient(data);
                self.go_on(how::NO_ANSWER_RCPT)?;
            }
            b'L' => {
                self.field(data);
                self.go_on(how::NO_ANSWER_HEADER)?;
            }
            b'N' => {
                self.end_of_header();
                self.go_on(how::NO_ANSWER_END_OF_HEADER)?;
            }
            b'B' => {
                self.body(data);
                self.go_on(how::NO_ANSWER_BODY)?;
            }
            b'E' => {
                self.body(data);
                self.end()?;
            }
            // The number of the mail server's own may come before the sender: what is kept is the connection.
            b'A' => self.current = self.core.fresh(),
            b'Q' => return Ok(false),
            b'K' => {
                self.current = self.core.fresh();
                (self.client, self.client_name, self.helo) = (None, String::new(), String::new());
            }
            _ => packet::write(&mut self.stream, b'c', b"")?,
        }
        Ok(true)
    }

    fn agree(&mut self, data: &[u8]) -> io::Result<()> {
        let word = |at: usize| {
            let bytes = data.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        };
        let (Some(version), Some(actions), Some(protocol)) = (word(0), word(4), word(8)) else {
            return Err(io::Error::new(ErrorKind::InvalidData, "an option packet that is too short"));
        };
        self.actions = actions & may::ALL;
        self.protocol = protocol & how::WANTED;
        let words = [version.min(6), self.actions, self.protocol];
        packet::write(&mut self.stream, b'O', &words.map(u32::to_be_bytes).concat())
    }

    fn learn(&mut self, data: &[u8]) {
        let mut texts = packet::texts(data.get(1..).unwrap_or_default());
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            match name {
                b"i" | b"{i}" => self.current.mail.envelope.queue_id = lossy(value),
                b"{auth_authen}" => self.current.mail.envelope.authenticated = !value.is_empty(),
                _ => {}
            }
        }
    }

    fn sender(&mut self, data: &[u8]) {
        let before = std::mem::replace(&mut self.current, self.core.fresh());
        let mut texts = packet::texts(data);
        let from = texts.next().map(packet::address).unwrap_or_default();
        self.current.mail.envelope = Envelope {
            client: self.client,
            client_name: self.client_name.clone(),
            helo: self.helo.clone(),
            from,
            smtputf8: texts.any(|word| word.eq_ignore_ascii_case(b"SMTPUTF8")),
            // Macros of the sender's step come before it.
            queue_id: before.mail.envelope.queue_id,
            authenticated: before.mail.envelope.authenticated,
            to: Vec::new(),
        };
    }

    fn recipient(&mut self, data: &[u8]) {
        let current = &mut self.current;
        let to = packet::texts(data).next().map(packet::address).unwrap_or_default();
        if current.mail.envelope.to.len() >= RECIPIENTS_MAX {
            current.trouble.get_or_insert(Trouble::TooLong);
        } else if current.take(self.core, to.len()) {
            current.mail.envelope.to.push(to);
        }
    }

    fn field(&mut self, data: &[u8]) {
        let mut halves = data.splitn(2, |&byte| byte == 0);
        let name = halves.next().unwrap_or_default();
        let value = halves.next().unwrap_or_default();
        let value = value.strip_suffix(b"\0").unwrap_or(value);
        let current = &mut self.current;
        if current.mail.fields.len() >= FIELDS_MAX {
            current.trouble.get_or_insert(Trouble::TooLong);
            return;
        }
        if !current.take(self.core, 2 * (name.len() + value.len()) + 4) {
            return;
        }
        let message = &mut current.mail.message;
        message.extend_from_slice(name);
        message.push(b':');
        // Without the agreement the blank after the colon was taken away.
        if self.protocol & how::LEADING_BLANK == 0 {
            message.push(b' ');
        }
        for (at, line) in value.split(|&byte| byte == b'\n').enumerate() {
            if at > 0 {
                message.extend_from_slice(b"\r\n");
            }
            message.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        }
        message.extend_from_slice(b"\r\n");
        current.mail.fields.push(Field { name: lossy(name), value: value.to_vec() });
    }

    fn end_of_header(&mut self) {
        let current = &mut self.current;
        if !current.in_body && current.take(self.core, 2) {
            current.mail.message.extend_from_slice(b"\r\n");
        }
        current.in_body = true;
        current.mail.body_at = current.mail.message.len();
    }

    fn body(&mut self, data: &[u8]) {
        if !data.is_empty() && self.current.take(self.core, data.len()) {
            self.current.mail.message.extend_from_slice(data);
        }
    }

    fn go_on(&mut self, unless: u32) -> io::Result<()> {
        if self.protocol & unless != 0 {
            return Ok(());
        }
        packet::write(&mut self.stream, b'c', b"")
    }

    /// The whole mail is here: it is judged, and the answer given.
    fn end(&mut self) -> io::Result<()> {
        if !self.current.in_body {
            self.end_of_header();
        }
        let Current { mut mail, held, trouble, .. } = std::mem::replace(&mut self.current, self.core.fresh());
        mail.held = Some(held);
        let mail = Arc::new(mail);
        let _busy = self.core.busy();
        let judged = match trouble {
            Some(trouble) => Err(trouble),
            None => self.core.judged(&mail, || packet::write(&mut self.stream, b'p', b""))?,
        };
        let decision = self.core.decided(&mail, judged);
        self.answer(&decision)
    }

    fn answer(&mut self, decision: &Decision) -> io::Result<()> {
        let stream = &mut self.stream;
        match decision {
            Decision::Pass(edits) => {
                for edit in edits {
                    change(stream, edit, self.actions, self.protocol & how::LEADING_BLANK != 0)?;
                }
                packet::write(stream, b'c', b"")
            }
            Decision::Discard => packet::write(stream, b'd', b""),
            Decision::Reject { code, status, lines } => {
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                packet::write(stream, b'y', &reply(*code, status, &lines))
            }
            Decision::TryLater { line } => packet::write(stream, b'y', &reply(451, "4.7.1", &[line])),
        }
    }
}

impl Current {
    /// Takes so much memory for more of the mail; from the first time that there is none, nothing more is taken.
    fn take<J>(&mut self, core: &Core<J>, bytes: usize) -> bool {
        if self.trouble.is_some() {
            return false;
        }
        if self.mail.message.len().saturating_add(bytes) > core.bounds.message_bytes {
            self.trouble = Some(Trouble::TooLong);
        } else if !self.held.take(bytes) {
            self.trouble = Some(Trouble::Busy);
        }
        self.trouble.is_none()
    }
}

impl<J> Core<J> {
    fn fresh(&self) -> Current {
        let held = Held::none(&self.held, self.bounds.held_bytes);
        Current { mail: Mail::default(), held, in_body: false, trouble: None }
    }
}

fn change(to: &mut impl Write, edit: &Edit, actions: u32, keeps_blank: bool) -> io::Result<()> {
    match edit {
        Edit::Insert { name, value } if actions & may::ADD_HEADERS != 0 => {
            let mut data = 0_u32.to_be_bytes().to_vec();
            let blank = if keeps_blank { " " } else { "" };
            text(&mut data, name.as_bytes());
            text(&mut data, format!("{blank}{value}").as_bytes());
            packet::write(to, b'i', &data)
        }
        Edit::Change { name, index, value } if actions & may::CHANGE_HEADERS != 0 => {
            let mut data = index.to_be_bytes().to_vec();
            text(&mut data, name.as_bytes());
            text(&mut data, value);
            packet::write(to, b'm', &data)
        }
        Edit::Body(body) if actions & may::CHANGE_BODY != 0 => packet::write_body(to, body),
        // A mail server that does not let us: the mail goes on as it is.
        _ => Ok(()),
    }
}

/// A text of a packet: its end is the NUL, so that none may stand in it.
fn text(data: &mut Vec<u8>, text: &[u8]) {
    data.extend(text.iter().copied().filter(|&byte| byte != 0 && byte != b'\r'));
    data.push(0);
}

/// The reply of several lines as SMTP has it. A percent sign would begin a macro.
fn reply(code: u16, status: &str, lines: &[&str]) -> Vec<u8> {
    let mut reply = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let dash = if at + 1 < lines.len() { '-' } else { ' ' };
        let line: String = line.chars().filter(|char| !char.is_control()).take(400).collect();
        if at > 0 {
            reply.extend_from_slice(b"\r\n");
        }
        reply.extend_from_slice(format!("{code}{dash}{status} {}", line.replace('%', "%%")).as_bytes());
    }
    reply.push(0);
    reply
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
