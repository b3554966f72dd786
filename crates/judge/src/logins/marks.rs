//! Things that happened lately, in the order in which they happened.

use std::collections::VecDeque;
use std::num::NonZero;

use schema::Micros;
use serde::{Deserialize, Serialize};

use super::halves::TOGETHER;
use super::view::{Key, View};

/// One thing that happened: with which account, between which ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) at: Micros,
    // There are many of them: a key takes no more room for being optional.
    account: Option<NonZero<Key>>,
    source: Option<NonZero<Key>>,
    pub(super) host: Key,
    /// It belongs to a rhythm that is told elsewhere.
    pub(super) rhythmic: bool,
}

impl Mark {
    /// Of a failure. `rhythmic`: it belongs to a rhythm that is told elsewhere.
    pub(super) fn of(view: &View<'_>, rhythmic: bool) -> Self {
        let [account, source] = [view.account, view.source].map(|key| key.and_then(NonZero::new));
        Self { at: view.at(), account, source, host: view.host, rhythmic }
    }

    pub(super) fn account(&self) -> Option<Key> {
        self.account.map(NonZero::get)
    }

    pub(super) fn source(&self) -> Option<Key> {
        self.source.map(NonZero::get)
    }
}

/// So many marks are looked at for one with the same account before it counts as one more.
const NEAR: usize = 24;

/// At most so many marks, sorted by time whatever the order in which they come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "VecDeque<Mark>", into = "VecDeque<Mark>")]
pub(super) struct Marks {
    marks: VecDeque<Mark>,
    /// There are no more different accounts, sources, and marks without a source than that.
    most: Most,
    /// At least so many at the end have the source of the last one, and are rhythmic if it is.
    alike: usize,
}

/// Bounds that are kept at little cost, and counted anew when they do not suffice to answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Most {
    accounts: usize,
    sources: usize,
    nameless: usize,
}

impl Marks {
    /// Takes one in and forgets what is farther from it than `within`, in either direction: a clock that jumps begins anew. `half`: it
    /// completes one that came just before, where that is here. Says whether there is one more now.
    pub(super) fn add(&mut self, mark: Mark, half: bool, within: Micros, bound: usize) -> bool {
        let is_half = |other: &&mut Mark| {
            (other.account().is_none() || other.source().is_none())
                && other.at.abs_diff(mark.at) <= TOGETHER.unsigned_abs()
        };
        let near = || self.marks.iter().rev().take(NEAR);
        self.most.accounts += usize::from(!near().any(|other| other.account == mark.account));
        self.most.sources += usize::from(!near().any(|other| other.source == mark.source));
        self.most.nameless += usize::from(mark.source.is_none());
        if half && let Some(other) = self.marks.iter_mut().rev().take(8).find(is_half) {
            *other = Mark { at: other.at, ..mark };
            self.alike = 0;
            return false;
        }
        while self.marks.front().is_some_and(|first| mark.at.saturating_sub(first.at) > within) {
            self.marks.pop_front();
        }
        while self.marks.back().is_some_and(|last| last.at.saturating_sub(mark.at) > within) {
            self.marks.pop_back();
            self.alike = 0;
        }
        if self.marks.len() >= bound {
            self.marks.pop_front();
        }
        let place = self.marks.iter().rposition(|other| other.at <= mark.at).map_or(0, |before| before + 1);
        let is_alike = |last: &Mark| last.source == mark.source && last.rhythmic == mark.rhythmic;
        if place < self.marks.len() {
            self.alike = 0;
            self.marks.insert(place, mark);
            return true;
        }
        self.alike = if self.last().is_some_and(is_alike) { self.alike.max(1) + 1 } else { 1 };
        self.marks.push_back(mark);
        true
    }

