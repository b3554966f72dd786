use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};
use proptest::prelude::*;
use prove::state::JobOutcome;

use super::due::{Due, LastRun, Plan, Retry, due};

const RETRY: Retry = Retry { after: SignedDuration::from_mins(5), times: 2 };

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn last(due_at: &str, finished_at: &str, outcome: JobOutcome, attempts: u32) -> LastRun {
    let finished_at = (!finished_at.is_empty()).then(|| at(finished_at));
    LastRun { due_at: at(due_at), finished_at, outcome, attempts }
}

fn said(due: Due) -> String {
    match due {
        Due::Running => "running".to_owned(),
        Due::Not { next_at } => format!("not before {next_at}"),
        Due::Now { due_at, missed: None } => format!("now for {due_at}"),
        Due::Now { due_at, missed: Some(missed) } => {
            format!("now for {due_at}, missed {} to {}", missed.since, missed.until)
        }
    }
}

#[test]
fn every_quarter_of_an_hour() {
    let plan = Plan::Every(SignedDuration::from_mins(15));
    let done = Some(last("2026-01-01T10:00:00Z", "2026-01-01T10:01:00Z", JobOutcome::Done, 1));
    let long = Some(last("2026-01-01T10:00:00Z", "2026-01-01T10:40:00Z", JobOutcome::Done, 1));
    let running = Some(last("2026-01-01T10:00:00Z", "", JobOutcome::Running, 1));
    let failed = |n| Some(last("2026-01-01T10:00:00Z", "2026-01-01T10:01:00Z", JobOutcome::Failed, n));
    let killed = |n| Some(last("2026-01-01T10:00:00Z", "2026-01-01T10:03:00Z", JobOutcome::Interrupted, n));
    let found_late = Some(last("2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z", JobOutcome::Interrupted, 1));
    let found = Some(last("2026-01-01T10:00:00Z", "2026-01-01T10:01:00Z", JobOutcome::Found, 1));
    for (name, last, now, expected) in [
        ("never ran", None, "2026-01-01T10:00:07Z", "now for 2026-01-01T10:00:07Z"),
        ("too early", done, "2026-01-01T10:14:59Z", "not before 2026-01-01T10:15:00Z"),
        ("on time", done, "2026-01-01T10:15:00Z", "now for 2026-01-01T10:15:00Z"),
        ("a little late is not missed", done, "2026-01-01T10:19:00Z", "now for 2026-01-01T10:15:00Z"),
        (
            "off for an hour",
            done,
            "2026-01-01T11:03:00Z",
            "now for 2026-01-01T11:00:00Z, missed 2026-01-01T10:15:00Z to 2026-01-01T11:00:00Z",
        ),
        (
            "off for years",
            done,
            "2036-01-01T10:00:00Z",
            "now for 2036-01-01T10:00:00Z, missed 2026-01-01T10:15:00Z to 2036-01-01T10:00:00Z",
        ),
        ("the run before took long", long, "2026-01-01T10:40:01Z", "now for 2026-01-01T10:30:00Z"),
        ("never twice", running, "2026-01-02T10:00:00Z", "running"),
        ("clock set back", done, "2026-01-01T09:00:00Z", "now for 2026-01-01T09:00:00Z"),
        ("failed", failed(1), "2026-01-01T10:02:00Z", "not before 2026-01-01T10:06:00Z"),
        ("tried again", failed(1), "2026-01-01T10:06:00Z", "now for 2026-01-01T10:00:00Z"),
        ("tried enough", failed(3), "2026-01-01T10:06:00Z", "not before 2026-01-01T10:15:00Z"),
        ("killed with the hub", killed(1), "2026-01-01T10:03:00Z", "now for 2026-01-01T10:00:00Z"),
        ("killed too often", killed(3), "2026-01-01T10:03:00Z", "not before 2026-01-01T10:15:00Z"),
        (
            "found after an hour",
            found_late,
            "2026-01-01T11:00:00Z",
            "now for 2026-01-01T11:00:00Z, missed 2026-01-01T10:15:00Z to 2026-01-01T11:00:00Z",
        ),
        ("a finding is an outcome", found, "2026-01-01T10:10:00Z", "not before 2026-01-01T10:15:00Z"),
    ] {
        assert_eq!(said(due(&plan, RETRY, last.as_ref(), at(now))), expected, "{name}");
    }
}

