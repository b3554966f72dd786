//! MedicationRequest, MedicationStatement and MedicationAdministration.

use decode::fhir::{Node, Wrong};
use jiff::ToSpan;

use super::resource::{Resource, joined};
use crate::charts::model::{Course, Drug, Given, Medication, Route};
use crate::charts::parts::{Part, Said};

/// HOT9, HOT7, YJ and what the world uses, in that order.
const DRUGS: [&str; 8] =
    ["HOT", "1.2.392.100495.20.2.74", "200119.4.403", "YJ", "100495.20.1.73", "rxnorm", "atc", "snomed"];
/// Longest course that a number of days may span.
const DAYS_MAX: u64 = 3_660;

/// The drug in `medicationCodeableConcept`, or the Medication that `medicationReference` leads to with its ingredients.
fn drugs(resource: &Resource<'_>) -> Vec<Drug> {
    let concept = resource.get("medicationCodeableConcept");
    if concept.is_some() {
        return vec![drug(concept, String::new())];
    }
    let reference = resource.get("medicationReference");
    let Some(found) = resource.follow(reference) else {
        let named = |name: &str| Drug {
            name: name.to_owned(),
            code: String::new(),
            dose: String::new(),
            per_day: String::new(),
        };
        return vec![named(reference.get("display").text())];
    };
    let wrong = Wrong::default();
    let medication = Node::new(&found, &wrong);
    let whole = drug(medication.get("code"), String::new());
    let ingredients = medication.get("ingredient").each().map(|one| {
        let strength = one.get("strength").get("numerator").amount();
        drug(one.get("itemCodeableConcept"), strength)
    });
    let mut all: Vec<Drug> = ingredients.filter(|one| !one.name.is_empty()).collect();
    // The ingredients of one drug are its own business; those of a mixture are what is given.
    if all.len() < 2 && !whole.name.is_empty() {
        all = vec![whole];
    }
    all
}

fn drug(concept: Node<'_>, dose: String) -> Drug {
    let code = concept.code_in(&DRUGS).map_or_else(|| concept.code(), |coding| coding.code);
    Drug { name: concept.label(), code: code.to_owned(), dose, per_day: String::new() }
}

/// Amount for one time, and for a day where a rate says so.
fn dose(instruction: Node<'_>) -> (String, String) {
    let rates: Vec<Node<'_>> = instruction.get("doseAndRate").each().collect();
    let dose = rates.iter().map(|one| one.get("doseQuantity").amount()).find(|dose| !dose.is_empty());
    let per_day = rates.iter().map(|one| one.get("rateRatio")).find_map(|ratio| {
        let per = ratio.get("denominator");
        let is_day =
            matches!(per.get("code").text(), "d") || matches!(per.get("unit").text(), "日" | "d" | "day");
        is_day.then(|| ratio.get("numerator").amount())
    });
    let rate = rates.iter().map(|one| one.get("rateQuantity").amount()).find(|rate| !rate.is_empty());
    let dose = match (dose, rate) {
        (Some(dose), Some(rate)) => format!("{dose} ({rate})"),
        (dose, rate) => dose.or(rate).unwrap_or_default(),
    };
    (dose, per_day.unwrap_or_default())
}

fn usage(instruction: Node<'_>) -> String {
    let text = instruction.get("text").text().to_owned();
    let (timing, route) = (instruction.get("timing").get("code").label(), instruction.get("route").label());
    let more: Vec<String> = instruction.get("additionalInstruction").each().map(Node::label).collect();
    let as_needed = instruction.get("asNeededCodeableConcept").label();
    let said = |part: &String| !part.is_empty() && !text.contains(part.as_str());
    let rest = [timing, route, as_needed].into_iter().chain(more).filter(said).collect::<Vec<_>>();
    joined(std::iter::once(text.as_str()).chain(rest.iter().map(String::as_str)), " / ")
}

