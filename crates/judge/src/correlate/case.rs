//! One incident with what is remembered of it besides what is told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schema::{
    Attack, Chapter, Entity, Finding, Incident, IncidentId, IncidentStatus, Severity, Subject, SubjectRole,
    Tactic, WatcherClass,
};
use serde::{Deserialize, Serialize};

use super::seen::fnv;
use super::store::pairs;
use super::{Settings, Sighting};

pub(super) const PARTS_MAX: usize = 4096;
const CHAPTERS_MAX: usize = 64;
const SUBJECTS_TOLD: usize = 64;
const NAMES_MAX: usize = 64;
const DEEDS_MAX: usize = 16;
const NAMED_EACH: usize = 8;

/// What an incident is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    Attack,
    /// Scans from public addresses.
    Scans,
    /// What one detector says below medium severity.
    Signs(String),
    /// What one detector says of weak spots.
    Weak(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Case {
    pub(super) incident: Incident,
    pub(super) kind: Kind,
    /// When its last finding arrived.
    pub(super) touched: Timestamp,
    #[serde(with = "pairs")]
    pub(super) parts: BTreeMap<Entity, Part>,
    /// Whether there were more subjects than could be remembered.
    pub(super) parts_more: bool,
    #[serde(with = "pairs")]
    pub(super) chapters: BTreeMap<ChapterKey, Told>,
    /// When each tactic and each class of watchers was last in it.
    pub(super) tactics: BTreeMap<Tactic, Timestamp>,
    classes: BTreeMap<WatcherClass, Timestamp>,
    worst: Severity,
    /// Whether so many tactics or classes of watchers agreed within the window.
    agreed: bool,
    /// Whether records or their recovery were destroyed on a store.
    destroyed: bool,
}

/// Order of the tactic (one past the last for none), then the technique or what stands for it.
pub(super) type ChapterKey = (u8, String);

/// A chapter with the finding that it is told from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) chapter: Chapter,
    pub(super) sample: Option<Finding>,
    /// Those who did it, and those to whom it was done.
    pub(super) actors: Few,
    pub(super) targets: Few,
}

/// Subjects while they are few, and whether there were more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Few {
    pub(super) named: BTreeSet<Entity>,
    pub(super) more: bool,
}

impl Few {
    fn add(&mut self, entity: Entity) {
        self.more |= !insert_bounded(&mut self.named, entity, NAMED_EACH);
    }

    fn merge(&mut self, other: Few) {
        self.more |= other.more;
        other.named.into_iter().for_each(|entity| self.add(entity));
    }

    /// Of the subjects of a finding those in that role.
    fn of(subjects: &[Subject], role: SubjectRole) -> Self {
        let mut few = Few::default();
        let there = subjects.iter().filter(|subject| subject.role == role);
        there.for_each(|subject| few.add(subject.entity.clone()));
        few
    }

    pub(super) fn one(entity: Entity) -> Self {
        Few { named: BTreeSet::from([entity]), more: false }
    }
}

/// How a subject stands in an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Findings that name it as the one who did it.
    pub(super) actor: u64,
    /// Findings that name it as the one who suffered it.
    pub(super) target: u64,
    first: Timestamp,
    last: Timestamp,
    deeds: BTreeSet<u64>,
}

impl Part {
    fn new(at: Timestamp) -> Self {
        Self { actor: 0, target: 0, first: at, last: at, deeds: BTreeSet::new() }
    }

    /// Whether it was named within the window around that time.
    pub(super) fn is_near(&self, at: Timestamp, settings: &Settings) -> bool {
        let window = settings.window();
        at.duration_since(self.last) <= window && self.first.duration_since(at) <= window
    }

    pub(super) fn shares_deed(&self, deeds: &BTreeSet<u64>) -> bool {
        !self.deeds.is_disjoint(deeds)
    }

    fn merge(&mut self, other: Part) {
        self.actor += other.actor;
        self.target += other.target;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        for deed in other.deeds {
            insert_bounded(&mut self.deeds, deed, DEEDS_MAX);
        }
    }
}

impl Settings {
    pub(super) fn window(&self) -> SignedDuration {
        SignedDuration::from_secs(self.window_seconds.into())
    }
}

/// What was done: the techniques, or the detector with its title where it names none.
pub(super) fn deeds(finding: &Finding) -> BTreeSet<u64> {
    if finding.attacks.is_empty() {
        return BTreeSet::from([fnv(&[&finding.detector, &finding.title])]);
    }
    finding.attacks.iter().map(|attack| fnv(&[&attack.technique])).collect()
}

/// False once the set is full and lacks it.
fn insert_bounded<T: Ord>(set: &mut BTreeSet<T>, value: T, len_max: usize) -> bool {
    if set.len() >= len_max && !set.contains(&value) {
        return false;
    }
    set.insert(value);
    true
}

