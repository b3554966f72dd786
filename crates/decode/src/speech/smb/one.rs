//! SMB 1 ([MS-CIFS] §2.2, [MS-SMB]). Positions count from the message's own header.

use schema::{Side, Sight, SmbDialect, SmbSight, SmbVerb, SystemVersion};

use super::super::bytes::{le16, le32, part, utf16};
use super::super::frame::Step;
use super::super::ntlm;
use super::name::{Opening, open, tree};
use super::two::verb_of_class;
use super::{Shared, more, pass};

/// The header and the number of words behind it.
const HEADER: usize = 33;
const CHAIN_MAX: usize = 4;

const CLOSE: u8 = 0x04;
const DELETE: u8 = 0x06;
const RENAME: u8 = 0x07;
const TRANSACTION: u8 = 0x25;
const READ_X: u8 = 0x2e;
const WRITE_X: u8 = 0x2f;
const TRANSACTION_2: u8 = 0x32;
const NEGOTIATE: u8 = 0x72;
const SESSION_SETUP_X: u8 = 0x73;
const LOGOFF_X: u8 = 0x74;
const TREE_CONNECT_X: u8 = 0x75;
const CREATE_X: u8 = 0xa2;
const OPEN_X: u8 = 0x2d;
const NT_RENAME: u8 = 0xa5;
const NONE: u8 = 0xff;

/// Whether the header's fixed fields are what they can be; shorter views pass as far as they go.
pub(super) fn is_header(body: &[u8]) -> bool {
    body.get(4).is_none_or(|command| *command <= 0xda)
        && body.get(22..24).is_none_or(|reserved| reserved == [0, 0])
}

struct Message<'a> {
    view: &'a [u8],
    is_unicode: bool,
    tree: u16,
    length: u32,
}

/// Reads one message of `left` bytes.
pub(super) fn read(
    view: &[u8],
    left: u32,
    side: Side,
    shared: &mut Shared,
    out: &mut Vec<Sight>,
) -> (Step, u32) {
    if (left as usize) < HEADER {
        return pass(left);
    }
    if let Some(step) = more(view, HEADER, left) {
        return step;
    }
    let command = view[4];
    if let Some(step) = more(view, needs(command), left) {
        return step;
    }
    let is_unicode = le16(view, 10).is_some_and(|flags| flags & 0x8000 != 0);
    let message = Message { view, is_unicode, tree: le16(view, 24).unwrap_or(0), length: left };
    let status = status(view);
    if view[9] & 0x80 == 0 {
        message.chain(command, |message, command, at| message.request(command, at, side, shared, out));
    } else {
        message.chain(command, |message, command, at| message.answer(command, at, status, side, shared, out));
    }
    pass(left)
}

/// The status, as NT's number where it has one of the old kind that means a wrong password.
fn status(view: &[u8]) -> u32 {
    let status = le32(view, 5).unwrap_or(0);
    let is_nt = le16(view, 10).is_some_and(|flags| flags & 0x4000 != 0);
    // Class 2 (server), error 2.
    if !is_nt && status & 0xffff_00ff == 0x0002_0002 { 0xc000_006d } else { status }
}

fn needs(command: u8) -> usize {
    match command {
        SESSION_SETUP_X => 4 << 10,
        CREATE_X | TREE_CONNECT_X | OPEN_X => 1 << 10,
        TRANSACTION | WRITE_X => 512,
        TRANSACTION_2 => 128,
        READ_X => 128,
        NEGOTIATE => HEADER + 2,
        _ => HEADER,
    }
}

