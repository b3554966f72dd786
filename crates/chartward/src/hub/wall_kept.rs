//! What the hands put into the packet filter, so that what somebody else took out is noticed and put back.
//!
//! Anybody who is root can flush the rules: a firewall that is loaded anew does so without knowing of ours. The kernel tells nobody,
//! so the hands look once in a while.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use act::wall::gate::Ended;
use act::wall::{Barrier, InForce, Look, Shape};
use jiff::Timestamp;
use schema::CountermeasureId;

/// What ends this soon is not missed: the kernel may have ended it a moment before.
const ENDING: Duration = Duration::from_secs(2);
/// The kernel tells whole seconds, and begins to count a little after the hands did.
const ROUNDING: Duration = Duration::from_secs(3);

/// What is to stand in the packet filter now.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The rest of the table as it was made; `None` until it was looked at.
    pub(super) shape: Option<Shape>,
    held: BTreeMap<(Barrier, IpAddr), Held>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    id: CountermeasureId,
    since: Instant,
    until: Option<Instant>,
}

/// What a look did not find.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Missing {
    /// Whether more than single addresses are gone: then the table is made anew.
    pub(super) rules: bool,
    pub(super) gone: Vec<(Barrier, IpAddr, CountermeasureId)>,
}

/// What a look at the wall came to.
#[derive(Debug, Clone)]
pub(crate) struct WallSaid {
    pub(crate) at: Timestamp,
    /// See [`Missing`]; both empty when the wall only cannot be looked at, or can again.
    pub(crate) rules: bool,
    pub(crate) gone: Vec<CountermeasureId>,
    /// What the kernel said when it was looked at.
    pub(crate) because: String,
    /// Why it could not be looked at or put back; `None` when all is in force.
    pub(crate) trouble: Option<String>,
}

/// What the hands tell of the wall.
#[derive(Debug, Clone)]
pub(crate) enum WallTold {
    /// Somebody else changed what is banned, or what was confirmed.
    Said(WallSaid),
    /// Nobody confirmed a policy on trial.
    Ended(Ended),
}

impl Missing {
    pub(super) fn is_nothing(&self) -> bool {
        !self.rules && self.gone.is_empty()
    }
}

impl Kept {
    /// Takes note of what the kernel took; `begun` lies before that, so that nothing is expected longer than the kernel has it.
    pub(super) fn keep(
        &mut self,
        id: CountermeasureId,
        what: (Barrier, IpAddr),
        lasts: Option<Duration>,
        begun: Instant,
    ) {
        let until = lasts.and_then(|lasts| begun.checked_add(lasts));
        self.held.insert((what.0, what.1.to_canonical()), Held { id, since: Instant::now(), until });
    }

    pub(super) fn forget(&mut self, barrier: Barrier, address: IpAddr) {
        self.held.remove(&(barrier, address.to_canonical()));
    }

    /// Whether there is anything to look for; what is over is forgotten.
    pub(super) fn is_empty(&mut self, now: Instant) -> bool {
        self.held.retain(|_, held| held.until.is_none_or(|until| until > now));
        self.held.is_empty()
    }

    /// What a look that began at `asked` should have found and did not. What was put in force or taken back meanwhile says nothing.
    pub(super) fn missing(&self, look: Option<&Look>, asked: Instant) -> Missing {
        let found: BTreeMap<(Barrier, IpAddr), Option<Duration>> = look
            .into_iter()
            .flat_map(|look| &look.in_force)
            .map(|known| ((known.barrier, known.address.to_canonical()), known.remaining))
            .collect();
        let stands = |key: &(Barrier, IpAddr), held: &Held| {
            found.get(key).is_some_and(|has| is_long_enough(*has, held.until, asked))
        };
        let expected = |held: &Held| {
            held.since < asked && held.until.is_none_or(|until| until > Instant::now() + ENDING)
        };
        let gone = self.held.iter().filter(|(key, held)| expected(held) && !stands(key, held));
        let rules = match look {
            Some(look) => self.shape.as_ref().is_some_and(|shape| *shape != look.shape),
            None => true,
        };
        Missing { rules, gone: gone.map(|(key, held)| (key.0, key.1, held.id)).collect() }
    }

