//! Finding patients: one pass over the folded texts for each word.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use memchr::memmem::Finder;
use schema::PatientId;

use super::keys::{Query, Word, folded};
use super::{Index, LINE, NO_BED, Slot};
use crate::charts::roster::RosterLine;

/// What a search came to.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// How many fit.
    pub total: usize,
    /// The first of them: whose id was typed, then those who lie on a ward, then all others, each by id.
    pub lines: Vec<RosterLine>,
}

/// A ward with how many lie there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ward {
    /// As recorded.
    pub name: String,
    /// Patients.
    pub patients: usize,
}

/// One bit a slot.
struct Marks(Vec<u64>);

impl Marks {
    fn none(slots: usize) -> Marks {
        Marks(vec![0; slots.div_ceil(64)])
    }

    fn set(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    fn has(&self, slot: usize) -> bool {
        self.0[slot / 64] & (1 << (slot % 64)) != 0
    }

    fn keep(&mut self, other: &Marks) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own &= other);
    }
}

impl Index {
    /// Those whom `typed` means: parts of an id, a name or a kana name in any script, a whole ward, or a day of birth
    /// in any usual spelling; every word must fit. At most `limit` lines are made.
    pub fn search(&self, typed: &str, limit: usize) -> Found {
        let query = Query::parse(typed);
        let mut marks: Option<Marks> = None;
        for word in &query.words {
            let fits = self.fits(word);
            match &mut marks {
                None => marks = Some(fits),
                Some(marks) => marks.keep(&fits),
            }
        }
        let fits = |number: u32| marks.as_ref().is_none_or(|marks| marks.has(number as usize));
        let exact = self.position(typed.trim()).map(|at| self.order[at]);
        let mut found = Found::default();
        let (mut inpatients, mut others) = (Vec::new(), Vec::new());
        for number in self.order.iter().copied().filter(|number| fits(*number)) {
            found.total += 1;
            let list = if self.slots[number as usize].bed == NO_BED { &mut others } else { &mut inpatients };
            if list.len() < limit && Some(number) != exact {
                list.push(number);
            }
        }
        let numbers = exact.filter(|number| fits(*number)).into_iter().chain(inpatients).chain(others);
        found.lines = numbers.take(limit).map(|number| self.line(&self.slots[number as usize])).collect();
        found
    }

    fn fits(&self, word: &Word) -> Marks {
        let mut marks = Marks::none(self.slots.len());
        let finder = Finder::new(&word.text);
        let keys = self.keys.as_bytes();
        let (mut from, mut slot) = (0, 0);
        while let Some(at) = keys.get(from..).and_then(|rest| finder.find(rest)) {
            slot = self.slot_at(from + at, slot);
            marks.set(slot);
            // One hit a line is enough.
            slot += 1;
            let Some(next) = self.slots.get(slot) else { break };
            from = next.keys as usize;
        }
        let wards: Vec<bool> = self.beds.iter().map(|bed| folded(&bed.ward) == word.text).collect();
        let has_ward = wards.contains(&true);
        if has_ward || word.born.is_some() {
            for (number, slot) in self.slots.iter().enumerate() {
                let is_born = word.born.as_ref().is_some_and(|days| days.contains(&slot.born));
                if is_born || has_ward && wards.get(slot.bed as usize) == Some(&true) {
                    marks.set(number);
                }
            }
        }
        marks
    }

    /// The slot whose keys hold this position, looked for from `slot` on in growing steps: hits that lie close
    /// together cost little, and so do those far apart.
    fn slot_at(&self, position: usize, mut slot: usize) -> usize {
        let begins = |slot: usize| self.slots.get(slot).map_or(usize::MAX, |slot| slot.keys as usize);
        let mut step = 1;
        while begins(slot + step) <= position {
            slot += step;
            step *= 2;
        }
        let ahead = &self.slots[slot..self.slots.len().min(slot + step)];
        slot + ahead.partition_point(|ahead| ahead.keys as usize <= position).max(1) - 1
    }

    /// One patient's line.
    pub fn get(&self, patient: &PatientId) -> Option<RosterLine> {
        Some(self.line(&self.slots[self.order[self.position(&patient.0)?] as usize]))
    }

    /// Where somebody stands in the order.
    fn position(&self, id: &str) -> Option<usize> {
        let (sorted, rest) = self.order.split_at(self.sorted.min(self.order.len()));
        let id_of = |number: u32| self.id(&self.slots[number as usize]);
        let found = sorted.binary_search_by(|number| id_of(*number).cmp(id)).ok();
        // While lines still come in any order, the last ones are not sorted in.
        found.or_else(|| Some(sorted.len() + rest.iter().position(|number| id_of(*number) == id)?))
    }

    /// All wards with patients, by name.
    pub fn wards(&self) -> Vec<Ward> {
        let mut wards: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, bed) in self.inpatients() {
            *wards.entry(bed.ward.as_str()).or_default() += 1;
        }
        wards.into_iter().map(|(name, patients)| Ward { name: name.to_owned(), patients }).collect()
    }

    /// Those who lie on a ward, by room and bed.
    pub fn ward(&self, name: &str) -> Vec<RosterLine> {
        let mut lines: Vec<RosterLine> =
            self.inpatients().filter(|(_, bed)| bed.ward == name).map(|(slot, _)| self.line(slot)).collect();
        let place = |line: &RosterLine| line.bed.clone().unwrap_or_default();
        lines.sort_by(|a, b| {
            let (left, right) = (place(a), place(b));
            let rooms = natural(&left.room, &right.room).then_with(|| natural(&left.bed, &right.bed));
            rooms.then_with(|| a.patient.cmp(&b.patient))
        });
        lines
    }

    fn inpatients(&self) -> impl Iterator<Item = (&Slot, &crate::charts::Bed)> {
        let slots = self.order.iter().map(|number| &self.slots[*number as usize]);
        slots.filter(|slot| slot.bed != NO_BED).filter_map(|slot| Some((slot, self.bed(slot)?)))
    }
}

/// Bed 2 before bed 10.
fn natural(left: &str, right: &str) -> Ordering {
    match (left.parse::<u64>(), right.parse::<u64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        _ => left.cmp(right),
    }
}

const _: () = assert!(LINE < b' ', "no folded text holds the sign between lines");
