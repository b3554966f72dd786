//! Whether this machine's clock can be believed. It is compared with the kernel's steady one, which nobody can set; a jump is
//! said, and everything that was to last for a while lasts for that while all the same.
//!
//! Deadlines and the ends of countermeasures stand in the state as times of the clock, so that they hold across restarts. When the
//! clock jumps they jump with it: a block of an hour ends after an hour, as it does in the kernel, which counts for itself.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prove::Fact;
use prove::state::{Asset, AssetState, CountermeasureFilter, IncidentFilter};
use rustix::time::{ClockId, clock_gettime};
use schema::{Alarm, Countermeasure, CountermeasureState, IncidentStatus, Severity, Stage};
use serde::{Deserialize, Serialize};

use super::core::Core;
use super::handle::Live;

/// The state's setting that holds the two clocks as they last stood.
const SETTING: &str = "clock";
/// Less than this is what time servers do every day.
const SLACK: SignedDuration = SignedDuration::from_secs(30);
/// The clocks are compared over this time at most: a slow drift is no jump.
const COMPARED_OVER: Duration = Duration::from_secs(600);
/// For so long after a jump nothing is thrown away for its age: a long weekend passes before anybody looks, and whoever sets the
/// clock a year ahead must not make the hub delete what it saw.
const DOUBTED_FOR: SignedDuration = SignedDuration::from_hours(72);
/// What is in force or waits, looked at when the clock jumps.
const MEASURES_MAX: u32 = 100_000;
const INCIDENTS_MAX: u32 = 1_000;
const ASSETS_MAX: u32 = 10_000;

/// By how much the clock is off from where the steady one says that it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Jump {
    /// When it was seen, by the clock after it.
    pub(crate) at: Timestamp,
    pub(crate) by_seconds: i64,
}

/// Both clocks at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reading {
    wall: Timestamp,
    /// Milliseconds since the machine was started, also while it slept.
    steady_ms: i64,
    /// Which start that was.
    boot: String,
}

impl Reading {
    pub(super) fn take(boot: &str) -> Self {
        let steady = clock_gettime(ClockId::Boottime);
        let steady_ms = steady.tv_sec.saturating_mul(1_000).saturating_add(steady.tv_nsec / 1_000_000);
        Self { wall: Timestamp::now(), steady_ms, boot: boot.to_owned() }
    }

    /// By how much the clock went on more than time did. Between two starts of the machine only a clock that was set back shows.
    fn off_since(&self, before: &Reading) -> SignedDuration {
        let went = self.wall.duration_since(before.wall);
        match self.boot == before.boot {
            true => went - SignedDuration::from_millis(self.steady_ms.saturating_sub(before.steady_ms)),
            false => went.min(SignedDuration::ZERO),
        }
    }
}

/// What a look at the clock showed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Steady,
    /// Nothing happened, and the state is to know how the clocks stand.
    Compared,
    /// It is believed again, since it held for long enough.
    Believed,
    Jumped {
        by: SignedDuration,
    },
}

/// The clock with what is known of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Clock {
    compared: Reading,
    /// `None` while it is believed.
    jump: Option<Jump>,
}

impl Clock {
    pub(super) fn new(now: Reading) -> Self {
        Self { compared: now, jump: None }
    }

    pub(super) fn look(&mut self, now: Reading) -> Seen {
        let by = now.off_since(&self.compared);
        if by.abs() > SLACK {
            let total = by.as_secs().saturating_add(self.jump.map_or(0, |jump| jump.by_seconds));
            let jump = Jump { at: now.wall, by_seconds: total };
            // Back where it should be.
            self.jump =
                Some(jump).filter(|jump| jump.by_seconds.unsigned_abs() > SLACK.as_secs().unsigned_abs());
            self.compared = now;
            return Seen::Jumped { by };
        }
        if self.jump.take_if(|jump| now.wall.duration_since(jump.at) > DOUBTED_FOR).is_some() {
            self.compared = now;
            return Seen::Believed;
        }
        let since = now.steady_ms.saturating_sub(self.compared.steady_ms);
        if now.boot != self.compared.boot || since.unsigned_abs() > COMPARED_OVER.as_millis() as u64 {
            self.compared = now;
            return Seen::Compared;
        }
        Seen::Steady
    }
}

