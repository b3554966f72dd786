//! Forgetting snapshots: by rules, or by their ids. What saves a hospital is never forgotten by a rule, and by its id only on the word of
//! somebody who gives a reason.
//!
//! A forgotten snapshot's file is moved out of restic's sight, not removed: until a prune has removed what only it needs, it can be taken
//! back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schema::{Lang, SnapshotId};
use serde::{Deserialize, Serialize};

use super::file_kind::FileKind;
use super::id::Id;
use super::lock::Lock;
use super::meta;
use super::prune::Uptime;
use super::repository::Vault;
use super::retention::{self, Moment, Reason, Rules, has_tags};
use super::snapshot::Snapshot;
use crate::{Error, proof};

/// A clock may be so much ahead before it is called wrong.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(1);
/// The same for the time that a file system noted, which on some is a local time and on others has a resolution of a day.
const FILE_TOLERANCE: SignedDuration = SignedDuration::from_hours(26);

/// Daily generations of each store (the same folders of the same host) that nobody forgets in passing.
///
/// The default is what the Japanese guideline for systems with medical records gives as its example: five of them, the third and older
/// write-protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generations {
    /// How many days count, each with its newest snapshot.
    pub keep: u32,
    /// The first that is write-protected, counted from the newest, which is 1.
    pub protected_from: u32,
}

impl Default for Generations {
    fn default() -> Generations {
        Generations { keep: 5, protected_from: 3 }
    }
}

/// Which snapshots a rule speaks of; an empty list leaves nothing out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotFilter {
    /// Of one of these hosts.
    pub hosts: Vec<String>,
    /// With all of these folders.
    pub paths: Vec<String>,
    /// With all tags of one of these lists.
    pub tags: Vec<Vec<String>>,
}

impl SnapshotFilter {
    /// Whether a snapshot is spoken of.
    pub fn matches(&self, snapshot: &Snapshot) -> bool {
        (self.hosts.is_empty() || self.hosts.contains(&snapshot.hostname))
            && self.paths.iter().all(|path| snapshot.paths.contains(path))
            && (self.tags.is_empty() || self.tags.iter().any(|tags| has_tags(&snapshot.tags, tags)))
    }
}

/// Which snapshots a rule counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupBy {
    /// Those of one host.
    pub host: bool,
    /// Those of the same folders.
    pub paths: bool,
    /// Those with the same tags.
    pub tags: bool,
}

impl Default for GroupBy {
    fn default() -> GroupBy {
        GroupBy { host: true, paths: true, tags: false }
    }
}

/// Somebody's word that protected snapshots are to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Who says so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What to forget.
#[derive(Debug, Clone)]
pub struct ForgetRequest {
    /// What is kept. Without any rule everything is.
    pub rules: Rules,
    /// Snapshots that the rules speak of.
    pub filter: SnapshotFilter,
    /// What the rules count together.
    pub group_by: GroupBy,
    /// Snapshots to forget by the first digits of their ids; the rules then count for nothing.
    pub snapshots: Vec<String>,
    /// The generations of each store.
    pub generations: Generations,
    /// When snapshots came in, where a vault host noted it. Rules then go by that time and not by what the snapshot says.
    pub receipts: BTreeMap<SnapshotId, Timestamp>,
    /// Whose days and months.
    pub zone: TimeZone,
    /// The present.
    pub now: Timestamp,
    /// The word that forgets even protected snapshots, if they are named by their ids.
    pub overriding: Option<Override>,
}

impl ForgetRequest {
    /// Forgets by rules, with everything else as it is by default, now.
    pub fn by_rules(rules: Rules) -> ForgetRequest {
        ForgetRequest {
            rules,
            filter: SnapshotFilter::default(),
            group_by: GroupBy::default(),
            snapshots: Vec::new(),
            generations: Generations::default(),
            receipts: BTreeMap::new(),
            zone: TimeZone::system(),
            now: Timestamp::now(),
            overriding: None,
        }
    }

