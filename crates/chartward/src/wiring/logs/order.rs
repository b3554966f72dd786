//! Events of several sources in the order of their own times, as far as a bounded wait allows.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason, Micros};

/// More than so many do not wait.
const WAITING_MAX: usize = 20_000;

/// An event that outlives its line.
#[derive(Debug, Clone)]
struct Owned {
    arrived: Micros,
    host: Box<str>,
    protocol: AuthProtocol,
    outcome: AuthOutcome,
    reason: AuthReason,
    account: Option<Box<str>>,
    domain: Option<Box<str>>,
    source: Option<IpAddr>,
    workstation: Option<Box<str>>,
    logon_type: Option<u8>,
    session: Option<Box<str>>,
}

impl Owned {
    fn of(event: &AuthEvent<'_>, arrived: Micros) -> Self {
        let keep = |text: Option<&str>| text.map(Box::from);
        Self {
            arrived,
            host: event.host.into(),
            protocol: event.protocol,
            outcome: event.outcome,
            reason: event.reason,
            account: keep(event.account),
            domain: keep(event.domain),
            source: event.source,
            workstation: keep(event.workstation),
            logon_type: event.logon_type,
            session: keep(event.session),
        }
    }

    fn event(&self, at: Micros) -> AuthEvent<'_> {
        AuthEvent {
            at,
            host: &self.host,
            protocol: self.protocol,
            outcome: self.outcome,
            reason: self.reason,
            account: self.account.as_deref(),
            domain: self.domain.as_deref(),
            source: self.source,
            workstation: self.workstation.as_deref(),
            logon_type: self.logon_type,
            session: self.session.as_deref(),
        }
    }
}

/// Events that wait for older ones.
#[derive(Debug, Default)]
pub(super) struct Order {
    waiting: BTreeMap<(Micros, u64), Owned>,
    number: u64,
    latest: Micros,
    /// Events that came after younger ones had been let go.
    pub(super) late: u64,
}

impl Order {
    pub(super) fn put(&mut self, event: &AuthEvent<'_>, arrived: Micros) {
        self.number += 1;
        self.late += u64::from(event.at < self.latest);
        self.waiting.insert((event.at, self.number), Owned::of(event, arrived));
    }

    /// Lets those go that came before `until`, and the oldest where there are too many.
    pub(super) fn take(&mut self, until: Micros, mut each: impl FnMut(&AuthEvent<'_>)) {
        let mut surplus = self.waiting.len().saturating_sub(WAITING_MAX);
        // Half of them at once, so that a flood does not look at all of them again for each one.
        if surplus > 0 {
            surplus += WAITING_MAX / 2;
        }
        while surplus > 0
            && let Some(((at, _), owned)) = self.waiting.pop_first()
        {
            surplus -= 1;
            self.latest = self.latest.max(at);
            each(&owned.event(at));
        }
        if until == Micros::MIN {
            return;
        }
        for ((at, _), owned) in self.waiting.extract_if(.., |_, owned| owned.arrived <= until) {
            self.latest = self.latest.max(at);
            each(&owned.event(at));
        }
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
        assert_eq!((seen.as_slice(), order.waiting.is_empty()), (&[10, 20, 30, 5, 7][..], true));
        for at in 0..=WAITING_MAX as i64 {
            order.put(&event(at), 100);
        }
        let mut count = 0;
        order.take(Micros::MIN, |_| count += 1);
        assert!(count > 0 && order.waiting.len() <= WAITING_MAX);
    }
}
