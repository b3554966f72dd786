//! Macros in VBA ([MS-OVBA]): whether there are any, what starts them, what they call. The source is unpacked here, as the crate for
//! it panics on hostile bytes.

use std::collections::BTreeSet;

use super::super::bytes::{has, name, part, size, u16_le, u32_le};
use super::super::values::MarkKind;
use super::super::walk::Walk;
use super::compound::{Compound, Node};

/// Bytes of source that are unpacked of one module.
const SOURCE_MAX: usize = 4 << 20;
/// Modules that are looked at.
const MODULES_MAX: usize = 500;

/// Procedures that Office calls by itself.
const STARTS: [&str; 22] = [
    "autoopen",
    "autoexec",
    "autoclose",
    "autoexit",
    "autonew",
    "auto_open",
    "auto_close",
    "auto_activate",
    "auto_exec",
    "auto_add",
    "document_open",
    "document_close",
    "document_new",
    "document_beforeclose",
    "documentopen",
    "workbook_open",
    "workbook_activate",
    "workbook_beforeclose",
    "workbook_windowactivate",
    "workbook_sheetactivate",
    "presentation_open",
    "onslideshowpagechange",
];
/// Events of controls, by the end of the procedure's name, that come without a click.
const EVENTS: [&str; 8] = [
    "_gotfocus",
    "_layout",
    "_painted",
    "_painting",
    "_mousemove",
    "_mouseenter",
    "_resize",
    "_beforenavigate2",
];

/// What macros are weighed by, in the order of its danger. Lower case, without blanks.
const CALLS: [&str; 29] = [
    "urldownloadtofile",
    "powershell",
    "wscript.shell",
    "shell.application",
    "mshta",
    "rundll32",
    "regsvr32",
    "certutil",
    "bitsadmin",
    "cmd.exe",
    "cmd/c",
    "virtualalloc",
    "createthread",
    "rtlmovememory",
    "createprocess",
    "shellexecute",
    "winhttprequest",
    "xmlhttp",
    "internetexplorer.application",
    "adodb.stream",
    "scripting.filesystemobject",
    "winmgmts",
    "schedule.service",
    "executeexcel4macro",
    "callbyname",
    "frombase64",
    "strreverse",
    "createobject",
    "getobject",
];

/// What the macros of a document come to.
#[derive(Default)]
struct Macros {
    /// Whether any line is more than a declaration that Office writes itself.
    code: bool,
    /// Modules whose source is not there: removed, so that only the compiled form runs ("stomping").
    without_source: Vec<String>,
    starts: BTreeSet<String>,
    calls: BTreeSet<&'static str>,
}

/// Notes the macros of a compound file.
pub(super) fn look(walk: &mut Walk<'_>, file: &Compound<'_>) {
    let modules = |node: &&Node| {
        let storage = node.parent().rsplit('/').next().unwrap_or_default();
        node.stream && storage.eq_ignore_ascii_case("VBA")
    };
    let mut found = Macros::default();
    let mut any = false;
    let offsets = file
        .nodes()
        .iter()
        .filter(modules)
        .find(|node| node.name.eq_ignore_ascii_case("dir"))
        .map(|node| offsets(&decompress(&file.read(node, SOURCE_MAX), SOURCE_MAX).unwrap_or_default()));
    let offsets = offsets.unwrap_or_default();
    for (number, node) in file.nodes().iter().filter(modules).enumerate() {
        let name = node.name.to_ascii_lowercase();
        if name == "dir" || name == "_vba_project" || name.starts_with("__srp_") || name.starts_with('\u{3}')
        {
            continue;
        }
        if number >= MODULES_MAX {
            walk.mark(MarkKind::NotLookedAt, "more modules than are looked at");
            break;
        }
        any = true;
        let content = file.read(node, SOURCE_MAX);
        let offset =
            offsets.iter().find(|(stream, _)| stream.eq_ignore_ascii_case(&node.name)).map(|&(_, at)| at);
        let room = walk.side_room().min(SOURCE_MAX);
        match source(&content, offset, room) {
            _ if room == 0 => walk.mark(MarkKind::NotLookedAt, "more source than is unpacked"),
            Some(source) => {
                walk.charge(source.len());
                found.read(&source);
            }
            None => found.without_source.push(node.name.clone()),
        }
    }
    if any {
        found.tell(walk);
    }
}

/// The source of a module, at its place, or wherever a packed text begins with an attribute.
fn source(content: &[u8], offset: Option<usize>, max: usize) -> Option<Vec<u8>> {
    let at_offset = offset.and_then(|at| decompress(content.get(at..)?, max)).filter(|text| !text.is_empty());
    at_offset.or_else(|| {
        let mut places = memchr::memmem::find_iter(content, b"\0Attribut");
        places.find_map(|at| decompress(content.get(at.checked_sub(3)?..)?, max))
    })
}