    /// Forgets these snapshots.
    pub fn by_ids(snapshots: Vec<String>) -> ForgetRequest {
        ForgetRequest { snapshots, ..ForgetRequest::by_rules(Rules::default()) }
    }
}

/// What happens to a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Kept,
    /// It is forgotten.
    Forgotten,
    /// It was named and is protected.
    Refused,
}

/// A snapshot, what happens to it, and why it is kept, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The moment that the rules go by.
    pub at: Timestamp,
    /// What happens to it.
    pub fate: Fate,
    /// Why it is kept, or why it would be if nobody had overridden that.
    pub reasons: Vec<Reason>,
}

/// Snapshots that the rules counted together, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct ForgetGroup {
    /// Their host, if that is what they have in common.
    pub host: Option<String>,
    /// Their folders, if so.
    pub paths: Option<Vec<String>>,
    /// Their tags, if so.
    pub tags: Option<Vec<String>>,
    /// What happens to each.
    pub verdicts: Vec<Verdict>,
}

/// What a forget would do.
#[derive(Debug, Default)]
pub struct ForgetPlan {
    /// The snapshots that it spoke of.
    pub groups: Vec<ForgetGroup>,
    /// Snapshots that cannot be read. They are never forgotten.
    pub unreadable: Vec<Error>,
}

impl ForgetPlan {
    /// All verdicts.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.groups.iter().flat_map(|group| &group.verdicts)
    }

    /// The snapshots with this fate.
    pub fn with(&self, fate: Fate) -> Vec<&Verdict> {
        self.verdicts().filter(|verdict| verdict.fate == fate).collect()
    }
}

/// Who had what forgotten, sealed beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForgetNote {
    /// When.
    pub at: Timestamp,
    /// How long the machine had been up.
    #[serde(default)]
    pub uptime: Option<Uptime>,
    /// User and host.
    pub by: String,
    /// Which snapshots.
    pub snapshots: Vec<SnapshotId>,
    /// Which of them were protected, in words.
    #[serde(default)]
    pub protected: Vec<String>,
    /// On whose word those were forgotten.
    #[serde(default)]
    pub overriding: Option<Override>,
}

/// What keeps a snapshot whatever a rule says.
struct Shields {
    reasons: HashMap<SnapshotId, Vec<Reason>>,
    /// Generations whose loss would move write-protected ones up, until they are none.
    hold_up: BTreeSet<SnapshotId>,
}

impl Shields {
    fn of(&self, snapshot: &Snapshot) -> Vec<Reason> {
        self.reasons.get(&snapshot.id).cloned().unwrap_or_default()
    }

    /// Whether it may be forgotten by its id only on somebody's word.
    fn refuses(&self, snapshot: &Snapshot) -> bool {
        let is_strong = |reason: &Reason| {
            matches!(
                reason,
                Reason::Generation { protected: true, .. } | Reason::NewestProven | Reason::HoldsProof
            )
        };
        self.hold_up.contains(&snapshot.id)
            || self.reasons.get(&snapshot.id).is_some_and(|reasons| reasons.iter().any(is_strong))
    }
}

impl Vault {
    /// What a forget would do, and why each snapshot stays. Changes nothing and needs no lock.
    pub fn plan_forget(&self, request: &ForgetRequest) -> Result<ForgetPlan, Error> {
        let (snapshots, unreadable) = self.snapshots()?;
        let named = self.named(&request.snapshots)?;
        let times: HashMap<SnapshotId, Option<Timestamp>> =
            snapshots.iter().map(|s| (s.id.clone(), self.moment(s, request))).collect();
        let shields = self.shields(&snapshots, &times, request)?;
        let mut groups: BTreeMap<_, Vec<Snapshot>> = BTreeMap::new();
        for snapshot in snapshots.into_iter().rev() {
            let spoken_of = if named.is_empty() {
                request.filter.matches(&snapshot)
            } else {
                named.contains(&snapshot.id)
            };
            if spoken_of {
                let by = request.group_by;
                let mut tags = snapshot.tags.clone();
                tags.sort_unstable();
                let key = (
                    by.host.then(|| snapshot.hostname.clone()),
                    by.paths.then(|| snapshot.paths.clone()),
                    by.tags.then_some(tags),
                );
                groups.entry(key).or_default().push(snapshot);
            }
        }
        let judge = |((host, paths, tags), mut members): (_, Vec<Snapshot>)| {
            members.sort_by_key(|s| std::cmp::Reverse(times.get(&s.id).copied().flatten().unwrap_or(s.time)));
            let verdicts = judge(members, &times, &shields, request);
            ForgetGroup { host, paths, tags, verdicts }
        };
        Ok(ForgetPlan { groups: groups.into_iter().map(judge).collect(), unreadable })
    }

