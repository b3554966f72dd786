//! How often somebody may try, in a bounded memory.
//!
//! An address has a bucket of tries. An account's failures delay strangers' next try, longer each time; whoever
//! has logged in to that account from an address before is not a stranger there and has delays of their own, so
//! that a flood cannot lock the owner out of their usual place. At the machine itself (loopback) only the bucket
//! counts. No delay exceeds five minutes, for any account: a longer one for some and a shorter one for the last
//! administrator would tell a stranger which account that is.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Failures without any delay.
pub(super) const FREE_FAILURES: u32 = 5;
/// The longest delay.
pub(super) const DELAY_MAX: SignedDuration = SignedDuration::from_mins(5);

/// Tries that an address has at once, and after how long it gets one back.
const TRIES: u32 = 20;
const TRY_BACK: SignedDuration = SignedDuration::from_secs(3);

/// Entries of each memory; the eldest half goes when it is full.
const ENTRIES_MAX: usize = 8192;

/// Failures and until when nothing is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delay {
    pub(super) failures: u32,
    pub(super) until: Option<Timestamp>,
}

impl Delay {
    /// With one failure more.
    pub(super) fn after_failure(self, now: Timestamp) -> Self {
        let failures = self.failures.saturating_add(1);
        let until = failures.checked_sub(FREE_FAILURES).map(|over| {
            let seconds = 1_i64 << over.min(20);
            now + SignedDuration::from_secs(seconds).min(DELAY_MAX)
        });
        Self { failures, until }
    }

    /// How long it still lasts. One that a clock set back made longer than any delay lasts the longest delay.
    pub(super) fn left(self, now: Timestamp) -> Option<SignedDuration> {
        let left = self.until?.duration_since(now).min(DELAY_MAX);
        left.is_positive().then_some(left)
    }
}

#[derive(Default)]
pub(crate) struct Limits {
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// By address: tries used up, and as of when.
    buckets: Bounded<Place, (SignedDuration, Timestamp)>,
    /// Where accounts were logged in to, with the delays there.
    known: Bounded<(String, Place), Delay>,
    /// Delays of names that are no accounts, as long as those of accounts.
    nobody: Bounded<String, Delay>,
    /// Addresses of anybody who logged in.
    places: Bounded<Place, ()>,
}

/// An address, or the /64 network of one of IPv6, which one machine has all of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place(IpAddr);

impl Place {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) if !v6.is_loopback() => {
                Self(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)))
            }
            address => Self(address),
        }
    }
}

impl Limits {
    /// Takes a try from the bucket of an address, or says when there is one again.
    pub(crate) fn take(&self, address: IpAddr, now: Timestamp) -> Result<(), SignedDuration> {
        let mut memory = self.locked();
        let (used, since) = memory.buckets.get(&Place::of(address)).unwrap_or((SignedDuration::ZERO, now));
        // A clock set back gives nothing back and takes nothing.
        let elapsed = now.duration_since(since).max(SignedDuration::ZERO);
        let used = used.saturating_sub(elapsed).max(SignedDuration::ZERO);
        let over = used + TRY_BACK - TRY_BACK * TRIES as i32;
        if over.is_positive() {
            return Err(over);
        }
        memory.buckets.set(Place::of(address), (used + TRY_BACK, now));
        Ok(())
    }

    /// Gives a try back: it was a good one.
    pub(crate) fn give_back(&self, address: IpAddr) {
        let mut memory = self.locked();
        if let Some((used, since)) = memory.buckets.get(&Place::of(address)) {
            let used = used.saturating_sub(TRY_BACK).max(SignedDuration::ZERO);
            memory.buckets.set(Place::of(address), (used, since));
        }
    }

    /// Whether somebody logged in from there before, or it is the machine itself.
    pub(super) fn is_place_known(&self, address: IpAddr) -> bool {
        is_local(address) || self.locked().places.get(&Place::of(address)).is_some()
    }

    /// Notes that an account was logged in to from there.
    pub(super) fn welcome(&self, user: &str, address: IpAddr) {
        let mut memory = self.locked();
        memory.places.set(Place::of(address), ());
        memory.known.set((user.to_owned(), Place::of(address)), Delay::default());
    }

