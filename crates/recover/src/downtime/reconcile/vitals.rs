//! Vital signs in a chart: measured values that a source has among its results, and what we exported ourselves.

use decode::hl7::{Message, datetime};
use encoding_rs::ISO_2022_JP;
use jiff::civil::DateTime;

use super::candidate::{Candidate, of_observations};
use crate::charts::{Chart, Provenance};
use crate::downtime::identity::folded;
use crate::downtime::words::Part;
use crate::downtime::{Note, Vitals};

/// LOINC codes and names under which sources keep them.
pub(crate) const NAMES: &[(Part, &[&str], &[&str])] = &[
    (Part::Temperature, &["8310-5", "8331-1"], &["体温", "bodytemperature", "temperature"]),
    (Part::Pulse, &["8867-4", "8889-8"], &["脈拍", "脈拍数", "心拍数", "heartrate", "pulse"]),
    (Part::Systolic, &["8480-6"], &["収縮期血圧", "最高血圧", "systolicbloodpressure"]),
    (Part::Diastolic, &["8462-4"], &["拡張期血圧", "最低血圧", "diastolicbloodpressure"]),
    (Part::Respiration, &["9279-1"], &["呼吸数", "respiratoryrate"]),
    (
        Part::Spo2,
        &["59408-5", "2708-6"],
        &["spo2", "経皮的動脈血酸素飽和度", "酸素飽和度", "oxygensaturation"],
    ),
    (Part::Weight, &["29463-7"], &["体重", "bodyweight"]),
    (Part::Pain, &["72514-3"], &["痛み", "疼痛スケール", "painseverity"]),
];

/// The LOINC code and English name that exports use (FHIR vital signs profile, US LOINC 2.7x display names).
pub(crate) fn loinc(part: Part) -> Option<(&'static str, &'static str)> {
    Some(match part {
        Part::Temperature => ("8310-5", "Body temperature"),
        Part::Pulse => ("8867-4", "Heart rate"),
        Part::Systolic => ("8480-6", "Systolic blood pressure"),
        Part::Diastolic => ("8462-4", "Diastolic blood pressure"),
        Part::Respiration => ("9279-1", "Respiratory rate"),
        Part::Spo2 => ("2708-6", "Oxygen saturation in Arterial blood"),
        Part::Weight => ("29463-7", "Body weight"),
        Part::Pain => ("72514-3", "Pain severity - 0-10 verbal numeric rating [Score] - Reported"),
        _ => return None,
    })
}

fn part_of(code: &str, name: &str) -> Option<Part> {
    let name = folded(name);
    let fits = |(_, codes, names): &&(Part, &[&str], &[&str])| {
        codes.contains(&code) || names.contains(&name.as_str())
    };
    NAMES.iter().find(fits).map(|(part, _, _)| *part)
}

pub(super) fn of_vitals(note: &Note, vitals: &Vitals, chart: &Chart) -> Vec<Candidate> {
    let wanted: Vec<Part> = vitals.measured().into_iter().map(|(part, _)| part).collect();
    let mut values: Vec<(Part, f64, DateTime, Provenance)> = Vec::new();
    for series in &chart.labs {
        let Some(part) = part_of(&series.code, &series.name) else { continue };
        for result in &series.results {
            if let (Ok(value), Some(at)) = (result.value.value.trim().parse(), result.value.at) {
                values.push((part, value, at, result.from.clone()));
            }
        }
    }
    for item in &chart.notes {
        let text = item.value.text.as_deref().filter(|text| text.starts_with("MSH|"));
        values.extend(text.into_iter().flat_map(|text| of_message(text, &item.from)));
    }
    values.retain(|(part, ..)| wanted.contains(part));
    of_observations(note, values)
}

/// ORU^R01 in extended storage, as our export writes it.
fn of_message(text: &str, from: &Provenance) -> Vec<(Part, f64, DateTime, Provenance)> {
    let (bytes, _, _) = ISO_2022_JP.encode(text);
    let Ok(message) = Message::parse(&bytes) else { return Vec::new() };
    let value = |obx: decode::hl7::Segment<'_>| {
        let code = obx.field(3);
        let part = part_of(&code.component(1).text(), &code.component(2).text())?;
        let at = datetime(&obx.field(14).component(1).text())?;
        Some((part, obx.field(5).text().trim().parse().ok()?, at, from.clone()))
    };
    message.all("OBX").filter_map(value).collect()
}
