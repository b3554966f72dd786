//! Patient.

use decode::fhir::Node;

use super::resource::{Resource, joined};
use crate::charts::model::{Banner, Sex};
use crate::charts::parts::Part;

/// Under which identifiers of JP Core a hospital knows its patients; what follows is the number of the institution.
const HOSPITAL_SYSTEM: &str = "1.2.392.100495.20.3.51.";
/// Types of identifier (table 0203) that are no hospital's.
const NOT_OURS: [&str; 8] = ["SS", "DL", "PPN", "NI", "JHN", "SB", "TAX", "MC"];

/// The id that the hospital knows a patient by: a record number, else what JP Core says, else what is in official use.
pub(super) fn hospital_id(patient: Node<'_>) -> Option<String> {
    let all: Vec<Node<'_>> =
        patient.get("identifier").each().filter(|one| !one.get("value").text().is_empty()).collect();
    let is_type =
        |one: &Node<'_>, types: &[&str]| one.get("type").codings().any(|coding| types.contains(&coding.code));
    let found = all
        .iter()
        .find(|one| one.get("use").text() != "old" && is_type(one, &["MR"]))
        .or_else(|| all.iter().find(|one| one.get("system").text().contains(HOSPITAL_SYSTEM)))
        .or_else(|| all.iter().find(|one| is_type(one, &["PI"])))
        .or_else(|| {
            all.iter()
                .find(|one| matches!(one.get("use").text(), "usual" | "official") && !is_type(one, &NOT_OURS))
        });
    found.map(|one| one.get("value").text().to_owned())
}

pub(super) fn sex(gender: &str) -> Option<Sex> {
    match gender {
        "male" => Some(Sex::Male),
        "female" => Some(Sex::Female),
        "" | "unknown" => None,
        _ => Some(Sex::Other),
    }
}

pub(super) fn person(patient: &Resource<'_>, parts: &mut Vec<Part>) {
    let name = patient.get("name").human_name();
    let address = patient.get("address").first();
    let whole = address.get("text").text();
    let lines: Vec<&str> = address.get("line").each().map(Node::text).collect();
    let spread =
        joined([address.get("state").text(), address.get("city").text()].into_iter().chain(lines), " ");
    let place = if whole.is_empty() { spread.as_str() } else { whole };
    let address = joined([address.get("postalCode").text(), place], " ");
    let mut telecom = patient.get("telecom").each();
    let phone = telecom.find(|one| one.get("system").text() == "phone").map(|one| one.get("value").text());
    parts.push(Part::Person(Box::new(Banner {
        name: name.written,
        kana: name.kana,
        birth_date: patient.day(patient.get("birthDate")),
        sex: sex(patient.get("gender").text()),
        address: (!address.is_empty()).then_some(address),
        phone: phone.filter(|phone| !phone.is_empty()).map(str::to_owned),
        from: Some(patient.from.clone()),
        ..Banner::default()
    })));
}
