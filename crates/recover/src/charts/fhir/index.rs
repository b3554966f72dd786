//! Who has what where, over all files of FHIR resources.
//!
//! Memory: 24 bytes for each resource, and about 300 for each patient.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use decode::fhir::{Ending, Head, Name, Node, Piece, Reference, Splitter, Wrong, parse};
use jiff::Timestamp;
use jiff::civil::Date;

use super::person;
use crate::charts::ids::key;
use crate::charts::model::{Sex, Unread};

/// So many types are told apart; of what comes beyond nobody knows more than that it is there.
const KINDS_MAX: usize = 200;
/// So many resources fit into 360 MB.
pub(super) const ENTRIES_MAX: usize = 15_000_000;
/// Resources of which the index knows no more than whose they are and that they cannot be read.
pub(super) const BROKEN: u8 = 255;
const OTHER: u8 = 254;
/// Whose a resource is that names nobody.
pub(super) const NOBODY: u32 = u32::MAX;

/// One resource of one patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) patient: u32,
    pub(super) file: u32,
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) kind: u8,
}

/// A resource that many patients' resources refer to, by the hash of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shared {
    hash: u64,
    offset: u64,
    length: u32,
    file: u32,
}

/// What finds a patient.
#[derive(Debug, Clone, Default)]
pub(super) struct Person {
    /// What people know the patient by: the hospital's id, else the resource's.
    pub(super) shown: Box<str>,
    /// `Patient/…`, or what else the first reference says.
    pub(super) resource: Box<str>,
    /// `shown` is no id of the hospital.
    pub(super) is_nameless_id: bool,
    /// A Patient resource is there.
    pub(super) is_known: bool,
    pub(super) name: Option<Box<str>>,
    pub(super) kana: Option<Box<str>>,
    pub(super) birth_date: Option<Date>,
    pub(super) sex: Option<Sex>,
    updated: Option<Timestamp>,
    scope: u32,
    /// Union of two names of the same patient; itself when it is the only one.
    same_as: u32,
}

/// One file of resources.
pub(super) struct ExportFile {
    pub(super) path: PathBuf,
    /// The files among which `Patient/1` is one and the same patient.
    pub(super) scope: u32,
}

/// See the module.
#[derive(Default)]
pub(super) struct Index {
    pub(super) files: Vec<ExportFile>,
    scopes: Vec<PathBuf>,
    kinds: Vec<String>,
    pub(super) people: Vec<Person>,
    pub(super) entries: Vec<Entry>,
    shared: Vec<Shared>,
    /// Encounters of who is in hospital now.
    pub(super) current: Vec<Entry>,
    /// People by what they are known by, and by their resource.
    by_shown: Vec<u32>,
    by_resource: Vec<u32>,
    /// Names of patients within a scope, hashed, while the index is built.
    aliases: HashMap<u64, u32>,
    /// Identifiers that are not the hospital's, for references that say nothing else; `None`: several patients have it.
    logical: HashMap<u64, Option<u32>>,
    /// What nobody can be told to own: said on every chart.
    pub(super) unread: Vec<Unread>,
    /// What concerns nobody's chart.
    pub(super) remarks: Vec<Unread>,
}

impl Index {
    /// Begins a file; what follows lies in it.
    pub(super) fn begin(&mut self, path: &Path) {
        let folder = scope_of(path);
        let known = self.scopes.iter().position(|scope| scope == folder);
        let scope = known.unwrap_or_else(|| {
            self.scopes.push(folder.to_path_buf());
            self.scopes.len() - 1
        });
        self.files
            .push(ExportFile { path: path.to_path_buf(), scope: u32::try_from(scope).unwrap_or(u32::MAX) });
    }

