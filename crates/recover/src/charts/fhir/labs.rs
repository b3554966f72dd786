//! Observation: laboratory results, vital signs, blood type.

use decode::fhir::Node;

use super::resource::Resource;
use crate::charts::labs::flag_of;
use crate::charts::model::{Answer, LabFlag, LabResult};
use crate::charts::parts::Part;

/// JLAC10 and JLAC11 by their systems, then LOINC.
const TESTS: [&str; 6] =
    ["1.2.392.200119.4.1005", "JLAC10", "1.2.392.200119.4.504", "JLAC11", "jlac", "loinc.org"];
const ABO: [&str; 3] = ["883-9", "882-1", "5H010"];
const RH: [&str; 2] = ["10331-7", "5H020"];
const HEIGHT: [&str; 2] = ["8302-2", "9N001"];
const WEIGHT: [&str; 2] = ["29463-7", "9N006"];
/// Sections of a record that are no measurements. What has none of these categories is shown.
const ELSEWHERE: [&str; 7] =
    ["social-history", "survey", "exam", "imaging", "procedure", "therapy", "activity"];

/// Returns what it is counted as instead, when it is not shown.
pub(super) fn observation(
    resource: &Resource<'_>,
    parts: &mut Vec<Part>,
) -> Result<Option<String>, &'static str> {
    let categories: Vec<&str> =
        resource.get("category").each().flat_map(|one| one.codings()).map(|coding| coding.code).collect();
    let is_measured = categories.iter().any(|code| matches!(*code, "laboratory" | "vital-signs" | "LAB"));
    let elsewhere = categories.iter().find(|code| ELSEWHERE.contains(code)).filter(|_| !is_measured);
    if let Some(category) = elsewhere {
        return Ok(Some(format!("Observation ({category})")));
    }
    if matches!(resource.status(), "cancelled" | "registered") {
        return Ok(Some(format!("Observation ({})", resource.status())));
    }
    let mut shown = measured(resource, resource.node, parts);
    for component in resource.get("component").each() {
        shown |= measured(resource, component, parts);
    }
    match shown {
        true => Ok(None),
        // Panels name their members, which are resources of their own.
        false if resource.get("hasMember").is_some() => Ok(Some("Observation (panel)".to_owned())),
        false if resource.get("dataAbsentReason").is_some() => Ok(Some("Observation (no value)".to_owned())),
        false => Err("it has no value that can be shown"),
    }
}

/// The observation itself, or one component of it.
fn measured(resource: &Resource<'_>, node: Node<'_>, parts: &mut Vec<Part>) -> bool {
    let code = node.get("code");
    let name = code.label();
    let Some((value, unit)) = value(resource, node) else { return false };
    if name.is_empty() || value.is_empty() {
        return false;
    }
    let is = |codes: &[&str]| {
        code.codings().any(|coding| codes.iter().any(|known| coding.code.starts_with(known)))
    };
    let answer = || resource.item(Answer { value: joined_unit(&value, &unit) });
    let is_abo = is(&ABO) || name.contains("血液型") && name.to_uppercase().contains("ABO");
    if is_abo {
        parts.push(Part::BloodAbo(answer()));
    } else if is(&RH) || name.contains("血液型") && name.to_uppercase().contains("RH") {
        parts.push(Part::BloodRh(answer()));
    } else if is(&HEIGHT) {
        parts.push(Part::Height(answer()));
    } else if is(&WEIGHT) {
        parts.push(Part::Weight(answer()));
    }
    let range = range(node);
    let (flag, flag_computed) = flag(node, &value, &range);
    let times = ["effectiveDateTime", "effectiveInstant", "issued"];
    let at = times.into_iter().find_map(|field| resource.time(resource.get(field)));
    let at = at.or_else(|| resource.time(resource.get("effectivePeriod").get("start")));
    let preliminary = !matches!(resource.status(), "final" | "amended" | "corrected" | "");
    let result = LabResult { value, unit, range, flag, flag_computed, at, preliminary };
    let coding = code.code_in(&TESTS).map_or_else(|| code.code(), |coding| coding.code);
    parts.push(Part::Lab { code: coding.to_owned(), name, result: resource.item(result) });
    true
}

fn joined_unit(value: &str, unit: &str) -> String {
    if unit.is_empty() { value.to_owned() } else { format!("{value} {unit}") }
}

/// `value[x]`, as text with its unit.
fn value(resource: &Resource<'_>, node: Node<'_>) -> Option<(String, String)> {
    let plain = |text: String| Some((text, String::new())).filter(|(text, _)| !text.is_empty());
    if let Some(quantity) = node.get("valueQuantity").quantity() {
        return Some(quantity);
    }
    plain(node.get("valueCodeableConcept").label())
        .or_else(|| plain(node.get("valueString").text().to_owned()))
        .or_else(|| node.get("valueInteger").number().and_then(plain))
        .or_else(|| plain(if node.get("valueBoolean").flag()? { "+" } else { "-" }.to_owned()))
        .or_else(|| {
            let (low, high) = (
                node.get("valueRange").get("low").quantity()?,
                node.get("valueRange").get("high").quantity()?,
            );
            Some((format!("{}-{}", low.0, high.0), low.1))
        })
        .or_else(|| {
            let ratio = node.get("valueRatio");
            let (top, bottom) = (ratio.get("numerator").quantity()?, ratio.get("denominator").quantity()?);
            plain(format!("{}:{}", top.0, bottom.0))
        })
        .or_else(|| plain(resource.time(node.get("valueDateTime")).map(crate::charts::words::minute)?))
        .or_else(|| plain(node.get("valueTime").text().to_owned()))
        .or_else(|| node.get("valueSampledData").is_some().then(|| ("~".to_owned(), String::new())))
}

/// The normal range: `3.5-4.5`, `<5`, or its text.
fn range(node: Node<'_>) -> String {
    let is_normal = |one: &Node<'_>| matches!(one.get("type").code(), "" | "normal");
    let Some(range) = node.get("referenceRange").each().find(is_normal) else { return String::new() };
    let (low, high) = (range.get("low").quantity(), range.get("high").quantity());
    match (low, high) {
        (Some((low, _)), Some((high, _))) => format!("{low}-{high}"),
        (Some((low, _)), None) => format!(">={low}"),
        (None, Some((high, _))) => format!("<={high}"),
        (None, None) => range.get("text").text().to_owned(),
    }
}

fn flag(node: Node<'_>, value: &str, range: &str) -> (LabFlag, bool) {
    let codes: Vec<&str> =
        node.get("interpretation").each().map(Node::code).filter(|code| !code.is_empty()).collect();
    match codes.as_slice() {
        // Words of v3-ObservationInterpretation for what is there or not.
        [] => flag_of("", value, range),
        codes if codes.iter().any(|code| matches!(*code, "POS" | "DET" | "RR" | "R")) => {
            (LabFlag::Abnormal, false)
        }
        codes if codes.iter().any(|code| matches!(*code, "NEG" | "ND" | "NR" | "S")) => {
            (LabFlag::Normal, false)
        }
        codes => {
            codes.iter().map(|code| flag_of(code, value, range)).min().unwrap_or((LabFlag::Unknown, false))
        }
    }
}
