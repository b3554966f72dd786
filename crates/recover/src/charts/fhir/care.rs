//! Encounter, NutritionOrder and Appointment.

use std::collections::HashSet;

use decode::fhir::{Node, Wrong};

use super::index::is_here;
use super::resource::{Resource, joined};
use crate::charts::model::{Appointment, Bed, Meal, Stay, Visit};
use crate::charts::parts::Part;

/// A bed, its room, its ward, its building.
const LEVELS_MAX: usize = 5;

/// Returns what it is counted as instead, when it is not shown.
pub(super) fn encounter(resource: &Resource<'_>, parts: &mut Vec<Part>) -> Option<String> {
    let (status, class) = (resource.status(), resource.get("class").get("code").text());
    let period = resource.get("period");
    let (start, end) = (resource.time(period.get("start")), resource.time(period.get("end")));
    let doctor = doctor(resource);
    let dept = department(resource);
    if matches!(status, "cancelled" | "entered-in-error") {
        return Some(format!("Encounter ({status})"));
    }
    if status == "planned" || class == "PRENC" {
        let what = resource.get("type").first().label();
        let booked = Appointment { at: start, dept, doctor, what, status: status.to_owned() };
        parts.push(Part::Appointment(resource.item(booked)));
        return None;
    }
    let is_stay = matches!(class, "IMP" | "ACUTE" | "NONAC" | "inpatient")
        || class.is_empty() && resource.get("hospitalization").is_some();
    if !is_stay {
        parts.push(Part::Visit(resource.item(Visit { at: start, dept, doctor })));
        return None;
    }
    let is_here = is_here(status);
    let bed = bed(resource);
    if is_here && bed != Bed::default() {
        parts.push(Part::Bed(resource.item(bed.clone()), start));
    }
    // One that is over and has no end is not one that goes on.
    let discharged = if is_here { None } else { end.or(start) };
    parts.push(Part::Stay(resource.item(Stay { admitted: start, discharged, bed, dept, doctor })));
    let diets: Vec<String> =
        resource.get("hospitalization").get("dietPreference").each().map(Node::label).collect();
    let diet = joined(diets.iter().map(String::as_str), "・");
    if is_here && !diet.is_empty() {
        let meal = Meal { diet, instruction: String::new(), timing: String::new(), start };
        parts.push(Part::Meal(resource.item(meal)));
    }
    None
}

/// Who attends, else whoever takes part first.
fn doctor(resource: &Resource<'_>) -> String {
    let all: Vec<Node<'_>> = resource.get("participant").each().collect();
    let attends = |one: &&Node<'_>| one.get("type").each().any(|kind| kind.code() == "ATND");
    let chosen = all.iter().find(attends).or(all.first());
    chosen.map(|one| resource.name(one.get("individual"))).unwrap_or_default()
}

fn department(resource: &Resource<'_>) -> String {
    let service = resource.get("serviceType").label();
    if service.is_empty() { resource.name(resource.get("serviceProvider")) } else { service }
}

/// Ward, room and bed from the places of an encounter that hold now, or held last.
pub(super) fn bed(resource: &Resource<'_>) -> Bed {
    let all: Vec<Node<'_>> = resource.get("location").each().collect();
    let holds = |one: &&Node<'_>| matches!(one.get("status").text(), "active" | "");
    let mut chosen: Vec<Node<'_>> = all.iter().filter(holds).copied().collect();
    if chosen.is_empty() {
        chosen.extend(all.last());
    }
    let mut bed = Bed::default();
    for one in chosen {
        let reference = one.get("location");
        match resource.follow(reference) {
            Some(_) => place(resource, reference, &mut bed),
            None if bed.ward.is_empty() => resource.name(reference).clone_into(&mut bed.ward),
            None => {}
        }
    }
    bed
}

