//! The way through a file and all it holds: where we are, what is left of the bounds, what was seen.

use super::sort::Sort;
use super::unpack::{End, Unpacked};
use super::values::{Limits, Look, Mark, MarkKind};
use super::{archive, html, image, name, office, onenote, pdf, program, rtf, shortcut, tnef};

/// Marks that are kept; later ones only if their kind is new.
const MARKS_MAX: usize = 200;
/// Characters of a mark's evidence, and of its place.
const EVIDENCE_MAX: usize = 160;
const PLACE_MAX: usize = 400;
/// Passwords that are tried.
const PASSWORDS_MAX: usize = 8;
/// Keys that are derived from passwords, together: each takes up to a tenth of a second.
const KEYS_MAX: u32 = 24;
/// Below this nothing is a bomb: blank pictures and tables shrink a thousandfold.
const BOMB_FREE: u64 = 1 << 20;

/// The state of one look.
pub(super) struct Walk<'a> {
    limits: &'a Limits,
    passwords: Vec<&'a str>,
    look: Look,
    /// Names of what we are in, from the outside.
    place: Vec<String>,
    /// Sorts of what we are in and have opened, from the outside.
    within: Vec<Sort>,
    /// Length of the file that came.
    came: u64,
    /// Bytes unpacked so far.
    unpacked: u64,
    keys_left: u32,
}

