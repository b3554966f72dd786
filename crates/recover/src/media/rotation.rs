use jiff::civil::{Date, Time, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// Sets that take turns.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    /// Its name.
    pub name: String,
    /// Labels of the sets, in the order of their turns; at least one.
    pub sets: Vec<String>,
    /// How many days a turn takes. Turns of seven days begin on Mondays.
    pub turn_days: u32,
    /// When on its first day a set is to be put in.
    pub at: Time,
    /// How long after that its copy must be written and read back.
    pub overdue_after: SignedDuration,
    /// What the times are meant in.
    pub zone: TimeZone,
}

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The set.
    pub set: String,
    /// When its turn began.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// A Monday.
const FIRST: Date = date(1970, 1, 5);

impl Rotation {
    /// Whose turn it is. The same for the same calendar on every machine: there is nothing to be lost or set wrong.
    pub fn due(&self, now: Timestamp) -> Due {
        let local = now.to_zoned(self.zone.clone());
        let today = local.date();
        // Before its hour the day still belongs to the turn before.
        let day = if local.time() < self.at { today.yesterday().unwrap_or(today) } else { today };
        let days = i64::from(self.turn_days.max(1));
        let number = i64::from((day - FIRST).get_days()).div_euclid(days);
        let start = |number: i64| {
            let day = FIRST.saturating_add(Span::new().days(number.saturating_mul(days)));
            day.to_datetime(self.at).to_zoned(self.zone.clone()).map_or(now, |zoned| zoned.timestamp())
        };
        let count = self.sets.len().max(1) as i64;
        let set = self.sets.get(number.rem_euclid(count) as usize).cloned().unwrap_or_default();
        Due { set, since: start(number), until: start(number + 1) }
    }
}
