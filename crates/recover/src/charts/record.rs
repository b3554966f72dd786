//! Opened records, and how values are read from their fields.

use std::collections::BTreeMap;
use std::path::Path;

use decode::hl7::{Component, Field, Message, Segment, date};
use decode::ssmix2::RecordName;
use jiff::civil::{Date, DateTime};
use schema::PatientId;

use super::model::{Bed, Item, Provenance};
use crate::charts::model::Unread;
use crate::charts::source::Source;

/// A current record that decoded.
pub(super) struct Record {
    pub(super) name: RecordName,
    pub(super) message: Message,
    pub(super) from: Provenance,
}

impl Record {
    pub(super) fn open(source: &Source<'_>, path: &Path, name: RecordName) -> Result<Record, Unread> {
        let unread = |error: &dyn std::error::Error| Unread::new(path, &name.kind, error);
        let bytes = source.read(path).map_err(|error| unread(&error))?;
        let message = Message::parse(&bytes).map_err(|error| unread(&error))?;
        let from = Provenance {
            path: path.display().to_string(),
            part: None,
            recorded_at: name.recorded_at(),
            other_patient: other_patient(&message, &name.patient),
        };
        Ok(Record { name, message, from })
    }

    pub(super) fn item<T>(&self, value: T) -> Item<T> {
        Item { value, from: self.from.clone() }
    }

    /// The segments in groups, each beginning with one of that name; what comes before the first is left out.
    pub(super) fn groups(&self, head: &str) -> Vec<Vec<Segment<'_>>> {
        let mut groups: Vec<Vec<Segment<'_>>> = Vec::new();
        for segment in self.message.segments() {
            if segment.name() == head {
                groups.push(vec![segment]);
            } else if let Some(group) = groups.last_mut() {
                group.push(segment);
            }
        }
        groups
    }
}

/// The id in PID-3 when it is not that of the file's name. Zeros in front are no difference: systems pad.
fn other_patient(message: &Message, patient: &PatientId) -> Option<PatientId> {
    let inside = message.get("PID", 3, 1).text();
    let same = |a: &str, b: &str| a.trim_start_matches('0') == b.trim_start_matches('0');
    (!inside.is_empty() && !same(&inside, &patient.0)).then(|| PatientId(inside.into_owned()))
}

/// The first segment of that name in a group, as a field reader.
pub(super) fn field<'m>(group: &[Segment<'m>], segment: &str, n: usize) -> Field<'m> {
    group.iter().find(|candidate| candidate.name() == segment).map(|found| found.field(n)).unwrap_or_default()
}

/// What a coded value (CE, CWE) is called: its text, else the local text, else the code.
pub(super) fn label(field: Field<'_>) -> String {
    let first = [2, 5, 9, 1].into_iter().map(|n| field.component(n)).find(|component| !component.is_empty());
    first.map(|component| text(component)).unwrap_or_default()
}

/// A component's text, trimmed.
pub(super) fn text(component: Component<'_>) -> String {
    component.text().trim().to_owned()
}

/// The whole first repetition's first component.
pub(super) fn value(field: Field<'_>) -> String {
    text(field.component(1))
}

/// Amount and unit as people write them: `1 錠`.
pub(super) fn amount(number: &str, unit: &str) -> String {
    [number, unit].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

/// The name in an XCN field, else its id.
pub(super) fn person(field: Field<'_>) -> String {
    let name = [2, 3].map(|n| text(field.component(n)));
    let name = amount(&name[0], &name[1]);
    if name.is_empty() { value(field) } else { name }
}

/// A TS or DR field's first time.
pub(super) fn time(field: Field<'_>) -> Option<DateTime> {
    decode::hl7::datetime(&field.component(1).text())
}

/// A TS or DT field's day.
pub(super) fn day(field: Field<'_>) -> Option<Date> {
    date(&field.component(1).text())
}

/// PV1-3 of an inpatient.
pub(super) fn bed(pv1: &Field<'_>) -> Bed {
    Bed { ward: text(pv1.component(1)), room: text(pv1.component(2)), bed: text(pv1.component(3)) }
}

/// Names of departments: PV1 only has codes, ORC-17 has both.
pub(super) fn departments(records: &[Record]) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for record in records {
        for orc in record.message.all("ORC") {
            let (code, name) = (text(orc.field(17).component(1)), text(orc.field(17).component(2)));
            if !code.is_empty() && !name.is_empty() {
                names.entry(code).or_insert(name);
            }
        }
    }
    names
}
