//! What one file says against the actor that changed it.

use schema::FileEvidence;
use serde::{Deserialize, Serialize};

use super::{Indicator, Indicators};

/// Chi-square per degree of freedom of noise is 1 with a standard deviation of 0.09 at any length: five of them.
const NOISE_CHI2_MAX: f32 = 1.45;
/// What was there before stood out from noise by this much at least.
const STRUCTURE_CHI2_MIN: f32 = 1.9;
/// Fewer bytes than these say nothing by their distribution.
const STATISTICS_BYTES_MIN: u64 = 96;
/// So much new noise in one place is no accident, whatever else was changed with it.
const NOISE_BYTES_MIN: u64 = 1024;
/// A format that is lost with fewer bytes than these was hurt by accident: a byte that is no text in a log.
const LOST_BYTES_MIN: u64 = 16;
/// A key or a mark that is appended to a file encrypted in place.
const APPENDED_MAX: u64 = 4096;

/// What one file says, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Grade {
    pub(super) kind: Kind,
    /// The original's name went away and this content stands for it.
    pub(super) replaced: bool,
    /// A known family names files like this.
    pub(super) family: bool,
    /// Number of the format that it had.
    pub(super) format: u8,
    /// Logs and notes have that format.
    pub(super) plain: bool,
    /// It was written over where it lies and kept its name and its length.
    #[serde(default)]
    pub(super) in_place: bool,
    /// Nobody is at it any more.
    #[serde(default)]
    pub(super) complete: bool,
    /// Number of the suffix that it got.
    pub(super) suffix: u32,
}

/// What became of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// A new suffix or a family's, and nothing else.
    NameOnly,
    /// One of the guard's own canaries was removed, as by somebody who removes a whole folder.
    CanaryGone,
    /// It was emptied, or cut off so that it is no longer what it was.
    Emptied,
    /// It had a format and has none now, without the statistics of noise.
    StructureLost,
    /// The same with a new suffix.
    SuffixAndLostStructure,
    /// It is the same document with a password.
    Sealed,
    /// Noise was written into it where there was none; its frame still stands.
    PartlyNoise,
    /// It spells noise in characters.
    SpelledAsText,
    /// It is noise behind the first bytes of a format.
    Forged,
    /// It is noise where it was structured.
    Noise,
    /// One of the guard's own canaries changed.
    Canary,
}

impl Kind {
    /// Noise as such, in writing or behind a header: alike in weight.
    pub(super) fn is_noise(self) -> bool {
        matches!(self, Kind::Noise | Kind::Forged | Kind::SpelledAsText)
    }
}

/// What one file says; `None` for nothing.
pub(super) fn grade(evidence: &FileEvidence, on: Indicators) -> Option<Grade> {
    let family = evidence.suffix_known && on.has(Indicator::Family);
    let kind = canary(evidence, on)
        .or_else(|| content(evidence, on))
        .or_else(|| (family || evidence.suffix != 0).then_some(Kind::NameOnly))?;
    Some(Grade {
        kind,
        replaced: evidence.original_gone,
        family,
        format: evidence.kind_before,
        plain: evidence.plain_before,
        in_place: evidence.size_after == evidence.size_before && !evidence.original_gone,
        complete: evidence.complete,
        suffix: evidence.suffix,
    })
}

/// What became of the content, whatever the names say, with noise as one; `None` for nothing.
pub(crate) fn kind_of(evidence: &FileEvidence) -> Option<Kind> {
    content(evidence, Indicators::ALL).map(|kind| if kind.is_noise() { Kind::Noise } else { kind })
}

/// A canary that is read, copied or backed up stays as it is. One that is removed alone may go with a folder that somebody clears away.
fn canary(evidence: &FileEvidence, on: Indicators) -> Option<Kind> {
    if !evidence.canary || !on.has(Indicator::Canary) {
        return None;
    }
    let removed = evidence.original_gone && evidence.size_after == 0;
    let changed = evidence.bytes_changed > 0
        || evidence.bytes_differing > 0
        || evidence.size_after != evidence.size_before
        || evidence.suffix_added;
    match (removed, changed) {
        (true, _) => Some(Kind::CanaryGone),
        (_, true) => Some(Kind::Canary),
        _ => None,
    }
}