    /// Takes in one piece of the file that was begun last.
    pub(super) fn add(&mut self, piece: &Piece<'_>, tally: &mut Tally) {
        tally.pieces += 1;
        let Some(scope) = self.files.last().map(|file| file.scope) else { return };
        match Head::of(piece) {
            Ok(head) if head.resource_type.is_empty() || head.is_deletion => {}
            Ok(head) if head.resource_type == "Bundle" => self.add_bundle(piece, tally),
            Ok(head) => self.add_resource(&head, piece, scope, tally),
            Err(error) => {
                tally.has_types |= memchr::memmem::find(piece.bytes, b"\"resourceType\"").is_some();
                let patient = Head::named_in(piece.bytes).map(|name| self.person(scope, &name));
                match patient {
                    Some(patient) => self.entry(piece, patient, BROKEN),
                    None => tally.lost(piece, error.to_string()),
                }
            }
        }
    }

    /// A Bundle in one line.
    fn add_bundle(&mut self, line: &Piece<'_>, tally: &mut Tally) {
        let mut splitter = Splitter::bundle();
        let mut add =
            |piece: Piece<'_>| self.add(&Piece { offset: line.offset + piece.offset, ..piece }, tally);
        splitter.feed(line.bytes, &mut add);
        splitter.finish(&mut add);
    }

    fn add_resource(&mut self, head: &Head, piece: &Piece<'_>, scope: u32, tally: &mut Tally) {
        tally.resources += 1;
        let kind = self.kind(&head.resource_type);
        if head.resource_type == "Patient" {
            let patient = self.add_patient(head, piece, scope);
            return self.entry(piece, patient, kind);
        }
        if let Some(reference) = head.patient.as_ref().filter(|reference| is_person(reference)) {
            let patient = self.person(scope, reference);
            if head.resource_type == "Encounter" && is_here(&head.status) {
                self.current.push(Entry { patient, kind, ..self.place(piece) });
            }
            return self.entry(piece, patient, kind);
        }
        // Of a device, a place or a group it is nobody's; without a word, or with one that leads nowhere, it may be anybody's.
        let is_lost =
            head.patient.as_ref().is_none_or(is_inner) && OWNED.contains(&head.resource_type.as_str());
        if is_lost && head.resource_type != "Appointment" {
            let name = format!("{}/{}", head.resource_type, head.id);
            return tally.lost(piece, format!("{name} names no patient"));
        }
        for name in names(head) {
            let Entry { file, offset, length, .. } = self.place(piece);
            self.shared.push(Shared { hash: hash(scope, &name), offset, length, file });
        }
    }

    fn add_patient(&mut self, head: &Head, piece: &Piece<'_>, scope: u32) -> u32 {
        let names = names(head);
        let mut slot = None;
        for name in &names {
            let found = self.person(scope, name);
            slot = Some(slot.map_or(found, |slot| self.unite(slot, found)));
        }
        let slot = slot.unwrap_or_else(|| {
            let number = format!("no-id-{}", self.people.len());
            self.new_person(scope, number.clone(), number)
        });
        let Ok(value) = parse(piece.bytes) else { return slot };
        let wrong = Wrong::default();
        let node = Node::new(&value, &wrong);
        for identifier in node.get("identifier").each() {
            let (system, value) = (identifier.get("system").text(), identifier.get("value").text());
            let reference = Reference::Logical { system: system.to_owned(), value: value.to_owned() };
            let owner = self.logical.entry(hash(scope, &reference)).or_insert(Some(slot));
            if *owner != Some(slot) {
                *owner = None;
            }
        }
        let updated = node.get("meta").get("lastUpdated").text().parse().ok();
        let Some(person) = self.people.get_mut(slot as usize) else { return slot };
        if person.is_known && person.updated > updated {
            return slot;
        }
        let Name { written, kana } = node.get("name").human_name();
        if let Some(id) = person::hospital_id(node) {
            person.shown = id.into();
            person.is_nameless_id = false;
        }
        person.is_known = true;
        person.updated = updated;
        person.name = written.map(String::into_boxed_str);
        person.kana = kana.map(String::into_boxed_str);
        person.birth_date = node.get("birthDate").text().parse().ok();
        person.sex = person::sex(node.get("gender").text());
        slot
    }

