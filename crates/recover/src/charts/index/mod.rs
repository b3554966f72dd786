//! The list of all patients in little memory, searched while it is still being read.
//!
//! A line is made from demographics and the last movement alone, whichever store they stand in: whoever reads a
//! store gives lines to [`Index::push`]. A patient of two stores has one line, made of what either knows.

mod kept;
mod keys;
mod scan;
mod search;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use jiff::civil::Date;
use schema::PatientId;

use super::model::{Bed, Sex, Unread};
use super::roster::RosterLine;

pub(crate) use keys::folded;
pub(super) use keys::{Query, day_number};
pub use scan::Batch;
pub(super) use scan::scan;
pub use search::{Found, Ward};

/// Unreadable records that are named; of more only the number is kept.
const UNREAD_MAX: usize = 1_000;
/// Bytes of an id or a name that are kept; hostile records hold more.
const TEXT_MAX: usize = 1_000;
/// Stands before each line in the keys, and between its parts: no folded text holds either.
const LINE: u8 = b'\n';
const PART: u8 = 0x1f;
const NO_BED: u32 = u32::MAX;
/// The part of a line that holds other ids.
const OTHERS: usize = 3;

/// Patients by id, name, kana, day of birth and ward: about 130 bytes each.
#[derive(Default)]
pub struct Index {
    slots: Vec<Slot>,
    /// Id, name, kana and other ids of all, one after the other, as they are shown.
    text: String,
    /// The same folded, as it is searched: `\n` id, name, kana, other ids.
    keys: String,
    beds: Vec<Bed>,
    bed_numbers: HashMap<Bed, u32>,
    /// Slots in the order of ids.
    order: Vec<u32>,
    /// Slots from here on in `order` are not sorted in yet.
    sorted: usize,
    unread: Vec<Unread>,
    unread_count: usize,
}

/// Where the texts of a line begin, and how long they are.
struct Slot {
    text: u32,
    keys: u32,
    born: u32,
    bed: u32,
    id: u16,
    name: u16,
    kana: u16,
    others: u16,
    sex: u8,
}

impl Index {
    /// Takes a patient's line. Lines may come in any order; in the order of ids they cost least.
    pub fn push(&mut self, line: &RosterLine) {
        let others = line.other_ids.join(" ");
        let text = [
            Some(line.patient.0.as_str()),
            line.name.as_deref(),
            line.kana.as_deref(),
            Some(others.as_str()),
        ]
        .map(|text| bounded(text.unwrap_or_default()));
        let starts =
            (u32::try_from(self.text.len()), u32::try_from(self.keys.len()), u32::try_from(self.slots.len()));
        let (Ok(text_start), Ok(keys_start), Ok(number)) = starts else {
            // Four gigabytes of names: no hospital has them.
            return self.miss(Unread::because(Path::new(""), "-", "the list of patients is full"));
        };
        self.keys.push(char::from(LINE));
        // Only FHIR and databases know a patient by more than one id.
        let parts = text[..OTHERS].iter().copied().chain(text[OTHERS].split_whitespace());
        for (part, text) in parts.enumerate() {
            if part > 0 {
                self.keys.push(char::from(PART));
            }
            keys::fold_into(text, &mut self.keys);
        }
        text.iter().for_each(|text| self.text.push_str(text));
        let length = |text: &str| u16::try_from(text.len()).unwrap_or(0);
        let bed = line.bed.as_ref().map_or(NO_BED, |bed| self.bed_number(bed));
        self.slots.push(Slot {
            text: text_start,
            keys: keys_start,
            born: day_number(line.birth_date),
            bed,
            id: length(text[0]),
            name: length(text[1]),
            kana: length(text[2]),
            others: length(text[OTHERS]),
            sex: sex_number(line.sex),
        });
        let is_next = self.sorted == self.order.len()
            && self.order.last().is_none_or(|last| self.id(&self.slots[*last as usize]) < text[0]);
        self.order.push(number);
        self.sorted += usize::from(is_next);
    }

    /// Notes a record or folder because of which somebody may be missing or nameless.
    pub fn miss(&mut self, unread: Unread) {
        self.unread_count += 1;
        if self.unread.len() < UNREAD_MAX {
            self.unread.push(unread);
        }
    }

