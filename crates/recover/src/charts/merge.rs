//! One chart of what several sources have of one patient. Nothing of either is dropped but what both say in the same words.

use jiff::civil::Date;
use serde::Serialize;

use super::model::{AlertKind, Chart, Item, LabSeries};
use super::parts::{arrange, complete};

/// Adds what another source has. Where both say who it is, `first` is believed, and what contradicts it is named.
pub(super) fn merged(mut first: Chart, second: Chart, as_of: Option<Date>) -> Chart {
    let mut others: Vec<_> = first.alerts.iter().chain(&second.alerts).cloned().collect();
    others.retain(|alert| alert.kind == AlertKind::OtherPatient);
    complete(&mut first.banner, second.banner, &mut first.unread);
    add(&mut first.allergies, second.allergies);
    add(&mut first.problems, second.problems);
    add(&mut first.medication, second.medication);
    add(&mut first.given, second.given);
    add(&mut first.stays, second.stays);
    add(&mut first.visits, second.visits);
    add(&mut first.appointments, second.appointments);
    add(&mut first.meals, second.meals);
    add(&mut first.notes, second.notes);
    for series in second.labs {
        add_series(&mut first.labs, series);
    }
    for unread in second.unread {
        // That the search was cut short, every source says.
        if !first.unread.iter().any(|known| known.path == unread.path && known.cause == unread.cause) {
            first.unread.push(unread);
        }
    }
    for (kind, count) in second.not_shown {
        match first.not_shown.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known += count,
            None => first.not_shown.push((kind, count)),
        }
    }
    first.not_shown.sort();
    first.newest_record = first.newest_record.max(second.newest_record);
    arrange(&mut first, as_of);
    first.alerts.extend(others);
    first.alerts.sort_by(|a, b| (a.kind, &a.what).cmp(&(b.kind, &b.what)));
    first.alerts.dedup_by(|a, b| (a.kind, &a.what) == (b.kind, &b.what));
    first
}

fn add<T: Serialize>(known: &mut Vec<Item<T>>, more: Vec<Item<T>>) {
    let text = |item: &Item<T>| serde_json::to_string(&item.value).unwrap_or_default();
    let said: std::collections::HashSet<String> = known.iter().map(text).collect();
    // Within one source, the same twice may be two events.
    known.extend(more.into_iter().filter(|item| !said.contains(&text(item))));
}

/// Codes are compared, and where one side has none, names.
fn add_series(all: &mut Vec<LabSeries>, series: LabSeries) {
    let same = |known: &&mut LabSeries| match known.code.is_empty() || series.code.is_empty() {
        true => known.name == series.name,
        false => known.code == series.code,
    };
    match all.iter_mut().find(same) {
        Some(known) => {
            let said = |one: &Item<super::model::LabResult>| {
                (one.value.at, one.value.value.clone(), one.value.unit.clone())
            };
            let before: Vec<_> = known.results.iter().map(said).collect();
            known.results.extend(series.results.into_iter().filter(|result| !before.contains(&said(result))));
        }
        None => all.push(series),
    }
}
