//! What one source tells of a patient, item by item, and the chart that comes of it.
//!
//! SS-MIX2 has its own way, since one of its records makes several sections. FHIR resources and rows of databases are one item each.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use schema::PatientId;

use super::model::{
    Allergy, Answer, Appointment, Banner, Bed, Chart, Course, Given, Item, LabResult, LabSeries, Meal,
    Medication, Note, Problem, Provenance, Stay, Unread, Visit,
};
use super::{banner, chart, labs};

/// One item of a chart.
pub(super) enum Part {
    /// Who it is; its provenance is set.
    Person(Box<Banner>),
    BloodAbo(Item<Answer>),
    BloodRh(Item<Answer>),
    Height(Item<Answer>),
    Weight(Item<Answer>),
    /// Where the patient lies now, and since when.
    Bed(Item<Bed>, Option<DateTime>),
    Allergy(Item<Allergy>),
    /// `None`: whether it goes on follows from its end.
    Problem(Item<Problem>, Option<bool>),
    Medication(Item<Medication>, Said),
    Given(Item<Given>),
    Lab {
        code: String,
        name: String,
        result: Item<LabResult>,
    },
    Stay(Item<Stay>),
    Visit(Item<Visit>),
    Appointment(Item<Appointment>),
    Meal(Item<Meal>),
    Note(Item<Note>),
}

/// What a record says of the course of a medication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing beyond its days.
    Nothing,
    /// It was stopped.
    Stopped,
    /// It is over.
    Over,
}

/// Everything that one source has of one patient.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) parts: Vec<Part>,
    pub(super) unread: Vec<Unread>,
    pub(super) not_shown: BTreeMap<String, u64>,
    /// When the newest of the records was made.
    pub(super) newest_record: Option<DateTime>,
}

impl Gathered {
    /// One more record of a sort that charts do not show.
    pub(super) fn leave_out(&mut self, kind: impl Into<String>) {
        *self.not_shown.entry(kind.into()).or_default() += 1;
    }

    /// The chart. `as_of` is the day of the data.
    pub(super) fn into_chart(self, patient: &PatientId, as_of: Option<Date>) -> Chart {
        let mut made = empty(patient);
        made.unread = self.unread;
        made.not_shown = self.not_shown.into_iter().collect();
        made.newest_record = self.newest_record;
        let mut series: BTreeMap<String, LabSeries> = BTreeMap::new();
        let mut people = Vec::new();
        let mut blood = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        let mut beds = Vec::new();
        for part in self.parts {
            match part {
                Part::Person(person) => people.push(*person),
                Part::BloodAbo(item) => blood[0].push(item),
                Part::BloodRh(item) => blood[1].push(item),
                Part::Height(item) => blood[2].push(item),
                Part::Weight(item) => blood[3].push(item),
                Part::Bed(item, since) => beds.push((since, item)),
                Part::Allergy(item) => made.allergies.push(item),
                Part::Problem(mut item, said) => {
                    let ended = item.value.until.is_some_and(|until| as_of.is_none_or(|day| until <= day));
                    item.value.active = said.unwrap_or(!ended);
                    made.problems.push(item);
                }
                Part::Medication(mut item, said) => {
                    item.value.state = course(&item.value, said, as_of);
                    made.medication.push(item);
                }
                Part::Given(item) => made.given.push(item),
                Part::Lab { code, name, result } => {
                    let key = if code.is_empty() { name.clone() } else { code.clone() };
                    let empty = LabSeries { code, name, results: Vec::new(), trend: None };
                    series.entry(key).or_insert(empty).results.push(result);
                }
                Part::Stay(item) => made.stays.push(item),
                Part::Visit(item) => made.visits.push(item),
                Part::Appointment(item) => made.appointments.push(item),
                Part::Meal(item) => made.meals.push(item),
                Part::Note(item) => made.notes.push(item),
            }
        }
        made.labs = series.into_values().collect();
        made.banner = identity(people, &mut made.unread);
        let [abo, rh, height, weight] = blood.map(newest);
        (made.banner.blood_abo, made.banner.blood_rh) = (abo, rh);
        made.banner.height = height.map(|item| item.value.value);
        made.banner.weight = weight.map(|item| item.value.value);
        made.banner.ward = beds.into_iter().max_by_key(|(since, _)| *since).map(|(_, bed)| bed);
        arrange(&mut made, as_of);
        made
    }
}

/// A chart with nothing on it.
fn empty(patient: &PatientId) -> Chart {
    Chart {
        patient: patient.clone(),
        banner: Banner::default(),
        alerts: Vec::new(),
        allergies: Vec::new(),
        problems: Vec::new(),
        medication: Vec::new(),
        given: Vec::new(),
        labs: Vec::new(),
        stays: Vec::new(),
        visits: Vec::new(),
        appointments: Vec::new(),
        meals: Vec::new(),
        notes: Vec::new(),
        unread: Vec::new(),
        not_shown: Vec::new(),
        newest_record: None,
    }
}

fn newest<T>(items: Vec<Item<T>>) -> Option<Item<T>> {
    items.into_iter().max_by_key(|item| item.from.recorded_at)
}

