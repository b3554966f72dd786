//! Days as lines of files, and back.

use anyhow::{Context, ensure};
use judge::telescope::{Day, Record};
use prove::observation::{Kind, Store, Stored};

/// Adds what was counted to what is kept of its day and sensor.
pub(super) fn add(store: &Store, day: Day) -> anyhow::Result<()> {
    for kind in [Kind::Counts, Kind::Addresses] {
        let part = of_kind(&day, kind)?;
        if part.is_empty() {
            continue;
        }
        let stored = Stored { day: day.number, sensor: day.sensor.clone(), kind };
        store.update::<anyhow::Error>(&stored, |old| {
            let Some(old) = old else { return Ok(part) };
            let mut whole = read(&stored, &old)?;
            whole.merge(read(&stored, &part)?);
            of_kind(&whole, kind)
        })?;
    }
    Ok(())
}

/// A day's file.
pub(super) fn load(store: &Store, stored: &Stored) -> anyhow::Result<Day> {
    match store.read(stored)? {
        Some(lines) => read(stored, &lines),
        None => Ok(Day::new(stored.day, &stored.sensor)),
    }
}

fn of_kind(day: &Day, kind: Kind) -> anyhow::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for record in day.records() {
        let is_address = matches!(record, Record::Source { .. } | Record::Unlisted { .. });
        if is_address == (kind == Kind::Addresses) {
            serde_json::to_writer(&mut lines, &record)?;
            lines.push(b'\n');
        }
    }
    Ok(lines)
}

fn read(stored: &Stored, lines: &[u8]) -> anyhow::Result<Day> {
    let mut day = Day::new(stored.day, &stored.sensor);
    for (number, line) in (1u64..).zip(lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())) {
        let record = serde_json::from_slice(line).with_context(|| {
            format!("read line {number} of the observations of {} on day {}", stored.sensor, stored.day)
        })?;
        ensure!(
            day.take(record),
            "line {number} of the observations of {} on day {} holds what no day holds",
            stored.sensor,
            stored.day
        );
    }
    Ok(day)
}
