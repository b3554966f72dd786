//! Putting a chart together from a patient's current records.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::civil::Date;
use schema::PatientId;

use super::banner;
use super::care;
use super::conditions;
use super::labs;
use super::medication;
use super::model::{Alert, AlertKind, Chart, Item, LabFlag, Outcome, Unread};
use super::notes;
use super::record::{Record, departments};
use super::source::Source;
use super::storage;

/// Types whose content a chart shows.
const SHOWN: &[&str] = &[
    "ADT-00", "ADT-12", "ADT-22", "ADT-42", "ADT-52", "ADT-61", "PPR-01", "OMD", "OMP-01", "OMP-02",
    "OMP-11", "OMP-12", "OML-11",
];

/// Reads one patient's chart; `None` when no storage has a folder of that patient.
///
/// `as_of` is the day of the data: ages and running medication are told for it. Without one it is the day of
/// the patient's newest record. `cut_short` is said among what could not be read: this patient may have records elsewhere.
pub(super) fn chart(
    source: &Source<'_>,
    roots: &[PathBuf],
    cut_short: Option<&Unread>,
    patient: &PatientId,
    as_of: Option<Date>,
) -> Option<Chart> {
    let files = storage::patient_files(source, roots, patient);
    if !files.exists {
        return None;
    }
    let mut unread: Vec<Unread> = cut_short.cloned().into_iter().chain(files.unread).collect();
    let newest_record = files.records.iter().filter_map(|(_, name)| name.recorded_at()).max();
    let as_of = as_of.or(newest_record.map(|at| at.date()));

    let mut not_shown: BTreeMap<String, u64> = BTreeMap::new();
    let mut records = Vec::new();
    for (path, name) in files.records {
        if !SHOWN.contains(&name.kind.as_str()) {
            *not_shown.entry(name.kind).or_default() += 1;
            continue;
        }
        match Record::open(source, &path, name) {
            Ok(record) => records.push(record),
            Err(damaged) => unread.push(damaged),
        }
    }
    if files.other_files > 0 {
        not_shown.insert("-".to_owned(), files.other_files);
    }

    let departments = departments(&records);
    let labs = labs::labs(&records);
    let mut banner = banner::banner(&records, as_of);
    banner.infections = labs::infections(&labs);
    banner.ward = care::ward(&records);
    let mut chart = Chart {
        patient: patient.clone(),
        banner,
        alerts: Vec::new(),
        allergies: conditions::allergies(&records),
        problems: conditions::problems(&records, as_of),
        medication: medication::medication(&records, as_of),
        given: medication::given(&records),
        labs,
        stays: care::stays(&records, &departments),
        visits: care::visits(&records, &departments),
        appointments: Vec::new(),
        meals: care::meals(&records),
        notes: notes::notes(source, files.documents, &mut unread),
        unread,
        not_shown: not_shown.into_iter().collect(),
        newest_record,
    };
    let others = records.iter().filter_map(|record| {
        record.from.other_patient.as_ref().map(|other| format!("{} ({other})", record.name.kind))
    });
    chart.alerts = alerts(&chart, others);
    Some(chart)
}

/// What must be known first; `others` are the records that name another patient.
pub(super) fn alerts(chart: &Chart, others: impl IntoIterator<Item = String>) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut add = |kind, what: &str| alerts.push(Alert { kind, what: what.to_owned() });
    for unread in &chart.unread {
        add(AlertKind::Unread, &unread.kind);
    }
    for Item { value, .. } in &chart.allergies {
        if value.is_drug() || value.is_severe() {
            add(AlertKind::Allergy, &value.substance);
        }
    }
    for Item { value, .. } in &chart.banner.infections {
        if value.outcome == Outcome::Positive && value.agent != super::model::Agent::HbsAntibody {
            add(AlertKind::Infection, &value.test);
        }
    }
    for series in chart.labs.iter().filter(|series| series.flag() == LabFlag::Critical) {
        add(AlertKind::Critical, &series.name);
    }
    others.into_iter().for_each(|other| add(AlertKind::OtherPatient, &other));
    alerts.sort_by(|a, b| (a.kind, &a.what).cmp(&(b.kind, &b.what)));
    alerts.dedup_by(|a, b| (a.kind, &a.what) == (b.kind, &b.what));
    alerts
}
