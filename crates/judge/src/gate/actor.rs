//! What is remembered of one actor, and when it is enough.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schema::{FileEvidence, Reason, Verdict};
use serde::{Deserialize, Serialize};

use super::grade::{Grade, Kind, grade};
use super::{Indicator, Indicators};

const FILES_MAX: usize = 4096;

/// This many files replaced by noise are enough.
const STRONG_ENOUGH: u32 = 2;
/// This many files with noise written into them, whose frame still stands.
const PARTIAL_ENOUGH: u32 = 3;
/// This many files that lost their structure and got a new suffix.
const SUFFIX_ENOUGH: u32 = 3;
/// Files that lost their format and got no other, of three formats or more. No program is at home in three formats and leaves none of
/// them behind: converters write another format, editors the same one, packers something that unpacks. What is caught in the midst of
/// being rewritten looks like this, but there are never more of those than processors, and a later look takes them back.
const BREADTH_ENOUGH: u32 = 6;
const FORMATS_ENOUGH: usize = 3;
/// The same when each kept its length to the byte: hardly anything is in the midst of being written there, and no converter ends so.
const IN_PLACE_ENOUGH: u32 = 4;
/// The same of any format, when nobody is at them any more.
const COMPLETE_IN_PLACE_ENOUGH: u32 = 3;
/// The same of one or two formats: a program may move its own data to a format that nobody else knows, a store of twelve files at once.
const NARROW_ENOUGH: u32 = 12;
/// The same when each kept its length to the byte, as above: whoever moves data to another format moves it to another length, too.
const NARROW_IN_PLACE_ENOUGH: u32 = 6;
/// Emptied files of a format that is no log's. Log rotation empties texts, and whoever wants a document gone removes it.
const EMPTIED_ENOUGH: u32 = 10;
/// The same when nobody is at them any more, who might be about to fill them again.
const COMPLETE_EMPTIED_ENOUGH: u32 = 3;
/// Documents that got a password. A person gives one to some that are to be sent away.
const SEALED_ENOUGH: u32 = 5;
/// Originals that went away while noise was written. `rm -rf`, `find -delete` and log rotation write none: what they pack unpacks.
const GONE_ENOUGH: usize = 10;
/// The noise must be able to hold them: packed well before it was encrypted, a record shrinks to a sixteenth.
const SHRINKS_AT_MOST: u64 = 16;
const NOISE_MADE_MIN: u64 = 4096;
/// A file that begins as a format does and breaks its rules may be a document that was never quite right, copied or checked out. Noise
/// behind a header stands closer to chance than this.
const FORGED_CHI2_MAX: f32 = 4.0;

/// What is remembered of one actor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Actor {
    /// Of the last input with evidence.
    pub(super) last: Timestamp,
    /// Files that speak against it.
    files: BTreeMap<u64, Grade>,
    /// Bytes of structured originals that went away without a successor.
    #[serde(default)]
    gone: BTreeMap<u64, u64>,
    /// Bytes of files that it made and that are noise.
    #[serde(default)]
    made: BTreeMap<u64, u64>,
    notes: u32,
    /// Suffixes that notes are named after.
    #[serde(default)]
    noted: BTreeSet<u32>,
    pub(super) stopped: bool,
}

impl Actor {
    pub(super) fn take(&mut self, evidence: &FileEvidence, on: Indicators) {
        if evidence.ransom_note && on.has(Indicator::Note) {
            self.notes = self.notes.saturating_add(1);
            if evidence.suffix != 0 && self.noted.len() < FILES_MAX {
                self.noted.insert(evidence.suffix);
            }
        }
        if on.has(Indicator::Removed) {
            self.take_gone(evidence);
        }
        let Some(grade) = grade(evidence, on) else {
            // A later measurement that finds the file whole takes back an earlier one in the midst of a rewrite.
            if !evidence.ransom_note && !self.stopped {
                self.files.remove(&evidence.file);
            }
            return;
        };
        if self.files.len() >= FILES_MAX && !self.files.contains_key(&evidence.file) {
            let weakest =
                self.files.iter().min_by_key(|(_, grade)| **grade).map(|(file, grade)| (*file, *grade));
            match weakest {
                Some((file, weakest)) if weakest < grade => self.files.remove(&file),
                _ => return,
            };
        }
        self.files.insert(evidence.file, grade);
    }