fn content(evidence: &FileEvidence, on: Indicators) -> Option<Kind> {
    let gone = evidence.original_gone && evidence.size_after == 0;
    if gone || evidence.made || is_switched_off(evidence, on) {
        return None;
    }
    let lost = evidence.structured_before && !evidence.structure_kept;
    let shorter = evidence.size_after.saturating_mul(2) < evidence.size_before;
    if evidence.size_before > 0
        && (evidence.size_after == 0 || lost && shorter && evidence.bytes_changed == 0)
    {
        return on.has(Indicator::Emptied).then_some(Kind::Emptied);
    }
    if evidence.bytes_changed == 0 || evidence.structured_after && !evidence.structure_kept {
        return None;
    }
    if evidence.sealed && evidence.structure_kept {
        return on.has(Indicator::Noise).then_some(Kind::Sealed);
    }
    if evidence.bytes_changed < STATISTICS_BYTES_MIN { short(evidence, lost) } else { long(evidence, lost) }
        .filter(|kind| match kind {
            Kind::Noise | Kind::Forged | Kind::SpelledAsText => on.has(Indicator::Noise),
            Kind::PartlyNoise => on.has(Indicator::PartlyNoise),
            Kind::SuffixAndLostStructure => on.has(Indicator::Suffix),
            Kind::StructureLost => on.has(Indicator::Breadth),
            _ => true,
        })
}

/// Without these indicators a format's first bytes, or that it is a text, are believed.
fn is_switched_off(evidence: &FileEvidence, on: Indicators) -> bool {
    (evidence.forged && !on.has(Indicator::Forged)) || (evidence.spells_noise && !on.has(Indicator::Text))
}

/// Too short for a distribution: a text that is no text any more, nearly all of it, is all there is to see.
fn short(evidence: &FileEvidence, lost: bool) -> Option<Kind> {
    let mostly = evidence.bytes_changed * 10 >= evidence.bytes_compared * 9;
    let denser = evidence.suffix_added || evidence.entropy_after > evidence.entropy_before + 0.2;
    if lost && mostly && denser {
        return Some(Kind::SuffixAndLostStructure);
    }
    (lost && evidence.bytes_differing >= LOST_BYTES_MIN).then_some(Kind::StructureLost)
}

fn long(evidence: &FileEvidence, lost: bool) -> Option<Kind> {
    let noise = evidence.chi2_changed <= NOISE_CHI2_MAX && evidence.chi2_xor <= NOISE_CHI2_MAX;
    let was_structured = evidence.chi2_before >= STRUCTURE_CHI2_MIN;
    if !lost {
        return match (noise, evidence.structured_before) {
            (true, false) => was_structured.then_some(Kind::Noise),
            (true, true) => is_overwritten_in_its_frame(evidence).then_some(Kind::PartlyNoise),
            _ => None,
        };
    }
    // Lost structure alone is enough for a compressed format, whose bytes were as even before as after. Noise in some places counts
    // like noise in all: an encryptor may move the rest, or encrypt every tenth block only.
    let somewhere = evidence.noise_after >= evidence.noise_before + NOISE_BYTES_MIN;
    if evidence.spells_noise {
        Some(Kind::SpelledAsText)
    } else if noise || somewhere || evidence.even_after {
        Some(if evidence.forged { Kind::Forged } else { Kind::Noise })
    } else if evidence.suffix_added {
        Some(Kind::SuffixAndLostStructure)
    } else {
        Some(Kind::StructureLost)
    }
}

/// A content replaced by noise at the same offsets, between headers that stayed. A program that packs anew gets another
/// length; one that changes a part moves the rest. What was seen to unpack is whole, whoever wrote it.
fn is_overwritten_in_its_frame(evidence: &FileEvidence) -> bool {
    let grown = evidence.size_after.checked_sub(evidence.size_before);
    let partly = evidence.bytes_changed * 10 <= evidence.bytes_compared * 6;
    let same_places = grown == Some(0) || (partly && grown.is_some_and(|grown| grown <= APPENDED_MAX));
    !evidence.opened_after && same_places
}
