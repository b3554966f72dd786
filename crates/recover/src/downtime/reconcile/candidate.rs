//! What in a chart a note may be about, near in time.

use jiff::Unit;
use jiff::civil::{Date, DateTime, Time};
use schema::Lang;

use super::compare::similar;
use crate::charts::{Chart, Item, Provenance, Route};
use crate::downtime::identity::folded;
use crate::downtime::words::{Part, given_word};
use crate::downtime::{Entry, Given, Note, Order, OrderKind, Text};

/// A drug that was given at another hour is another dose.
const GIVEN_MINUTES: i64 = 4 * 60;
/// Vital signs are taken every few hours.
const VITALS_MINUTES: i64 = 60;
/// Orders are entered when there is time.
const ORDER_DAYS: i64 = 2;
/// Results come after the order.
const LAB_DAYS: i64 = 3;

/// Something that the EMR has.
pub(super) struct Candidate {
    pub(super) from: Provenance,
    pub(super) at: Option<DateTime>,
    /// Only the day is known.
    pub(super) is_day: bool,
    pub(super) parts: Vec<(Part, String)>,
    /// What such records cannot say.
    pub(super) silent: &'static [Part],
}

impl Candidate {
    pub(super) fn distance(&self, at: DateTime) -> i64 {
        self.at.map_or(i64::MAX, |emr| minutes(emr, at).abs())
    }
}

fn minutes(a: DateTime, b: DateTime) -> i64 {
    a.since((Unit::Minute, b)).map_or(i64::MAX, |span| span.get_minutes())
}

fn days(a: Date, b: Date) -> i64 {
    a.since((Unit::Day, b)).map_or(i64::MAX, |span| i64::from(span.get_days()))
}

fn near(at: Option<DateTime>, note: DateTime, minutes_max: i64) -> bool {
    at.is_some_and(|at| minutes(at, note).abs() <= minutes_max)
}

/// All that a note may be about.
pub(super) fn candidates(note: &Note, chart: &Chart, lang: Lang) -> Vec<Candidate> {
    match &note.entry {
        Entry::Given(given) => of_given(note, given, chart, lang),
        Entry::Order(order) => match order.order {
            OrderKind::Prescription | OrderKind::Injection => of_medication(note, order, chart, lang),
            OrderKind::Meal => of_meal(note, order, chart, lang),
            OrderKind::Lab => of_lab(note, order, chart, lang),
            OrderKind::Examination | OrderKind::Other => Vec::new(),
        },
        Entry::Vitals(vitals) => super::vitals::of_vitals(note, vitals, chart),
        Entry::Text(text) => of_text(note, text, chart),
    }
}

fn of_given(note: &Note, given: &Given, chart: &Chart, lang: Lang) -> Vec<Candidate> {
    let fits = |item: &&Item<crate::charts::Given>| {
        near(item.value.at, note.at, GIVEN_MINUTES) && similar(&item.value.drug.name, &given.drug)
    };
    let candidate = |item: &Item<crate::charts::Given>| {
        let emr = &item.value;
        let was_given = !matches!(emr.status.as_str(), "NA" | "RE" | "not-done" | "stopped");
        Candidate {
            from: item.from.clone(),
            at: emr.at,
            is_day: false,
            parts: vec![
                (Part::Drug, emr.drug.name.clone()),
                (Part::Dose, emr.drug.dose.clone()),
                (Part::WasGiven, given_word(was_given, lang).to_owned()),
            ],
            silent: &[Part::Route],
        }
    };
    let exact: Vec<Candidate> = chart
        .given
        .iter()
        .filter(fits)
        .filter(|item| folded(&item.value.drug.name) == folded(&given.drug))
        .map(candidate)
        .collect();
    if exact.is_empty() { chart.given.iter().filter(fits).map(candidate).collect() } else { exact }
}

fn of_medication(note: &Note, order: &Order, chart: &Chart, lang: Lang) -> Vec<Candidate> {
    let mut found = Vec::new();
    for item in &chart.medication {
        let emr = &item.value;
        let start = emr.start.or(item.from.recorded_at.map(|at| at.date()));
        if start.is_none_or(|start| days(start, note.at.date()).abs() > ORDER_DAYS) {
            continue;
        }
        for drug in emr.drugs.iter().filter(|drug| similar(&drug.name, &order.what)) {
            let kind = match emr.route {
                Route::Prescription => OrderKind::Prescription,
                Route::Injection => OrderKind::Injection,
            };
            // As notes in Japanese write it, in both languages: what agrees must not depend on who looks.
            let length = emr.days.map(|days| format!("{days}日分"));
            let directions = [drug.dose.clone(), emr.usage.clone(), length.unwrap_or_default()];
            let directions: Vec<String> = directions.into_iter().filter(|part| !part.is_empty()).collect();
            found.push(Candidate {
                from: item.from.clone(),
                at: start.map(midnight),
                is_day: true,
                parts: vec![
                    (Part::Order, kind.word(lang).to_owned()),
                    (Part::What, drug.name.clone()),
                    (Part::Directions, directions.join(" ")),
                    (Part::OrderedBy, emr.ordered_by.clone()),
                ],
                silent: &[],
            });
        }
    }
    found
}