    fn take_gone(&mut self, evidence: &FileEvidence) {
        let file = evidence.file;
        let is_gone = evidence.structured_before && evidence.size_after == 0 && !evidence.made;
        put(&mut self.gone, file, is_gone.then_some(evidence.size_before));
        let forged = evidence.forged && evidence.chi2_changed <= FORGED_CHI2_MAX;
        let noise = forged || evidence.sealed || evidence.spells_noise || evidence.even_after;
        let is_noise = evidence.made && noise && !evidence.structured_after;
        put(&mut self.made, file, is_noise.then_some(evidence.size_after));
    }

    /// Whether nothing speaks against it that would have to be remembered.
    pub(super) fn is_blank(&self) -> bool {
        self.files.is_empty() && self.notes == 0 && self.gone.is_empty() && self.made.is_empty()
    }

    pub(super) fn verdict(&self) -> Verdict {
        let sum = Sum::of(self);
        let reasons: Vec<_> =
            sum.reasons().into_iter().filter_map(|(files, reason)| (files > 0).then_some(reason)).collect();
        match (sum.is_enough(), reasons.is_empty()) {
            (true, _) => Verdict::Stop(reasons),
            (false, false) => Verdict::Watch(reasons),
            (false, true) => Verdict::Allow,
        }
    }

    /// Originals that went away, when the noise that was made meanwhile can hold them.
    fn removed_beside_noise(&self) -> u32 {
        let gone: u64 = self.gone.values().sum();
        let made: u64 = self.made.values().sum();
        let enough = self.gone.len() >= GONE_ENOUGH
            && made >= NOISE_MADE_MIN
            && made.saturating_mul(SHRINKS_AT_MOST) >= gone;
        if enough { u32::try_from(self.gone.len()).unwrap_or(u32::MAX) } else { 0 }
    }
}

/// Remembers or forgets a file; the oldest goes when there are too many.
fn put(files: &mut BTreeMap<u64, u64>, file: u64, bytes: Option<u64>) {
    match bytes {
        Some(bytes) => {
            files.insert(file, bytes);
            if files.len() > FILES_MAX {
                files.pop_first();
            }
        }
        None => {
            files.remove(&file);
        }
    }
}

/// How many files say what.
#[derive(Debug, Default)]
struct Sum {
    canary: u32,
    canary_gone: u32,
    noise: u32,
    spelled: u32,
    forged: u32,
    partly: u32,
    suffixed: u32,
    lost: u32,
    emptied: u32,
    /// Emptied ones that are no log's, and those of them that nobody is at.
    emptied_documents: u32,
    emptied_completely: u32,
    sealed: u32,
    replaced: u32,
    family: u32,
    /// Files with a suffix that a note is named after.
    noted: u32,
    removed: u32,
    notes: u32,
    formats: usize,
    /// Files of the broad kinds that kept their length, and how many formats they had.
    in_place: u32,
    in_place_completely: u32,
    formats_in_place: usize,
}

