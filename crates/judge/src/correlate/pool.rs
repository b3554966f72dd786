//! What opens no incident of an attack: scans, signs below medium severity, weak spots.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schema::{Chapter, Entity, Finding, IncidentId, Lang, Subject, SubjectRole};
use serde::{Deserialize, Serialize};

use super::case::{Case, Few, Kind, Told, latest, order};
use super::store::pairs;

/// Standing incidents of signs, and of weak spots, each; further detectors share one.
const DETECTORS_MAX: usize = 32;
const REMEMBERED_MAX: usize = 4096;
const SPOTS_EACH: usize = 4;
pub(super) const STANDING: SignedDuration = SignedDuration::from_hours(30 * 24);
/// What is too old is looked for this often.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_mins(1);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pools {
    scans: Option<IncidentId>,
    signs: BTreeMap<String, IncidentId>,
    weak: BTreeMap<String, IncidentId>,
    /// What an actor did before it was in an attack.
    #[serde(with = "pairs")]
    before: BTreeMap<Entity, Before>,
    /// Weak spots by the host or the address that has them.
    #[serde(with = "pairs")]
    spots: BTreeMap<Entity, Vec<Chapter>>,
    swept: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Before {
    counted_in: IncidentId,
    scans: bool,
    first: Chapter,
}

impl Pools {
    pub(super) fn len(&self) -> usize {
        self.before.len() + self.spots.len()
    }

    /// The standing incident of this kind; a detector past the bound shares one with others.
    pub(super) fn standing(&mut self, kind: &mut Kind) -> Option<IncidentId> {
        let (map, detector) = match kind {
            Kind::Attack => return None,
            Kind::Scans => return self.scans,
            Kind::Signs(detector) => (&self.signs, detector),
            Kind::Weak(detector) => (&self.weak, detector),
        };
        if map.len() >= DETECTORS_MAX && !map.contains_key(detector) {
            *detector = "others".to_owned();
        }
        map.get(detector).copied()
    }

    pub(super) fn open(&mut self, kind: &Kind, id: IncidentId) {
        match kind {
            Kind::Attack => {}
            Kind::Scans => self.scans = Some(id),
            Kind::Signs(detector) => {
                self.signs.insert(detector.clone(), id);
            }
            Kind::Weak(detector) => {
                self.weak.insert(detector.clone(), id);
            }
        }
    }

    pub(super) fn close(&mut self, id: IncidentId) {
        self.scans = self.scans.filter(|open| *open != id);
        self.signs.retain(|_, open| *open != id);
        self.weak.retain(|_, open| *open != id);
    }

    /// Remembers a scan or a sign by whoever did it; new actors find no room while all of it is taken.
    pub(super) fn remember(
        &mut self,
        finding: &Finding,
        subjects: &[Subject],
        counted_in: IncidentId,
        scans: bool,
    ) {
        for subject in subjects.iter().filter(|subject| subject.role == SubjectRole::Actor) {
            if let Some(before) = self.before.get_mut(&subject.entity) {
                add(&mut before.first, finding);
            } else if self.before.len() < REMEMBERED_MAX {
                let before = Before { counted_in, scans, first: chapter(finding) };
                self.before.insert(subject.entity.clone(), before);
            }
        }
    }

    pub(super) fn remember_spot(&mut self, finding: &Finding, subjects: &[Subject]) {
        for subject in subjects {
            if self.spots.len() >= REMEMBERED_MAX && !self.spots.contains_key(&subject.entity) {
                continue;
            }
            let spots = self.spots.entry(subject.entity.clone()).or_default();
            let is_full = spots.len() >= SPOTS_EACH;
            match spots.iter_mut().find(|spot| spot.en == finding.title) {
                Some(spot) => add(spot, finding),
                None if is_full => {}
                None => spots.push(chapter(finding)),
            }
        }
    }

    /// Known weak spots of what an incident names, as chapters without tactic, each once.
    pub(super) fn spots(&self, case: &Case) -> Vec<Chapter> {
        let mut told = Vec::new();
        if case.kind != Kind::Attack || self.spots.is_empty() {
            return told;
        }
        for (entity, spots) in case.parts.keys().filter_map(|entity| self.spots.get_key_value(entity)) {
            for spot in spots {
                let name = super::words::name(entity, Lang::En);
                let en = format!("Known weak spot of {name}: {}", spot.en);
                let ja = format!("{name} の既知の弱点：{}", spot.ja);
                told.push(Chapter { tactic: None, attack: None, en, ja, ..spot.clone() });
            }
        }
        told
    }

    /// What an actor did before, told once.
    pub(super) fn take_before(&mut self, actor: &Entity) -> Option<Before> {
        self.before.remove(actor)
    }

    /// Forgets what was not seen again for [`STANDING`].
    pub(super) fn sweep(&mut self, now: Timestamp) {
        let Ok(than) = now.checked_sub(STANDING) else { return };
        if now.duration_since(self.swept).abs() < SWEEP_EVERY {
            return;
        }
        self.swept = now;
        self.before.retain(|_, before| before.first.last_at >= than);
        self.spots.retain(|_, spots| {
            spots.retain(|spot| spot.last_at >= than);
            !spots.is_empty()
        });
    }
}

fn chapter(finding: &Finding) -> Chapter {
    let attack = finding.attacks.first().cloned();
    Chapter {
        tactic: attack.as_ref().map(|attack| attack.tactic),
        attack,
        first_at: finding.time,
        last_at: finding.time,
        findings: 1,
        en: finding.title.clone(),
        ja: finding.title_ja.clone(),
    }
}

fn add(chapter: &mut Chapter, finding: &Finding) {
    chapter.first_at = chapter.first_at.min(finding.time);
    chapter.last_at = chapter.last_at.max(finding.time);
    chapter.findings += 1;
}

/// Tells in an attack what its actor did before; it stays counted where it was.
pub(super) fn lead_in(case: &mut Case, before: Before, actor: &Entity) {
    let Before { counted_in, scans, first } = before;
    let (name, name_ja) = (super::words::name(actor, Lang::En), super::words::name(actor, Lang::Ja));
    let n = first.findings;
    let (en, ja) = if scans {
        (
            format!("{name} had looked around from outside before (findings: {n}, counted in {counted_in})"),
            format!("{name_ja} は以前に外部から探索していました（{n}件、{counted_in} に計上）"),
        )
    } else {
        (
            format!("{name} had been noticed before (findings: {n}, counted in {counted_in}): {}", first.en),
            format!("{name_ja} は以前から検知されていました（{n}件、{counted_in} に計上）：{}", first.ja),
        )
    };
    if let Some(tactic) = first.tactic {
        latest(&mut case.tactics, tactic, first.last_at);
    }
    let what = first.attack.as_ref().map_or("before", |attack| &attack.technique).to_owned();
    let key = (order(first.tactic), what);
    let chapter = Chapter { en, ja, ..first };
    let told = Told { chapter, sample: None, actors: Few::one(actor.clone()), targets: Few::default() };
    case.add_chapter(key, told);
}
