//! `encryption.replacement`: contents that had a structure are being replaced by bytes that have none.
//!
//! Every file is graded by its own content, original against present; names only lower the number of files that is enough. A
//! grade never falls with time spent between files, so that a slow attacker gains nothing by waiting, and a file counts
//! once however often it is measured.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schema::{Attack, FileEvidence, GateInput, Reason, Tactic, Verdict};
use serde::{Deserialize, Serialize};

use crate::{Detector, Entry};

/// The detector's entry.
pub const ENTRY: Entry = Entry {
    id: "encryption.replacement",
    title: "Files are being replaced by encrypted content",
    title_ja: "ファイルが暗号化された内容に置き換えられている",
    attacks,
    make: Detector::Gate(Gate::default),
};

const ACTORS_MAX: usize = 4096;
const FILES_MAX: usize = 4096;
const FORGET_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// This many files replaced by noise are enough.
const STRONG_ENOUGH: u32 = 2;
/// This many files with noise written into them, whose frame still stands.
const PARTIAL_ENOUGH: u32 = 3;
/// This many files that lost their structure and got a new suffix.
const SUFFIX_ENOUGH: u32 = 3;

/// Chi-square per degree of freedom of noise is 1 with a standard deviation of 0.09 at any length: five of them.
const NOISE_CHI2_MAX: f32 = 1.45;
/// What was there before stood out from noise by this much at least.
const STRUCTURE_CHI2_MIN: f32 = 1.9;
/// Fewer bytes than these say nothing by their distribution.
const STATISTICS_BYTES_MIN: u64 = 96;

fn attacks() -> Vec<Attack> {
    vec![Attack {
        technique: "T1486".into(),
        name: "Data Encrypted for Impact".into(),
        tactic: Tactic::Impact,
    }]
}

/// The synchronous judge of the guard: it is asked before an actor's next open may pass.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    actors: BTreeMap<u64, Actor>,
}

/// What is remembered of one actor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Actor {
    /// Of the last input with evidence.
    last: Timestamp,
    /// Files that speak against it.
    files: BTreeMap<u64, Grade>,
    notes: u32,
    stopped: bool,
}

/// What one file says against the actor that changed it, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Grade {
    kind: Kind,
    /// The original's name went away and this content stands for it.
    replaced: bool,
    /// A known family names files like this.
    family: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// A family's suffix and nothing else.
    NameOnly,
    /// A new suffix and the structure is lost, without the statistics of noise.
    SuffixAndLostStructure,
    /// Noise was written into it where there was none; its frame still stands.
    PartlyNoise,
    /// It is noise where it was structured.
    Noise,
    /// One of the guard's own canaries changed.
    Canary,
}

impl Gate {
    /// Takes in what an actor did and says whether it may go on.
    pub fn decide(&mut self, input: &GateInput, now: Timestamp) -> Verdict {
        if input.evidence.is_empty() {
            return self.standing(input.actor);
        }
        self.forget(now);
        let actor = self.actors.entry(input.actor).or_default();
        actor.last = now;
        for evidence in &input.evidence {
            actor.take(evidence);
        }
        let verdict = actor.verdict();
        actor.stopped |= matches!(verdict, Verdict::Stop(_));
        if actor.files.is_empty() && actor.notes == 0 {
            self.actors.remove(&input.actor);
        }
        verdict
    }

    /// Forgets an actor that a person has released.
    pub fn release(&mut self, actor: u64) {
        self.actors.remove(&actor);
    }

    /// The verdict on an actor that did nothing new.
    fn standing(&self, actor: u64) -> Verdict {
        self.actors.get(&actor).map_or(Verdict::Allow, Actor::verdict)
    }

    fn forget(&mut self, now: Timestamp) {
        let limit = now.checked_sub(FORGET_AFTER).unwrap_or(Timestamp::MIN);
        if self.actors.len() >= ACTORS_MAX {
            self.actors.retain(|_, actor| actor.stopped || actor.last >= limit);
        }
        while self.actors.len() >= ACTORS_MAX {
            let oldest = self.actors.iter().min_by_key(|(_, actor)| actor.last).map(|(number, _)| *number);
            let Some(number) = oldest else { return };
            self.actors.remove(&number);
        }
    }
}