    /// Forgets, with nobody else working on the repository, and returns what was done. All or nothing: if one of the named snapshots is
    /// protected and nobody's word overrides that, none is forgotten.
    pub fn forget(&self, request: &ForgetRequest) -> Result<ForgetPlan, Error> {
        let lock = Lock::take_exclusive(&self.backend, &self.codecs)?;
        let plan = self.plan_forget(request)?;
        let refused = plan.with(Fate::Refused);
        if !refused.is_empty() {
            let snapshots = refused.into_iter().map(describe).collect::<Vec<_>>().join("; ");
            return Err(Error::Protected { snapshots });
        }
        let forgotten = plan.with(Fate::Forgotten);
        if forgotten.is_empty() {
            return Ok(plan);
        }
        let protected: Vec<&Verdict> = forgotten.iter().copied().filter(|v| !v.reasons.is_empty()).collect();
        let note = ForgetNote {
            at: request.now,
            uptime: Uptime::here(),
            by: format!("{}@{}", meta::username(), meta::hostname()),
            snapshots: forgotten.iter().map(|verdict| verdict.snapshot.id.clone()).collect(),
            overriding: request.overriding.clone().filter(|_| !protected.is_empty()),
            protected: protected.into_iter().map(describe).collect(),
        };
        // First: what is gone must not be gone without a trace.
        self.save_sealed(FileKind::ForgetNote, &note)?;
        for verdict in forgotten {
            lock.ensure_held()?;
            if let Some(id) = Id::from_hex(&verdict.snapshot.id.0) {
                self.backend.move_to(FileKind::Snapshot, FileKind::Forgotten, &id)?;
            }
        }
        Ok(plan)
    }

    /// Everything that was ever forgotten, oldest first. Notes that cannot be read are left out.
    pub fn forget_notes(&self) -> Result<Vec<ForgetNote>, Error> {
        let mut notes: Vec<ForgetNote> = Vec::new();
        for (id, _) in self.backend.list(FileKind::ForgetNote)? {
            let text = self.load_file(FileKind::ForgetNote, "note of a forget", &id);
            notes.extend(text.ok().and_then(|text| serde_json::from_slice::<ForgetNote>(&text).ok()));
        }
        notes.sort_by_key(|note| note.at);
        Ok(notes)
    }

    fn named(&self, wanted: &[String]) -> Result<BTreeSet<SnapshotId>, Error> {
        wanted.iter().map(|wanted| self.find(wanted).map(|snapshot| snapshot.id)).collect()
    }

    /// The moment that rules go by; `None` if the snapshot is dated later than it can be.
    fn moment(&self, snapshot: &Snapshot, request: &ForgetRequest) -> Option<Timestamp> {
        let latest = |at: Timestamp, tolerance| at.checked_add(tolerance).unwrap_or(Timestamp::MAX);
        let noted = request.receipts.get(&snapshot.id).copied();
        let written = || {
            let id = Id::from_hex(&snapshot.id.0)?;
            self.backend.written_at(FileKind::Snapshot, &id).map(|at| latest(at, FILE_TOLERANCE))
        };
        let came_in = noted.map(|at| latest(at, TOLERANCE)).or_else(written);
        let is_future =
            snapshot.time > latest(request.now, TOLERANCE) || came_in.is_some_and(|at| snapshot.time > at);
        (!is_future).then(|| noted.unwrap_or(snapshot.time))
    }

