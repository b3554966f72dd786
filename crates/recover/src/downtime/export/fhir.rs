//! Accepted notes as one FHIR R4 transaction for each patient.

use base64::Engine;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use schema::Lang;
use serde_json::{Value, json};

use super::hl7::amount;
use super::{Accepted, Patient};
use crate::downtime::reconcile::vitals::loinc;
use crate::downtime::words::Part;
use crate::downtime::{Entry, Given, Note, Order, OrderKind, Vitals};

const NOTE_SYSTEM: &str = "urn:chartward:downtime-note";
const LOINC: &str = "http://loinc.org";
const UCUM: &str = "http://unitsofmeasure.org";

/// The transaction. Every resource is made only if none with the note's identifier is there: sending it twice does no harm.
pub(super) fn bundle(accepted: &[&Accepted], zone: &TimeZone, now: jiff::Timestamp) -> Value {
    let mut entries = Vec::new();
    for one in accepted {
        let resources = resources(one, zone);
        let targets: Vec<Value> =
            (0..resources.len()).map(|index| json!({"reference": urn(&one.kept.note, index)})).collect();
        for (index, resource) in resources.into_iter().enumerate() {
            let kind = resource["resourceType"].as_str().unwrap_or_default().to_owned();
            let own = format!("identifier={NOTE_SYSTEM}|{}-{index}", one.kept.note.id.0);
            entries.push(json!({
                "fullUrl": urn(&one.kept.note, index),
                "resource": resource,
                "request": {"method": "POST", "url": kind, "ifNoneExist": own},
            }));
        }
        entries.push(json!({
            "fullUrl": urn(&one.kept.note, 99),
            "resource": provenance(one, targets, zone),
            "request": {"method": "POST", "url": "Provenance"},
        }));
    }
    json!({"resourceType": "Bundle", "type": "transaction", "timestamp": now.to_string(), "entry": entries})
}

/// A name for a resource within the bundle, from the note's own number.
fn urn(note: &Note, index: usize) -> String {
    let id = &note.id.0;
    let part = |from: usize, to: usize| id.get(from..to).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-{}-{}-{}{index:02x}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 30)
    )
}

fn resources(one: &Accepted, zone: &TimeZone) -> Vec<Value> {
    let note = &one.kept.note;
    let mut resources = match &note.entry {
        Entry::Vitals(vitals) => vitals_of(note, vitals, zone),
        Entry::Given(given) => vec![given_of(note, given, zone)],
        Entry::Order(order) => vec![order_of(note, order, zone)],
        Entry::Text(text) => vec![document(note, &text.text, zone)],
    };
    for (index, resource) in resources.iter_mut().enumerate() {
        resource["identifier"] = json!([{"system": NOTE_SYSTEM, "value": format!("{}-{index}", note.id.0)}]);
        resource["subject"] = subject(&one.patient);
    }
    resources
}

/// Found by its identifier on the server that takes the transaction.
fn subject(patient: &Patient) -> Value {
    let mut subject = json!({
        "reference": format!("Patient?identifier={}", patient.id.0),
        "identifier": {"value": patient.id.0},
    });
    if !patient.name.is_empty() {
        subject["display"] = patient.name.clone().into();
    }
    subject
}

fn when(at: DateTime, zone: &TimeZone) -> String {
    match at.to_zoned(zone.clone()) {
        Ok(at) => at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        Err(_) => at.date().to_string(),
    }
}

fn vitals_of(note: &Note, vitals: &Vitals, zone: &TimeZone) -> Vec<Value> {
    let measured = vitals.measured();
    let value = |wanted: Part| measured.iter().find(|(part, _)| *part == wanted).map(|(_, value)| *value);
    let mut all = Vec::new();
    if value(Part::Systolic).is_some() || value(Part::Diastolic).is_some() {
        let component = |part: Part| match value(part) {
            Some(value) => json!({"code": code(part), "valueQuantity": quantity(part, value)}),
            None => json!({"code": code(part), "dataAbsentReason": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "not-performed"}]}}),
        };
        let mut panel = observation(note, "http://hl7.org/fhir/StructureDefinition/bp", zone);
        panel["code"] = json!({"coding": [{"system": LOINC, "code": "85354-9",
            "display": "Blood pressure panel with all children optional"}], "text": "血圧"});
        panel["component"] = json!([component(Part::Systolic), component(Part::Diastolic)]);
        all.push(panel);
    }
    for (part, measured) in &measured {
        if matches!(part, Part::Systolic | Part::Diastolic) {
            continue;
        }
        let profile = match part {
            Part::Temperature => "http://hl7.org/fhir/StructureDefinition/bodytemp",
            Part::Pulse => "http://hl7.org/fhir/StructureDefinition/heartrate",
            Part::Respiration => "http://hl7.org/fhir/StructureDefinition/resprate",
            Part::Spo2 => "http://hl7.org/fhir/StructureDefinition/oxygensat",
            Part::Weight => "http://hl7.org/fhir/StructureDefinition/bodyweight",
            _ => "",
        };
        let mut one = observation(note, profile, zone);
        one["code"] = code(*part);
        one["valueQuantity"] = quantity(*part, *measured);
        all.push(one);
    }
    all
}

