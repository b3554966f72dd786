//! What happens to a patient over the year before the hospital's present.

use jiff::ToSpan;
use jiff::civil::{DateTime, Weekday};

use super::analytes::{HBS_ANTIGEN, HCV_ANTIBODY, Test};
use super::catalogue::{ALLERGENS, Bed, COMPANIONS, DOCTORS, Drug, PATIENTS_PER_BED, doctor_of};
use super::chart::{Allergy, Body, Care, Chart, Order, Problem, Report, Value, Visit};
use super::dice::Dice;
use super::diseases::{CHRONIC, Disease, PASSING};
use super::labs::{Condition, Laboratory};
use super::person::{Person, Sex, at_minute, days_before};

/// Order numbers are the patient's place and a count within the patient: unique without asking other threads.
const ORDERS_PER_PATIENT: u64 = 100_000_000;

/// How far back the visits go.
const HORIZON_DAYS: i64 = 365;

/// Patient `index` of the hospital of `seed`. Nothing in the chart is later than `now`, and patient 0's last order
/// is given exactly then.
pub(super) fn chart(seed: u64, index: u32, now: DateTime) -> Chart {
    let mut dice = Dice::new(seed, index);
    let person = Person::new(index, now, &mut dice);
    let mut course = Course::new(person, now, dice);
    course.falls_ill();
    course.hospital_stays();
    course.outpatient_visits();
    if index == 0 {
        course.newest_order();
    }
    course.finish()
}

/// A patient's year in the making.
pub(super) struct Course {
    pub(super) dice: Dice,
    pub(super) chart: Chart,
    pub(super) now: DateTime,
    pub(super) laboratory: Laboratory,
    pub(super) chronic: Vec<&'static Disease>,
    orders: u64,
}

impl Course {
    fn new(person: Person, now: DateTime, mut dice: Dice) -> Self {
        let laboratory = Laboratory::new(person.sex, &mut dice);
        let registered = days_before(now, dice.between(HORIZON_DAYS + 1, HORIZON_DAYS * 6), &mut dice);
        let care = Care { department: 0, doctor: &DOCTORS[0], bed: None };
        let chart = Chart {
            person,
            registered,
            care,
            allergies: Vec::new(),
            problems: Vec::new(),
            visits: Vec::new(),
            stays: Vec::new(),
            orders: Vec::new(),
            notes: Vec::new(),
        };
        Self { dice, chart, now, laboratory, chronic: Vec::new(), orders: 0 }
    }

    /// The bed of a patient who is in hospital now.
    pub(super) fn bed_now(&self) -> Option<Bed> {
        let index = self.chart.person.index;
        index.is_multiple_of(PATIENTS_PER_BED).then(|| Bed::new(index / PATIENTS_PER_BED))
    }

    fn falls_ill(&mut self) {
        let count = match self.dice.between(0, 99) {
            0..38 => 0,
            38..72 => 1,
            72..92 => 2,
            _ => 3,
        };
        for _ in 0..count {
            let disease = self.dice.pick_early(CHRONIC);
            let fits = disease.icd10 != "N40" || self.chart.person.sex == Sex::Male;
            if fits && !self.chronic.iter().any(|other| other.code == disease.code) {
                self.chronic.push(disease);
            }
        }
        let since = self.now.saturating_sub(HORIZON_DAYS.days());
        for disease in &self.chronic {
            self.laboratory.conditions.push(Condition::chronic(disease, since, &mut self.dice));
            self.laboratory.hcv_positive |= disease.icd10 == "B182";
        }
        if let Some(main) = self.chronic.first() {
            let doctor = doctor_of(main.department, usize::from(self.dice.chance(50)));
            self.chart.care = Care { department: main.department, doctor, bed: None };
        }
        for disease in self.chronic.clone() {
            let years_ago = self.dice.between(300, 365 * 12);
            self.problem(disease, self.now.saturating_sub(years_ago.days()), self.chart.registered, None);
        }
        if self.dice.chance(28) {
            self.allergies();
        }
    }

