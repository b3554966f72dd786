//! The FHIR resources of one source, opened for reading charts.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use decode::fhir::{Node, RESOURCE_BYTES_MAX, Reference, Wrong, parse, reference_of};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use schema::PatientId;
use serde_json::Value;

use super::index::{BROKEN, Entry, Index};
use super::resource::{Lookup, Resource};
use super::{care, conditions, labs, medication, notes, person, read};
use crate::charts::model::{Provenance, Unread};
use crate::charts::parts::{Gathered, Part};
use crate::charts::roster::RosterLine;
use crate::charts::source::Source;

/// So many resources of one patient are read; a lifetime of intensive care has fewer.
const RESOURCES_MAX: usize = 200_000;

/// Files with the names of exports, and, once a chart is asked for, the index of what they hold.
pub(in crate::charts) struct Store {
    exports: Vec<PathBuf>,
    index: OnceLock<Index>,
}

impl Store {
    pub(in crate::charts) fn new(exports: Vec<PathBuf>) -> Store {
        Store { exports, index: OnceLock::new() }
    }

    fn index(&self, source: &Source<'_>) -> &Index {
        self.index.get_or_init(|| read::index(source, &self.exports))
    }

    /// The files that hold resources.
    pub(in crate::charts) fn files(&self, source: &Source<'_>) -> impl Iterator<Item = &Path> {
        self.index(source).files.iter().map(|file| file.path.as_path())
    }

    /// What could not be read, or is not there, whoever's it is.
    pub(in crate::charts) fn unread(&self, source: &Source<'_>) -> impl Iterator<Item = &Unread> {
        let index = self.index(source);
        index.unread.iter().chain(&index.remarks)
    }

    /// Everybody, with the ward that encounters in progress say.
    pub(in crate::charts) fn roster(&self, source: &Source<'_>, zone: &TimeZone) -> Vec<RosterLine> {
        let index = self.index(source);
        let lookup = lookup(index, source);
        let mut beds = HashMap::new();
        for entry in &index.current {
            let Ok(value) = load(index, source, entry) else { continue };
            let wrong = Wrong::default();
            let mut parts = Vec::new();
            care::encounter(&resource(index, entry, &value, &wrong, zone, &lookup), &mut parts);
            for part in parts {
                if let Part::Bed(bed, since) = part {
                    let known = beds.entry(entry.patient).or_insert((since, bed.value.clone()));
                    if since > known.0 {
                        *known = (since, bed.value);
                    }
                }
            }
        }
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let lines = index.everybody().map(|(slot, person)| RosterLine {
            patient: PatientId(person.shown.to_string()),
            other_ids: other_id(&person.shown, &person.resource),
            name: text(&person.name),
            kana: text(&person.kana),
            birth_date: person.birth_date,
            sex: person.sex,
            bed: beds.remove(&slot).map(|(_, bed)| bed),
        });
        lines.collect()
    }

    /// Everything of the patient who has this id. With `only_hospital_ids`, another source knows the id: a resource's own id that
    /// happens to be the same is somebody else.
    pub(in crate::charts) fn gather(
        &self,
        source: &Source<'_>,
        zone: &TimeZone,
        id: &PatientId,
        only_hospital_ids: bool,
    ) -> Option<(PatientId, Gathered)> {
        let index = self.index(source);
        let mut people = index.find(&id.0);
        people.retain(|slot| !only_hospital_ids || !index.people[*slot as usize].is_nameless_id);
        let first = people.first()?;
        let shown = PatientId(index.people[*first as usize].shown.to_string());
        let mut reading = Reading {
            index,
            source,
            zone,
            lookup: lookup(index, source),
            shown: &shown,
            gathered: Gathered::default(),
            found: HashMap::new(),
            rest: Vec::new(),
        };
        reading.gathered.unread.extend(index.unread.iter().cloned());
        for slot in people {
            reading.person(slot);
        }
        Some((shown.clone(), reading.finish()))
    }
}

fn other_id(shown: &str, resource: &str) -> Vec<String> {
    let id = resource.strip_prefix("Patient/").unwrap_or(resource);
    if id.is_empty() || id == shown { Vec::new() } else { vec![id.to_owned()] }
}

fn lookup<'l>(index: &'l Index, source: &'l Source<'_>) -> Lookup<'l> {
    Lookup::new(move |scope, reference| {
        index.shared(scope, reference).find_map(|entry| {
            let value = load(index, source, &entry).ok()?;
            // Two names may have one hash.
            let Reference::Literal(name) = reference else { return None };
            let text = |field| value.get(field).and_then(Value::as_str).unwrap_or_default();
            let is_it =
                name.starts_with("urn:") || *name == format!("{}/{}", text("resourceType"), text("id"));
            is_it.then_some(value)
        })
    })
}