/// The name of this start of the machine; empty where the kernel gives none.
pub(super) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

impl Core {
    /// Compares with how the clocks stood when the hub last ran, before anything is taken up.
    pub(super) fn open_clock(&mut self) {
        if let Some(kept) = self.state.setting::<Clock>(SETTING).ok().flatten() {
            self.clock = kept;
        }
        self.look_at_clock();
        // Also when nothing happened, so that a jump while no hub runs is seen by the next one.
        self.pending.clock = Some(self.clock.clone());
        self.settle();
        self.show_clock();
    }

    /// Before anything else looks at the time.
    pub(super) fn look_at_clock(&mut self) {
        let now = Reading::take(&self.boot);
        let wall = now.wall;
        match self.clock.look(now) {
            Seen::Steady => return,
            Seen::Compared => {}
            Seen::Believed => self.show_clock(),
            Seen::Jumped { by } => self.jumped(by, wall),
        }
        self.pending.clock = Some(self.clock.clone());
        self.settle();
    }

    fn show_clock(&self) {
        let jump = self.clock.jump;
        self.hub.show(|shown| shown.clock = jump, Live::Promise);
    }

    /// Moves what ends at a time, and says what happened. All of it is one transaction with the clocks as they stand now, so that a
    /// kill in between neither moves anything twice nor not at all.
    fn jumped(&mut self, by: SignedDuration, now: Timestamp) {
        let (en, ja) = in_words(by);
        eprintln!("chartward: {en}; what was to last for a while still does");
        self.move_measures(by);
        self.move_watched_weeks(by);
        self.pending.notices_by = self.pending.notices_by.saturating_add(by);
        self.planned.clear();
        self.facts.push(Fact::ClockJumped { by_seconds: by.as_secs() });
        let filter = IncidentFilter {
            statuses: vec![IncidentStatus::Open, IncidentStatus::Contained],
            ..IncidentFilter::default()
        };
        for incident in self.state.incidents(&filter, INCIDENTS_MAX, None).unwrap_or_default() {
            let en = format!("{en}: the times before and after this cannot be compared (now {now}).");
            let ja = format!("{ja}。この前後の時刻は比較できません（現在 {now}）。");
            self.moment(incident.id, Stage::Detect, en, ja);
        }
        self.show_clock();
    }

    fn move_measures(&mut self, by: SignedDuration) {
        use CountermeasureState::{Applied, Approved, Proposed};
        let filter = CountermeasureFilter { incident: None, states: vec![Proposed, Approved, Applied] };
        let known = self.state.countermeasures(&filter, MEASURES_MAX, None).unwrap_or_default();
        // What waits to be written is newer than what is written.
        let waiting: Vec<Countermeasure> = self.pending.measures.values().cloned().collect();
        let written = known.into_iter().filter(|known| waiting.iter().all(|newer| newer.id != known.id));
        for mut measure in written.chain(waiting.iter().cloned()).collect::<Vec<_>>() {
            match measure.state {
                Proposed | Approved => measure.deadline = moved(measure.deadline, by),
                Applied if measure.lasts_seconds.is_some() => {
                    measure.applied_at = measure.applied_at.map(|at| moved(at, by));
                }
                _ => continue,
            }
            self.book.keep(&measure);
            self.pending.measures.insert(measure.id, measure);
        }
    }

    /// Only the weeks in which a host is watched: since when one is isolated is compared with when it was captured and proven, and
    /// moved back, that would let a proof from before its isolation count.
    fn move_watched_weeks(&mut self, by: SignedDuration) {
        let assets = self.state.assets(ASSETS_MAX).unwrap_or_default();
        for asset in assets.into_iter().filter(|asset| asset.state == AssetState::Watched) {
            let since = moved(asset.since, by);
            self.pending.assets.entry(asset.name.clone()).or_insert(Asset { since, ..asset });
        }
    }
}

