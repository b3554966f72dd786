//! Where the patient was and is (ADT-12, ADT-22, ADT-42, ADT-52), and what the kitchen was told (OMD).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use decode::hl7::Component;
use jiff::civil::DateTime;

use super::model::{Bed, Item, Meal, Stay, Visit};
use super::record::{Record, bed, field, label, person, text, time, value};

/// Names of departments by their code.
pub(super) type Departments = BTreeMap<String, String>;

/// A movement of an inpatient, ordered by when it happened and then as it would on one day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Move {
    Admission,
    Transfer,
    Discharge,
}

struct Event<'r> {
    at: Option<DateTime>,
    step: Move,
    record: &'r Record,
}

fn events(records: &[Record]) -> Vec<Event<'_>> {
    let mut events: Vec<Event<'_>> = records.iter().filter_map(event).collect();
    events.sort_by_key(|event| (event.at, event.step));
    events
}

fn event(record: &Record) -> Option<Event<'_>> {
    let pv1 = record.message.first("PV1")?;
    let (step, field) = match record.name.kind.as_str() {
        "ADT-22" => (Move::Admission, pv1.field(44)),
        "ADT-42" => (Move::Transfer, record.message.first("EVN").map(|evn| evn.field(6)).unwrap_or_default()),
        "ADT-52" => (Move::Discharge, pv1.field(45)),
        _ => return None,
    };
    let by_name = || record.name.care_date.map(|date| date.to_datetime(jiff::civil::Time::midnight()));
    Some(Event { at: time(field).or_else(by_name), step, record })
}

/// Stays, newest first, put together from their movements. A movement whose counterpart is not in the store
/// (a hospital moved to SS-MIX2 while somebody lay there) still makes a stay.
pub(super) fn stays(records: &[Record], departments: &Departments) -> Vec<Item<Stay>> {
    let mut stays: Vec<Item<Stay>> = Vec::new();
    for event in events(records) {
        let Some(pv1) = event.record.message.first("PV1") else {
            continue;
        };
        let open =
            stays.last_mut().filter(|stay| stay.value.discharged.is_none() && event.step != Move::Admission);
        let stay = match open {
            Some(stay) => stay,
            None => {
                let dept = department(pv1.field(10).component(1), departments);
                let doctor = person(pv1.field(7));
                let stay = Stay { admitted: None, discharged: None, bed: Bed::default(), dept, doctor };
                stays.push(event.record.item(stay));
                let Some(stay) = stays.last_mut() else {
                    continue;
                };
                stay
            }
        };
        match event.step {
            Move::Admission => stay.value.admitted = event.at,
            Move::Transfer => {}
            Move::Discharge => stay.value.discharged = event.at.or(stay.value.admitted),
        }
        let bed = bed(&pv1.field(3));
        if !bed.ward.is_empty() {
            stay.value.bed = bed;
        }
        stay.from = event.record.from.clone();
    }
    stays.reverse();
    stays
}

/// Where the patient lies: what the last movement says, unless it is a discharge.
pub(super) fn ward(records: &[Record]) -> Option<Item<Bed>> {
    let last = events(records).pop().filter(|event| event.step != Move::Discharge)?;
    let bed = bed(&last.record.message.first("PV1")?.field(3));
    Some(last.record.item(bed))
}

/// Outpatient visits, newest first.
pub(super) fn visits(records: &[Record], departments: &Departments) -> Vec<Item<Visit>> {
    let mut visits: Vec<Item<Visit>> = Vec::new();
    for record in records.iter().filter(|record| record.name.kind == "ADT-12") {
        let Some(pv1) = record.message.first("PV1") else {
            continue;
        };
        let by_name = || record.name.care_date.map(|date| date.to_datetime(jiff::civil::Time::midnight()));
        let at = time(pv1.field(44)).or_else(by_name);
        let code =
            [pv1.field(10), pv1.field(3)].into_iter().find(|field| !field.is_empty()).unwrap_or_default();
        let visit =
            Visit { at, dept: department(code.component(1), departments), doctor: person(pv1.field(7)) };
        visits.push(record.item(visit));
    }
    visits.sort_by_key(|visit| Reverse(visit.value.at));
    visits
}

fn department(code: Component<'_>, departments: &Departments) -> String {
    let code = text(code);
    departments.get(&code).cloned().unwrap_or(code)
}

/// Meal orders, newest first.
pub(super) fn meals(records: &[Record]) -> Vec<Item<Meal>> {
    let mut meals: Vec<Item<Meal>> = Vec::new();
    for record in records.iter().filter(|record| record.name.kind == "OMD") {
        for group in record.groups("ORC") {
            if matches!(&*field(&group, "ORC", 1).text(), "CA" | "OC" | "DC" | "OD") {
                continue;
            }
            let timing = field(&group, "TQ1", 3);
            let timing: Vec<String> = timing
                .repetitions()
                .map(|part| part.component(1))
                .map(|part| {
                    [2, 1].map(|n| text(part.subcomponent(n))).into_iter().find(|text| !text.is_empty())
                })
                .map(Option::unwrap_or_default)
                .collect();
            let start = time(field(&group, "TQ1", 7));
            for ods in group.iter().filter(|segment| segment.name() == "ODS") {
                let meal = Meal {
                    diet: label(ods.field(3)),
                    instruction: value(ods.field(4)),
                    timing: timing.join(" "),
                    start,
                };
                if !meal.diet.is_empty() || !meal.instruction.is_empty() {
                    meals.push(record.item(meal));
                }
            }
        }
    }
    meals.sort_by_key(|meal| Reverse((meal.value.start, meal.from.recorded_at)));
    meals
}