    fn place(&self, piece: &Piece<'_>) -> Entry {
        let file = u32::try_from(self.files.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let length = u32::try_from(piece.length).unwrap_or(u32::MAX);
        Entry { patient: NOBODY, file, offset: piece.offset, length, kind: OTHER }
    }

    fn entry(&mut self, piece: &Piece<'_>, patient: u32, kind: u8) {
        let entry = Entry { patient, kind, ..self.place(piece) };
        self.entries.push(entry);
    }

    fn kind(&mut self, name: &str) -> u8 {
        let known = self.kinds.iter().position(|known| known == name);
        let number = known.or_else(|| {
            (self.kinds.len() < KINDS_MAX).then(|| {
                self.kinds.push(name.to_owned());
                self.kinds.len() - 1
            })
        });
        number.and_then(|number| u8::try_from(number).ok()).unwrap_or(OTHER)
    }

    /// The type of a resource.
    pub(super) fn kind_name(&self, kind: u8) -> &str {
        self.kinds.get(usize::from(kind)).map_or("-", String::as_str)
    }

    fn person(&mut self, scope: u32, reference: &Reference) -> u32 {
        let hash = hash(scope, reference);
        if let Some(known) = self.aliases.get(&hash) {
            return self.root(*known);
        }
        let (resource, shown) = match reference {
            Reference::Literal(text) => {
                (text.clone(), text.strip_prefix("Patient/").unwrap_or(text).to_owned())
            }
            Reference::Logical { value, .. } => (format!("identifier {value}"), value.clone()),
        };
        let slot = self.new_person(scope, resource, shown);
        self.aliases.insert(hash, slot);
        slot
    }

    fn new_person(&mut self, scope: u32, resource: String, shown: String) -> u32 {
        let slot = u32::try_from(self.people.len()).unwrap_or(u32::MAX);
        let (shown, resource) = (shown.into(), resource.into());
        self.people.push(Person {
            shown,
            resource,
            scope,
            same_as: slot,
            is_nameless_id: true,
            ..Person::default()
        });
        slot
    }

    fn root(&self, mut slot: u32) -> u32 {
        while let Some(person) = self.people.get(slot as usize)
            && person.same_as != slot
        {
            slot = person.same_as;
        }
        slot
    }

    fn unite(&mut self, one: u32, other: u32) -> u32 {
        let (one, other) = (self.root(one), self.root(other));
        if let Some(person) = self.people.get_mut(other as usize) {
            person.same_as = one;
        }
        one
    }

    /// Ends a file.
    pub(super) fn end(&mut self, ending: &Ending, tally: Tally) {
        let Some(file) = self.files.last() else { return };
        // Lines of something else.
        if tally.resources == 0 && !tally.has_types {
            return;
        }
        if let Some((first, count)) = tally.lost {
            let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
            let cause = format!("{first}{more}: whose it is cannot be told, it may be this patient's");
            self.unread.push(Unread::because(&file.path, "FHIR", cause));
        }
        if ending.is_cut_off {
            let cause = "the file ends within a Bundle: entries may be missing";
            self.unread.push(Unread::because(&file.path, "FHIR", cause));
        }
    }

    /// Sorts everything for looking up.
    pub(super) fn finish(&mut self) {
        self.resolve_logical();
        let roots: Vec<u32> =
            (0..self.people.len()).map(|slot| self.root(u32::try_from(slot).unwrap_or(0))).collect();
        let root = |slot: u32| roots.get(slot as usize).copied().unwrap_or(slot);
        self.entries
            .iter_mut()
            .chain(&mut self.current)
            .for_each(|entry| entry.patient = root(entry.patient));
        self.entries.sort_unstable();
        self.entries.shrink_to_fit();
        self.shared.sort_unstable();
        self.aliases = HashMap::new();
        self.logical = HashMap::new();
        self.tell_apart(&roots);
        let spoken_of = self.spoken_of();
        let is_listed = |(slot, root): &(usize, &u32)| {
            *slot == **root as usize && (self.people[*slot].is_known || spoken_of[*slot])
        };
        let mut people: Vec<u32> =
            roots.iter().enumerate().filter(is_listed).map(|(_, root)| *root).collect();
        people.sort_by_key(|slot| key(&self.people[*slot as usize].shown));
        self.by_shown.clone_from(&people);
        people.sort_by_key(|slot| &self.people[*slot as usize].resource);
        self.by_resource = people;
        self.name_strangers();
    }

    /// Of whom there is anything that a chart shows: a device or an invoice makes nobody a patient.
    fn spoken_of(&self) -> Vec<bool> {
        let counts: Vec<bool> =
            (0..=u8::MAX).map(|kind| kind == BROKEN || OWNED.contains(&self.kind_name(kind))).collect();
        let mut spoken_of = vec![false; self.people.len()];
        for entry in self.entries.iter().filter(|entry| counts[usize::from(entry.kind)]) {
            if let Some(one) = spoken_of.get_mut(entry.patient as usize) {
                *one = true;
            }
        }
        spoken_of
    }

    /// References by an identifier alone, where exactly one patient has it.
    fn resolve_logical(&mut self) {
        let aliases: Vec<(u64, u32)> = self.aliases.iter().map(|(hash, slot)| (*hash, *slot)).collect();
        for (hash, slot) in aliases {
            if let Some(Some(owner)) = self.logical.get(&hash).copied() {
                self.unite(owner, slot);
            }
        }
    }

    /// Ids that are not the hospital's must not pass for one: where two patients would be shown under the same, they say where they
    /// are from.
    fn tell_apart(&mut self, roots: &[u32]) {
        let mut taken: HashMap<Box<str>, u32> = HashMap::new();
        let is_root = |slot: usize| roots.get(slot).is_some_and(|root| *root as usize == slot);
        for (_, person) in self.people.iter().enumerate().filter(|(slot, _)| is_root(*slot)) {
            let uses = taken.entry(key(&person.shown).into()).or_default();
            *uses += if person.is_nameless_id { 1 } else { 2 };
        }
        for (slot, person) in self.people.iter_mut().enumerate() {
            if is_root(slot)
                && person.is_nameless_id
                && taken.get(key(&person.shown)).is_some_and(|uses| *uses > 1)
            {
                let folder = self.scopes.get(person.scope as usize).and_then(|scope| scope.file_name());
                let folder = folder.unwrap_or_default().to_string_lossy();
                person.shown = format!("{}@{folder}", person.resource).into();
            }
        }
    }

    /// Patients of whom others speak and of whom there is no Patient resource: they are listed, without a name.
    fn name_strangers(&mut self) {
        let mut strangers: HashMap<u32, (u64, Box<str>)> = HashMap::new();
        for slot in &self.by_shown {
            let person = &self.people[*slot as usize];
            if !person.is_known {
                strangers.entry(person.scope).or_insert((0, person.resource.clone())).0 += 1;
            }
        }
        for (scope, (count, first)) in strangers {
            let path = self.scopes.get(scope as usize).map_or(Path::new("-"), PathBuf::as_path);
            let more = if count > 1 { format!(" and of {} others", count - 1) } else { String::new() };
            let cause =
                format!("there is no Patient resource of {first}{more}, of whom other resources speak");
            self.remarks.push(Unread::because(path, "Patient", cause));
        }
    }

    /// Everybody, by the id that is shown.
    pub(super) fn everybody(&self) -> impl Iterator<Item = (u32, &Person)> {
        self.by_shown.iter().filter_map(|slot| Some((*slot, self.people.get(*slot as usize)?)))
    }

    /// The people that an id means: the hospital's, else a resource's own.
    pub(super) fn find(&self, id: &str) -> Vec<u32> {
        let shown = |slot: &u32| key(&self.people[*slot as usize].shown);
        let from = self.by_shown.partition_point(|slot| shown(slot) < key(id));
        let found: Vec<u32> =
            self.by_shown[from..].iter().take_while(|slot| shown(slot) == key(id)).copied().collect();
        if !found.is_empty() {
            return found;
        }
        [id.to_owned(), format!("Patient/{id}")]
            .iter()
            .find_map(|name| self.by_resource(name))
            .unwrap_or_default()
    }

    fn by_resource(&self, name: &str) -> Option<Vec<u32>> {
        let resource = |slot: &u32| &*self.people[*slot as usize].resource;
        let from = self.by_resource.partition_point(|slot| resource(slot) < name);
        let mut found = self.by_resource[from..].iter().take_while(|slot| resource(slot) == name);
        // Two exports may use one resource id for two people.
        let (first, second) = (found.next()?, found.next());
        second.is_none().then(|| vec![*first])
    }

    /// One patient's resources, in the order of the files.
    pub(super) fn entries_of(&self, patient: u32) -> &[Entry] {
        let from = self.entries.partition_point(|entry| entry.patient < patient);
        let to = self.entries.partition_point(|entry| entry.patient <= patient);
        self.entries.get(from..to).unwrap_or_default()
    }

    /// Where resources of that name may lie.
    pub(super) fn shared(&self, scope: u32, reference: &Reference) -> impl Iterator<Item = Entry> {
        let hash = hash(scope, reference);
        let from = self.shared.partition_point(|shared| shared.hash < hash);
        let found = self.shared[from..].iter().take_while(move |shared| shared.hash == hash);
        found.map(|shared| Entry {
            patient: NOBODY,
            file: shared.file,
            offset: shared.offset,
            length: shared.length,
            kind: OTHER,
        })
    }
}

/// What one file came to.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) pieces: u64,
    pub(super) resources: u64,
    /// Some line speaks of a type of resource.
    has_types: bool,
    /// What nobody can be told to own: the first, and how many.
    lost: Option<(String, u64)>,
}