impl<'a> Walk<'a> {
    pub(super) fn new(limits: &'a Limits, passwords: &[&'a str], came: usize) -> Self {
        Self {
            limits,
            passwords: passwords.iter().take(PASSWORDS_MAX).copied().collect(),
            look: Look::default(),
            place: Vec::new(),
            within: Vec::new(),
            came: came as u64,
            unpacked: 0,
            keys_left: KEYS_MAX,
        }
    }

    /// Looks at the file that came.
    pub(super) fn whole(mut self, name: &str, bytes: &[u8]) -> Look {
        let sort = Sort::of(name, bytes);
        self.look.kind = sort.mime().to_owned();
        self.inside(name, |walk| walk.file(name, bytes, sort));
        self.look
    }

    /// Looks at something that lies as it is in what we are in. Its bytes count towards the bound, so that no list of the same
    /// stretch a thousand times costs a thousand looks at it.
    pub(super) fn lying(&mut self, name: &str, bytes: &[u8]) {
        self.packed(name, |max| {
            let end = if bytes.len() > max { End::Bound } else { End::Whole };
            let bytes = bytes.get(..max).unwrap_or(bytes).to_vec();
            Unpacked { consumed: bytes.len(), bytes, end }
        });
    }

    /// Unpacks and looks at an entry of what we are in; `unpack` gets the bytes that it may give at most.
    pub(super) fn packed(&mut self, name: &str, unpack: impl FnOnce(usize) -> Unpacked) {
        if !self.may_look_at_more() {
            return;
        }
        let room = self.room();
        let got = unpack(usize::try_from(room).unwrap_or(usize::MAX));
        let length = got.bytes.len() as u64;
        self.unpacked = self.unpacked.saturating_add(length);
        let bomb = length > BOMB_FREE && length / self.limits.ratio.max(1) > got.consumed as u64
            || self.unpacked >= self.by_length();
        self.inside(name, |walk| {
            if bomb {
                walk.mark(MarkKind::Bomb, format!("{} bytes from {}", length, got.consumed));
            }
            match got.end {
                End::Whole => {}
                End::Bound => walk.mark(MarkKind::NotLookedAt, "more bytes than are unpacked of one mail"),
                End::Broken => walk.mark(MarkKind::Broken, "does not unpack to its end"),
            }
            if bomb {
                walk.stop();
                return;
            }
            walk.file(name, &got.bytes, Sort::of(name, &got.bytes));
        });
    }

    /// An entry of which only the name can be seen.
    pub(super) fn named(&mut self, name: &str, why: &str) {
        if self.may_look_at_more() {
            self.inside(name, |walk| {
                name::judge(walk, name, Sort::Unknown);
                walk.mark(MarkKind::NotLookedAt, why);
            });
        }
    }

    /// Whether one more entry may be looked at; says so once where not.
    pub(super) fn may_look_at_more(&mut self) -> bool {
        if self.look.looked_at as usize >= self.limits.entries {
            self.mark(MarkKind::NotLookedAt, format!("more than {} entries", self.limits.entries));
            return false;
        }
        if self.room() == 0 {
            self.mark(MarkKind::NotLookedAt, "more bytes than are unpacked of one mail");
            return false;
        }
        true
    }

    /// Bytes that may still be unpacked.
    fn room(&self) -> u64 {
        self.limits.bytes.min(self.by_length()).saturating_sub(self.unpacked)
    }

    /// Bytes that what came may unpack to, together, before it counts as a bomb.
    fn by_length(&self) -> u64 {
        self.came.saturating_mul(self.limits.ratio).max(BOMB_FREE)
    }

    /// Nothing more is unpacked.
    pub(super) fn stop(&mut self) {
        self.unpacked = u64::MAX;
    }

    /// Does something in an entry of what we are in.
    fn inside(&mut self, name: &str, act: impl FnOnce(&mut Self)) {
        self.place.push(if name.is_empty() { "?".to_owned() } else { clean(name, PLACE_MAX) });
        self.look.looked_at = self.look.looked_at.saturating_add(1);
        act(self);
        self.place.pop();
    }

    fn file(&mut self, name: &str, bytes: &[u8], sort: Sort) {
        name::judge(self, name, sort);
        program::judge(self, bytes, sort);
        if sort.holds_others() && !self.may_open(sort) {
            return;
        }
        self.within.push(sort);
        self.open(name, bytes, sort);
        self.within.pop();
    }

    fn open(&mut self, name: &str, bytes: &[u8], sort: Sort) {
        match sort {
            Sort::Compound => office::compound(self, name, bytes),
            Sort::Rtf => rtf::look(self, bytes),
            Sort::Pdf => pdf::look(self, bytes),
            Sort::Html | Sort::Svg => html::look(self, bytes, sort),
            Sort::Lnk => shortcut::lnk(self, bytes),
            Sort::UrlFile => shortcut::url(self, bytes),
            Sort::Text => office::csv(self, name, bytes),
            Sort::Iso | Sort::Udf | Sort::Vhd | Sort::Vhdx | Sort::Dmg | Sort::Disk => {
                image::look(self, bytes, sort)
            }
            Sort::OneNote => onenote::look(self, bytes),
            Sort::Tnef => tnef::look(self, bytes),
            _ if sort.holds_others() => archive::look(self, name, bytes, sort),
            _ => {}
        }
    }

    fn may_open(&mut self, sort: Sort) -> bool {
        // A tar in a packed stream is one archive, not two.
        let one = |pair: &&[Sort]| matches!(pair, [outer, Sort::Tar] if outer.is_stream());
        let path: Vec<Sort> = self.within.iter().copied().chain([sort]).collect();
        let depth = path.len() - path.windows(2).filter(one).count();
        let open = depth <= self.limits.depth;
        if !open {
            let evidence = format!("nested deeper than {}", self.limits.depth);
            // Documents lie deep in ordinary mails; five archives one in the other do not.
            if sort.is_archive() {
                self.mark(MarkKind::Bomb, &evidence);
            }
            self.mark(MarkKind::NotLookedAt, evidence);
        }
        open
    }

    /// Notes something about what we are in.
    pub(super) fn mark(&mut self, kind: MarkKind, evidence: impl AsRef<str>) {
        let place = clean(&self.place.join("/"), PLACE_MAX);
        let mark = Mark { kind, place, evidence: clean(evidence.as_ref(), EVIDENCE_MAX) };
        let full = self.look.marks.len() >= MARKS_MAX && self.look.has(kind);
        if !full && !self.look.marks.contains(&mark) {
            self.look.marks.push(mark);
        }
    }

    /// Tries what may open something: `key` is called with each password until it gives something. Marks what was encrypted,
    /// and whether it was opened. `costly` says that a key takes long.
    pub(super) fn decrypt<T>(
        &mut self,
        own: &[&str],
        costly: bool,
        mut key: impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        let given = self.passwords.clone();
        for (index, password) in own.iter().chain(&given).enumerate() {
            if costly {
                let Some(left) = self.keys_left.checked_sub(1) else { break };
                self.keys_left = left;
            }
            if let Some(opened) = key(password) {
                if index < own.len() {
                    self.mark(MarkKind::Encrypted, format!("opens by itself with the password {password}"));
                } else {
                    self.look.opened = self.look.opened.saturating_add(1);
                    self.mark(MarkKind::Encrypted, "opened with a password that the mail names");
                }
                return Some(opened);
            }
        }
        self.mark(MarkKind::Encrypted, "no password opens it");
        None
    }

    /// Entries that an archive may have.
    pub(super) fn entries_max(&self) -> usize {
        self.limits.entries
    }

    /// Bytes that the helper of a format may unpack for itself, beside the entries.
    pub(super) fn side_room(&self) -> usize {
        usize::try_from(self.room()).unwrap_or(usize::MAX).min(16 << 20)
    }

    /// Counts bytes that a format unpacked for itself.
    pub(super) fn charge(&mut self, bytes: usize) {
        self.unpacked = self.unpacked.saturating_add(bytes as u64);
    }
}

/// Short, without control characters and without marks of direction, which would turn the line around it is printed in.
fn clean(text: &str, max: usize) -> String {
    let shown = |c: char| match c {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => ' ',
        c => c,
    };
    let mut out: String = text.chars().take(max).map(shown).collect();
    if text.chars().nth(max).is_some() {
        out.push('…');
    }
    out
}
