//! What was agreed with a contractor who logs in: with which accounts, from where, to where, when.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use schema::Micros;
use serde::{Deserialize, Serialize};

use super::rules::{matches, matches_any, within};
use crate::network::Weekday;

/// A contractor. Nothing about it is learnt: what does not stand here deviates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contractor {
    /// As it is called in findings and in `chartward access grant`.
    pub name: String,
    /// The accounts made for it. `*` stands for any letters.
    pub accounts: Vec<String>,
    /// When it may log in; none: only while something was opened for it.
    pub windows: Vec<Window>,
    /// Where it comes from: its own addresses, or those that its VPN gives it. Any when empty.
    pub sources: Vec<IpNet>,
    /// Its machines by name, for logs that tell no address. `*` stands for any letters.
    pub workstations: Vec<String>,
    /// Where it may log in, by name or address. `*` stands for any letters; any when empty.
    pub hosts: Vec<String>,
}

/// Days and hours, by the hospital's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Window {
    /// Any when empty.
    pub days: Vec<Weekday>,
    /// From this time of the day.
    pub from: Option<Time>,
    /// Up to this time of the day; before `from` means past midnight.
    pub to: Option<Time>,
}

/// What was opened for a contractor: bound to a reason, and over by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its number, as `chartward access list` shows it.
    pub id: u64,
    /// The contractor's name.
    pub contractor: String,
    /// From then.
    pub from: Timestamp,
    /// Until then.
    pub until: Timestamp,
    /// Why: a ticket's number, a fault.
    pub reason: String,
    /// Who opened it.
    #[serde(default)]
    pub by: String,
    /// When it was taken back before its time.
    #[serde(default)]
    pub revoked: Option<Timestamp>,
}

impl Grant {
    /// Whether it is open at that instant.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.end()
    }

    /// When it ends or ended.
    pub fn end(&self) -> Timestamp {
        self.revoked.map_or(self.until, |revoked| revoked.min(self.until))
    }
}

impl Contractor {
    pub(super) fn has_account(&self, account: &str) -> bool {
        matches_any(&self.accounts, account)
    }

    /// Whether that is one of the sources that only this contractor has; `None` when none were declared.
    pub(super) fn has_source(&self, address: Option<IpAddr>, workstation: Option<&str>) -> Option<bool> {
        if self.sources.is_empty() && self.workstations.is_empty() {
            return None;
        }
        match (address, workstation) {
            // The address decides where there is one: a workstation's name can be forged.
            (Some(address), _) if !self.sources.is_empty() => Some(within(&self.sources, address)),
            (_, Some(workstation)) if !self.workstations.is_empty() => {
                Some(matches_any(&self.workstations, workstation))
            }
            _ => None,
        }
    }

    pub(super) fn has_host(&self, host: &str) -> bool {
        self.hosts.is_empty() || host.is_empty() || self.hosts.iter().any(|pattern| matches(pattern, host))
    }

    pub(super) fn allows_time(&self, at: Micros, zone: &TimeZone) -> bool {
        self.windows.iter().any(|window| window.holds(at, zone))
    }
}

impl Window {
    /// Whether the hospital's clock shows a day and a time of the window.
    pub(super) fn holds(&self, at: Micros, zone: &TimeZone) -> bool {
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

    #[test]
    fn windows_are_the_hospitals_hours_and_may_pass_midnight() {
        let tokyo = TimeZone::fixed(Offset::constant(9));
        let night = Window {
            days: vec![Weekday::Friday],
            from: Some("22:00".parse().unwrap()),
            to: Some("05:00".parse().unwrap()),
        };
        for (utc, expected) in
            [("2018-10-12T18:00:00Z", true), ("2018-10-12T20:30:00Z", false), ("2018-10-13T14:00:00Z", false)]
        {
            let at = utc.parse::<Timestamp>().unwrap().as_microsecond();
            assert_eq!(night.holds(at, &tokyo), expected, "{utc}");
        }
    }

    #[test]
    fn the_address_decides_before_the_name_that_a_machine_gave_itself() {
        let contractor = Contractor {
            sources: vec!["10.9.0.0/24".parse().unwrap()],
            workstations: vec!["vendor-*".into()],
            ..Contractor::default()
        };
        for (address, workstation, expected) in [
            (Some("10.9.0.4"), None, Some(true)),
            (Some("10.1.0.4"), Some("vendor-1"), Some(false)),
            (None, Some("VENDOR-1"), Some(true)),
            (None, Some("kali"), Some(false)),
            (None, None, None),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            assert_eq!(contractor.has_source(address, workstation), expected, "{address:?} {workstation:?}");
        }
    }

    #[test]
    fn a_grant_ends_by_itself_or_earlier() {
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        let mut grant = Grant {
            id: 1,
            contractor: "emr".into(),
            from: at(1),
            until: at(3),
            reason: "ticket 7".into(),
            by: String::new(),
            revoked: None,
        };
        assert_eq!([0, 1, 2, 3].map(|hour| grant.is_open(at(hour))), [false, true, true, false]);
        grant.revoked = Some(at(2));
        assert_eq!([1, 2].map(|hour| grant.is_open(at(hour))), [true, false]);
    }
}
