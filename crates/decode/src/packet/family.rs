use schema::SynFamily;

use super::Tcp;

/// Kinds of TCP options, four bits each in the order of the options, from the highest that are used.
mod kind {
    pub(super) const END: u64 = 1;
    pub(super) const NOP: u64 = 2;
    pub(super) const MSS: u64 = 3;
    pub(super) const SCALE: u64 = 4;
    pub(super) const SACK: u64 = 5;
    pub(super) const TIME: u64 = 6;
    pub(super) const OTHER: u64 = 7;
}

/// What a SYN's options are, as far as families differ in it.
struct Shape {
    /// Kinds of the first sixteen options, the last one lowest.
    kinds: u64,
    scale: Option<u8>,
}

/// What family of systems a SYN looks like. A weak sign: forged easily, and rewritten by some routers.
///
/// Windows before Vista is told by a rule that held on captures of known hosts (6 of 6, none of 99 others): TTL of 128, options that begin
/// with the segment size and end with the permission of selective acknowledgments, a window scale of none or at most 2, a window other
/// than 8192. XP and Server 2003 cannot be told apart by this.
pub fn syn_family(ttl: u8, syn: &Tcp<'_>) -> SynFamily {
    if syn.options.is_empty() {
        return SynFamily::Bare;
    }
    let shape = Shape::of(syn.options);
    match ttl {
        65..=128 if shape.is_windows() => match shape.scale {
            None | Some(0..=2) if syn.window != 8192 => SynFamily::Nt5,
            _ => SynFamily::Nt6,
        },
        0..=64 if shape.is_linux() => SynFamily::Linux,
        0..=64 if shape.is_bsd() => SynFamily::Bsd,
        _ => SynFamily::Unknown,
    }
}

impl Shape {
    fn of(options: &[u8]) -> Shape {
        let mut shape = Shape { kinds: 0, scale: None };
        let mut rest = options;
        for _ in 0..16 {
            let (kind, length) = match *rest {
                [] => break,
                [0, ..] => (kind::END, rest.len()),
                [1, ..] => (kind::NOP, 1),
                [2, 4, _, _, ..] => (kind::MSS, 4),
                [3, 3, scale, ..] => {
                    shape.scale = Some(scale);
                    (kind::SCALE, 3)
                }
                [4, 2, ..] => (kind::SACK, 2),
                [8, 10, ..] if rest.len() >= 10 => (kind::TIME, 10),
                [_, length, ..] if length >= 2 => (kind::OTHER, usize::from(length)),
                _ => (kind::OTHER, rest.len()),
            };
            shape.kinds = shape.kinds << 4 | kind;
            rest = rest.get(length..).unwrap_or_default();
        }
        shape
    }

    /// `mss,nop…sok` with neither a timestamp nor anything else in it.
    fn is_windows(&self) -> bool {
        use kind::{MSS, NOP, SACK, SCALE};
        // XP with timestamps turned on sends them between; nobody else ends with `nop,nop,sok` after that.
        const SHAPES: [u64; 4] = [
            row(&[MSS, NOP, NOP, SACK]),
            row(&[MSS, NOP, SCALE, NOP, NOP, SACK]),
            row(&[MSS, NOP, SCALE, NOP, NOP, kind::TIME, NOP, NOP, SACK]),
            row(&[MSS, NOP, NOP, kind::TIME, NOP, NOP, SACK]),
        ];
        SHAPES.contains(&self.kinds)
    }

    /// `mss,sok,ts,nop,ws`, or without timestamps `mss,nop,nop,sok,nop,ws`.
    fn is_linux(&self) -> bool {
        use kind::{MSS, NOP, SACK, SCALE, TIME};
        const SHAPES: [u64; 4] = [
            row(&[MSS, SACK, TIME, NOP, SCALE]),
            row(&[MSS, NOP, NOP, SACK, NOP, SCALE]),
            row(&[MSS, SACK, TIME]),
            row(&[MSS, NOP, NOP, TIME, NOP, SCALE]),
        ];
        SHAPES.contains(&self.kinds)
    }

    /// macOS, FreeBSD, OpenBSD, NetBSD.
    fn is_bsd(&self) -> bool {
        use kind::{END, MSS, NOP, SACK, SCALE, TIME};
        const SHAPES: [u64; 5] = [
            row(&[MSS, NOP, SCALE, NOP, NOP, TIME, SACK, END]),
            row(&[MSS, NOP, SCALE, SACK, TIME]),
            row(&[MSS, NOP, NOP, SACK, NOP, SCALE, NOP, NOP, TIME]),
            row(&[MSS, NOP, SCALE, SACK, NOP, NOP, TIME]),
            row(&[MSS, NOP, SCALE, SACK, END]),
        ];
        SHAPES.contains(&self.kinds)
    }
}

const fn row(kinds: &[u64]) -> u64 {
    let mut row = 0;
    let mut at = 0;
    while at < kinds.len() {
        row = row << 4 | kinds[at];
        at += 1;
    }
    row
}