impl Tally {
    fn lost(&mut self, piece: &Piece<'_>, cause: String) {
        let lost = self.lost.get_or_insert_with(|| (format!("at byte {}: {cause}", piece.offset), 0));
        lost.1 += 1;
    }
}

/// Types that mean nothing without a patient.
const OWNED: [&str; 14] = [
    "AllergyIntolerance",
    "Condition",
    "MedicationRequest",
    "MedicationStatement",
    "MedicationAdministration",
    "Observation",
    "Encounter",
    "NutritionOrder",
    "DocumentReference",
    "Composition",
    "DiagnosticReport",
    "Procedure",
    "Immunization",
    "Appointment",
];

/// References to groups, devices and places are none to a patient.
fn is_person(reference: &Reference) -> bool {
    match reference {
        Reference::Literal(text) => {
            text.starts_with("Patient/")
                || text.starts_with("urn:")
                || !text.contains('/') && !text.starts_with('#')
        }
        Reference::Logical { .. } => true,
    }
}

/// A resource within the same one.
fn is_inner(reference: &Reference) -> bool {
    matches!(reference, Reference::Literal(text) if text.starts_with('#'))
}

/// Whether an encounter of this status goes on.
pub(super) fn is_here(status: &str) -> bool {
    matches!(status, "in-progress" | "onleave" | "arrived" | "triaged")
}

/// How others may refer to a resource.
fn names(head: &Head) -> Vec<Reference> {
    let mut names = Vec::new();
    if !head.id.is_empty() {
        names.push(Reference::Literal(format!("{}/{}", head.resource_type, head.id)));
    }
    if !head.full_url.is_empty() {
        let by_url = Reference::literal(&head.full_url);
        if !names.contains(&by_url) {
            names.push(by_url);
        }
    }
    names
}

/// The folder of an export; one that is called after a resource type (`Observation/part-0.ndjson`) is part of the one above.
fn scope_of(path: &Path) -> &Path {
    let folder = path.parent().unwrap_or(path);
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_type = name == "Patient" || OWNED.contains(&name);
    if is_type { folder.parent().unwrap_or(folder) } else { folder }
}

fn hash(scope: u32, reference: &Reference) -> u64 {
    let mut hasher = DefaultHasher::new();
    (scope, reference).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_entry_takes_what_the_documentation_says() {
        assert_eq!((size_of::<super::Entry>(), size_of::<super::Shared>()), (24, 24));
    }
}