    /// Takes a batch.
    pub fn take(&mut self, batch: Batch) {
        batch.lines.iter().for_each(|line| self.push(line));
        batch.unread.into_iter().for_each(|unread| self.miss(unread));
    }

    /// To be called when all lines are there: sorts what came out of order, joins the lines of one patient, and
    /// gives spare memory back.
    pub fn finish(&mut self) {
        if self.sorted < self.order.len() {
            let mut order = std::mem::take(&mut self.order);
            order.sort_by(|a, b| self.id(&self.slots[*a as usize]).cmp(self.id(&self.slots[*b as usize])));
            self.order = order;
            self.join_doubles();
        }
        self.sorted = self.order.len();
        self.slots.shrink_to_fit();
        self.text.shrink_to_fit();
        self.keys.shrink_to_fit();
        self.order.shrink_to_fit();
    }

    /// Of several lines with one id only a joint one stays in the order.
    fn join_doubles(&mut self) {
        let mut order: Vec<u32> = Vec::with_capacity(self.order.len());
        for number in std::mem::take(&mut self.order) {
            let known = order.last().map(|last| *last as usize);
            let known = known.filter(|at| self.id(&self.slots[*at]) == self.id(&self.slots[number as usize]));
            match known {
                None => order.push(number),
                Some(known) => {
                    let mut joint = self.line(&self.slots[known]);
                    joint.complete(self.line(&self.slots[number as usize]));
                    let next = self.slots.len();
                    self.push(&joint);
                    order.pop();
                    order.extend(u32::try_from(next).ok().filter(|_| self.slots.len() > next));
                }
            }
        }
        self.order = order;
    }

    /// How many patients there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is nobody yet.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Records and folders because of which somebody may be missing or nameless: the first of them, and how many.
    pub fn unread(&self) -> (&[Unread], usize) {
        (&self.unread, self.unread_count)
    }

    /// Memory in use, without that of the allocator.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.text.capacity()
            + self.keys.capacity()
            + self.order.capacity() * size_of::<u32>()
            + (self.beds.capacity() + self.bed_numbers.capacity()) * size_of::<Bed>()
    }

    fn bed_number(&mut self, bed: &Bed) -> u32 {
        if let Some(number) = self.bed_numbers.get(bed) {
            return *number;
        }
        let number = u32::try_from(self.beds.len()).unwrap_or(NO_BED);
        self.beds.push(bed.clone());
        self.bed_numbers.insert(bed.clone(), number);
        number
    }

    fn id(&self, slot: &Slot) -> &str {
        let start = slot.text as usize;
        &self.text[start..start + usize::from(slot.id)]
    }

    fn bed(&self, slot: &Slot) -> Option<&Bed> {
        self.beds.get(slot.bed as usize)
    }

    fn line(&self, slot: &Slot) -> RosterLine {
        let start = slot.text as usize + usize::from(slot.id);
        let middle = start + usize::from(slot.name);
        let texts = [&self.text[start..middle], &self.text[middle..middle + usize::from(slot.kana)]];
        let [name, kana] = texts.map(|text| (!text.is_empty()).then(|| text.to_owned()));
        let end = middle + usize::from(slot.kana);
        let others = &self.text[end..end + usize::from(slot.others)];
        RosterLine {
            other_ids: others.split_whitespace().map(str::to_owned).collect(),
            patient: PatientId(self.id(slot).to_owned()),
            name,
            kana,
            birth_date: day_of(slot.born),
            sex: sex_of(slot.sex),
            bed: self.bed(slot).cloned(),
        }
    }
}

fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

fn day_of(number: u32) -> Option<Date> {
    let [year, month, day] = [number / 10_000, number / 100 % 100, number % 100];
    Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()
}

fn sex_number(sex: Option<Sex>) -> u8 {
    match sex {
        None => 0,
        Some(Sex::Male) => 1,
        Some(Sex::Female) => 2,
        Some(Sex::Other) => 3,
    }
}

fn sex_of(number: u8) -> Option<Sex> {
    match number {
        1 => Some(Sex::Male),
        2 => Some(Sex::Female),
        3 => Some(Sex::Other),
        _ => None,
    }
}
