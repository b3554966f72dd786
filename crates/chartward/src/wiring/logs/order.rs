//! Events of several sources in the order of their own times, as far as a bounded wait allows.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason, Micros};

/// More than so many do not wait.
const WAITING_MAX: usize = 20_000;
/// So many letters of an event are kept as room for the next one in its place.
const ROOM_MAX: usize = 1024;

/// An event that outlives its line. Its names stand one behind the other in one text, which is used again for the next event in its place.
#[derive(Debug, Clone)]
struct Owned {
    arrived: Micros,
    protocol: AuthProtocol,
    outcome: AuthOutcome,
    reason: AuthReason,
    source: Option<IpAddr>,
    logon_type: Option<u8>,
    text: String,
    /// How long they are: host, account, domain, workstation, session.
    names: [Option<usize>; 5],
}

impl Owned {
    fn of(event: &AuthEvent<'_>, arrived: Micros, mut text: String) -> Self {
        text.clear();
        let names = [Some(event.host), event.account, event.domain, event.workstation, event.session];
        names.iter().flatten().for_each(|name| text.push_str(name));
        Self {
            arrived,
            protocol: event.protocol,
            outcome: event.outcome,
            reason: event.reason,
            source: event.source,
            logon_type: event.logon_type,
            text,
            names: names.map(|name| name.map(str::len)),
        }
    }

    fn event(&self, at: Micros) -> AuthEvent<'_> {
        let mut rest = self.text.as_str();
        let [host, account, domain, workstation, session] = self.names.map(|length| {
            let (name, after) = rest.split_at_checked(length?)?;
            rest = after;
            Some(name)
        });
        AuthEvent {
            at,
            host: host.unwrap_or_default(),
            protocol: self.protocol,
            outcome: self.outcome,
            reason: self.reason,
            account,
            domain,
            source: self.source,
            workstation,
            logon_type: self.logon_type,
            session,
        }
    }
}

/// Events that wait for older ones.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Nearly every event comes behind all others: when it was, its number, and its place.
    waiting: VecDeque<(Micros, u64, usize)>,
    /// Those that came behind younger ones: the place by when it was and its number.
    strays: BTreeMap<(Micros, u64), usize>,
    number: u64,
    places: Vec<Owned>,
    free: Vec<usize>,
    latest: Micros,
    /// Events that came after younger ones had been let go.
    pub(super) late: u64,
}

impl Order {
    pub(super) fn put(&mut self, event: &AuthEvent<'_>, arrived: Micros) {
        self.late += u64::from(event.at < self.latest);
        self.number += 1;
        let place = match self.free.pop() {
            Some(place) => {
                let text = std::mem::take(&mut self.places[place].text);
                self.places[place] = Owned::of(event, arrived, text);
                place
            }
            None => {
                self.places.push(Owned::of(event, arrived, String::new()));
                self.places.len() - 1
            }
        };
        if self.waiting.back().is_none_or(|(last, ..)| *last <= event.at) {
            self.waiting.push_back((event.at, self.number, place));
        } else {
            self.strays.insert((event.at, self.number), place);
        }
    }

    fn len(&self) -> usize {
        self.waiting.len() + self.strays.len()
    }

    /// The earliest.
    fn pop(&mut self) -> Option<(Micros, u64, usize)> {
        let first = self.waiting.front().copied();
        match self.strays.first_entry() {
            Some(stray) if first.is_none_or(|(at, number, _)| *stray.key() < (at, number)) => {
                let ((at, number), place) = stray.remove_entry();
                Some((at, number, place))
            }
            _ => self.waiting.pop_front(),
        }
    }

    /// Lets those go that came before `until`, and the oldest where there are too many.
    pub(super) fn take(&mut self, until: Micros, mut each: impl FnMut(&AuthEvent<'_>)) {
        let mut surplus = self.len().saturating_sub(WAITING_MAX);
        // Half of them at once, so that a flood does not look at all of them again for each one.
        if surplus > 0 {
            surplus += WAITING_MAX / 2;
        }
        for _ in 0..surplus {
            let Some((at, _, place)) = self.pop() else { break };
            self.let_go(at, place, &mut each);
        }
        if until == Micros::MIN {
            return;
        }
        let mut stay = VecDeque::new();
        while let Some((at, number, place)) = self.pop() {
            if self.places[place].arrived <= until {
                self.let_go(at, place, &mut each);
            } else {
                stay.push_back((at, number, place));
            }
        }
        self.waiting = stay;
    }

    fn let_go(&mut self, at: Micros, place: usize, each: &mut impl FnMut(&AuthEvent<'_>)) {
        self.latest = self.latest.max(at);
        let owned = &mut self.places[place];
        each(&owned.event(at));
        if owned.text.capacity() > ROOM_MAX {
            owned.text = String::new();
        }
        self.free.push(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: Micros) -> AuthEvent<'static> {
        AuthEvent {
            at,
            host: "emr1",
            protocol: AuthProtocol::Ssh,
            outcome: AuthOutcome::Failure,
            reason: AuthReason::WrongSecret,
            account: Some("root"),
            domain: None,
            source: None,
            workstation: None,
            logon_type: None,
            session: None,
        }
    }

    #[test]
    fn events_come_in_the_order_of_their_times_and_no_more_wait_than_allowed() {
        let (mut order, mut seen) = (Order::default(), Vec::new());
        for (at, arrived) in [(30, 1), (10, 2), (20, 3), (5, 9)] {
            order.put(&event(at), arrived);
        }
        order.take(3, |event| seen.push(event.at));
        assert_eq!(seen, [10, 20, 30]);
        order.put(&event(7), 10);
        assert_eq!(order.late, 1);
        order.take(Micros::MAX, |event| seen.push(event.at));
        assert_eq!((seen.as_slice(), order.len()), (&[10, 20, 30, 5, 7][..], 0));
        // What cannot go yet stands in order with what came before it.
        seen.clear();
        for (at, arrived) in [(50, 9), (10, 9), (40, 1), (10, 1), (30, 9), (20, 9)] {
            order.put(&event(at), arrived);
        }
        order.take(5, |event| seen.push(event.at));
        order.put(&event(25), 9);
        order.take(9, |event| seen.push(event.at));
        assert_eq!(seen, [10, 40, 10, 20, 25, 30, 50]);
        let names = AuthEvent { at: 40, account: None, domain: Some(""), session: Some("七"), ..event(0) };
        order.put(&names, 11);
        order.take(Micros::MAX, |event| assert_eq!(*event, names));
        for at in 0..=WAITING_MAX as i64 {
            order.put(&event(at), 100);
        }
        let mut count = 0;
        order.take(Micros::MIN, |_| count += 1);
        assert!(count > 0 && order.len() <= WAITING_MAX);
    }
}