#[test]
fn every_day_at_a_time_where_clocks_change() {
    let plan = |zone: &str| Plan::Daily { at: civil::time(2, 14, 0, 0), zone: TimeZone::get(zone).unwrap() };
    let done = |due: &str| Some(last(due, due, JobOutcome::Done, 1));
    for (name, zone, last, now, expected) in [
        ("never ran", "Asia/Tokyo", None, "2026-01-01T00:00:00Z", "not before 2026-01-01T17:14:00Z"),
        (
            "on time",
            "Asia/Tokyo",
            done("2025-12-31T17:14:00Z"),
            "2026-01-01T17:14:00Z",
            "now for 2026-01-01T17:14:00Z",
        ),
        (
            "off at night",
            "Asia/Tokyo",
            done("2025-12-31T17:14:00Z"),
            "2026-01-01T23:00:00Z",
            "now for 2026-01-01T17:14:00Z, missed 2026-01-01T17:14:00Z to 2026-01-01T17:14:00Z",
        ),
        // 02:00 to 03:00 does not exist on 29 March: an hour later.
        (
            "skipped",
            "Europe/Berlin",
            done("2026-03-28T01:14:00Z"),
            "2026-03-28T12:00:00Z",
            "not before 2026-03-29T01:14:00Z",
        ),
        (
            "after it",
            "Europe/Berlin",
            done("2026-03-29T01:14:00Z"),
            "2026-03-29T12:00:00Z",
            "not before 2026-03-30T00:14:00Z",
        ),
        // 02:00 to 03:00 comes twice on 25 October: the first time, once.
        (
            "repeated",
            "Europe/Berlin",
            done("2026-10-24T00:14:00Z"),
            "2026-10-24T12:00:00Z",
            "not before 2026-10-25T00:14:00Z",
        ),
        (
            "only once",
            "Europe/Berlin",
            done("2026-10-25T00:14:00Z"),
            "2026-10-25T01:14:00Z",
            "not before 2026-10-26T01:14:00Z",
        ),
        // Samoa had no 30 December 2011.
        (
            "a day that was not",
            "Pacific/Apia",
            done("2011-12-29T12:14:00Z"),
            "2011-12-30T00:00:00Z",
            "not before 2011-12-30T12:14:00Z",
        ),
    ] {
        assert_eq!(said(due(&plan(zone), RETRY, last.as_ref(), at(now))), expected, "{name}");
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    let zones =
        ["UTC", "Asia/Tokyo", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"];
    prop_oneof![
        (1i64..=400 * 86_400).prop_map(|seconds| Plan::Every(SignedDuration::from_secs(seconds))),
        (0i8..24, 0i8..60, 0..zones.len()).prop_map(move |(hour, minute, zone)| Plan::Daily {
            at: civil::time(hour, minute, 0, 0),
            zone: TimeZone::get(zones[zone]).unwrap(),
        }),
    ]
}

fn outcomes() -> impl Strategy<Value = JobOutcome> {
    use JobOutcome::{Done, Failed, Found, Interrupted, Missed};
    prop::sample::select(vec![Done, Found, Failed, Missed, Interrupted])
}

proptest! {
    /// Whatever the clock does, a job waits for its period and never longer, and what is due lies in the past.
    #[test]
    fn nothing_waits_longer_than_its_period(
        plan in plans(),
        outcome in outcomes(),
        due_at in -30_000_000_000i64..100_000_000_000,
        took in -100_000_000i64..100_000_000,
        jump in -100_000_000_000i64..100_000_000_000,
        attempts in 1u32..5,
    ) {
        let instant = |second: i64| Timestamp::from_second(second.clamp(-30_000_000_000, 200_000_000_000)).unwrap();
        let last = LastRun {
            due_at: instant(due_at),
            finished_at: Some(instant(due_at + took)),
            outcome,
            attempts,
        };
        let now = instant(due_at + jump);
        match due(&plan, RETRY, Some(&last), now) {
            Due::Running => prop_assert!(false, "nothing runs"),
            Due::Not { next_at } => {
                prop_assert!(next_at > now);
                // A day may have 25 hours, and the day that Samoa skipped makes two of them.
                let period = match &plan {
                    Plan::Every(every) => *every,
                    Plan::Daily { .. } | Plan::WhenAsked => SignedDuration::from_hours(49),
                };
                prop_assert!(next_at.duration_since(now) <= period, "{next_at} {now}");
                let then = due(&plan, RETRY, Some(&last), next_at);
                prop_assert!(matches!(then, Due::Now { .. }), "due when it said: {then:?}");
            }
            Due::Now { due_at, missed } => {
                prop_assert!(due_at <= now);
                if let Some(missed) = missed {
                    prop_assert!(missed.since > last.due_at && missed.since <= missed.until && missed.until == due_at);
                }
                // Once it ran for this time it is not due for it again.
                let ran = LastRun { due_at, finished_at: Some(now), outcome: JobOutcome::Done, attempts: 1 };
                let again = due(&plan, RETRY, Some(&ran), now);
                prop_assert!(matches!(again, Due::Not { .. }), "{again:?}");
            }
        }
    }
}