fn observation(note: &Note, profile: &str, zone: &TimeZone) -> Value {
    // Pain on a scale is a survey; the others are vital signs in the sense of the profile.
    let category = if profile.is_empty() { "survey" } else { "vital-signs" };
    let mut observation = json!({
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": category}]}],
        "effectiveDateTime": when(note.at, zone),
        "performer": [{"display": note.author}],
    });
    if !profile.is_empty() {
        observation["meta"] =
            json!({"profile": ["http://hl7.org/fhir/StructureDefinition/vitalsigns", profile]});
    }
    observation
}

fn code(part: Part) -> Value {
    let (code, display) = loinc(part).unwrap_or_default();
    let mut codings = vec![json!({"system": LOINC, "code": code, "display": display})];
    if part == Part::Spo2 {
        codings.push(json!({"system": LOINC, "code": "59408-5",
            "display": "Oxygen saturation in Arterial blood by Pulse oximetry"}));
    }
    json!({"coding": codings, "text": part.word(Lang::Ja)})
}

fn quantity(part: Part, value: f64) -> Value {
    match part {
        Part::Pain => json!({"value": value, "unit": "score", "system": UCUM, "code": "{score}"}),
        part => json!({"value": value, "unit": part.unit_word(), "system": UCUM, "code": part.unit()}),
    }
}

fn given_of(note: &Note, given: &Given, zone: &TimeZone) -> Value {
    let mut resource = json!({
        "resourceType": "MedicationAdministration",
        "status": if given.was_given { "completed" } else { "not-done" },
        "medicationCodeableConcept": {"text": given.drug},
        "effectiveDateTime": when(note.at, zone),
        "performer": [{"actor": {"display": note.author}}],
    });
    let mut dosage = json!({});
    if !given.dose.trim().is_empty() {
        dosage["text"] = given.dose.clone().into();
        if let Some((number, unit)) = amount(&given.dose)
            && given.was_given
        {
            dosage["dose"] = json!({"value": number.parse::<f64>().unwrap_or_default(), "unit": unit});
        }
    }
    if !given.route.trim().is_empty() {
        dosage["route"] = json!({"text": given.route});
    }
    // mad-1: a dosage says a dose or a rate.
    if dosage.get("dose").is_some() {
        resource["dosage"] = dosage;
    } else if dosage.as_object().is_some_and(|dosage| !dosage.is_empty()) {
        let words = [given.dose.as_str(), &given.route].join(" ");
        resource["note"] = json!([{"text": words.trim()}]);
    }
    if !given.was_given {
        resource["statusReason"] = json!([{"text": given.remark}]);
    } else if !given.remark.trim().is_empty() {
        let mut notes = resource["note"].as_array().cloned().unwrap_or_default();
        notes.push(json!({"text": given.remark}));
        resource["note"] = notes.into();
    }
    resource
}

fn order_of(note: &Note, order: &Order, zone: &TimeZone) -> Value {
    let by = if order.ordered_by.trim().is_empty() { &note.author } else { &order.ordered_by };
    let at = when(note.at, zone);
    let is_drug = matches!(order.order, OrderKind::Prescription | OrderKind::Injection);
    let mut resource = if is_drug {
        json!({"resourceType": "MedicationRequest", "status": "active", "intent": "order",
            "category": [{"text": order.order.word(Lang::Ja)}], "medicationCodeableConcept": {"text": order.what}})
    } else {
        json!({"resourceType": "ServiceRequest", "status": "active", "intent": "order",
            "category": [{"text": order.order.word(Lang::Ja)}], "code": {"text": order.what}})
    };
    resource["authoredOn"] = at.into();
    resource["requester"] = json!({"display": by});
    match (order.directions.trim().is_empty(), is_drug) {
        (true, _) => {}
        (false, true) => resource["dosageInstruction"] = json!([{"text": order.directions}]),
        (false, false) => resource["note"] = json!([{"text": order.directions}]),
    }
    resource
}

fn document(note: &Note, text: &str, zone: &TimeZone) -> Value {
    json!({
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "final",
        "type": {"coding": [{"system": LOINC, "code": "34109-9", "display": "Note"}], "text": "停止中の記録"},
        "date": when(note.at, zone),
        "author": [{"display": note.author}],
        "content": [{"attachment": {"contentType": "text/plain; charset=utf-8", "language": "ja",
            "data": base64::engine::general_purpose::STANDARD.encode(text), "title": "停止中の記録"}}],
    })
}

/// Who wrote it, and who decided that it goes into the record.
fn provenance(one: &Accepted, targets: Vec<Value>, zone: &TimeZone) -> Value {
    let agent = |code: &str, who: &str| {
        json!({"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": code}]},
            "who": {"display": who}})
    };
    let note = &one.kept.note;
    json!({
        "resourceType": "Provenance",
        "target": targets,
        "occurredDateTime": when(note.at, zone),
        "recorded": one.decided_at.to_string(),
        "activity": {"text": format!("{} ({})", one.choice.word(Lang::En), one.decision)},
        "reason": [{"text": "entered while the electronic medical record was down"}],
        "agent": [agent("author", &note.author), agent("verifier", &one.decided_by)],
        "entity": [{"role": "source", "what": {"identifier": {"system": NOTE_SYSTEM, "value": note.id.0}, "display": note.device}}],
    })
}
