//! Giving space back, in two phases with a delay between them.
//!
//! The first phase copies what is needed out of packs that hold little of it, writes a new index, marks the packs that are then needed by
//! nobody, and removes nothing but index files that the new ones replace. The second phase, a day later by default, removes packs that
//! were marked and that no index has listed since. Meanwhile a prune can be cancelled, and a backup that slept through it has not lost
//! what it relied on.
//!
//! # What holds at any moment
//! - Every blob that a snapshot needs is in a pack that is there and that an index lists, or whose header tells: new packs are durable
//!   before the index that lists them, that index before the marks, the marks before the old index is removed, and that removal before
//!   any pack is removed.
//! - A blob is copied only after its hash was verified. A pack with damage stays, and is named.
//! - Before the last good copy but one of a blob goes, the one that stays is read and verified.

mod cancel;
mod index_writer;
mod marks;
mod repack;
mod run;
mod survey;
mod used;

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::id::Id;
use super::repository::Vault;
use crate::Error;
pub use cancel::CancelReport;
#[cfg(any(test, fuzzing))]
pub(crate) use marks::MarkFile;
pub use marks::{Moment, Uptime};
use survey::{Known, PackInfo, Survey};

/// How much of a repository may be of no use: packs that hold a little of it are not worth copying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxUnused {
    /// Of what remains.
    Percent(u8),
    /// Bytes.
    Bytes(u64),
    /// Any amount: nothing is copied, and only packs that hold nothing needed are removed.
    Unlimited,
}

impl MaxUnused {
    fn bytes(self, used: u64) -> u64 {
        match self {
            MaxUnused::Percent(percent) if percent >= 100 => u64::MAX,
            MaxUnused::Percent(percent) => used.saturating_mul(percent.into()) / u64::from(100 - percent),
            MaxUnused::Bytes(bytes) => bytes,
            MaxUnused::Unlimited => u64::MAX,
        }
    }
}

/// How to prune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneRequest {
    /// What may stay although nobody needs it.
    pub max_unused: MaxUnused,
    /// Copy no more than so many bytes in one run.
    pub max_repack: Option<u64>,
    /// How long packs stay after they were marked.
    pub delay: SignedDuration,
    /// The present.
    pub now: Moment,
}

impl PruneRequest {
    /// Five percent may be of no use, and packs stay for a day; now.
    pub fn now() -> PruneRequest {
        PruneRequest {
            max_unused: MaxUnused::Percent(5),
            max_repack: None,
            delay: SignedDuration::from_hours(24),
            now: Moment::now(),
        }
    }
}

/// So many packs, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Packs {
    /// Packs.
    pub packs: u64,
    /// Bytes that they take on the medium.
    pub bytes: u64,
    /// Bytes of it that snapshots need.
    pub used: u64,
}

impl Packs {
    fn add(&mut self, info: &PackInfo) {
        self.packs += 1;
        self.bytes += info.size.unwrap_or(0);
        self.used += info.used;
    }
}

/// What a prune would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunePlan {
    /// Packs that stay as they are.
    pub keep: Packs,
    /// Packs whose needed part is copied into new ones; then they are marked.
    pub repack: Packs,
    /// Packs that nobody needs; they are marked.
    pub remove: Packs,
    /// Marked packs whose delay is not over.
    pub waiting: Packs,
    /// Marked packs that are removed now.
    pub due: Packs,
    /// Packs that no index lists and that hold something needed: the new index lists them.
    pub take_back: Packs,
    /// Bytes of all packs.
    pub bytes_before: u64,
    /// Bytes of all packs when what is marked has been removed, too.
    pub bytes_after: u64,
    /// Bytes that nobody needs and that stay.
    pub unused_after: u64,
    /// When the delay of what is marked by this run, and of what waits, is over.
    pub due_at: Option<Timestamp>,
    /// What is damaged or missing. Such packs stay.
    pub problems: Vec<String>,
}

impl PrunePlan {
    /// Whether a prune would change nothing.
    pub fn is_empty(&self) -> bool {
        [self.repack, self.remove, self.due, self.take_back].iter().all(|packs| packs.packs == 0)
    }
}

/// What a prune did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneReport {
    /// What it set out to do.
    pub plan: PrunePlan,
    /// Packs that were written with what was copied.
    pub written: Packs,
    /// Packs that were marked.
    pub marked: Packs,
    /// Packs that were removed.
    pub removed: Packs,
    /// What is damaged or missing, and what stayed because of it.
    pub problems: Vec<String>,
}

/// What is to become of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    Repack,
    Remove,
    /// It is marked already.
    Wait,
    /// Its delay is over.
    Due,
}

/// A plan with all that is needed to carry it out.
struct Prepared {
    plan: PrunePlan,
    survey: Survey,
    /// Of the packs of the survey, in their order.
    fates: Vec<Fate>,
}

impl Vault {
    /// What a prune would do. Changes nothing and needs no lock.
    pub fn plan_prune(&self, request: &PruneRequest) -> Result<PrunePlan, Error> {
        self.prepare_prune(request).map(|prepared| prepared.plan)
    }