impl Macros {
    fn read(&mut self, source: &[u8]) {
        let text = name(source).to_lowercase();
        let line = |line: &str| {
            let line = line.trim();
            !line.is_empty()
                && !["attribute ", "option ", "'", "rem "].iter().any(|start| line.starts_with(start))
                && line != "end"
        };
        self.code |= text.lines().any(line);
        for head in text.lines() {
            let words = head.split([' ', '\t', '(']).filter(|word| !word.is_empty());
            let mut words =
                words.skip_while(|word| matches!(*word, "public" | "private" | "static" | "friend"));
            if !matches!(words.next(), Some("sub" | "function")) {
                continue;
            }
            let Some(procedure) = words.next() else { continue };
            if STARTS.contains(&procedure) || EVENTS.iter().any(|event| procedure.ends_with(event)) {
                self.starts.insert(procedure.chars().take(40).collect());
            }
        }
        // A name may be put together from pieces over several lines.
        let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let squeezed = squeezed.replace("\"&\"", "").replace("\"+\"", "").replace("&_", "&");
        self.calls.extend(CALLS.into_iter().filter(|call| has(squeezed.as_bytes(), call.as_bytes())));
        // Too short to be looked for inside of other words.
        let word = |c: char| !(c.is_alphanumeric() || "_.\"".contains(c));
        if text
            .lines()
            .any(|line| !line.trim_start().starts_with('\'') && line.split(word).any(|it| it == "shell"))
        {
            self.calls.insert("shell");
        }
    }

    fn tell(&self, walk: &mut Walk<'_>) {
        if !self.code && self.without_source.is_empty() {
            return;
        }
        let known = ["shell"].into_iter().chain(CALLS).filter(|call| self.calls.contains(call));
        let calls: Vec<&str> = known.take(6).collect();
        let stomped = match self.without_source.first() {
            Some(module) => format!(" (no source in {module})"),
            None => String::new(),
        };
        let what = |names: String| {
            let calls = if calls.is_empty() { String::new() } else { format!(": {}", calls.join(", ")) };
            format!("{names}{calls}{stomped}")
        };
        if !self.starts.is_empty() {
            let starts: Vec<&str> = self.starts.iter().map(String::as_str).take(4).collect();
            walk.mark(MarkKind::AutoMacro, what(starts.join(", ")));
        }
        walk.mark(MarkKind::Macro, what("VBA".to_owned()));
    }
}

/// Streams of the modules and where their source begins, from the unpacked `dir`: records of a kind, a length, a content.
fn offsets(dir: &[u8]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut stream = String::new();
    let mut at = 0;
    while let (Some(kind), Some(length)) = (u16_le(dir, at), u32_le(dir, at + 2)) {
        // The record of the version says a length that is two less than its content.
        let length = if kind == 0x0009 { 6 } else { size(length) };
        let content = part(dir, at + 6, length);
        match kind {
            0x001a => stream = name(content),
            0x0032 => stream = super::super::bytes::utf16_le(content),
            0x0031 => found.push((stream.clone(), size(u32_le(content, 0).unwrap_or_default()))),
            _ => {}
        }
        let Some(next) = at.checked_add(6).and_then(|at| at.checked_add(length)) else { break };
        at = next;
        if found.len() > MODULES_MAX {
            break;
        }
    }
    found
}

/// [MS-OVBA] 2.4.1: chunks of 4096 bytes, each of literals and copies. What is broken ends the text there.
pub(super) fn decompress(packed: &[u8], max: usize) -> Option<Vec<u8>> {
    if packed.first() != Some(&1) {
        return None;
    }
    let mut out = Vec::new();
    let mut at = 1;
    while let Some(header) = u16_le(packed, at).filter(|_| out.len() < max) {
        if (header >> 12) & 7 != 3 {
            break;
        }
        let end = (at + usize::from(header & 0xfff) + 3).min(packed.len());
        let chunk = packed.get(at + 2..end).unwrap_or_default();
        at = end;
        if header & 0x8000 == 0 {
            out.extend(chunk);
        } else if !unpack_chunk(chunk, &mut out) {
            break;
        }
    }
    Some(out)
}

/// Whether the chunk was sound to its end.
fn unpack_chunk(chunk: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut at = 0;
    while let Some(&flags) = chunk.get(at) {
        at += 1;
        for bit in 0..8 {
            if flags >> bit & 1 == 0 {
                let Some(&byte) = chunk.get(at) else { return true };
                out.push(byte);
                at += 1;
                continue;
            }
            let Some(token) = u16_le(chunk, at) else { return true };
            at += 2;
            let done = out.len() - start;
            // As many bits as the place so far needs, at least four.
            let bits = (4..12).find(|&bits| 1 << bits >= done).unwrap_or(12);
            let length = usize::from(token & (0xffff >> bits)) + 3;
            let back = usize::from(token >> (16 - bits)) + 1;
            if back > done {
                return false;
            }
            for _ in 0..length.min(4_096_usize.saturating_sub(done)) {
                let Some(&byte) = out.get(out.len() - back) else { return false };
                out.push(byte);
            }
        }
    }
    true
}