impl Message<'_> {
    /// Goes through commands that came together; `read` is told where each one's count of words stands.
    fn chain(&self, first: u8, mut read: impl FnMut(&Self, u8, usize)) {
        let (mut command, mut at) = (first, HEADER - 1);
        for _ in 0..CHAIN_MAX {
            read(self, command, at);
            let follows = matches!(
                command,
                SESSION_SETUP_X | TREE_CONNECT_X | CREATE_X | OPEN_X | READ_X | WRITE_X | LOGOFF_X
            );
            let next = (self.view.get(at + 1).copied(), le16(self.view, at + 3).map(usize::from));
            let (true, (Some(following), Some(offset))) = (follows && self.words(at) >= 2, next) else {
                return;
            };
            // A chain leads forwards.
            if following == NONE || offset <= at || offset >= self.view.len() {
                return;
            }
            (command, at) = (following, offset);
        }
    }

    fn words(&self, at: usize) -> usize {
        usize::from(self.view.get(at).copied().unwrap_or(0))
    }

    /// Where the bytes behind words and their own count begin.
    fn bytes(&self, at: usize) -> usize {
        at + 1 + 2 * self.words(at) + 2
    }

    /// The text that begins at `at`, or at the next even place if it has wide letters, and where the next one begins.
    fn text(&self, at: usize) -> (String, usize) {
        let at = if self.is_unicode { at + at % 2 } else { at };
        let rest = part(self.view, at, 512);
        if self.is_unicode {
            let units = rest.chunks_exact(2).position(|unit| unit == [0, 0]).unwrap_or(rest.len() / 2);
            (utf16(&rest[..2 * units]), at + 2 * units + 2)
        } else {
            let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            (String::from_utf8_lossy(&rest[..end]).into_owned(), at + end + 1)
        }
    }

    fn request(&self, command: u8, at: usize, side: Side, shared: &mut Shared, out: &mut Vec<Sight>) {
        let view = self.view;
        let verb = match command {
            NEGOTIATE => return,
            SESSION_SETUP_X => {
                out.extend(ntlm::find(view).map(Sight::Ntlm));
                return self.systems(at, side, out);
            }
            TREE_CONNECT_X => {
                let password = usize::from(le16(view, at + 7).unwrap_or(0));
                return out.push(Sight::Smb(tree(&self.text(self.bytes(at) + password).0)));
            }
            CREATE_X => self.create(at, shared),
            CLOSE => SmbVerb::Close,
            READ_X | 0x0a => SmbVerb::Read,
            WRITE_X | 0x0b => SmbVerb::Write,
            DELETE => SmbVerb::Delete,
            RENAME | NT_RENAME => SmbVerb::Rename,
            OPEN_X | 0x02 => SmbVerb::Open,
            0x03 | 0x0f => SmbVerb::Create,
            TRANSACTION => self.transaction(at),
            TRANSACTION_2 => self.transaction_2(at),
            _ => SmbVerb::Other,
        };
        out.push(Sight::Smb(SmbSight::Request { verb, bytes: self.length }));
        let (id, data, length) = match command {
            WRITE_X => (le16(view, at + 5), le16(view, at + 23), le16(view, at + 21)),
            TRANSACTION if verb == SmbVerb::Transact => {
                (le16(view, at + 31), le16(view, at + 25), le16(view, at + 23))
            }
            CLOSE => return shared.pipes.close(le16(view, at + 1).map(u64::from)),
            _ => return,
        };
        if let Some(data) = data.filter(|data| usize::from(*data) > at) {
            let length = u32::from(length.unwrap_or(0));
            shared.pipes.sent(id.map(u64::from), view.get(usize::from(data)..), length, out);
        }
    }

    fn create(&self, at: usize, shared: &Shared) -> SmbVerb {
        let number = |place: usize| le32(self.view, at + 1 + place).unwrap_or(0);
        open(&Opening {
            name: &self.text(self.bytes(at)).0,
            access: number(15),
            disposition: number(35),
            options: number(39),
            is_pipe: shared.trees.is_pipes(u32::from(self.tree)),
        })
    }

    /// On a pipe: write, and read the answer.
    fn transaction(&self, at: usize) -> SmbVerb {
        if le16(self.view, at + 29) == Some(0x26) { SmbVerb::Transact } else { SmbVerb::Other }
    }

    fn transaction_2(&self, at: usize) -> SmbVerb {
        let parameters = usize::from(le16(self.view, at + 21).unwrap_or(0));
        match le16(self.view, at + 29) {
            Some(1 | 2) => SmbVerb::List,
            Some(kind @ (6 | 8)) => {
                // By path the level stands first, by file behind its number; from 1000 on levels are classes of Windows NT.
                let level = le16(self.view, if kind == 6 { parameters } else { parameters + 2 }).unwrap_or(0);
                let data = usize::from(le16(self.view, at + 25).unwrap_or(0));
                let class = match level {
                    0x102 => 13,
                    0x103 => 19,
                    0x104 => 20,
                    level => u8::try_from(level.saturating_sub(1_000)).unwrap_or(0),
                };
                verb_of_class(class, self.view.get(data).copied())
            }
            _ => SmbVerb::Other,
        }
    }

    fn answer(
        &self,
        command: u8,
        at: usize,
        status: u32,
        side: Side,
        shared: &mut Shared,
        out: &mut Vec<Sight>,
    ) {
        match command {
            // No dialect of those that were offered: 0xffff.
            NEGOTIATE if status == 0 && self.words(at) >= 1 && le16(self.view, at + 1) != Some(0xffff) => {
                out.push(Sight::Smb(SmbSight::Negotiated { dialect: SmbDialect::Smb1 }));
            }
            SESSION_SETUP_X => {
                out.push(Sight::Smb(SmbSight::SetUp { status }));
                out.extend(ntlm::find(self.view).map(Sight::Ntlm));
                self.systems(at, side, out);
            }
            TREE_CONNECT_X if status == 0 && self.words(at) >= 2 => {
                let service = part(self.view, self.bytes(at), 4);
                shared.trees.note(u32::from(self.tree), service.starts_with(b"IPC"));
            }
            READ_X if status == 0 => {
                let data = le16(self.view, at + 13).map(usize::from);
                shared.pipes.received(data.and_then(|data| self.view.get(data..)), out);
            }
            TRANSACTION if status == 0 => {
                let data = le16(self.view, at + 15).map(usize::from);
                shared.pipes.received(data.and_then(|data| self.view.get(data..)), out);
            }
            _ => {}
        }
    }

    /// What either side says of its system in Session Setup, behind passwords or a token.
    fn systems(&self, at: usize, side: Side, out: &mut Vec<Sight>) {
        let word = |place: usize| usize::from(le16(self.view, at + 1 + place).unwrap_or(0));
        let begin = self.bytes(at);
        let native = match self.words(at) {
            // Answers: without and with a token.
            3 => begin,
            4 => begin + word(6),
            // Requests: with a token, and with two passwords, account and domain.
            12 => begin + word(14),
            13 => {
                let (_, domain) = self.text(begin + word(14) + word(16));
                self.text(domain).1
            }
            _ => return,
        };
        let (system, next) = self.text(native);
        let (manager, _) = self.text(next);
        let version = version(&system)
            .filter(|version| version.build > 0)
            .or_else(|| version(&manager).or_else(|| version(&system)));
        out.extend(version.map(|version| Sight::Smb(SmbSight::System { side, version })));
    }
}

/// The version of Windows in `NativeOS` or `NativeLanMan`: `Windows Server 2003 3790 Service Pack 2`, `Windows 5.1`.
pub(super) fn version(text: &str) -> Option<SystemVersion> {
    if !text.starts_with("Windows") {
        return None;
    }
    let builds = text.split_ascii_whitespace().filter_map(|word| word.parse::<u16>().ok());
    let mut by_build = builds.filter_map(|build| {
        let (major, minor) = match build {
            1381 => (4, 0),
            2195 => (5, 0),
            2600 => (5, 1),
            3790 => (5, 2),
            6000..=6003 => (6, 0),
            7600 | 7601 => (6, 1),
            9200 => (6, 2),
            9600 => (6, 3),
            10_240..=30_000 => (10, 0),
            _ => return None,
        };
        Some(SystemVersion { major, minor, build })
    });
    by_build.next_back().or_else(|| {
        let mut numbers = text.split_ascii_whitespace().filter_map(|word| word.split_once('.'));
        numbers.find_map(|(major, minor)| {
            let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
            (4..=10).contains(&major).then_some(SystemVersion { major, minor, build: 0 })
        })
    })
}
