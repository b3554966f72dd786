//! What was ordered (OMP-01, OMP-02) and what was given (OMP-11, OMP-12).

use decode::hl7::Segment;
use jiff::ToSpan;
use jiff::civil::Date;

use super::model::{Course, Drug, Given, Item, Medication, Route};
use super::record::{Record, amount, day, field, label, person, text, time, value};

/// Longest course that a start and a number of days may span; more is a slip of the keyboard.
const DAYS_MAX: u16 = 3_660;

/// All orders, running ones first, then the latest.
pub(super) fn medication(records: &[Record], as_of: Option<Date>) -> Vec<Item<Medication>> {
    let mut all: Vec<Item<Medication>> = Vec::new();
    for record in records {
        let route = match record.name.kind.as_str() {
            "OMP-01" => Route::Prescription,
            "OMP-02" => Route::Injection,
            _ => continue,
        };
        for group in record.groups("ORC") {
            if let Some(medication) = order(&group, route, record, as_of) {
                all.push(record.item(medication));
            }
        }
    }
    all.sort_by_key(|item| (item.value.state, std::cmp::Reverse(item.value.start)));
    all
}

fn order(group: &[Segment<'_>], route: Route, record: &Record, as_of: Option<Date>) -> Option<Medication> {
    let drugs = drugs(group, route);
    if drugs.is_empty() {
        return None;
    }
    let start = day(field(group, "TQ1", 7)).or(record.name.care_date);
    let days = days(group);
    let lasts = |start: Date| start.checked_add(i64::from(days?).saturating_sub(1).days()).ok();
    let until = day(field(group, "TQ1", 8)).or_else(|| start.and_then(lasts));
    Some(Medication {
        route,
        drugs,
        usage: usage(group),
        start,
        until,
        days,
        state: course(group, start, until, as_of),
        ordered_by: person(field(group, "ORC", 12)),
        order: record.name.order.clone(),
    })
}

/// RXE names the drug of a prescription; an injection's are the components (RXC), base solution first.
fn drugs(group: &[Segment<'_>], route: Route) -> Vec<Drug> {
    let mut drugs: Vec<Drug> = Vec::new();
    if route == Route::Injection {
        drugs.extend(group.iter().filter(|segment| segment.name() == "RXC").map(|rxc| Drug {
            name: label(rxc.field(2)),
            code: value(rxc.field(2)),
            dose: amount(&value(rxc.field(3)), &label(rxc.field(4))),
            per_day: String::new(),
        }));
    }
    if drugs.is_empty() {
        let rxe = |n| field(group, "RXE", n);
        let daily = rxe(19);
        let daily_unit = daily.component(2);
        let unit = [2, 1].map(|n| text(daily_unit.subcomponent(n))).into_iter().find(|unit| !unit.is_empty());
        let per_day =
            if daily.is_empty() { String::new() } else { amount(&value(daily), &unit.unwrap_or_default()) };
        let dose = amount(&value(rxe(3)), &label(rxe(5)));
        drugs.push(Drug { name: label(rxe(2)), code: value(rxe(2)), dose, per_day });
    }
    drugs.retain(|drug| !drug.name.is_empty());
    drugs
}

/// Timing (TQ1-3), the route (RXR-1) where it is no plain oral one, and the doctor's words (RXE-7).
fn usage(group: &[Segment<'_>]) -> String {
    let timing = field(group, "TQ1", 3).component(1);
    let timing = [2, 1].map(|n| text(timing.subcomponent(n))).into_iter().find(|text| !text.is_empty());
    let route = field(group, "RXR", 1);
    let route = if matches!(&*route.text(), "PO" | "OTH") { String::new() } else { label(route) };
    let parts = [timing.unwrap_or_default(), route, label(field(group, "RXE", 7))];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" / ")
}

/// TQ1-6 as `5^d`; weeks occur too. Anything else (doses, "as needed") has no end.
fn days(group: &[Segment<'_>]) -> Option<u16> {
    let duration = field(group, "TQ1", 6);
    let number: u16 = value(duration).parse().ok()?;
    let unit = duration.component(2);
    let unit = text(unit.subcomponent(1));
    let factor = match unit.as_str() {
        "" | "d" | "D" | "日" | "日分" => 1,
        "w" | "W" | "週" => 7,
        _ => return None,
    };
    number.checked_mul(factor).filter(|days| (1..=DAYS_MAX).contains(days))
}

fn course(group: &[Segment<'_>], start: Option<Date>, until: Option<Date>, as_of: Option<Date>) -> Course {
    // Table 0119: cancel, cancelled, discontinue, discontinued, on hold.
    let is_stopped =
        matches!(&*field(group, "ORC", 1).text(), "CA" | "OC" | "CR" | "DC" | "OD" | "DR" | "HD")
            || matches!(&*field(group, "ORC", 5).text(), "CA" | "DC" | "HD");
    match (is_stopped, as_of) {
        (true, _) => Course::Stopped,
        (_, Some(day)) if start.is_some_and(|start| start > day) => Course::Planned,
        (_, Some(day)) if until.is_some_and(|until| until < day) => Course::Ended,
        _ if until.is_none() => Course::Open,
        _ => Course::Current,
    }
}

/// Everything given, newest first.
pub(super) fn given(records: &[Record]) -> Vec<Item<Given>> {
    let mut all: Vec<Item<Given>> = Vec::new();
    for record in records.iter().filter(|record| matches!(record.name.kind.as_str(), "OMP-11" | "OMP-12")) {
        let rxa = record.message.all("RXA").filter(|rxa| !rxa.field(5).is_empty());
        all.extend(rxa.map(|rxa| {
            let dose = amount(&value(rxa.field(6)), &label(rxa.field(7)));
            let drug =
                Drug { name: label(rxa.field(5)), code: value(rxa.field(5)), dose, per_day: String::new() };
            let (at, status, by) = (time(rxa.field(3)), value(rxa.field(20)), person(rxa.field(10)));
            record.item(Given { drug, at, status, by })
        }));
    }
    all.sort_by_key(|item| std::cmp::Reverse(item.value.at));
    all
}
