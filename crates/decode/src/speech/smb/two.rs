//! SMB 2 and 3 ([MS-SMB2] §2.2). Positions count from the message's own header.

use schema::{Sight, SmbDialect, SmbSight, SmbVerb};

use super::super::bytes::{le16, le32, le64, part, utf16};
use super::super::frame::Step;
use super::super::ntlm;
use super::name::{Opening, open, tree};
use super::{Shared, more, pass};

const HEADER: usize = 64;
/// The fixed part of a create request, a control request, a write request and a change of a file's properties.
const CREATE_BODY: usize = 56;
const CONTROL_BODY: usize = 56;
const WRITE_BODY: usize = 48;
const SET_BODY: usize = 32;
/// So much of a Session Setup is looked at; what NTLM says stands at its beginning.
const SETUP_MAX: usize = 4 << 10;
/// The longest path that is read; a longer one has no ending that anybody here knows.
const PATH_MAX: usize = 1_024;
/// So much of what is sent to a pipe is looked at.
const PIPE_MAX: usize = 1_024;
const PIPE_TRANSCEIVE: u32 = 0x0011_c017;
const STATUS_PENDING: u32 = 0x103;

const NEGOTIATE: u16 = 0;
const SESSION_SETUP: u16 = 1;
const TREE_CONNECT: u16 = 3;
const CREATE: u16 = 5;
const CLOSE: u16 = 6;
const READ: u16 = 8;
const WRITE: u16 = 9;
const IOCTL: u16 = 11;
const QUERY_DIRECTORY: u16 = 14;
const SET_INFO: u16 = 17;
const LAST_COMMAND: u16 = 18;

/// Whether the header's fixed fields are what they must be; shorter views pass as far as they go.
pub(super) fn is_header(body: &[u8]) -> bool {
    le16(body, 12).is_none_or(|command| command <= LAST_COMMAND)
}

struct Header<'a> {
    view: &'a [u8],
    command: u16,
    status: u32,
    is_answer: bool,
    tree: u32,
    /// Bytes of this message.
    length: u32,
}

/// Reads one message of those that share a session message with `left` bytes.
pub(super) fn read(view: &[u8], left: u32, shared: &mut Shared, out: &mut Vec<Sight>) -> (Step, u32) {
    if (left as usize) < HEADER {
        return pass(left);
    }
    if let Some(step) = more(view, HEADER, left) {
        return step;
    }
    let Some(header) = header(view, left) else { return (Step::Lost, 0) };
    let needed =
        if header.is_answer { answer_needs(&header, shared) } else { request_needs(&header, shared) };
    if let Some(step) = more(view, needed, header.length) {
        return step;
    }
    if header.is_answer {
        answer(&header, shared, out)
    } else {
        request(&header, shared, out)
    }
    pass(header.length)
}

fn header(view: &[u8], left: u32) -> Option<Header<'_>> {
    let command = le16(view, 12)?;
    let flags = le32(view, 16)?;
    let next = le32(view, 20)?;
    let sound = le16(view, 4)? == 64 && command <= LAST_COMMAND;
    // The next message of a compound lies behind this one's header and within the whole; fewer bytes than a mark are padding.
    let length = match next {
        0 => left,
        next if next < HEADER as u32 || next > left => return None,
        next if left - next < 4 => left,
        next => next,
    };
    let tree = if flags & 2 == 0 { le32(view, 36)? } else { 0 };
    sound.then_some(Header { view, command, status: le32(view, 8)?, is_answer: flags & 1 == 1, tree, length })
}

/// How many bytes of a request must be seen. Asked again with more of them, it may ask for more.
fn request_needs(header: &Header<'_>, shared: &Shared) -> usize {
    let view = header.view;
    let named = |fixed: usize, at: usize, max: usize| {
        let end = |(offset, length): (u16, u16)| {
            (usize::from(offset) + usize::from(length)).min(HEADER + fixed + max)
        };
        let place = le16(view, at).zip(le16(view, at + 2));
        place.map_or(0, end).max(HEADER + fixed)
    };
    match header.command {
        SESSION_SETUP => SETUP_MAX,
        TREE_CONNECT => named(8, HEADER + 4, PATH_MAX),
        CREATE => named(CREATE_BODY, HEADER + 44, PATH_MAX),
        SET_INFO => HEADER + SET_BODY + 1,
        WRITE if shared.trees.is_pipes(header.tree) != Some(false) => {
            piped(view, HEADER + WRITE_BODY, usize::from(le16(view, HEADER + 2).unwrap_or(0)))
        }
        IOCTL if view.len() < HEADER + CONTROL_BODY => HEADER + CONTROL_BODY,
        IOCTL if le32(view, HEADER + 4) == Some(PIPE_TRANSCEIVE) => {
            piped(view, HEADER + CONTROL_BODY, le32(view, HEADER + 24).unwrap_or(0) as usize)
        }
        _ => HEADER,
    }
}

/// What is needed of data that begins at `at` behind a fixed part: its first bytes, and more if it is DCE/RPC.
fn piped(view: &[u8], fixed: usize, at: usize) -> usize {
    if view.len() < fixed || at < fixed || at > fixed + 64 {
        return fixed;
    }
    match view.get(at..at + 16) {
        None => at + 16,
        Some(data) => at + super::super::rpc::needs(data).min(PIPE_MAX),
    }
}