    fn prepare_prune(&self, request: &PruneRequest) -> Result<Prepared, Error> {
        self.load_index()?;
        let mut survey = self.survey()?;
        let due = self.due_packs(request)?;
        let mut fates: Vec<Fate> = survey.packs.iter().map(|pack| first_fate(pack, &due)).collect();
        choose_repacks(request, &survey, &mut fates);
        name_damage(&mut survey);
        let mut plan = sum_up(&survey, &fates);
        let waits = plan.repack.packs + plan.remove.packs > 0;
        let from_now = request.now.at.checked_add(request.delay).ok().filter(|_| waits);
        let waiting = self.marks()?.into_iter().map(|(_, mark)| mark);
        let waiting = waiting.filter(|mark| !mark.is_due(request.delay, &request.now));
        plan.due_at =
            waiting.filter_map(|mark| mark.at.checked_add(request.delay).ok()).chain(from_now).max();
        Ok(Prepared { plan, survey, fates })
    }

    /// Packs whose delay is over. Of several marks the latest counts: in between, the pack was listed again.
    fn due_packs(&self, request: &PruneRequest) -> Result<HashSet<Id>, Error> {
        let (due, waiting): (Vec<_>, Vec<_>) = self
            .marks()?
            .into_iter()
            .map(|(_, mark)| mark)
            .partition(|mark| mark.is_due(request.delay, &request.now));
        let mut packs: HashSet<Id> = due.into_iter().flat_map(|mark| mark.packs).collect();
        for id in waiting.iter().flat_map(|mark| &mark.packs) {
            packs.remove(id);
        }
        Ok(packs)
    }
}

fn first_fate(pack: &PackInfo, due: &HashSet<Id>) -> Fate {
    let is_damaged_copy = pack.has_copies && !pack.is_whole;
    match pack.known {
        // Something came to need it after all, or the copy that was thought to be elsewhere is not.
        _ if pack.used > 0 => Fate::Keep,
        // What is missing cannot be removed; the new index does without it.
        _ if pack.size.is_none() => Fate::Remove,
        Known::Marked if due.contains(&pack.id) => Fate::Due,
        Known::Marked => Fate::Wait,
        _ if is_damaged_copy => Fate::Keep,
        _ => Fate::Remove,
    }
}

/// Packs to copy from: those with the most of no use in proportion, until what remains of no use is little enough.
fn choose_repacks(request: &PruneRequest, survey: &Survey, fates: &mut [Fate]) {
    let kept =
        |fates: &[Fate]| -> Vec<usize> { (0..fates.len()).filter(|nr| fates[*nr] == Fate::Keep).collect() };
    let staying = kept(fates);
    let used: u64 = staying.iter().map(|nr| survey.packs[*nr].used).sum();
    let mut unused: u64 = staying.iter().map(|nr| survey.packs[*nr].unused).sum();
    let limit = request.max_unused.bytes(used);
    let mut candidates: Vec<usize> = staying;
    candidates.retain(|nr| survey.packs[*nr].unused > 0 && survey.packs[*nr].is_whole);
    let share = |pack: &PackInfo| pack.unused as f64 / pack.used.max(1) as f64;
    candidates.sort_by(|a, b| share(&survey.packs[*b]).total_cmp(&share(&survey.packs[*a])));
    let mut copied = 0;
    for nr in candidates {
        let pack = &survey.packs[nr];
        if unused <= limit {
            break;
        }
        if request.max_repack.is_some_and(|most| copied + pack.used > most) {
            continue;
        }
        fates[nr] = Fate::Repack;
        copied += pack.used;
        unused -= pack.unused;
    }
}

fn name_damage(survey: &mut Survey) {
    let damaged = survey.packs.iter().filter(|pack| !pack.is_whole && (pack.used > 0 || pack.has_copies));
    let named = damaged.map(|pack| match pack.size {
        None => format!("pack {} is missing; snapshots need {} bytes of it", pack.id, pack.used),
        Some(size) => format!(
            "pack {} is damaged: it has {size} bytes, which is not what the index says; it stays",
            pack.id
        ),
    });
    let named: Vec<String> = named.collect();
    survey.problems.extend(named);
}

fn sum_up(survey: &Survey, fates: &[Fate]) -> PrunePlan {
    let mut plan = PrunePlan {
        keep: Packs::default(),
        repack: Packs::default(),
        remove: Packs::default(),
        waiting: Packs::default(),
        due: Packs::default(),
        take_back: Packs::default(),
        bytes_before: 0,
        bytes_after: 0,
        unused_after: 0,
        due_at: None,
        problems: survey.problems.clone(),
    };
    for (pack, fate) in survey.packs.iter().zip(fates) {
        let size = pack.size.unwrap_or(0);
        plan.bytes_before += size;
        match fate {
            Fate::Keep => {
                plan.keep.add(pack);
                plan.bytes_after += size;
                plan.unused_after += pack.unused;
                if pack.known != Known::Indexed {
                    plan.take_back.add(pack);
                }
            }
            Fate::Repack => {
                plan.repack.add(pack);
                plan.bytes_after += pack.used;
            }
            Fate::Remove => plan.remove.add(pack),
            Fate::Wait => plan.waiting.add(pack),
            Fate::Due => plan.due.add(pack),
        }
    }
    plan
}