    /// The delay that counts for this account at this address, given the one that strangers have.
    pub(super) fn delay(&self, user: &str, address: IpAddr, strangers: Option<Delay>) -> Delay {
        if is_local(address) {
            return Delay::default();
        }
        let memory = self.locked();
        let own = memory.known.get(&(user.to_owned(), Place::of(address)));
        own.or(strangers).or_else(|| memory.nobody.get(&user.to_owned())).unwrap_or_default()
    }

    /// Counts a failure. `true`: it was a stranger's, so that the account's own count changes.
    pub(super) fn fail(&self, user: &str, address: IpAddr, exists: bool, now: Timestamp) -> bool {
        if is_local(address) {
            return false;
        }
        let mut memory = self.locked();
        let key = (user.to_owned(), Place::of(address));
        if let Some(delay) = memory.known.get(&key) {
            memory.known.set(key, delay.after_failure(now));
            return false;
        }
        if !exists {
            let delay = memory.nobody.get(&user.to_owned()).unwrap_or_default();
            memory.nobody.set(user.to_owned(), delay.after_failure(now));
        }
        true
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// A map that forgets what was not touched for the longest time.
struct Bounded<K, V> {
    entries: HashMap<K, (V, u64)>,
    ticks: u64,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), ticks: 0 }
    }
}

impl<K: Hash + Eq, V: Copy> Bounded<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key).map(|(value, _)| *value)
    }

    fn set(&mut self, key: K, value: V) {
        self.ticks += 1;
        self.entries.insert(key, (value, self.ticks));
        if self.entries.len() > ENTRIES_MAX {
            let mut ticks: Vec<u64> = self.entries.values().map(|(_, tick)| *tick).collect();
            let middle = ticks.len() / 2;
            let (_, median, _) = ticks.select_nth_unstable(middle);
            let median = *median;
            self.entries.retain(|_, (_, tick)| *tick >= median);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_twenty_tries_and_gets_one_back_every_three_seconds() {
        let limits = Limits::default();
        let from = address("192.0.2.7");
        for _ in 0..20 {
            assert_eq!(limits.take(from, at(0)), Ok(()));
        }
        assert_eq!(limits.take(from, at(0)), Err(SignedDuration::from_secs(3)));
        assert_eq!(limits.take(from, at(-1000)), Err(SignedDuration::from_secs(3)), "a clock set back");
        assert_eq!(limits.take(address("192.0.2.8"), at(0)), Ok(()), "another address");
        assert_eq!(limits.take(from, at(3)), Ok(()));
        assert!(limits.take(from, at(4)).is_err());
        limits.give_back(from);
        assert_eq!(limits.take(from, at(4)), Ok(()));
    }

    #[test]
    fn one_machine_has_one_bucket_with_all_its_addresses() {
        let limits = Limits::default();
        for tail in 0..20 {
            assert_eq!(limits.take(address(&format!("2001:db8:1:2::{tail:x}")), at(0)), Ok(()));
        }
        assert!(limits.take(address("2001:db8:1:2:ffff::1"), at(0)).is_err());
        assert!(limits.take(address("2001:db8:1:3::1"), at(0)).is_ok());
        assert_eq!(Place::of(address("::ffff:192.0.2.7")), Place::of(address("192.0.2.7")));
    }

    #[test]
    fn delays_grow_to_five_minutes() {
        let mut delay = Delay::default();
        let mut delays = Vec::new();
        for _ in 0..16 {
            delay = delay.after_failure(at(0));
            delays.push(delay.left(at(0)).map_or(0, |left| left.as_secs()));
        }
        assert_eq!(delays, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(delay.left(at(300)), None);
        assert_eq!(delay.left(at(-100_000)), Some(DELAY_MAX), "after a clock was set back");
    }

    #[test]
    fn memory_stays_bounded_in_a_flood_from_everywhere() {
        let limits = Limits::default();
        for number in 0..100_000_u32 {
            let from = IpAddr::V4(number.into());
            let _ = limits.take(from, at(0));
            limits.fail(&format!("name-{number}"), from, false, at(0));
        }
        let memory = limits.locked();
        assert!(memory.buckets.entries.len() <= ENTRIES_MAX && memory.nobody.entries.len() <= ENTRIES_MAX);
    }
}