/// Takes over a place and those that it is part of. The names of the larger ones come from the places, not from guesses.
fn place(resource: &Resource<'_>, reference: Node<'_>, bed: &mut Bed) {
    let mut next = reference.value().cloned();
    let mut seen = HashSet::new();
    for _ in 0..LEVELS_MAX {
        let Some(reference) = next.take() else { return };
        let wrong = Wrong::default();
        let Some(found) = resource.follow(Node::new(&reference, &wrong)) else { return };
        let node = Node::new(&found, &wrong);
        if !seen.insert(node.get("id").text().to_owned()) {
            return;
        }
        let slot = match node.get("physicalType").code() {
            "bd" => Some(&mut bed.bed),
            "ro" => Some(&mut bed.room),
            "wa" => Some(&mut bed.ward),
            // A building or site is no ward; without a type, it is what there is.
            "" => Some(&mut bed.ward),
            _ => None,
        };
        if let Some(slot) = slot.filter(|slot| slot.is_empty()) {
            node.get("name").text().clone_into(slot);
        }
        next = node.get("partOf").value().cloned();
    }
}

pub(super) fn nutrition(
    resource: &Resource<'_>,
    parts: &mut Vec<Part>,
) -> Result<Option<String>, &'static str> {
    if matches!(resource.status(), "revoked" | "on-hold" | "draft" | "proposal" | "planned") {
        return Ok(Some(format!("NutritionOrder ({})", resource.status())));
    }
    let oral = resource.get("oralDiet");
    let types: Vec<String> = oral.get("type").each().map(Node::label).collect();
    let texture: Vec<String> = oral.get("texture").each().map(|one| one.get("modifier").label()).collect();
    let enteral = resource.get("enteralFormula").get("baseFormulaProductName").text();
    let diet = joined(types.iter().chain(&texture).map(String::as_str).chain([enteral]), "・");
    let nutrients: Vec<String> = oral
        .get("nutrient")
        .each()
        .map(|one| {
            format!("{} {}", one.get("modifier").label(), one.get("amount").amount()).trim().to_owned()
        })
        .collect();
    let excluded: Vec<String> =
        resource.get("excludeFoodModifier").each().map(|one| format!("✕ {}", one.label())).collect();
    let notes: Vec<&str> = resource.get("note").each().map(|note| note.get("text").text()).collect();
    let instruction = joined(
        std::iter::once(oral.get("instruction").text())
            .chain(nutrients.iter().chain(&excluded).map(String::as_str))
            .chain(notes),
        "、",
    );
    if diet.is_empty() && instruction.is_empty() {
        return Err("it orders no diet");
    }
    let timing: Vec<String> = oral.get("schedule").each().map(|one| one.get("code").label()).collect();
    let start = resource.time(resource.get("dateTime"));
    let meal = Meal { diet, instruction, timing: joined(timing.iter().map(String::as_str), " "), start };
    parts.push(Part::Meal(resource.item(meal)));
    Ok(None)
}

pub(super) fn appointment(resource: &Resource<'_>, parts: &mut Vec<Part>) {
    let service: Vec<String> = ["serviceType", "specialty"]
        .into_iter()
        .flat_map(|name| resource.get(name).each())
        .map(Node::label)
        .collect();
    let doctor = resource.get("participant").each().map(|one| one.get("actor")).find(|actor| {
        let literal = actor.get("reference").text();
        literal.contains("Practitioner") || actor.get("type").text().starts_with("Practitioner")
    });
    let reasons: Vec<String> = resource.get("reasonCode").each().map(Node::label).collect();
    let kind = resource.get("appointmentType").label();
    let what = joined(
        [resource.get("description").text(), &kind, resource.get("comment").text()]
            .into_iter()
            .chain(reasons.iter().map(String::as_str)),
        "、",
    );
    let booked = Appointment {
        at: resource.time(resource.get("start")),
        dept: joined(service.iter().map(String::as_str), " "),
        doctor: doctor.map(|actor| resource.name(actor)).unwrap_or_default(),
        what,
        status: resource.status().to_owned(),
    };
    parts.push(Part::Appointment(resource.item(booked)));
}
