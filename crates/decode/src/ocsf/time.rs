//! When a line says that it happened, as far as that can be.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// 2000-01-01T00:00:00Z in milliseconds: older than every watcher.
const EARLIEST_MS: i64 = 946_684_800_000;
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);

/// The time of a line.
pub(super) struct Time {
    pub(super) at: Timestamp,
    /// English and Japanese, when the line's own time was not taken.
    pub(super) remark: Option<(String, String)>,
}

/// OCSF `time` in milliseconds, or RFC 3339 in `time` or `time_dt`.
pub(super) fn ocsf(value: &Value, arrived: Timestamp) -> Time {
    let said = if value["time"].is_null() { &value["time_dt"] } else { &value["time"] };
    plausible(said, arrived)
}

/// Suricata's `timestamp`.
pub(super) fn eve(value: &Value, arrived: Timestamp) -> Time {
    plausible(&value["timestamp"], arrived)
}

fn plausible(said: &Value, arrived: Timestamp) -> Time {
    // The hub's own clock may be wrong too: without room above it every time up to the end of times is taken.
    let latest = arrived.checked_add(AHEAD_MAX).unwrap_or(Timestamp::MAX);
    match read(said).filter(|at| at.as_millisecond() >= EARLIEST_MS && *at <= latest) {
        Some(at) => Time { at, remark: None },
        None => Time { at: arrived, remark: Some(remark(said)) },
    }
}

fn remark(said: &Value) -> (String, String) {
    if said.is_null() {
        return (
            "The line gives no time; the time of its arrival stands instead.".into(),
            "時刻の記載がないため、受信した時刻を用いました。".into(),
        );
    }
    let said = super::text::cut(&said.to_string(), 64);
    (
        format!("The line gives the time {said}, which cannot be; the time of its arrival stands instead."),
        format!("記載の時刻 {said} はあり得ないため、受信した時刻を用いました。"),
    )
}

fn read(said: &Value) -> Option<Timestamp> {
    if let Some(text) = said.as_str() {
        return text.parse().ok();
    }
    // A float of the size of today's milliseconds is exact; a saturating cast of another one is not plausible.
    let ms = said.as_i64().or_else(|| said.as_f64().map(|ms| ms as i64))?;
    Timestamp::from_millisecond(ms).ok()
}