    /// What every store must not lose: its generations, its newest proven snapshot, and the proofs.
    fn shields(
        &self,
        snapshots: &[Snapshot],
        times: &HashMap<SnapshotId, Option<Timestamp>>,
        request: &ForgetRequest,
    ) -> Result<Shields, Error> {
        let mut shields = Shields { reasons: HashMap::new(), hold_up: BTreeSet::new() };
        let mut shield = |snapshot: &Snapshot, reason| {
            shields.reasons.entry(snapshot.id.clone()).or_default().push(reason);
        };
        let mut stores: BTreeMap<_, Vec<(Timestamp, &Snapshot)>> = BTreeMap::new();
        for snapshot in snapshots {
            if snapshot.is_proof() {
                shield(snapshot, Reason::HoldsProof);
            } else if let Some(at) = times.get(&snapshot.id).copied().flatten() {
                stores.entry((&snapshot.hostname, &snapshot.paths)).or_default().push((at, snapshot));
            }
        }
        let proofs = proof::proofs(self)?;
        let is_proven = |snapshot: &Snapshot| {
            proofs.iter().rev().find(|proof| proof.snapshot == snapshot.id).is_some_and(|proof| proof.passed)
        };
        let Generations { keep, protected_from } = request.generations;
        for (_, mut store) in stores {
            store.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            if let Some((_, newest)) = store.iter().find(|(_, snapshot)| is_proven(snapshot)) {
                shield(newest, Reason::NewestProven);
            }
            let mut last = None;
            store.retain(|(at, _)| last.replace(retention::day(*at, &request.zone)) != last);
            store.truncate(keep as usize);
            for ((_, snapshot), number) in store.iter().zip(1..) {
                shield(snapshot, Reason::Generation { number, protected: number >= protected_from });
            }
            if store.len() >= protected_from as usize {
                shields.hold_up.extend(store.into_iter().map(|(_, snapshot)| snapshot.id.clone()));
            }
        }
        Ok(shields)
    }
}

fn judge(
    members: Vec<Snapshot>,
    times: &HashMap<SnapshotId, Option<Timestamp>>,
    shields: &Shields,
    request: &ForgetRequest,
) -> Vec<Verdict> {
    let time_of = |snapshot: &Snapshot| times.get(&snapshot.id).copied().flatten();
    let counted: Vec<&Snapshot> = members.iter().filter(|s| time_of(s).is_some() && !s.is_proof()).collect();
    let moments: Vec<Moment<'_>> =
        counted.iter().map(|s| Moment { at: time_of(s).unwrap_or(s.time), tags: &s.tags }).collect();
    let is_named = !request.snapshots.is_empty();
    let mut by_rule: HashMap<&SnapshotId, Vec<Reason>> = HashMap::new();
    if !is_named {
        let reasons = retention::apply(&request.rules, &request.zone, &moments);
        by_rule.extend(counted.iter().map(|snapshot| &snapshot.id).zip(reasons));
    }
    let verdict = |snapshot: &Snapshot| {
        let mut reasons = by_rule.get(&snapshot.id).cloned().unwrap_or_default();
        reasons.extend(shields.of(snapshot));
        let at = time_of(snapshot);
        if at.is_none() {
            reasons.push(Reason::FutureDated);
        }
        let fate = match (is_named, &request.overriding) {
            (true, None) if shields.refuses(snapshot) => Fate::Refused,
            (true, _) => Fate::Forgotten,
            (false, _) if reasons.is_empty() => Fate::Forgotten,
            (false, _) => Fate::Kept,
        };
        Verdict { snapshot: snapshot.clone(), at: at.unwrap_or(snapshot.time), fate, reasons }
    };
    members.iter().map(verdict).collect()
}

/// A snapshot and what protects it, on one line.
fn describe(verdict: &Verdict) -> String {
    let reasons: Vec<String> = verdict.reasons.iter().map(|reason| reason.text(Lang::En)).collect();
    format!("{} of {} ({})", verdict.snapshot.id.short(), verdict.snapshot.time, reasons.join(", "))
}
