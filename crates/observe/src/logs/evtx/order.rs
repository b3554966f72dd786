//! Putting what comes from several logs into the order of its events.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use schema::Micros;

/// Holds things back for a while, so that one that comes a little late still goes before what happened after it.
#[derive(Debug)]
pub struct InOrder<T> {
    waiting: BinaryHeap<Reverse<Entry<T>>>,
    slack: Micros,
    count_max: usize,
    newest: Micros,
    given: Micros,
    arrivals: u64,
    late: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Micros,
    arrival: u64,
    thing: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.arrival) == (other.at, other.arrival)
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.arrival).cmp(&(other.at, other.arrival))
    }
}

impl<T> InOrder<T> {
    /// Holds back whatever is younger than the newest by less than `slack`, and `count_max` things at most.
    pub fn new(slack: Micros, count_max: usize) -> InOrder<T> {
        InOrder {
            waiting: BinaryHeap::new(),
            slack,
            count_max,
            newest: Micros::MIN,
            given: Micros::MIN,
            arrivals: 0,
            late: 0,
        }
    }

    /// Takes something in, and gives what need not wait any longer.
    pub fn push(&mut self, at: Micros, thing: T, mut give: impl FnMut(T)) {
        self.late += u64::from(at < self.given);
        self.newest = self.newest.max(at);
        self.waiting.push(Reverse(Entry { at, arrival: self.arrivals, thing }));
        self.arrivals += 1;
        let due = self.newest.saturating_sub(self.slack);
        while self.waiting.peek().is_some_and(|Reverse(entry)| entry.at <= due)
            || self.waiting.len() > self.count_max
        {
            self.pop(&mut give);
        }
    }

    /// Gives all that is left.
    pub fn finish(&mut self, mut give: impl FnMut(T)) {
        while !self.waiting.is_empty() {
            self.pop(&mut give);
        }
    }

    /// How many came after something later had been given already.
    pub fn late(&self) -> u64 {
        self.late
    }

    fn pop(&mut self, give: &mut impl FnMut(T)) {
        if let Some(Reverse(entry)) = self.waiting.pop() {
            self.given = self.given.max(entry.at);
            give(entry.thing);
        }
    }
}
