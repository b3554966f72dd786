//! A quarter out of the observations.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use judge::telescope::{Day, Survey};
use prove::observation::{Kind, Store, Stored};
use schema::telescope::{Quarter, QuarterReport};

use super::keep;

/// A report, and which files could not be read for it.
pub(crate) struct Told {
    pub(crate) report: QuarterReport,
    pub(crate) unread: Vec<String>,
}

/// Looks twice at all days of the quarter and of the one before: first at what was reached for most, then at the hours of that.
pub(crate) fn quarter(
    state: &Path,
    quarter: Quarter,
    zone: &TimeZone,
    now: Timestamp,
) -> anyhow::Result<Told> {
    let store = Store::open(state)?;
    let mut survey = Survey::new(quarter, zone, now).with_context(|| format!("{quarter} has not begun"))?;
    let days = survey.days();
    let files: Vec<Stored> = store.list(days)?.into_iter().filter(|it| it.kind == Kind::Counts).collect();
    let mut unread = Vec::new();
    for stored in &files {
        match keep::load(&store, stored) {
            Ok(day) => survey.count(&day),
            Err(error) => unread.push(format!("{error:#}")),
        }
    }
    let mut by_day: BTreeMap<i64, Vec<&Stored>> = BTreeMap::new();
    files.iter().for_each(|stored| by_day.entry(stored.day).or_default().push(stored));
    let mut pass = survey.choose();
    for (number, parts) in by_day {
        let mut whole = Day::new(number, "");
        // What could not be read was said at the first look.
        parts.iter().filter_map(|stored| keep::load(&store, stored).ok()).for_each(|day| whole.merge(day));
        pass.follow(&whole);
    }
    Ok(Told { report: pass.report(), unread })
}
