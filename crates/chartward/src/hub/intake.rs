//! Watchers' lines become events for the lake, findings for the correlation, and words for an incident's timeline.

use std::collections::BTreeMap;

use decode::ocsf::{self, Said, Trust};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::state::Daily;
use schema::{Event, Finding, WatcherClass};

/// Bytes of an unknown line that are kept to show them.
const GARBAGE_MAX: usize = 200;

/// A line as the supervisor hands it over.
#[derive(Debug, Clone)]
pub(super) struct Heard<'a> {
    pub(super) watcher: &'a str,
    pub(super) class: WatcherClass,
    pub(super) bytes: &'a [u8],
    pub(super) arrived: Timestamp,
}

/// What a batch of lines holds.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    pub(super) sightings: Vec<Seen>,
    pub(super) said: Vec<(String, Said)>,
    pub(super) daily: Vec<Daily>,
    /// JSON objects that say nothing that the hub knows, with their watchers.
    pub(super) garbage: Vec<(String, Vec<u8>)>,
}

/// A finding with who saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) finding: Finding,
    pub(super) watcher: String,
    pub(super) class: WatcherClass,
}

/// Reads a batch.
pub(super) fn read<'a>(lines: impl Iterator<Item = Heard<'a>>) -> Batch {
    let mut batch = Batch::default();
    for Heard { watcher, class, bytes, arrived } in lines {
        let Ok(line) = ocsf::parse(bytes, watcher, trust(class), arrived) else {
            batch.garbage.push((watcher.to_owned(), bytes.get(..GARBAGE_MAX).unwrap_or(bytes).to_vec()));
            continue;
        };
        match line {
            ocsf::Line::Finding(event, finding) => {
                batch.events.push(*event);
                batch.sightings.push(Seen { finding: *finding, watcher: watcher.to_owned(), class });
            }
            ocsf::Line::Event(event) => batch.events.push(*event),
            ocsf::Line::Act(said) => batch.said.push((watcher.to_owned(), *said)),
            ocsf::Line::Ready(_) | ocsf::Line::Note { .. } | ocsf::Line::Ignored => {}
        }
    }
    batch.daily = daily(&batch.events);
    batch
}

/// Findings again from the journal, after a crash between the journal and the state.
pub(super) fn again(
    events: &[Event],
    arrived: Timestamp,
    class_of: impl Fn(&str) -> WatcherClass,
) -> Vec<Seen> {
    let read = |event: &Event| {
        let class = class_of(&event.watcher);
        let line = ocsf::parse(event.json.as_bytes(), &event.watcher, trust(class), arrived).ok()?;
        match line {
            ocsf::Line::Finding(_, finding) => {
                Some(Seen { finding: *finding, watcher: event.watcher.clone(), class })
            }
            _ => None,
        }
    };
    events.iter().filter_map(read).collect()
}

fn trust(class: WatcherClass) -> Trust {
    if class == WatcherClass::External { Trust::External } else { Trust::Own }
}

/// Adds counts to counts, so that what waits for the next checkpoint stays as small as there are kinds of lines.
pub(super) fn add(to: &mut Vec<Daily>, counts: Vec<Daily>) {
    for count in counts {
        let is_same = |known: &&mut Daily| Daily { lines: count.lines, ..(**known).clone() } == count;
        match to.iter_mut().find(is_same) {
            Some(known) => known.lines += count.lines,
            None => to.push(count),
        }
    }
}

/// What the console counts, by day (UTC), class, watcher, detector and severity.
pub(super) fn daily(events: &[Event]) -> Vec<Daily> {
    let mut counts: BTreeMap<_, u64> = BTreeMap::new();
    for event in events {
        let day = event.time.to_zoned(TimeZone::UTC).date();
        let key = (day, event.class_uid, &event.watcher, &event.detector, event.severity_id);
        *counts.entry(key).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|((day, class_uid, watcher, detector, severity_id), lines)| Daily {
            day,
            class_uid,
            watcher: watcher.clone(),
            detector: detector.clone(),
            severity_id,
            lines,
        })
        .collect()
}