    /// Everything that is to be in force, with the time it has left.
    pub(super) fn standing(&self, now: Instant) -> Vec<InForce> {
        let remaining = |held: &Held| held.until.map(|until| until.saturating_duration_since(now));
        self.held
            .iter()
            .map(|(key, held)| InForce { barrier: key.0, address: key.1, remaining: remaining(held) })
            .filter(|known| known.remaining.is_none_or(|remaining| !remaining.is_zero()))
            .collect()
    }
}

/// Whether the kernel holds an address for about as long as it was told to: somebody may have cut it short.
fn is_long_enough(has: Option<Duration>, until: Option<Instant>, asked: Instant) -> bool {
    match (has, until) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(has), Some(until)) => {
            has + ROUNDING >= until.saturating_duration_since(asked.max(Instant::now()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAN: Barrier = Barrier::Ban;

    fn known(address: &str, seconds: Option<u64>) -> InForce {
        let remaining = seconds.map(Duration::from_secs);
        InForce { barrier: BAN, address: address.parse().unwrap(), remaining }
    }

    #[test]
    fn only_what_was_meant_to_stand_and_does_not_is_missing() {
        let begun = Instant::now();
        let mut kept = Kept::default();
        assert!(kept.is_empty(begun));
        for (id, address, lasts) in [
            (1, "10.0.0.1", Some(3600)),
            (2, "10.0.0.2", None),
            (3, "10.0.0.3", Some(1)),
            (4, "10.0.0.4", Some(60)),
        ] {
            let lasts = lasts.map(Duration::from_secs);
            kept.keep(CountermeasureId(id), (BAN, address.parse().unwrap()), lasts, begun);
        }
        std::thread::sleep(Duration::from_millis(2));
        let asked = Instant::now();
        // Put in force after the look began.
        std::thread::sleep(Duration::from_millis(2));
        kept.keep(CountermeasureId(5), (BAN, "10.0.0.5".parse().unwrap()), None, asked);
        let all =
            || vec![known("10.0.0.1", Some(3599)), known("10.0.0.2", None), known("10.0.0.4", Some(59))];
        let gone = |in_force: Vec<InForce>| -> Vec<u64> {
            let look = Look { in_force, shape: a_shape() };
            kept.missing(Some(&look), asked).gone.iter().map(|(_, _, id)| id.0).collect()
        };
        assert_eq!(gone(all()), Vec::<u64>::new());
        assert_eq!(gone(vec![]), [1, 2, 4]);
        for (cut_short, missed) in [
            (known("10.0.0.1", Some(5)), 1),
            (known("10.0.0.2", Some(3600)), 2),
            (InForce { barrier: Barrier::Isolate, ..known("10.0.0.4", None) }, 4),
        ] {
            let mut changed = all();
            changed.retain(|known| known.address != cut_short.address);
            changed.push(cut_short);
            assert_eq!(gone(changed), [missed]);
        }
        let without_table = kept.missing(None, asked);
        assert!(without_table.rules && without_table.gone.len() == 3);
        kept.forget(BAN, "::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(kept.standing(begun).len(), 4);
        assert_eq!(kept.standing(begun + Duration::from_secs(30)).len(), 3);
    }

    /// The only way to a shape is a wall: one of a program that lists an empty but whole table.
    fn a_shape() -> Shape {
        let rules = ["from", "to", "isolated", "outbound", "input", "forward", "output"];
        let rules = rules.map(|chain| format!(r#"{{"rule":{{"chain":"{chain}"}}}}"#)).join(",");
        let script = format!("echo '{{\"nftables\":[{rules}]}}'");
        let settings = act::wall::Settings {
            command: vec!["sh".into(), "-c".into(), script],
            ..act::wall::Settings::local(act::NeverTouch::default(), vec![])
        };
        act::wall::Wall::new(settings).look().unwrap().shape
    }
}