impl Case {
    pub(super) fn new(id: IncidentId, kind: Kind, at: Timestamp, now: Timestamp) -> Self {
        let incident = Incident {
            id,
            first_at: at,
            last_at: at,
            status: IncidentStatus::Open,
            severity_id: Severity::Informational,
            title: String::new(),
            title_ja: String::new(),
            subjects: Vec::new(),
            findings: 0,
            detectors: BTreeMap::new(),
            watchers: BTreeMap::new(),
            story: Vec::new(),
            unknowns: Vec::new(),
            samples: Vec::new(),
        };
        Self {
            incident,
            kind,
            touched: now,
            parts: BTreeMap::new(),
            parts_more: false,
            chapters: BTreeMap::new(),
            tactics: BTreeMap::new(),
            classes: BTreeMap::new(),
            worst: Severity::Informational,
            agreed: false,
            destroyed: false,
        }
    }

    /// Takes a finding in; the subjects are the finding's with what is known of them.
    pub(super) fn absorb(
        &mut self,
        sighting: &Sighting<'_>,
        subjects: &[Subject],
        settings: &Settings,
        now: Timestamp,
    ) {
        let finding = sighting.finding;
        let at = finding.time;
        self.touched = self.touched.max(now);
        self.incident.findings += 1;
        self.incident.first_at = self.incident.first_at.min(at);
        self.incident.last_at = self.incident.last_at.max(at);
        *count(&mut self.incident.detectors, &finding.detector) += 1;
        let watchers = &mut self.incident.watchers;
        if watchers.len() < NAMES_MAX || watchers.contains_key(sighting.watcher) {
            watchers.insert(sighting.watcher.to_owned(), sighting.class);
        }
        self.worst = self.worst.max(finding.severity_id);
        self.name(finding, subjects);
        self.tell_chapters(finding, subjects);
        latest(&mut self.classes, sighting.class, at);
        self.agree(settings);
        let is_store = |subject: &Subject| matches!(subject.entity, Entity::Store { .. });
        let destroys = |attack: &Attack| matches!(attack.technique.get(..5), Some("T1486" | "T1490"));
        self.destroyed |= finding.attacks.iter().any(destroys) && subjects.iter().any(is_store);
    }

    fn name(&mut self, finding: &Finding, subjects: &[Subject]) {
        let deeds = deeds(finding);
        for subject in subjects {
            if self.parts.len() >= PARTS_MAX && !self.parts.contains_key(&subject.entity) {
                self.parts_more = true;
                continue;
            }
            let part = self.parts.entry(subject.entity.clone()).or_insert_with(|| Part::new(finding.time));
            match subject.role {
                SubjectRole::Actor => part.actor += 1,
                SubjectRole::Target => part.target += 1,
            }
            part.first = part.first.min(finding.time);
            part.last = part.last.max(finding.time);
            deeds.iter().for_each(|deed| {
                insert_bounded(&mut part.deeds, *deed, DEEDS_MAX);
            });
        }
    }

    fn tell_chapters(&mut self, finding: &Finding, subjects: &[Subject]) {
        let attacks: Vec<_> = match finding.attacks.as_slice() {
            [] => vec![None],
            attacks => attacks.iter().map(Some).collect(),
        };
        for attack in attacks {
            let tactic = attack.map(|attack| attack.tactic);
            if let Some(tactic) = tactic {
                latest(&mut self.tactics, tactic, finding.time);
            }
            let what = attack.map_or(&finding.detector, |attack| &attack.technique);
            let chapter = Chapter {
                tactic,
                attack: attack.cloned(),
                first_at: finding.time,
                last_at: finding.time,
                findings: 1,
                en: finding.title.clone(),
                ja: finding.title_ja.clone(),
            };
            let told = Told {
                chapter,
                sample: Some(finding.clone()),
                actors: Few::of(subjects, SubjectRole::Actor),
                targets: Few::of(subjects, SubjectRole::Target),
            };
            self.add_chapter((order(tactic), what.clone()), told);
        }
    }

    /// Adds to a chapter; the earliest finding gives its words. A story that is full takes in no new chapter.
    pub(super) fn add_chapter(&mut self, key: ChapterKey, more: Told) {
        let is_full = self.chapters.len() >= CHAPTERS_MAX;
        let Some(told) = self.chapters.get_mut(&key) else {
            if !is_full {
                self.chapters.insert(key, more);
            }
            return;
        };
        let (all, chapter) = (&mut told.chapter, more.chapter);
        if chapter.first_at < all.first_at {
            told.sample = more.sample;
            (all.en, all.ja, all.attack) = (chapter.en, chapter.ja, chapter.attack);
            all.first_at = chapter.first_at;
        }
        all.last_at = all.last_at.max(chapter.last_at);
        all.findings += chapter.findings;
        told.actors.merge(more.actors);
        told.targets.merge(more.targets);
    }

