//! `lateral.login_hours`: an account gets in at an hour at which it never does.
//!
//! Learnt for each account, and told only of those whose hours are narrow: who works nights has no impossible hours.

use jiff::tz::TimeZone;
use schema::{Attack, Micros, Severity, Tactic};
use serde::{Deserialize, Serialize};

use super::Detectors;
use super::marks::Trail;
use super::telling::{Saying, Tell, Words, account_words, attack, host_words, timestamp};
use super::view::{DAY, Key, View};
use crate::table::Table;
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "lateral.login_hours",
    title: "Logs: an account is used at an hour at which it never is",
    title_ja: "ログ：そのアカウントが使われたことのない時間帯のログイン",
    attacks,
    make: Detector::Logins(Detectors::new),
};

const ACCOUNTS_MAX: usize = 8192;
/// Days and log-ons after which an account's hours are known.
const DAYS: u16 = 10;
const LOGONS: u32 = 20;
/// So many hours around are still usual: overtime, an early start.
const AROUND: usize = 3;
/// Of the 24 hours an account with narrow ones has no more than this.
const NARROW: usize = 14;

fn attacks() -> Vec<Attack> {
    vec![attack("T1078", "Valid Accounts", Tactic::InitialAccess)]
}

/// The hours of each account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hours(Table<Key, Habit>);

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Habit {
    hours: [u16; 24],
    days: u16,
    last_day: i64,
}

impl Default for Hours {
    fn default() -> Self {
        Self(Table::new(ACCOUNTS_MAX))
    }
}

impl Hours {
    pub(crate) fn evicted(&self) -> u64 {
        self.0.evicted()
    }

    /// Forgets the hours of one account, or of all.
    pub(crate) fn forget(&mut self, account: Option<Key>) {
        match account {
            Some(account) => _ = self.0.remove(&account),
            None => self.0.clear(),
        }
    }

    /// Takes in that somebody got in who sits there.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let Some(account) = view.account.filter(|_| view.is_interactive()) else { return };
        let (day, hour) = local(view.at(), &view.rules.zone);
        let habit = self.0.slot(account);
        let is_unusual = habit.is_unusual(hour);
        let (usual_from, usual_to) = habit.span();
        habit.add(day, hour);
        if !is_unusual {
            return;
        }
        let severity = if view.is_privileged() || view.outside { Severity::Medium } else { Severity::Low };
        let saying = Saying { size: 1, pause: DAY, ..Saying::new(&ENTRY, &[account], Trail::at(view.at())) };
        tell.say(view, saying.severity(severity), || {
            let ([en, ja], [host, host_ja]) =
                (account_words(view.account_name()), host_words(view.event.host));
            Words::new(
                [
                    format!("{en} got in at {host} at {hour} o'clock, when it never does"),
                    format!("{ja} が普段使われない {hour} 時台に {host_ja} にログインしました"),
                ],
                attacks(),
            )
            .because(
                format!("Its hours were from {usual_from} to {usual_to} o'clock on all days before"),
                format!("これまでは {usual_from} 時台から {usual_to} 時台に使われていました"),
            )
            .from(view.source_name().as_ref())
            .by(view.account_name())
            .at(view.event.host)
        });
    }
}

impl Habit {
    fn add(&mut self, day: i64, hour: usize) {
        self.hours[hour] = self.hours[hour].saturating_add(1);
        if self.days == 0 || day != self.last_day {
            self.days = self.days.saturating_add(1);
            self.last_day = day;
        }
    }

    fn is_unusual(&self, hour: usize) -> bool {
        let logons: u32 = self.hours.iter().map(|count| u32::from(*count)).sum();
        let used = self.hours.iter().filter(|count| **count > 0).count();
        let is_near = (24 - AROUND..=24 + AROUND).any(|step| self.hours[(hour + step) % 24] > 0);
        self.days >= DAYS && logons >= LOGONS && used <= NARROW && !is_near
    }

    /// The first and the last hour of the day that are used, seen from the longest stretch of unused ones.
    fn span(&self) -> (usize, usize) {
        let used = |hour: usize| self.hours[hour % 24] > 0;
        let quiet = |from: usize| (0..24).take_while(|step| !used(from + step)).count();
        let from = (0..24).max_by_key(|from| (quiet(*from), 24 - from)).unwrap_or_default();
        ((from + quiet(from)) % 24, (from + 23) % 24)
    }
}

fn local(at: Micros, zone: &TimeZone) -> (i64, usize) {
    let local = timestamp(at).to_zoned(zone.clone()).datetime();
    let day = local.date().duration_since(jiff::civil::Date::ZERO).as_hours() / 24;
    (day, usize::from(local.hour().unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hours_of_an_account_are_told_around_midnight_too() {
        for (used, expected) in [(vec![8, 9, 17], (8, 17)), (vec![22, 23, 2], (22, 2)), (vec![0], (0, 0))] {
            let mut habit = Habit::default();
            for hour in used {
                habit.add(1, hour);
            }
            assert_eq!(habit.span(), expected);
        }
    }
}