/// Reads one resource again.
fn load(index: &Index, source: &Source<'_>, entry: &Entry) -> Result<Value, String> {
    let file = index.files.get(entry.file as usize).ok_or("no such file")?;
    let length = usize::try_from(entry.length).unwrap_or(usize::MAX).min(RESOURCE_BYTES_MAX + 1);
    let bytes = source.read_part(&file.path, entry.offset, length).map_err(|error| error.to_string())?;
    parse(&bytes).map_err(|error| error.to_string())
}

fn resource<'r>(
    index: &'r Index,
    entry: &Entry,
    value: &'r Value,
    wrong: &'r Wrong,
    zone: &'r TimeZone,
    lookup: &'r Lookup<'r>,
) -> Resource<'r> {
    let file = index.files.get(entry.file as usize);
    let node = Node::new(value, wrong);
    let kind = node.get("resourceType").text();
    let part = format!("{kind}/{}", node.get("id").text());
    let path = file.map(|file| file.path.display().to_string()).unwrap_or_default();
    let from =
        Provenance { path, part: Some(part), recorded_at: recorded_at(node, zone), other_patient: None };
    Resource { node, kind, from, zone, scope: file.map_or(0, |file| file.scope), lookup }
}

/// When a record was made: what the server says, else what the record says.
fn recorded_at(node: Node<'_>, zone: &TimeZone) -> Option<DateTime> {
    let updated = node.get("meta").get("lastUpdated");
    updated.when().and_then(|when| when.time(zone)).or_else(|| made_at(node, zone))
}

/// The time in a record itself, which no import into a server changes.
fn made_at(node: Node<'_>, zone: &TimeZone) -> Option<DateTime> {
    let fields = ["issued", "recordedDate", "authoredOn", "date", "created", "effectiveDateTime", "dateTime"];
    let found = fields.into_iter().find_map(|name| node.get(name).when()?.time(zone));
    found.or_else(|| {
        ["period", "effectivePeriod"]
            .into_iter()
            .find_map(|name| node.get(name).get("start").when()?.time(zone))
    })
}

/// One patient's resources on their way into a chart.
struct Reading<'r, 's> {
    index: &'r Index,
    source: &'r Source<'s>,
    zone: &'r TimeZone,
    lookup: Lookup<'r>,
    shown: &'r PatientId,
    gathered: Gathered,
    /// What each resource came to, by the patient, its type and its id.
    found: HashMap<(u32, String), Found>,
    /// What has no id.
    rest: Vec<Found>,
}

/// What one resource came to.
struct Found {
    parts: Vec<Part>,
    unread: Option<Unread>,
    not_shown: Option<String>,
    made_at: Option<DateTime>,
    updated: String,
    hash: u64,
    from: Provenance,
}

impl Reading<'_, '_> {
    fn person(&mut self, slot: u32) {
        let entries = self.index.entries_of(slot);
        // The reference that a resource was filed under is a hash; these are the names in full.
        let names = self.names(slot, entries);
        for entry in entries.iter().take(RESOURCES_MAX) {
            match load(self.index, self.source, entry) {
                Ok(value) => self.resource(slot, entry, &value, &names),
                Err(cause) => self.damaged(entry, cause),
            }
        }
        if entries.len() > RESOURCES_MAX {
            let cause = format!("more than {RESOURCES_MAX} resources of one patient");
            self.gathered.unread.push(Unread::because(Path::new("-"), "FHIR", cause));
        }
    }

    fn damaged(&mut self, entry: &Entry, cause: String) {
        let path =
            self.index.files.get(entry.file as usize).map_or(Path::new("-"), |file| file.path.as_path());
        let kind = if entry.kind == BROKEN { "FHIR" } else { self.index.kind_name(entry.kind) };
        self.gathered.unread.push(Unread::because(path, kind, format!("at byte {}: {cause}", entry.offset)));
    }

    /// All that resources of this patient may call the patient.
    fn names(&self, slot: u32, entries: &[Entry]) -> BTreeSet<Reference> {
        let mut names = BTreeSet::new();
        let person = &self.index.people[slot as usize];
        names.insert(Reference::Literal(person.resource.to_string()));
        for entry in entries.iter().filter(|entry| self.index.kind_name(entry.kind) == "Patient") {
            let Ok(value) = load(self.index, self.source, entry) else { continue };
            let wrong = Wrong::default();
            let node = Node::new(&value, &wrong);
            names.insert(Reference::Literal(format!("Patient/{}", node.get("id").text())));
            for identifier in node.get("identifier").each() {
                let text = |name| identifier.get(name).text().to_owned();
                names.insert(Reference::Logical { system: text("system"), value: text("value") });
            }
        }
        names
    }