/// By the words and codes of the route, since FHIR knows no two sorts of order.
fn route(instructions: &[Node<'_>]) -> Route {
    let is_injected = instructions.iter().map(|one| one.get("route")).any(|route| {
        let label = route.label().to_lowercase();
        let words = ["注", "点滴", "intraven", "intramus", "subcut", "infusion"];
        let codes = ["47625008", "78421000", "34206005", "IV", "IM", "SC"];
        words.iter().any(|word| label.contains(word)) || codes.contains(&route.code())
    });
    if is_injected { Route::Injection } else { Route::Prescription }
}

/// A Duration in days and weeks.
fn days(duration: Node<'_>) -> Option<u16> {
    let number = duration.get("value").count()?;
    let unit =
        [duration.get("code").text(), duration.get("unit").text()].into_iter().find(|unit| !unit.is_empty());
    let factor = match unit.unwrap_or("d") {
        "d" | "日" | "日分" | "day" | "days" => 1,
        "wk" | "週" => 7,
        "mo" => return None,
        _ => return None,
    };
    number
        .checked_mul(factor)
        .filter(|days| (1..=DAYS_MAX).contains(days))
        .and_then(|days| u16::try_from(days).ok())
}

pub(super) fn ordered(resource: &Resource<'_>, parts: &mut Vec<Part>) -> Result<(), &'static str> {
    let is_request = resource.kind == "MedicationRequest";
    let instructions: Vec<Node<'_>> =
        resource.get(if is_request { "dosageInstruction" } else { "dosage" }).each().collect();
    let mut drugs = drugs(resource);
    drugs.retain(|drug| !drug.name.is_empty());
    let first = drugs.first_mut().ok_or("it names no drug")?;
    if let Some(instruction) = instructions.first() {
        let (dose, per_day) = dose(*instruction);
        if !dose.is_empty() {
            first.dose = dose;
        }
        first.per_day = per_day;
    }
    let usages: Vec<String> = instructions.iter().map(|one| usage(*one)).collect();
    let of_instruction =
        |get: &dyn Fn(Node<'_>) -> Option<u16>| instructions.iter().find_map(|one| get(*one));
    let days = of_instruction(&|one| days(one.get("timing").get("repeat").get("boundsDuration")))
        .or_else(|| of_instruction(&|one| days(one.extension("UsageDuration", "valueDuration"))))
        .or_else(|| days(resource.get("dispenseRequest").get("expectedSupplyDuration")));
    let day_in = |get: &dyn Fn(Node<'_>, &'static str) -> Option<jiff::civil::Date>, end: &'static str| {
        instructions.iter().find_map(|one| {
            get(one.get("timing").get("repeat").get("boundsPeriod"), end)
                .or_else(|| get(one.extension("PeriodOfUse", "valuePeriod"), end))
        })
    };
    let edge = |period: Node<'_>, end: &'static str| resource.day(period.get(end));
    let start = day_in(&edge, "start")
        .or_else(|| edge(resource.get("effectivePeriod"), "start"))
        .or_else(|| edge(resource.get("dispenseRequest").get("validityPeriod"), "start"))
        .or_else(|| {
            ["effectiveDateTime", "authoredOn"].into_iter().find_map(|name| resource.day(resource.get(name)))
        });
    let lasts = |start: jiff::civil::Date| start.checked_add(i64::from(days?).saturating_sub(1).days()).ok();
    let until = day_in(&edge, "end")
        .or_else(|| edge(resource.get("effectivePeriod"), "end"))
        .or_else(|| start.and_then(lasts));
    let who = if is_request { resource.get("requester") } else { resource.get("informationSource") };
    let order =
        resource.get("identifier").each().map(|one| one.get("value").text()).find(|value| value.len() > 2);
    let medication = Medication {
        route: route(&instructions),
        drugs,
        usage: joined(usages.iter().map(String::as_str), " / "),
        start,
        until,
        days,
        state: Course::Open,
        ordered_by: resource.name(who),
        order: order.unwrap_or_else(|| resource.get("id").text()).to_owned(),
    };
    parts.push(Part::Medication(resource.item(medication), said(resource)));
    Ok(())
}

/// JP-CLINS calls every prescription "completed", for it has been written; elsewhere the patient has taken it.
fn said(resource: &Resource<'_>) -> Said {
    let profiles = || resource.get("meta").get("profile").each().map(Node::text);
    match resource.status() {
        "stopped" | "cancelled" | "on-hold" | "not-taken" => Said::Stopped,
        "completed" if !profiles().any(|profile| profile.contains("jpfhir.jp")) => Said::Over,
        _ => Said::Nothing,
    }
}

pub(super) fn given(resource: &Resource<'_>, parts: &mut Vec<Part>) -> Result<(), &'static str> {
    let at = ["effectiveDateTime", "effectiveInstant"]
        .into_iter()
        .find_map(|name| resource.time(resource.get(name)));
    let at = at.or_else(|| resource.time(resource.get("effectivePeriod").get("start")));
    let dosage = resource.get("dosage");
    let text = || dosage.get("text").text().to_owned();
    let dose = Some(dosage.get("dose").amount()).filter(|dose| !dose.is_empty()).unwrap_or_else(text);
    // Table 0322, as SS-MIX2 has it.
    let status = match resource.status() {
        "completed" => "CP",
        "not-done" => "NA",
        "in-progress" | "stopped" => "PA",
        other => other,
    };
    let by = resource
        .get("performer")
        .each()
        .map(|one| resource.name(one.get("actor")))
        .find(|name| !name.is_empty());
    let mut drugs = drugs(resource);
    drugs.retain(|drug| !drug.name.is_empty());
    if drugs.is_empty() {
        return Err("it names no drug");
    }
    let only = drugs.len() == 1;
    for mut drug in drugs {
        if only || drug.dose.is_empty() {
            drug.dose.clone_from(&dose);
        }
        let given = Given { drug, at, status: status.to_owned(), by: by.clone().unwrap_or_default() };
        parts.push(Part::Given(resource.item(given)));
    }
    Ok(())
}