    fn allergies(&mut self) {
        for _ in 0..self.dice.between(1, 2) {
            let allergen = self.dice.pick_early(ALLERGENS);
            if self.chart.allergies.iter().any(|known| known.allergen.code == allergen.code) {
                continue;
            }
            let severity = *self.dice.pick(&[("MI", "軽度"), ("MO", "中等度"), ("SV", "重度")]);
            let since = self.now.date().saturating_sub(self.dice.between(400, 9_000).days());
            let recorded = self.chart.registered.saturating_add(self.dice.between(3, 40).minutes());
            self.chart.allergies.push(Allergy { allergen, severity, since, recorded });
        }
    }

    pub(super) fn problem(
        &mut self,
        disease: &'static Disease,
        onset: DateTime,
        recorded: DateTime,
        resolved: Option<DateTime>,
    ) {
        let care =
            Care { department: disease.department, doctor: doctor_of(disease.department, 0), bed: None };
        let resolved = resolved.filter(|at| *at <= self.now).map(DateTime::date);
        let number = self.number();
        self.chart.problems.push(Problem { number, disease, care, onset: onset.date(), recorded, resolved });
    }

    fn outpatient_visits(&mut self) {
        if let Some(main) = self.chronic.first().copied() {
            let interval = *self.dice.pick(&[28, 42, 56, 56, 84]);
            let most = (HORIZON_DAYS / interval).min(7);
            let count = self.dice.between(2, most.max(2));
            let newest = self.dice.between(1, interval);
            for back in (0..count).rev() {
                self.visit(main, newest + back * interval, back % 2 == 0);
            }
            return;
        }
        // Everybody has been here at least once: a patient without a visit would have no chart.
        let disease = self.dice.pick_early(PASSING);
        let first = self.dice.between(1, HORIZON_DAYS - 30);
        self.chart.care.department = disease.department;
        self.chart.care.doctor = doctor_of(disease.department, 1);
        let onset = self.now.saturating_sub((first + 2).days());
        self.laboratory.conditions.push(Condition::acute(disease, onset, &mut self.dice));
        let again = (first > 8 && self.dice.chance(45)).then_some(first - 7);
        let over = again.map(|days| self.now.saturating_sub(days.days()));
        self.visit(disease, first, true);
        if let Some(days) = again {
            self.visit(disease, days, false);
        }
        let recorded = self.chart.visits.first().map_or(self.chart.registered, |visit| visit.at);
        self.problem(disease, onset, recorded, over);
    }

    /// A visit some days ago, on a weekday, unless the patient was in hospital then.
    fn visit(&mut self, disease: &'static Disease, days: i64, with_blood: bool) {
        let day = days_before(self.now, days, &mut self.dice);
        let at = match day.weekday() {
            Weekday::Saturday => day.saturating_sub(1.day()),
            Weekday::Sunday => day.saturating_sub(2.days()),
            _ => day,
        };
        let in_hospital = self.chart.stays.iter().any(|stay| {
            let until = stay.discharged.unwrap_or(self.now);
            stay.cancelled.is_none() && (stay.admitted.date()..=until.date()).contains(&at.date())
        });
        if in_hospital {
            return;
        }
        let care = Care { bed: None, ..self.chart.care };
        self.chart.visits.push(Visit { at, care });
        if with_blood && self.dice.chance(70) {
            let minutes = self.dice.between(4, 15);
            let tests = self.tests_for(disease);
            self.lab(at.saturating_add(minutes.minutes()), care, tests, false);
        }
        if !disease.drugs.is_empty() && self.dice.chance(72) {
            let minutes = self.dice.between(16, 40);
            let days = if disease.effects.is_empty() { 7 } else { 28 };
            self.prescription(at.saturating_add(minutes.minutes()), care, disease, days);
        }
        if self.dice.chance(75) {
            self.progress_note(at.saturating_add(45.minutes()), care, disease, None);
        }
    }

