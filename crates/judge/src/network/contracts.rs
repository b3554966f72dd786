//! What was agreed with a contractor: who may reach what, from where to where, when, and how much.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::{Time, Weekday as Day};
use jiff::tz::TimeZone;
use schema::{Contact, Micros, Service, Transport};
use serde::{Deserialize, Serialize};

use super::rules::within;

/// A contractor's link. Nothing about it is learnt: what does not stand here deviates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// As it is called in findings.
    pub name: String,
    /// The contractor's addresses.
    pub peers: Vec<IpNet>,
    /// The machines of the hospital that it is about.
    pub hosts: Vec<IpNet>,
    /// Ports that are spoken to; any when empty.
    #[serde(default)]
    pub ports: Vec<Ports>,
    /// Who may open.
    #[serde(default)]
    pub direction: Direction,
    /// Days of the week; any when empty.
    #[serde(default)]
    pub days: Vec<Weekday>,
    /// From this time of the day, in the hospital's zone.
    #[serde(default)]
    pub from: Option<Time>,
    /// Up to this time of the day; before `from` means past midnight.
    #[serde(default)]
    pub to: Option<Time>,
    /// Bytes to the contractor on one day.
    #[serde(default)]
    pub bytes_out_max: Option<u64>,
    /// Bytes from the contractor on one day.
    #[serde(default)]
    pub bytes_in_max: Option<u64>,
    /// Remote-support tools and tunnels that may be used.
    #[serde(default)]
    pub tools: Vec<Service>,
}

/// Ports from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// The first.
    pub from: u16,
    /// The last.
    pub to: u16,
    /// What carries it; TCP and UDP when left out.
    #[serde(default)]
    pub transport: Option<Transport>,
}

/// Who opens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The contractor.
    #[default]
    Inward,
    /// The hospital.
    Outward,
    /// Either.
    Both,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each name says it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl From<Day> for Weekday {
    fn from(day: Day) -> Self {
        match day {
            Day::Monday => Self::Monday,
            Day::Tuesday => Self::Tuesday,
            Day::Wednesday => Self::Wednesday,
            Day::Thursday => Self::Thursday,
            Day::Friday => Self::Friday,
            Day::Saturday => Self::Saturday,
            Day::Sunday => Self::Sunday,
        }
    }
}

impl Contract {
    /// Which end is the hospital's machine of it and which the contractor's: `true` when the contractor opened.
    pub(super) fn opened_by_peer(&self, contact: &Contact) -> Option<bool> {
        let (client, server) = (contact.client.address, contact.server.address);
        if within(&self.peers, client) && within(&self.hosts, server) {
            return Some(true);
        }
        (within(&self.peers, server) && within(&self.hosts, client)).then_some(false)
    }

    pub(super) fn has_peer(&self, address: IpAddr) -> bool {
        within(&self.peers, address)
    }

    pub(super) fn allows_direction(&self, by_peer: bool) -> bool {
        match self.direction {
            Direction::Both => true,
            Direction::Inward => by_peer,
            Direction::Outward => !by_peer,
        }
    }

    pub(super) fn allows_port(&self, contact: &Contact) -> bool {
        let port = contact.server.port;
        let holds = |ports: &Ports| {
            (ports.from..=ports.to).contains(&port)
                && ports.transport.is_none_or(|transport| transport == contact.transport)
        };
        self.ports.is_empty() || self.ports.iter().any(holds)
    }

    /// Whether the hospital's clock shows a day and a time of the contract.
    pub(super) fn allows_time(&self, at: Micros, zone: &TimeZone) -> bool {
        let Ok(at) = Timestamp::from_microsecond(at) else { return false };
        let local = at.to_zoned(zone.clone()).datetime();
        let (time, today) = (local.time(), local.date());
        let from = self.from.unwrap_or(Time::midnight());
        let to = self.to.unwrap_or(Time::MAX);
        let overnight = to < from;
        let in_hours = if overnight { time >= from || time < to } else { time >= from && time <= to };
        // What began yesterday belongs to yesterday's day of the week.
        let day = if overnight && time < to { today.yesterday().unwrap_or(today) } else { today };
        in_hours && (self.days.is_empty() || self.days.contains(&Weekday::from(day.weekday())))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;

    fn check(days: &[Weekday], hours: Option<(&str, &str)>, utc: &str, expected: bool) {
        let contract = Contract {
            name: "vendor".into(),
            peers: Vec::new(),
            hosts: Vec::new(),
            ports: Vec::new(),
            direction: Direction::Inward,
            days: days.to_vec(),
            from: hours.map(|(from, _)| from.parse().unwrap()),
            to: hours.map(|(_, to)| to.parse().unwrap()),
            bytes_out_max: None,
            bytes_in_max: None,
            tools: Vec::new(),
        };
        let at = utc.parse::<Timestamp>().unwrap().as_microsecond();
        let tokyo = TimeZone::fixed(Offset::constant(9));
        assert_eq!(contract.allows_time(at, &tokyo), expected, "{days:?} {hours:?} {utc}");
    }

    #[test]
    fn hours_are_the_hospitals_and_may_pass_midnight() {
        let office = Some(("09:00", "17:30"));
        let night = Some(("22:00", "05:00"));
        let week = [Weekday::Monday, Weekday::Friday];
        for (days, hours, utc, expected) in [
            (&[][..], None, "2018-10-13T15:00:00Z", true),
            (&week, office, "2018-10-12T03:00:00Z", true),
            (&week, office, "2018-10-12T08:31:00Z", false),
            (&week, office, "2018-10-11T23:59:00Z", false),
            // Friday night goes on into Saturday's small hours.
            (&week, night, "2018-10-12T18:00:00Z", true),
            (&week, night, "2018-10-12T20:30:00Z", false),
            (&week, night, "2018-10-13T14:00:00Z", false),
            (&week, night, "2018-10-11T18:00:00Z", false),
        ] {
            check(days, hours, utc, expected);
        }
    }
}