    /// Whether three tactics or two classes of watchers lie within one window, now or once.
    fn agree(&mut self, settings: &Settings) {
        let since = self.incident.last_at.checked_sub(settings.window()).unwrap_or(Timestamp::MIN);
        let tactics = self.tactics.values().filter(|at| **at >= since).count();
        let classes = self.classes.values().filter(|at| **at >= since).count();
        self.agreed |= tactics >= 3 || classes >= 2;
    }

    pub(super) fn severity(&self) -> Severity {
        match self.kind {
            Kind::Attack if self.destroyed => Severity::Critical,
            Kind::Attack if self.agreed => {
                Severity::try_from(u8::from(self.worst).saturating_add(1)).unwrap_or(Severity::Critical)
            }
            Kind::Attack => self.worst,
            Kind::Scans | Kind::Signs(_) | Kind::Weak(_) => self.worst.min(Severity::Medium),
        }
    }

    /// Those who did it or suffered it, most named first.
    pub(super) fn subjects(&self) -> Vec<(Subject, u64)> {
        let mut all: Vec<(u64, SubjectRole, &Entity)> = Vec::with_capacity(self.parts.len());
        for (entity, part) in &self.parts {
            let roles = [(part.actor, SubjectRole::Actor), (part.target, SubjectRole::Target)];
            all.extend(roles.into_iter().filter(|(n, _)| *n > 0).map(|(n, role)| (n, role, entity)));
        }
        let most_named = |a: &(u64, SubjectRole, &Entity), b: &(u64, SubjectRole, &Entity)| {
            b.0.cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2)))
        };
        if all.len() > SUBJECTS_TOLD {
            all.select_nth_unstable_by(SUBJECTS_TOLD, most_named);
            all.truncate(SUBJECTS_TOLD);
        }
        all.sort_unstable_by(most_named);
        all.into_iter().map(|(n, role, entity)| (Subject { role, entity: entity.clone() }, n)).collect()
    }

    /// The chapters in the order of tactics, then of time, with `last` after them.
    pub(super) fn story(&self, last: Vec<Chapter>) -> (Vec<Chapter>, Vec<Finding>) {
        let mut told: Vec<_> = self.chapters.iter().collect();
        told.sort_by(|((a, _), x), ((b, _), y)| (a, x.chapter.first_at).cmp(&(b, y.chapter.first_at)));
        let chapters = told.iter().map(|(_, told)| told.chapter.clone()).chain(last).take(CHAPTERS_MAX);
        (chapters.collect(), told.iter().filter_map(|(_, told)| told.sample.clone()).collect())
    }

    /// Becomes one with an incident that came later.
    pub(super) fn merge(&mut self, other: Case, settings: &Settings) {
        let (one, two) = (&mut self.incident, other.incident);
        one.first_at = one.first_at.min(two.first_at);
        one.last_at = one.last_at.max(two.last_at);
        one.findings += two.findings;
        if two.status == IncidentStatus::Contained && one.status != IncidentStatus::Contained {
            // Half of it goes on.
            one.status = IncidentStatus::Open;
        }
        two.detectors.iter().for_each(|(name, n)| *count(&mut one.detectors, name) += n);
        let room = NAMES_MAX.saturating_sub(one.watchers.len());
        one.watchers.extend(two.watchers.into_iter().take(room));
        for (entity, part) in other.parts {
            let is_full = self.parts.len() >= PARTS_MAX;
            match self.parts.get_mut(&entity) {
                Some(mine) => mine.merge(part),
                None if is_full => self.parts_more = true,
                None => {
                    self.parts.insert(entity, part);
                }
            }
        }
        for (key, told) in other.chapters {
            self.add_chapter(key, told);
        }
        other.tactics.into_iter().for_each(|(tactic, at)| latest(&mut self.tactics, tactic, at));
        other.classes.into_iter().for_each(|(class, at)| latest(&mut self.classes, class, at));
        self.touched = self.touched.max(other.touched);
        self.parts_more |= other.parts_more;
        self.worst = self.worst.max(other.worst);
        self.agreed |= other.agreed;
        self.destroyed |= other.destroyed;
        self.agree(settings);
    }
}

pub(super) fn order(tactic: Option<Tactic>) -> u8 {
    let place = Tactic::ALL.iter().position(|known| Some(*known) == tactic).unwrap_or(Tactic::ALL.len());
    u8::try_from(place).unwrap_or(u8::MAX)
}

pub(super) fn latest<K: Ord>(map: &mut BTreeMap<K, Timestamp>, key: K, at: Timestamp) {
    let last = map.entry(key).or_insert(at);
    *last = at.max(*last);
}

/// The count of that name; names past the bound are counted together.
fn count<'a>(map: &'a mut BTreeMap<String, u64>, name: &str) -> &'a mut u64 {
    let has_room = map.len() < NAMES_MAX || map.contains_key(name);
    map.entry(if has_room { name } else { "others" }.to_owned()).or_default()
}