    /// What a doctor asks for with this disease: the disease's own tests and part of the usual ones.
    pub(super) fn tests_for(&mut self, disease: &Disease) -> Vec<Test> {
        const USUAL: &[Test] = &[
            Test::Wbc,
            Test::Hb,
            Test::Platelets,
            Test::Ast,
            Test::Alt,
            Test::Bun,
            Test::Creatinine,
            Test::Sodium,
            Test::Potassium,
            Test::Crp,
            Test::Protein,
            Test::Albumin,
            Test::Ld,
            Test::Bilirubin,
        ];
        let usual = usize::try_from(self.dice.between(6, 12)).unwrap_or(6);
        let own = disease.effects.iter().map(|effect| effect.test);
        let others = self.chronic.iter().flat_map(|disease| disease.effects).map(|effect| effect.test);
        let mut tests: Vec<Test> = Vec::with_capacity(24);
        for test in own.chain(others).chain(USUAL.iter().copied().take(usual)) {
            if !tests.contains(&test) {
                tests.push(test);
            }
        }
        tests
    }

    pub(super) fn lab(&mut self, ordered: DateTime, care: Care, tests: Vec<Test>, with_screening: bool) {
        let collected = ordered.saturating_add(self.dice.between(5, 35).minutes());
        let mut values: Vec<Value> =
            tests.iter().map(|test| self.laboratory.measure(*test, collected, &mut self.dice)).collect();
        if with_screening {
            values.push(Value::Screened { screening: &HBS_ANTIGEN, positive: self.laboratory.hbs_positive });
            values.push(Value::Screened { screening: &HCV_ANTIBODY, positive: self.laboratory.hcv_positive });
        }
        let cancelled = self.dice.chance(2).then(|| ordered.saturating_add(4.minutes()));
        let mut reports = Vec::with_capacity(2);
        if cancelled.is_none() {
            if self.dice.chance(12) {
                reports.push(Report { at: collected.saturating_add(38.minutes()), is_final: false });
            }
            let hours = self.dice.between(60, 170);
            reports.push(Report { at: collected.saturating_add(hours.minutes()), is_final: true });
        }
        reports.retain(|report| report.at <= self.now);
        self.order(ordered, care, None, cancelled, Body::Lab { collected, values, reports });
    }

    pub(super) fn prescription(
        &mut self,
        ordered: DateTime,
        care: Care,
        disease: &'static Disease,
        days: i64,
    ) {
        let mut lines: Vec<&'static Drug> = disease.drugs.iter().collect();
        lines.extend(
            self.chronic.iter().filter(|other| other.code != disease.code).flat_map(|other| other.drugs),
        );
        if self.dice.chance(30) {
            lines.push(self.dice.pick_early(COMPANIONS));
        }
        let amended = self.dice.chance(6).then(|| ordered.saturating_add(9.minutes()));
        let cancelled = self.dice.chance(3).then(|| ordered.saturating_add(21.minutes()));
        self.order(
            ordered,
            care,
            amended,
            cancelled,
            Body::Prescription { lines, days, days_before: days * 2 },
        );
    }

    /// Keeps the order, unless it would be given after the present.
    pub(super) fn order(
        &mut self,
        ordered: DateTime,
        care: Care,
        amended: Option<DateTime>,
        cancelled: Option<DateTime>,
        body: Body,
    ) {
        if ordered > self.now {
            return;
        }
        let now = self.now;
        let past = |at: Option<DateTime>| at.filter(|at| *at <= now);
        let number = self.number();
        let (amended, cancelled) = (past(amended), past(cancelled));
        self.chart.orders.push(Order { number, ordered, care, amended, cancelled, body });
    }

    pub(super) fn number(&mut self) -> u64 {
        self.orders += 1;
        (u64::from(self.chart.person.index) + 1) * ORDERS_PER_PATIENT + self.orders
    }

    /// The hospital's newest fact: blood ordered for a patient in a ward, not yet drawn.
    fn newest_order(&mut self) {
        let Some(stay) = self.chart.stays.last() else { return };
        let (care, disease) = (stay.last_care(), stay.disease);
        let collected = at_minute(self.now.date(), 24 * 60 + 6 * 60, &mut self.dice);
        let tests = self.tests_for(disease);
        let values =
            tests.iter().map(|test| self.laboratory.measure(*test, self.now, &mut self.dice)).collect();
        self.order(self.now, care, None, None, Body::Lab { collected, values, reports: Vec::new() });
    }

    fn finish(self) -> Chart {
        self.chart
    }
}