    pub(super) fn remove(&mut self, gone: impl Fn(&Mark) -> bool) {
        self.marks.retain(|mark| !gone(mark));
        self.alike = 0;
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Mark> + Clone {
        self.marks.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    /// All of them.
    pub(super) fn trail(&self) -> Trail {
        let (first, last) = (self.marks.front(), self.marks.back());
        let at = |mark: Option<&Mark>| mark.map_or(0, |mark| mark.at);
        Trail { count: self.marks.len() as u64, first: at(first), last: at(last) }
    }

    /// What is no older than `span` before the latest, that first.
    pub(super) fn lately(&self, span: Micros) -> impl Iterator<Item = &Mark> + Clone {
        let latest = self.marks.back().map_or(0, |mark| mark.at);
        self.marks.iter().rev().take_while(move |mark| latest.saturating_sub(mark.at) <= span)
    }

    /// The same, but of those at the end that are alike only the last: most who guess do so one at a time.
    pub(super) fn sources_lately(&self, span: Micros) -> impl Iterator<Item = Key> + Clone {
        let latest = self.last().map_or(0, |mark| mark.at);
        let turns = self.last().into_iter().chain(self.marks.iter().rev().skip(self.alike.max(1)));
        let lately = turns.take_while(move |mark| latest.saturating_sub(mark.at) <= span);
        lately.filter(|mark| !mark.rhythmic).filter_map(Mark::source)
    }

    /// Whether so many are no older than `span` before the latest.
    pub(super) fn reach(&self, many: usize, span: Micros) -> bool {
        let nth = self.marks.len().checked_sub(many.max(1)).and_then(|place| self.marks.get(place));
        nth.zip(self.last()).is_some_and(|(nth, last)| last.at.saturating_sub(nth.at) <= span)
    }

    pub(super) fn last(&self) -> Option<&Mark> {
        self.marks.back()
    }

    /// Whether there are so many different accounts. They are counted only where that cannot be said without.
    pub(super) fn has_accounts(&mut self, many: usize) -> bool {
        let accounts = self.marks.iter().rev().filter_map(Mark::account);
        has(&mut self.most.accounts, many, || kinds_to(many, accounts))
    }

    /// Whether there are so many different sources.
    pub(super) fn has_sources(&mut self, many: usize) -> bool {
        let turns = self.marks.back().into_iter().chain(self.marks.iter().rev().skip(self.alike.max(1)));
        let sources = turns.filter_map(Mark::source);
        has(&mut self.most.sources, many, || kinds_to(many, sources))
    }

    /// Whether some have no source.
    pub(super) fn has_nameless(&mut self) -> bool {
        let nameless = self.marks.iter().rev().filter(|mark| mark.source.is_none());
        has(&mut self.most.nameless, 1, || nameless.take(1).count())
    }
}

impl From<VecDeque<Mark>> for Marks {
    fn from(marks: VecDeque<Mark>) -> Self {
        let most = marks.len();
        Self { marks, most: Most { accounts: most, sources: most, nameless: most }, alike: 0 }
    }
}

impl From<Marks> for VecDeque<Mark> {
    fn from(marks: Marks) -> Self {
        marks.marks
    }
}

/// Whether there are so many, where there are no more than `most`; `count` counts them as far as `many`.
fn has(most: &mut usize, many: usize, count: impl FnOnce() -> usize) -> bool {
    if *most < many {
        return false;
    }
    let count = count();
    if count < many {
        *most = count;
    }
    count >= many
}

/// Twice as many as the marks that are kept of one host.
const PLACES: usize = 512;
/// So many are compared one by one.
const FEW: usize = 16;

/// How many different ones, up to half of [`PLACES`]. Asked several times for each failure, so without memory of its own.
pub(super) fn kinds(keys: impl Iterator<Item = Key>) -> usize {
    kinds_to(PLACES / 2, keys)
}

/// How many different ones; looks no further once there are `enough`.
pub(super) fn kinds_to(enough: usize, mut keys: impl Iterator<Item = Key>) -> usize {
    let (mut few, mut count) = ([0; FEW], 0);
    for key in keys.by_ref() {
        if few[..count].contains(&key) {
            continue;
        }
        if count == FEW {
            return kinds_of_many(enough, few.into_iter().chain([key]).chain(keys));
        }
        few[count] = key;
        count += 1;
        if count >= enough {
            break;
        }
    }
    count
}

fn kinds_of_many(enough: usize, keys: impl Iterator<Item = Key>) -> usize {
    let (mut places, mut count) = ([None; PLACES], 0);
    for key in keys {
        let mut place = key as usize % PLACES;
        while places[place].is_some_and(|other| other != key) {
            place = (place + 1) % PLACES;
        }
        if places[place].replace(key).is_none() {
            count += 1;
        }
        if count >= enough.min(PLACES / 2) {
            break;
        }
    }
    count
}

/// How often, from when to when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trail {
    pub(super) count: u64,
    pub(super) first: Micros,
    pub(super) last: Micros,
}

impl Trail {
    pub(super) fn at(at: Micros) -> Self {
        Self { count: 1, first: at, last: at }
    }

    pub(super) fn of<'a>(marks: impl Iterator<Item = &'a Mark>) -> Self {
        let mut trail = Self::default();
        for mark in marks {
            trail.add(mark.at);
        }
        trail
    }