/// Who it is, from every record that says so: the newest one, completed by the others. What they contradict each other in is named,
/// for it may be two people.
fn identity(mut people: Vec<Banner>, unread: &mut Vec<Unread>) -> Banner {
    let recorded = |banner: &Banner| banner.from.as_ref().and_then(|from| from.recorded_at);
    people.sort_by_key(|banner| Reverse(recorded(banner)));
    let mut people = people.into_iter();
    let mut first = people.next().unwrap_or_default();
    for other in people {
        complete(&mut first, other, unread);
    }
    first
}

/// Takes over what is not known yet.
pub(super) fn complete(banner: &mut Banner, other: Banner, unread: &mut Vec<Unread>) {
    unread.extend(contradiction(banner, &other));
    banner.name = banner.name.take().or(other.name);
    banner.kana = banner.kana.take().or(other.kana);
    banner.birth_date = banner.birth_date.or(other.birth_date);
    banner.sex = banner.sex.or(other.sex);
    banner.address = banner.address.take().or(other.address);
    banner.phone = banner.phone.take().or(other.phone);
    banner.from = banner.from.take().or(other.from);
    banner.blood_abo = banner.blood_abo.take().or(other.blood_abo);
    banner.blood_rh = banner.blood_rh.take().or(other.blood_rh);
    banner.height = banner.height.take().or(other.height);
    banner.weight = banner.weight.take().or(other.weight);
    banner.ward = banner.ward.take().or(other.ward);
}

/// Two birth dates or two sexes under one id.
fn contradiction(one: &Banner, other: &Banner) -> Option<Unread> {
    let (from, at) = (one.from.as_ref()?, other.from.as_ref()?);
    let differs = match (one.birth_date, other.birth_date, one.sex, other.sex) {
        (Some(a), Some(b), ..) if a != b => format!("born {b}, where {} says {a}", place(from)),
        (.., Some(a), Some(b)) if a != b => format!("another sex than {} says", place(from)),
        _ => return None,
    };
    let cause = format!("{differs}: two people may have this id; check whose record it is");
    Some(Unread { path: place(at), kind: "Patient".to_owned(), cause })
}

fn place(from: &Provenance) -> String {
    match &from.part {
        Some(part) => format!("{} {part}", from.path),
        None => from.path.clone(),
    }
}

/// As SS-MIX2's orders: stopped, not begun, over, without an end, or running.
fn course(medication: &Medication, said: Said, as_of: Option<Date>) -> Course {
    match (said, as_of) {
        (Said::Stopped, _) => Course::Stopped,
        (_, Some(day)) if medication.start.is_some_and(|start| start > day) => Course::Planned,
        (Said::Over, _) => Course::Ended,
        (_, Some(day)) if medication.until.is_some_and(|until| until < day) => Course::Ended,
        _ if medication.until.is_none() => Course::Open,
        _ => Course::Current,
    }
}

/// Puts every section in its order, and draws from it what follows from it: trends, infections, age, alerts.
pub(super) fn arrange(made: &mut Chart, as_of: Option<Date>) {
    made.allergies.sort_by_key(|item| (!item.value.is_drug(), item.value.severity_rank()));
    made.problems.sort_by_key(|item| (!item.value.active, !item.value.main, Reverse(item.value.since)));
    made.medication.sort_by_key(|item| (item.value.state, Reverse(item.value.start)));
    made.given.sort_by_key(|item| Reverse(item.value.at));
    made.stays.sort_by_key(|item| Reverse(item.value.admitted));
    made.visits.sort_by_key(|item| Reverse(item.value.at));
    made.appointments.sort_by_key(|item| next_first(item.value.at, as_of));
    made.meals.sort_by_key(|item| Reverse((item.value.start, item.from.recorded_at)));
    made.notes.sort_by_key(|item| Reverse((item.value.date, item.from.recorded_at)));
    labs::arrange(&mut made.labs);
    made.banner.infections = labs::infections(&made.labs);
    made.banner.age = made.banner.birth_date.zip(as_of).and_then(|(born, on)| banner::age(born, on));
    let others = others(made);
    made.alerts = chart::alerts(made, others);
}

/// Those to come, the next one first; then those that were, the last one first.
fn next_first(
    at: Option<DateTime>,
    as_of: Option<Date>,
) -> (bool, Option<DateTime>, Reverse<Option<DateTime>>) {
    let is_past = at.is_none_or(|at| as_of.is_some_and(|day| at.date() < day));
    (is_past, at.filter(|_| !is_past), Reverse(at))
}

/// Items whose record names another patient, as alerts tell them.
fn others(made: &Chart) -> Vec<String> {
    let mut found = Vec::new();
    let mut look = |from: &Provenance| {
        if let Some(other) = &from.other_patient {
            let kind = from.part.as_deref().and_then(|part| part.split(['/', '#']).next());
            let by_name = || from.path.rsplit('/').find_map(|name| name.split('_').nth(2)).unwrap_or("-");
            found.push(format!("{} ({other})", kind.unwrap_or_else(by_name)));
        }
    };
    macro_rules! each {
        ($($section:ident),*) => { $( made.$section.iter().for_each(|item| look(&item.from)); )* };
    }
    each!(allergies, problems, medication, given, stays, visits, appointments, meals, notes);
    made.labs.iter().flat_map(|series| &series.results).for_each(|item| look(&item.from));
    made.banner.from.iter().for_each(&mut look);
    found
}
