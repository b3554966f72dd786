//! Things that happened lately, in the order in which they happened.

use std::collections::VecDeque;

use schema::Micros;
use serde::{Deserialize, Serialize};

use super::halves::TOGETHER;
use super::view::Key;

/// One thing that happened: with which account, between which ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) at: Micros,
    pub(super) account: Option<Key>,
    pub(super) source: Option<Key>,
    pub(super) host: Key,
    /// It belongs to a rhythm that is told elsewhere.
    pub(super) rhythmic: bool,
}

/// At most so many marks, sorted by time whatever the order in which they come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marks(VecDeque<Mark>);

impl Marks {
    /// Takes one in and forgets what is farther from it than `within`, in either direction: a clock that jumps begins anew. `half`: it
    /// completes one that came just before, where that is here. Says whether there is one more now.
    pub(super) fn add(&mut self, mark: Mark, half: bool, within: Micros, bound: usize) -> bool {
        let is_half = |other: &&mut Mark| {
            (other.account.is_none() || other.source.is_none())
                && other.at.abs_diff(mark.at) <= TOGETHER.unsigned_abs()
        };
        if half && let Some(other) = self.0.iter_mut().rev().take(8).find(is_half) {
            *other = Mark { at: other.at, ..mark };
            return false;
        }
        while self.0.front().is_some_and(|first| mark.at.saturating_sub(first.at) > within) {
            self.0.pop_front();
        }
        while self.0.back().is_some_and(|last| last.at.saturating_sub(mark.at) > within) {
            self.0.pop_back();
        }
        if self.0.len() >= bound {
            self.0.pop_front();
        }
        let place = self.0.iter().rposition(|other| other.at <= mark.at).map_or(0, |before| before + 1);
        self.0.insert(place, mark);
        true
    }

    pub(super) fn remove(&mut self, gone: impl Fn(&Mark) -> bool) {
        self.0.retain(|mark| !gone(mark));
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Mark> + Clone {
        self.0.iter()
    }

    /// What is no older than `span` before the latest.
    pub(super) fn lately(&self, span: Micros) -> impl Iterator<Item = &Mark> + Clone {
        let latest = self.0.back().map_or(0, |mark| mark.at);
        self.0.iter().rev().take_while(move |mark| latest.saturating_sub(mark.at) <= span)
    }

    pub(super) fn last(&self) -> Option<&Mark> {
        self.0.back()
    }
}

/// Twice as many as the marks that are kept of one host.
const PLACES: usize = 512;

/// How many different ones, up to half of [`PLACES`]. Asked several times for each failure, so without memory of its own.
pub(super) fn kinds(keys: impl Iterator<Item = Key>) -> usize {
    let (mut places, mut count) = ([None; PLACES], 0);
    for key in keys {
        let mut place = key as usize % PLACES;
        while places[place].is_some_and(|other| other != key) {
            place = (place + 1) % PLACES;
        }
        if places[place].replace(key).is_none() {
            count += 1;
        }
        if count >= PLACES / 2 {
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
    let mut gaps: Vec<Micros> = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
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
    fn kinds_are_counted_once_also_where_their_places_meet() {
        let meeting = || (0..300).map(|n: u64| n % 100 * PLACES as u64);
        assert_eq!(kinds(std::iter::empty()), 0);
        assert_eq!((kinds(meeting()), kinds(meeting().chain([7, 7]))), (100, 101));
        assert_eq!(kinds(0..5_000), PLACES / 2);
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
