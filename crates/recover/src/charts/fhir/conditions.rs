//! AllergyIntolerance and Condition.

use decode::fhir::Node;

use super::resource::{Resource, joined};
use crate::charts::model::{Allergy, Problem};
use crate::charts::parts::Part;

/// Codes of substances and findings, in the order of trust.
const SUBSTANCES: [&str; 6] = ["Jfagy", "YJ", "HOT", "rxnorm", "snomed", "icd"];
const ICD10: [&str; 3] = ["ICD10", "icd-10", "1.2.392.200119.4.101"];

/// What a status adds to a name, so that nobody takes it for more than it is.
fn remark(status: &str, plain: &[&str]) -> String {
    if status.is_empty() || plain.contains(&status) { String::new() } else { format!(" ({status})") }
}

/// A table 0127 category, as SS-MIX2 has it: what is a drug decides over an alert.
fn category(resource: &Resource<'_>) -> (&'static str, String) {
    let recorded =
        resource.get("category").each().map(Node::text).find(|text| !text.is_empty()).unwrap_or_default();
    let by_code = || resource.get("code").code_in(&["JfagyMedication", "JfagyFood", "NonFoodNonMedication"]);
    let code = match recorded {
        "medication" | "biologic" => "DA",
        "food" => "FA",
        "environment" => "EA",
        "" => match by_code().map(|coding| coding.system) {
            Some(system) if system.contains("JfagyMedication") => "DA",
            Some(system) if system.contains("JfagyFood") => "FA",
            _ => "",
        },
        _ => "MA",
    };
    (code, recorded.to_owned())
}

pub(super) fn allergy(resource: &Resource<'_>, parts: &mut Vec<Part>) -> Result<(), &'static str> {
    let reactions: Vec<Node<'_>> = resource.get("reaction").each().collect();
    let of_reaction =
        || reactions.iter().map(|one| one.get("substance").label()).find(|name| !name.is_empty());
    let name = Some(resource.get("code").label()).filter(|name| !name.is_empty()).or_else(of_reaction);
    let name = name.ok_or("it names no substance")?;
    let clinical = resource.get("clinicalStatus").code();
    let verified = resource.get("verificationStatus").code();
    let substance = format!("{name}{}{}", remark(clinical, &["active"]), remark(verified, &["confirmed"]));
    let (category_code, category) = category(resource);
    let grades: Vec<&str> = reactions.iter().map(|one| one.get("severity").text()).collect();
    let is_critical = resource.get("criticality").text() == "high";
    let severity_code = match () {
        () if is_critical || grades.contains(&"severe") => "SV",
        () if grades.contains(&"moderate") => "MO",
        () if grades.contains(&"mild") => "MI",
        () => "",
    };
    let severity = joined(grades.iter().copied().chain(is_critical.then_some("high risk")), " / ");
    let manifestations: Vec<String> =
        reactions.iter().flat_map(|one| one.get("manifestation").each()).map(Node::label).collect();
    let notes: Vec<&str> = resource.get("note").each().map(|note| note.get("text").text()).collect();
    let onset = resource.get("onsetDateTime");
    let since = [onset.text(), resource.get("onsetString").text()].into_iter().find(|text| !text.is_empty());
    let allergy = Allergy {
        substance,
        code: resource.get("code").code_in(&SUBSTANCES).map_or("", |coding| coding.code).to_owned(),
        category_code: category_code.to_owned(),
        category,
        severity_code: severity_code.to_owned(),
        severity,
        reaction: joined(manifestations.iter().map(String::as_str).chain(notes), "、"),
        since: since.map(|text| text.split('T').next().unwrap_or(text)).unwrap_or_default().to_owned(),
    };
    parts.push(Part::Allergy(resource.item(allergy)));
    Ok(())
}

pub(super) fn problem(resource: &Resource<'_>, parts: &mut Vec<Part>) -> Result<(), &'static str> {
    let code = resource.get("code");
    let name = code.label();
    if name.is_empty() {
        return Err("it has no name");
    }
    let verified = remark(resource.get("verificationStatus").code(), &["confirmed"]);
    let (onset, end) = (resource.get("onsetDateTime"), resource.get("abatementDateTime"));
    let onset = if onset.is_some() { onset } else { resource.get("onsetPeriod").get("start") };
    let end = if end.is_some() { end } else { resource.get("abatementPeriod").get("end") };
    // A year is no day: it stands with the name, and the day stays unknown.
    let part =
        onset.when().and_then(|when| when.part()).map(|part| format!(" ({part}–)")).unwrap_or_default();
    let clinical = resource.get("clinicalStatus").code();
    let active = match clinical {
        "active" | "recurrence" | "relapse" => Some(true),
        "inactive" | "remission" | "resolved" => Some(false),
        _ => end.is_some().then_some(false),
    };
    let problem = Problem {
        name: format!("{name}{verified}{part}"),
        icd10: code.code_in(&ICD10).map_or("", |coding| coding.code).to_owned(),
        main: false,
        since: resource.day(onset),
        until: resource.day(end),
        outcome: if clinical == "active" { String::new() } else { clinical.to_owned() },
        active: false,
    };
    parts.push(Part::Problem(resource.item(problem), active));
    Ok(())
}
