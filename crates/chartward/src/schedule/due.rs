use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use prove::state::JobOutcome;

/// A run that begins later than this, or than half its period, was missed and is made up for.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// When a job is due.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Plan {
    /// Each time so much after the last time that it was due, so that the times do not drift.
    Every(SignedDuration),
    /// Once a day. Where the clocks skip that time it is due as much later as they skip; where they repeat it, the first time.
    Daily { at: Time, zone: TimeZone },
    /// Never by itself.
    WhenAsked,
}

/// What is done about a run that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) after: SignedDuration,
    /// Runs for one due time beyond the first; then the next due time is waited for.
    pub(crate) times: u32,
}

/// The latest run of a job, the one that began last, whatever its due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastRun {
    pub(crate) due_at: Timestamp,
    /// `None` while it runs, and where it never began.
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) outcome: JobOutcome,
    /// How often it was tried for `due_at`, this time included.
    pub(crate) attempts: u32,
}

/// Whether a job is to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// It runs; it is never started twice.
    Running,
    /// Not before this.
    Not { next_at: Timestamp },
    /// Now; what was missed meanwhile is a fact to be told.
    Now { due_at: Timestamp, missed: Option<Missed> },
}

/// A gap in which nobody ran a job: the machine was off, the hub was down, the clock jumped forwards. One gap is told once,
/// however many due times fell into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missed {
    /// The first due time that passed without a run.
    pub(crate) since: Timestamp,
    /// The last one, which the run that is due now makes up for.
    pub(crate) until: Timestamp,
}

/// Whether a job is due. Pure: the same arguments give the same answer, and there is no jitter.
///
/// A clock that is set back never holds a job up for longer than its period: a last run that lies in the future is no
/// reason to wait for that future.
pub(crate) fn due(plan: &Plan, retry: Retry, last: Option<&LastRun>, now: Timestamp) -> Due {
    let Some(last) = last else { return first(plan, now) };
    if last.outcome == JobOutcome::Running {
        return Due::Running;
    }
    if last.due_at > now {
        return Due::Now { due_at: now, missed: None };
    }
    let next_at = plan.next(last.due_at);
    if now < next_at {
        return again(retry, last, next_at, now);
    }
    let due_at = plan.latest(last.due_at, now);
    // What passed while the run before went on was not missed by anybody: that run took longer than its period.
    let since = match last.finished_at {
        // Of an interrupted run it is only known when it was found, which is when the hub came back.
        Some(finished_at)
            if last.outcome != JobOutcome::Interrupted && finished_at >= next_at && finished_at <= now =>
        {
            plan.next(plan.latest(last.due_at, finished_at))
        }
        _ => next_at,
    };
    if since > due_at {
        // Everything up to now passed during the run before.
        return Due::Now { due_at, missed: None };
    }
    let late = LATE.min(plan.period() / 2);
    let missed = now.duration_since(since) > late;
    Due::Now { due_at, missed: missed.then_some(Missed { since, until: due_at }) }
}

/// A job that never ran: at once, or at its time of the day.
fn first(plan: &Plan, now: Timestamp) -> Due {
    match plan {
        Plan::Every(_) => Due::Now { due_at: now, missed: None },
        Plan::Daily { .. } | Plan::WhenAsked => Due::Not { next_at: plan.next(now) },
    }
}

/// Between two due times: only a run that did not come to its end is tried again.
fn again(retry: Retry, last: &LastRun, next_at: Timestamp, now: Timestamp) -> Due {
    let pause = match last.outcome {
        JobOutcome::Failed => retry.after,
        // The hub ended, not the job: nothing speaks for waiting.
        JobOutcome::Interrupted => SignedDuration::ZERO,
        _ => return Due::Not { next_at },
    };
    if last.attempts > retry.times {
        return Due::Not { next_at };
    }
    // A clock that was set back since must not lengthen the pause.
    let from = last.finished_at.unwrap_or(last.due_at).min(now);
    let at = from.saturating_add(pause).unwrap_or(next_at).min(next_at);
    if now < at { Due::Not { next_at: at } } else { Due::Now { due_at: last.due_at, missed: None } }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Plan::Every(every) => write!(out, "{every:#}"),
            Plan::Daily { at, .. } => write!(out, "{}", at.strftime("%H:%M")),
            Plan::WhenAsked => out.write_str("–"),
        }
    }
}

impl Plan {
    /// The length of a period; for one of the calendar, the usual one.
    fn period(&self) -> SignedDuration {
        match self {
            Plan::Every(every) => shortest(*every),
            Plan::Daily { .. } | Plan::WhenAsked => SignedDuration::from_hours(24),
        }
    }

    /// The first due time after `due_at`.
    fn next(&self, due_at: Timestamp) -> Timestamp {
        match self {
            Plan::Every(every) => due_at.saturating_add(shortest(*every)).unwrap_or(Timestamp::MAX),
            Plan::WhenAsked => Timestamp::MAX,
            Plan::Daily { at, zone } => {
                let date = due_at.to_zoned(zone.clone()).date();
                let after = |date: Date| occurrence(date, *at, zone).filter(|time| *time > due_at);
                let days = std::iter::successors(Some(date), |date| date.tomorrow().ok());
                // A zone may skip a whole day, never a week.
                days.take(8).find_map(after).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// The last due time that is not after `now`, which is not before the one after `due_at`.
    fn latest(&self, due_at: Timestamp, now: Timestamp) -> Timestamp {
        match self {
            Plan::Every(every) => {
                let every = shortest(*every).as_millis().max(1);
                let periods = now.duration_since(due_at).as_millis() / every;
                let millis = i64::try_from(periods.saturating_mul(every)).unwrap_or(i64::MAX);
                due_at.saturating_add(SignedDuration::from_millis(millis)).unwrap_or(now).min(now)
            }
            Plan::WhenAsked => now,
            Plan::Daily { at, zone } => {
                let date = now.to_zoned(zone.clone()).date();
                let before = |date: Date| occurrence(date, *at, zone).filter(|time| *time <= now);
                let days = std::iter::successors(Some(date), |date| date.yesterday().ok());
                days.take(8).find_map(before).unwrap_or(due_at)
            }
        }
    }
}

/// A period of nothing would be due for ever.
fn shortest(every: SignedDuration) -> SignedDuration {
    every.max(SignedDuration::from_secs(1))
}

fn occurrence(date: Date, at: Time, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(date.to_datetime(at)).compatible().ok()
}