    fn resource(&mut self, slot: u32, entry: &Entry, value: &Value, names: &BTreeSet<Reference>) {
        let wrong = Wrong::default();
        let mut resource = resource(self.index, entry, value, &wrong, self.zone, &self.lookup);
        resource.from.other_patient = other_patient(value, self.shown, names);
        let mut parts = Vec::new();
        let kind = resource.kind;
        let told = is_error(&resource).map_or_else(|| told(&resource, &mut parts), |kind| Ok(Some(kind)));
        let mut unread = None;
        let mut note = |cause: &str| {
            let part = resource.from.part.as_deref().unwrap_or_default();
            unread = Some(Unread {
                path: format!("{} {part}", resource.from.path),
                kind: kind.to_owned(),
                cause: cause.to_owned(),
            });
        };
        let not_shown = told.unwrap_or_else(|cause| {
            note(cause);
            None
        });
        // A field of the wrong type is missing from what is shown; from what is not shown, nothing is.
        if let (Some(said), true) = (wrong.said(), not_shown.is_none()) {
            note(&said);
        }
        let found = Found {
            parts,
            unread,
            not_shown,
            made_at: if kind == "Patient" {
                None
            } else {
                made_at(resource.node, self.zone).or(resource.from.recorded_at)
            },
            updated: resource.get("meta").get("lastUpdated").text().to_owned(),
            hash: hash(value),
            from: resource.from.clone(),
        };
        let id = resource.get("id").text();
        if id.is_empty() {
            self.rest.push(found);
        } else {
            self.keep((slot, format!("{kind}/{id}")), found);
        }
    }

    /// Of two versions of a resource the newer counts; two that are the same make one; two that are not, and do not say which is the
    /// newer, are named.
    fn keep(&mut self, key: (u32, String), found: Found) {
        let Some(known) = self.found.get(&key) else {
            self.found.insert(key, found);
            return;
        };
        if known.hash == found.hash {
            return;
        }
        let kind = key.1.split('/').next().unwrap_or_default().to_owned();
        if known.updated == found.updated {
            let at = &known.from.path;
            let cause =
                format!("{} is there twice with different content; what {at} says is not shown", key.1);
            self.gathered.unread.push(Unread { path: found.from.path.clone(), kind, cause });
            self.found.insert(key, found);
        } else {
            self.gathered.leave_out(format!("{kind} (older version)"));
            if known.updated < found.updated {
                self.found.insert(key, found);
            }
        }
    }

    fn finish(self) -> Gathered {
        let mut gathered = self.gathered;
        let mut all: Vec<((u32, String), Found)> = self.found.into_iter().collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        for found in all.into_iter().map(|(_, found)| found).chain(self.rest) {
            gathered.parts.extend(found.parts);
            gathered.unread.extend(found.unread);
            if let Some(kind) = found.not_shown {
                gathered.leave_out(kind);
            }
            gathered.newest_record = gathered.newest_record.max(found.made_at);
        }
        gathered
    }
}

fn hash(value: &Value) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Recorded by mistake, and said so: never shown as if it were true.
fn is_error(resource: &Resource<'_>) -> Option<String> {
    let verified = resource.get("verificationStatus");
    let verified = if verified.value().is_some_and(Value::is_object) { verified.code() } else { "" };
    let is_error =
        resource.status() == "entered-in-error" || matches!(verified, "entered-in-error" | "refuted");
    is_error.then(|| format!("{} (entered in error)", resource.kind))
}

/// Puts a resource into the chart. Returns what it is counted as instead, when charts do not show it.
fn told(resource: &Resource<'_>, parts: &mut Vec<Part>) -> Result<Option<String>, &'static str> {
    match resource.kind {
        "Patient" => person::person(resource, parts),
        "AllergyIntolerance" => conditions::allergy(resource, parts)?,
        "Condition" => conditions::problem(resource, parts)?,
        "MedicationRequest" if matches!(resource.get("intent").text(), "proposal" | "plan" | "option") => {
            return Ok(Some(format!("MedicationRequest ({})", resource.get("intent").text())));
        }
        "MedicationRequest" | "MedicationStatement" => medication::ordered(resource, parts)?,
        "MedicationAdministration" => medication::given(resource, parts)?,
        "Observation" => return labs::observation(resource, parts),
        "Encounter" => return Ok(care::encounter(resource, parts)),
        "NutritionOrder" => return care::nutrition(resource, parts),
        "Appointment" => care::appointment(resource, parts),
        "DocumentReference" => notes::document(resource, parts)?,
        "Composition" => notes::composition(resource, parts)?,
        "DiagnosticReport" => return notes::report(resource, parts),
        other => return Ok(Some(other.to_owned())),
    }
    Ok(None)
}

/// Another patient's id in a reference that the reference's address denies.
fn other_patient(value: &Value, shown: &PatientId, names: &BTreeSet<Reference>) -> Option<PatientId> {
    let reference = value.get("subject").or_else(|| value.get("patient"))?;
    let literal = reference_of(reference)?;
    if let Reference::Literal(text) = &literal
        && text.starts_with("Patient/")
        && !names.contains(&literal)
    {
        return Some(PatientId(text.clone()));
    }
    let identifier = reference.get("identifier")?;
    let text = |name| identifier.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (system, id) = (text("system"), text("value"));
    let same = |a: &str, b: &str| a.trim_start_matches('0') == b.trim_start_matches('0');
    let is_known = names.contains(&Reference::Logical { system, value: id.clone() }) || same(&id, &shown.0);
    (!id.is_empty() && !is_known).then_some(PatientId(id))
}