impl Sum {
    fn of(actor: &Actor) -> Self {
        let mut sum = Self {
            notes: actor.notes,
            removed: actor.removed_beside_noise(),
            family: actor.notes,
            ..Self::default()
        };
        let (mut formats, mut in_place) = (BTreeSet::new(), BTreeSet::new());
        for grade in actor.files.values() {
            let count = match grade.kind {
                Kind::NameOnly => None,
                Kind::CanaryGone => Some(&mut sum.canary_gone),
                Kind::Emptied => Some(&mut sum.emptied),
                Kind::StructureLost => Some(&mut sum.lost),
                Kind::SuffixAndLostStructure => Some(&mut sum.suffixed),
                Kind::Sealed => Some(&mut sum.sealed),
                Kind::PartlyNoise => Some(&mut sum.partly),
                Kind::SpelledAsText => Some(&mut sum.spelled),
                Kind::Forged => Some(&mut sum.forged),
                Kind::Noise => Some(&mut sum.noise),
                Kind::Canary => Some(&mut sum.canary),
            };
            if let Some(count) = count {
                *count += 1;
            }
            if grade.kind >= Kind::StructureLost && grade.kind < Kind::Canary {
                formats.insert(grade.format);
                if grade.in_place {
                    sum.in_place += 1;
                    sum.in_place_completely += u32::from(grade.complete);
                    in_place.insert(grade.format);
                }
            }
            let document = grade.kind == Kind::Emptied && !grade.plain && grade.format != 0;
            sum.emptied_documents += u32::from(document);
            sum.emptied_completely += u32::from(document && grade.complete);
            sum.replaced += u32::from(grade.kind >= Kind::PartlyNoise && grade.replaced);
            sum.family += u32::from(grade.family);
            sum.noted += u32::from(grade.suffix != 0 && actor.noted.contains(&grade.suffix));
        }
        formats.remove(&0);
        in_place.remove(&0);
        (sum.formats, sum.formats_in_place) = (formats.len(), in_place.len());
        sum
    }

    fn strong(&self) -> u32 {
        self.noise + self.spelled + self.forged
    }

    /// Files that lost what they were, in whatever way.
    fn broad(&self) -> u32 {
        self.strong() + self.partly + self.suffixed + self.lost
    }

    fn is_enough(&self) -> bool {
        let (strong, broad) = (self.strong(), self.broad());
        let by_content = strong + u32::from(strong > 0 && self.suffixed > 0) >= STRONG_ENOUGH
            || strong + self.partly >= PARTIAL_ENOUGH
            || strong + self.partly + self.suffixed >= SUFFIX_ENOUGH
            || (strong > 0 && self.partly > 0)
            || self.sealed >= SEALED_ENOUGH;
        let by_breadth = broad >= NARROW_ENOUGH
            || self.in_place >= NARROW_IN_PLACE_ENOUGH
            || self.in_place_completely >= COMPLETE_IN_PLACE_ENOUGH
            || (broad >= BREADTH_ENOUGH && self.formats >= FORMATS_ENOUGH)
            || (self.in_place >= IN_PLACE_ENOUGH && self.formats_in_place >= FORMATS_ENOUGH);
        let by_names = self.family > 0 && (strong > 0 || broad >= SUFFIX_ENOUGH);
        // Several files with one new suffix, and a note named after it: nobody else does that.
        let by_note = self.noted >= SUFFIX_ENOUGH || (self.noted > 0 && broad > 0);
        let by_absence = self.emptied_documents >= EMPTIED_ENOUGH
            || self.emptied_completely >= COMPLETE_EMPTIED_ENOUGH
            || (self.emptied >= SUFFIX_ENOUGH && (self.notes > 0 || strong > 0))
            || self.removed > 0;
        let by_canary = self.canary > 0 || (self.canary_gone > 0 && broad + self.emptied > 0);
        by_content || by_breadth || by_names || by_note || by_absence || by_canary
    }

    fn reasons(&self) -> [(u32, Reason); 12] {
        let noise = self.noise + self.partly;
        let canary = self.canary + self.canary_gone;
        [
            (canary, Reason::CanaryTouched { files: canary }),
            (noise, Reason::ContentReplacedByNoise { files: noise }),
            (self.spelled, Reason::SpelledAsText { files: self.spelled }),
            (self.forged, Reason::ForgedFormat { files: self.forged }),
            (self.suffixed, Reason::SuffixWithLostStructure { files: self.suffixed }),
            (self.lost, Reason::StructureLost { files: self.lost }),
            (self.replaced, Reason::OriginalsReplaced { files: self.replaced }),
            (self.emptied, Reason::Emptied { files: self.emptied }),
            (self.sealed, Reason::Sealed { files: self.sealed }),
            (self.removed, Reason::RemovedBesideNoise { files: self.removed }),
            (self.noted, Reason::NoteNamedAfterSuffix { files: self.noted }),
            (self.family, Reason::KnownFamilyArtefact { files: self.family }),
        ]
    }
}