impl Actor {
    fn take(&mut self, evidence: &FileEvidence) {
        self.notes += u32::from(evidence.ransom_note);
        let Some(grade) = grade(evidence) else {
            // A later measurement that finds the file whole takes back an earlier one in the midst of a rewrite.
            if !evidence.ransom_note && !self.stopped {
                self.files.remove(&evidence.file);
            }
            return;
        };
        if self.files.len() < FILES_MAX || self.files.contains_key(&evidence.file) {
            self.files.insert(evidence.file, grade);
        }
    }

    fn verdict(&self) -> Verdict {
        let count = |test: &dyn Fn(&Grade) -> bool| {
            u32::try_from(self.files.values().filter(|grade| test(grade)).count()).unwrap_or(u32::MAX)
        };
        let noise = count(&|grade| grade.kind == Kind::Noise);
        let partly = count(&|grade| grade.kind == Kind::PartlyNoise);
        let suffixed = count(&|grade| grade.kind == Kind::SuffixAndLostStructure);
        let replaced = count(&|grade| grade.kind >= Kind::PartlyNoise && grade.replaced);
        let canary = count(&|grade| grade.kind == Kind::Canary);
        let family = count(&|grade| grade.family) + self.notes;
        let strong = noise + suffixed.min(1) * u32::from(noise > 0);
        let stop = canary > 0
            || strong >= STRONG_ENOUGH
            || (noise > 0 && (family > 0 || partly > 0))
            || noise + partly >= PARTIAL_ENOUGH
            || noise + partly + suffixed >= SUFFIX_ENOUGH;
        let reasons: Vec<_> = [
            (canary, Reason::CanaryTouched { files: canary }),
            (noise + partly, Reason::ContentReplacedByNoise { files: noise + partly }),
            (suffixed, Reason::SuffixWithLostStructure { files: suffixed }),
            (replaced, Reason::OriginalsReplaced { files: replaced }),
            (family, Reason::KnownFamilyArtefact { files: family }),
        ]
        .into_iter()
        .filter_map(|(files, reason)| (files > 0).then_some(reason))
        .collect();
        match (stop, reasons.is_empty()) {
            (true, _) => Verdict::Stop(reasons),
            (false, false) => Verdict::Watch(reasons),
            (false, true) => Verdict::Allow,
        }
    }
}

/// What one file says; `None` for nothing.
fn grade(evidence: &FileEvidence) -> Option<Grade> {
    let kind = if evidence.canary && (evidence.bytes_changed > 0 || evidence.original_gone) {
        Kind::Canary
    } else {
        kind_of(evidence).or(evidence.suffix_known.then_some(Kind::NameOnly))?
    };
    Some(Grade { kind, replaced: evidence.original_gone, family: evidence.suffix_known })
}

/// What became of the content, whatever the names say; `None` for nothing.
pub(crate) fn kind_of(evidence: &FileEvidence) -> Option<Kind> {
    let changed = evidence.bytes_changed;
    if changed == 0 || evidence.structured_after && !evidence.structure_kept {
        return None;
    }
    let lost = evidence.structured_before && !evidence.structure_kept;
    if changed < STATISTICS_BYTES_MIN {
        // Too short for a distribution: a text that is no text any more, nearly all of it, is all there is to see.
        let mostly = changed * 10 >= evidence.bytes_compared * 9;
        return (lost && mostly && evidence.size_after > 0)
            .then_some(Kind::SuffixAndLostStructure)
            .filter(|_| evidence.suffix_added || evidence.entropy_after > evidence.entropy_before + 0.2);
    }
    let noise = evidence.chi2_changed <= NOISE_CHI2_MAX && evidence.chi2_xor <= NOISE_CHI2_MAX;
    let was_structured = evidence.chi2_before >= STRUCTURE_CHI2_MIN;
    match (noise, lost, was_structured) {
        // Lost structure alone is enough for a compressed format, whose bytes were as even before as after.
        (true, true, _) => Some(Kind::Noise),
        (true, false, true) if !evidence.structured_before => Some(Kind::Noise),
        (true, false, true) => Some(Kind::PartlyNoise),
        (false, true, _) if evidence.suffix_added => Some(Kind::SuffixAndLostStructure),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