fn answer_needs(header: &Header<'_>, shared: &Shared) -> usize {
    match header.command {
        NEGOTIATE => HEADER + 6,
        SESSION_SETUP => SETUP_MAX,
        TREE_CONNECT => HEADER + 4,
        READ | IOCTL if shared.pipes.are_open() => HEADER + CONTROL_BODY + 16,
        _ => HEADER,
    }
}

fn request(header: &Header<'_>, shared: &mut Shared, out: &mut Vec<Sight>) {
    let view = header.view;
    let verb = match header.command {
        NEGOTIATE => return,
        SESSION_SETUP => return out.extend(ntlm::find(view).map(Sight::Ntlm)),
        TREE_CONNECT => {
            return out.extend(path(view, HEADER + 4).map(|path| Sight::Smb(tree(&path))));
        }
        CREATE => create(header, shared),
        CLOSE => {
            shared.pipes.close(le64(view, HEADER + 16));
            SmbVerb::Close
        }
        READ => SmbVerb::Read,
        WRITE => SmbVerb::Write,
        IOCTL if le32(view, HEADER + 4) == Some(PIPE_TRANSCEIVE) => SmbVerb::Transact,
        QUERY_DIRECTORY => SmbVerb::List,
        SET_INFO => set(view),
        _ => SmbVerb::Other,
    };
    out.push(Sight::Smb(SmbSight::Request { verb, bytes: header.length }));
    match (header.command, verb) {
        (WRITE, _) if shared.trees.is_pipes(header.tree) != Some(false) => {
            let at = usize::from(le16(view, HEADER + 2).unwrap_or(0));
            let length = le32(view, HEADER + 4).unwrap_or(0);
            shared.pipes.sent(le64(view, HEADER + 24), view.get(at.max(HEADER)..), length, out);
        }
        (_, SmbVerb::Transact) => {
            let at = le32(view, HEADER + 24).unwrap_or(0) as usize;
            let length = le32(view, HEADER + 28).unwrap_or(0);
            shared.pipes.sent(le64(view, HEADER + 16), view.get(at.max(HEADER)..), length, out);
        }
        _ => {}
    }
}

fn create(header: &Header<'_>, shared: &Shared) -> SmbVerb {
    let view = header.view;
    let name = path(view, HEADER + 44).unwrap_or_default();
    let number = |at| le32(view, HEADER + at).unwrap_or(0);
    open(&Opening {
        name: &name,
        access: number(24),
        disposition: number(36),
        options: number(40),
        is_pipe: shared.trees.is_pipes(header.tree),
    })
}

/// The text whose offset and length stand at `at`.
fn path(view: &[u8], at: usize) -> Option<String> {
    let (offset, length) = (usize::from(le16(view, at)?), usize::from(le16(view, at + 2)?));
    Some(utf16(part(view, offset, length)))
}

/// What a change of a file's properties asks for ([MS-FSCC] §2.4).
fn set(view: &[u8]) -> SmbVerb {
    let (Some(1), Some(class)) = (view.get(HEADER + 2), view.get(HEADER + 3)) else { return SmbVerb::Other };
    let at = usize::from(le16(view, HEADER + 8).unwrap_or(0));
    verb_of_class(*class, view.get(at).copied())
}

/// The verb of a class of file information and the first byte of its value.
pub(super) fn verb_of_class(class: u8, first: Option<u8>) -> SmbVerb {
    match class {
        10 | 65 => SmbVerb::Rename,
        13 | 64 if first.is_none_or(|first| first & 1 == 1) => SmbVerb::Delete,
        19 | 20 => SmbVerb::Resize,
        _ => SmbVerb::Other,
    }
}

fn answer(header: &Header<'_>, shared: &mut Shared, out: &mut Vec<Sight>) {
    let view = header.view;
    match header.command {
        NEGOTIATE if header.status == 0 => {
            let dialect = le16(view, HEADER + 4).and_then(dialect);
            out.extend(dialect.map(|dialect| Sight::Smb(SmbSight::Negotiated { dialect })));
        }
        SESSION_SETUP if header.status != STATUS_PENDING => {
            out.push(Sight::Smb(SmbSight::SetUp { status: header.status }));
            out.extend(ntlm::find(view).map(Sight::Ntlm));
        }
        TREE_CONNECT if header.status == 0 => {
            // ShareType 2 is one of pipes.
            if let Some(kind) = view.get(HEADER + 2) {
                shared.trees.note(header.tree, *kind == 2);
            }
        }
        READ | IOCTL if header.status == 0 || header.status == 0x8000_0005 => {
            let at = match header.command {
                READ => usize::from(view.get(HEADER + 2).copied().unwrap_or(0)),
                _ => le32(view, HEADER + 32).unwrap_or(0) as usize,
            };
            shared.pipes.received(view.get(at.max(HEADER)..), out);
        }
        _ => {}
    }
}

fn dialect(revision: u16) -> Option<SmbDialect> {
    match revision {
        0x0202 | 0x0210 => Some(SmbDialect::Smb2),
        0x0300 | 0x0302 => Some(SmbDialect::Smb3),
        0x0311 => Some(SmbDialect::Smb311),
        // 0x02ff: the client asked in SMB 1, and asks again now.
        _ => None,
    }
}