fn of_meal(note: &Note, order: &Order, chart: &Chart, lang: Lang) -> Vec<Candidate> {
    let fits = |item: &&Item<crate::charts::Meal>| {
        let is_near =
            item.value.start.is_some_and(|start| days(start.date(), note.at.date()).abs() <= ORDER_DAYS);
        is_near && (similar(&item.value.diet, &order.what) || similar(&item.value.instruction, &order.what))
    };
    let candidate = |item: &Item<crate::charts::Meal>| {
        let emr = &item.value;
        let directions = [emr.instruction.as_str(), emr.timing.as_str()];
        let directions: Vec<&str> = directions.into_iter().filter(|part| !part.is_empty()).collect();
        Candidate {
            from: item.from.clone(),
            at: emr.start,
            is_day: false,
            parts: vec![
                (Part::Order, OrderKind::Meal.word(lang).to_owned()),
                (Part::What, if emr.diet.is_empty() { &emr.instruction } else { &emr.diet }.clone()),
                (Part::Directions, directions.join(" ")),
            ],
            silent: &[Part::OrderedBy],
        }
    };
    chart.meals.iter().filter(fits).map(candidate).collect()
}

/// The chart shows results, not laboratory orders: a result after the note says that the EMR has the order.
fn of_lab(note: &Note, order: &Order, chart: &Chart, lang: Lang) -> Vec<Candidate> {
    let mut found = Vec::new();
    for series in chart.labs.iter().filter(|series| similar(&series.name, &order.what)) {
        for result in &series.results {
            let after = result.value.at.map(|at| minutes(at, note.at));
            if after.is_some_and(|after| (-60..=LAB_DAYS * 24 * 60).contains(&after)) {
                found.push(Candidate {
                    from: result.from.clone(),
                    at: result.value.at,
                    is_day: false,
                    parts: vec![
                        (Part::Order, OrderKind::Lab.word(lang).to_owned()),
                        (Part::What, series.name.clone()),
                    ],
                    silent: &[Part::Directions, Part::OrderedBy],
                });
            }
        }
    }
    found
}

fn of_text(note: &Note, text: &Text, chart: &Chart) -> Vec<Candidate> {
    let mut found = Vec::new();
    for item in &chart.notes {
        let Some(emr) = &item.value.text else { continue };
        let is_near = item.value.date.is_some_and(|date| days(date, note.at.date()).abs() <= 1);
        if is_near && alike(&text.text, emr) {
            found.push(Candidate {
                from: item.from.clone(),
                at: item.value.date.map(midnight),
                is_day: true,
                parts: vec![(Part::Text, emr.clone())],
                silent: &[],
            });
        }
    }
    found
}

fn midnight(date: Date) -> DateTime {
    date.to_datetime(Time::midnight())
}

/// Whether two texts are worth being read side by side: one holds the other, or half of their pairs of characters are the same.
fn alike(note: &str, emr: &str) -> bool {
    let (note, emr) = (folded(note), folded(emr));
    if emr.contains(&note) {
        return true;
    }
    let pairs = |text: &str| -> std::collections::BTreeSet<(char, char)> {
        text.chars().zip(text.chars().skip(1)).take(4_000).collect()
    };
    let (a, b) = (pairs(&note), pairs(&emr));
    let shared = a.intersection(&b).count();
    !a.is_empty() && shared.saturating_mul(2) >= a.len().max(b.len())
}

/// Used by the vital signs, whose values come from several records.
pub(super) fn of_observations(note: &Note, values: Vec<(Part, f64, DateTime, Provenance)>) -> Vec<Candidate> {
    let near = values.into_iter().filter(|(_, _, at, _)| minutes(*at, note.at).abs() <= VITALS_MINUTES);
    let mut sets: Vec<Candidate> = Vec::new();
    for (part, value, at, from) in near {
        let text = format!("{value} {}", part.unit_word()).trim().to_owned();
        // Two measurements of one minute are two sets, not one with the last of both.
        let fits = |set: &&mut Candidate| {
            set.at == Some(at)
                && set.from.path == from.path
                && !set.parts.iter().any(|(known, _)| *known == part)
        };
        match sets.iter_mut().find(fits) {
            Some(set) => set.parts.push((part, text)),
            None => {
                let parts = vec![(part, text)];
                sets.push(Candidate { from, at: Some(at), is_day: false, parts, silent: &[] });
            }
        }
    }
    sets
}