    pub(super) fn add(&mut self, at: Micros) {
        if self.count == 0 {
            (self.first, self.last) = (at, at);
        }
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        self.count += 1;
    }
}

/// The middle of the gaps between times that are in order; `None` for fewer than two.
pub(super) fn median_gap(times: &[Micros]) -> Option<Micros> {
    let gaps = || times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    // Every failure of a known pair asks for those of a few times.
    let (mut few, mut many) = ([0; FEW], Vec::new());
    let gaps = if times.len() <= FEW {
        let count = few.iter_mut().zip(gaps()).map(|(place, gap)| *place = gap).count();
        &mut few[..count]
    } else {
        many.extend(gaps());
        &mut many[..]
    };
    gaps.sort_unstable();
    match gaps.len() {
        0 => None,
        n if n % 2 == 1 => Some(gaps[n / 2]),
        n => Some((gaps[n / 2 - 1] / 2).saturating_add(gaps[n / 2] / 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(at: Micros) -> Mark {
        Mark { at, account: None, source: None, host: 0, rhythmic: false }
    }

    #[test]
    fn they_stand_in_order_whatever_the_order_they_come_in() {
        let mut marks = Marks::default();
        for at in [5, 3, 9, 4, 1] {
            marks.add(mark(at), false, 100, 4);
        }
        // The oldest had to go for want of room, and an older one came after that.
        assert_eq!(marks.iter().map(|mark| mark.at).collect::<Vec<_>>(), [1, 4, 5, 9]);
        marks.add(mark(1000), false, 100, 4);
        assert_eq!(marks.iter().count(), 1);
        marks.add(mark(0), false, 100, 4);
        assert_eq!(marks.iter().map(|mark| mark.at).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn whether_there_are_many_accounts_is_said_right_without_counting_each_time() {
        let (mut marks, mut dice) = (Marks::default(), 7_u64);
        let mut throw = |sides: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        let (mut yes, mut no) = (0, 0);
        for at in 0..20_000 {
            let account = NonZero::new(throw(7 + at / 2_000));
            let source = NonZero::new(throw(3 + at / 3_000).max(u64::from(at % 3_000 < 1_000)));
            let mark =
                Mark { account, source, rhythmic: throw(50) == 0, ..mark(at as i64 - throw(30) as i64) };
            marks.add(mark, throw(20) == 0, 500, 64);
            if throw(40) == 0 {
                marks.remove(|mark| mark.account == account);
            }
            let many = 2 + throw(9) as usize;
            let counted = kinds(marks.iter().filter_map(|mark| mark.account())) >= many;
            assert_eq!(marks.has_accounts(many), counted, "{at} {many}");
            let sources = kinds(marks.iter().filter_map(Mark::source)) >= many;
            assert_eq!(marks.has_sources(many), sources, "{at} {many}");
            let lately = || marks.lately(200).filter(|mark| !mark.rhythmic).filter_map(Mark::source);
            assert_eq!(kinds(marks.sources_lately(200)), kinds(lately()), "{at}");
            assert_eq!(marks.reach(many * 2, 20), marks.lately(20).count() >= many * 2, "{at} {many}");
            let is_nameless = |mark: &Mark| mark.source.is_none();
            assert_eq!(marks.has_nameless(), marks.iter().any(is_nameless), "{at}");
            *(if counted { &mut yes } else { &mut no }) += 1;
        }
        assert!(yes > 1_000 && no > 1_000, "{yes} {no}");
    }

    #[test]
    fn kinds_are_counted_once_also_where_their_places_meet() {
        let meeting = || (0..300).map(|n: u64| n % 100 * PLACES as u64);
        assert_eq!(kinds(std::iter::empty()), 0);
        assert_eq!((kinds(meeting()), kinds(meeting().chain([7, 7]))), (100, 101));
        assert_eq!(kinds(0..5_000), PLACES / 2);
        assert_eq!(
            [1, 3, 17, 40, 90].map(|enough| kinds_to(enough, (0..40).chain(0..40))),
            [1, 3, 17, 40, 40]
        );
    }

    #[test]
    fn the_middle_gap() {
        for (times, expected) in [
            (&[][..], None),
            (&[1], None),
            (&[1, 4], Some(3)),
            (&[0, 10, 14], Some(7)),
            (&[0, 1, 3, 9], Some(2)),
        ] {
            assert_eq!(median_gap(times), expected, "{times:?}");
        }
    }
}