impl super::pending::Pending {
    pub(super) fn write_clock(&self, tx: &prove::state::Writer<'_>) -> rusqlite::Result<()> {
        if let Some(clock) = &self.clock {
            tx.put_setting(SETTING, clock)?;
        }
        if !self.notices_by.is_zero() {
            tx.move_notices(self.notices_by)?;
        }
        Ok(())
    }
}

fn moved(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(at)
}

fn in_words(by: SignedDuration) -> (String, String) {
    let seconds = by.as_secs().unsigned_abs();
    let (of, unit, unit_ja) = match seconds {
        0..120 => (1, "seconds", "秒"),
        120..7_200 => (60, "minutes", "分"),
        7_200..172_800 => (3_600, "hours", "時間"),
        _ => (86_400, "days", "日"),
    };
    // The nearest whole number: the two clocks are not read at the very same moment.
    let count = (seconds + of / 2) / of;
    let (way, way_ja) =
        if by.is_negative() { ("back", "戻りました") } else { ("forward", "進みました") };
    (
        format!("The clock of this machine jumped {way} by {count} {unit}"),
        format!("この機器の時計が一度に{count}{unit_ja}{way_ja}"),
    )
}

/// What stands on the first screen while the clock is not believed.
pub(super) fn alarm(jump: &Jump) -> Alarm {
    let (en, ja) = in_words(SignedDuration::from_secs(jump.by_seconds));
    Alarm {
        id: "clock.jumped".to_owned(),
        severity_id: Severity::High,
        title: format!("{en} (seen at {}).", jump.at),
        title_ja: format!("{ja}（{} に確認）。", jump.at),
        next_step: "Compare the machine's clock with another one and check its time server (`timedatectl`), then who could set it. \
                    Deadlines moved with the clock; nothing is deleted for its age until it was steady for three days or is set back."
            .to_owned(),
        next_step_ja: "この機器の時計を別の時計と比べ、時刻サーバーの設定（`timedatectl`）と、時計を変更できる人を確かめてください。\
                       期限は時計に合わせて移しました。時計が元に戻るか3日間安定するまで、古い記録は削除しません。"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn at(wall_ms: i64, steady_ms: i64, boot: &str) -> Reading {
        let wall = Timestamp::from_millisecond(1_700_000_000_000 + wall_ms).unwrap();
        Reading { wall, steady_ms, boot: boot.to_owned() }
    }

    #[test]
    fn only_what_time_did_not_do_is_a_jump() {
        let jumped = |seconds: i64| Seen::Jumped { by: SignedDuration::from_secs(seconds) };
        for (name, next, expected) in [
            ("a moment later", at(200, 200, "a"), Seen::Steady),
            ("a time server at work", at(20_200, 200, "a"), Seen::Steady),
            ("asleep for a day", at(DAY, DAY, "a"), Seen::Compared),
            ("a day ahead", at(DAY + 200, 200, "a"), jumped(86_400)),
            ("a day back", at(-DAY + 200, 200, "a"), jumped(-86_400)),
            ("off for a year", at(365 * DAY, 5, "b"), Seen::Compared),
            ("set back while it was off", at(-DAY, 5, "b"), jumped(-86_400)),
        ] {
            assert_eq!(Clock::new(at(0, 0, "a")).look(next), expected, "{name}");
        }
    }

    #[test]
    fn a_clock_is_believed_again_when_it_is_back_or_was_steady_for_three_days() {
        let mut clock = Clock::new(at(0, 0, "a"));
        clock.look(at(365 * DAY, 0, "a"));
        assert_eq!(clock.jump.unwrap().by_seconds, 365 * 86_400);
        assert_eq!(clock.look(at(366 * DAY, DAY, "a")), Seen::Compared);
        clock.look(at(2 * DAY, 2 * DAY, "a"));
        assert_eq!(clock.jump, None);
        clock.look(at(0, 2 * DAY, "a"));
        assert_eq!(clock.look(at(2 * DAY, 4 * DAY, "a")), Seen::Compared);
        assert_eq!(clock.look(at(4 * DAY, 6 * DAY, "a")), Seen::Believed);
        assert_eq!(clock.jump, None);
    }
}
