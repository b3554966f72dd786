use schema::SystemVersion;

use super::{smb1, smb2};

/// Bytes of one message; a Session Setup with a ticket takes some thousands.
const MESSAGE_MAX: usize = 16 << 10;
/// Bytes of a whole conversation.
const BYTES_MAX: usize = 64 << 10;
/// Messages of a whole conversation: a few ways to negotiate, one log-on.
const MESSAGES_MAX: u32 = 8;
const HEARD_MAX: usize = 4;

/// Whether the conversation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goes {
    /// The client may speak.
    On,
    /// Hang up.
    Over,
}

/// A conversation: bytes in, bytes out. Nothing is answered but Negotiate, NTLM's NEGOTIATE and a NetBIOS session request.
#[derive(Debug)]
pub struct Session {
    input: Vec<u8>,
    bytes: usize,
    messages: u32,
    heard: Vec<SystemVersion>,
    pub(super) challenge: [u8; 8],
    pub(super) filetime: u64,
}

impl Session {
    /// A new one. `filetime` is the server's time, in 100 nanoseconds since 1601.
    pub fn new(challenge: [u8; 8], filetime: u64) -> Session {
        Session { input: Vec::new(), bytes: 0, messages: 0, heard: Vec::new(), challenge, filetime }
    }

    /// Takes what the client sent, in pieces of any length, and appends what is to be answered.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Goes {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > BYTES_MAX {
            return Goes::Over;
        }
        self.input.extend_from_slice(bytes);
        loop {
            let Some(&[kind, high, a, b]) = self.input.first_chunk::<4>() else { return Goes::On };
            let length = usize::from(high & 1) << 16 | usize::from(a) << 8 | usize::from(b);
            if length > MESSAGE_MAX {
                return Goes::Over;
            }
            let Some(message) = self.input.get(4..4 + length).map(<[u8]>::to_vec) else { return Goes::On };
            self.messages += 1;
            if self.messages > MESSAGES_MAX {
                return Goes::Over;
            }
            self.input.drain(..4 + length);
            if self.message(kind, &message, out) == Goes::Over {
                return Goes::Over;
            }
        }
    }

    /// What the client said it runs.
    pub fn heard(&self) -> &[SystemVersion] {
        &self.heard
    }

    fn message(&mut self, kind: u8, message: &[u8], out: &mut Vec<u8>) -> Goes {
        let answer = match (kind, message.first_chunk::<4>()) {
            // NetBIOS over port 139: any name is ours.
            (0x81, _) => {
                out.extend([0x82, 0, 0, 0]);
                return Goes::On;
            }
            (0x85, _) => return Goes::On,
            (0, Some(b"\xffSMB")) => smb1::answer(self, message),
            (0, Some(b"\xfeSMB")) => smb2::answer(self, message),
            _ => None,
        };
        let Some(answer) = answer else { return Goes::Over };
        let Some([high, a, b]) = (answer.len() as u32).to_be_bytes().last_chunk().copied() else {
            return Goes::Over;
        };
        out.extend([0, high, a, b]);
        out.extend(answer);
        Goes::On
    }

    pub(super) fn hear(&mut self, version: Option<SystemVersion>) {
        if let Some(version) = version
            && self.heard.len() < HEARD_MAX
            && !self.heard.contains(&version)
        {
            self.heard.push(version);
        }
    }
}
