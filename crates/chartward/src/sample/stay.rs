//! Stays in hospital: bed, drips, meals, blood, notes, discharge.

use jiff::ToSpan;
use jiff::civil::DateTime;

use super::catalogue::{
    ADDITIVES, BEDS_ALWAYS, Bed, FASTING, FLUIDS, ORDINARY, ROOMS_PER_WARD, SOFT, doctor_of,
};
use super::chart::{Body, Care, Note, NoteKind, Stay};
use super::course::Course;
use super::diseases::{ACUTE, Disease};
use super::labs::Condition;
use super::person::{at_minute, days_before};

impl Course {
    /// A stay that lasts until now, one that is over, one entered by mistake, or, for most, none.
    pub(super) fn hospital_stays(&mut self) {
        if let Some(bed) = self.bed_now() {
            let days = if self.chart.person.index == 0 { 3 } else { self.dice.between(1, 18) };
            self.stay(bed, days, None);
        } else if self.dice.chance(10) {
            let bed = self.some_bed();
            let length = self.dice.between(4, 16);
            let ago = length + self.dice.between(2, 300);
            self.stay(bed, ago, Some(length));
        } else if self.dice.chance(1) {
            self.mistaken_stay();
        }
    }

    /// A bed that was free some time ago; who else lay in it then is not kept apart.
    fn some_bed(&mut self) -> Bed {
        Bed::new(u32::try_from(self.dice.between(0, i64::from(BEDS_ALWAYS) - 1)).unwrap_or(0))
    }

    fn mistaken_stay(&mut self) {
        let (disease, ago) = (self.dice.pick(ACUTE), self.dice.between(3, 200));
        let admitted = days_before(self.now, ago, &mut self.dice);
        let bed = self.some_bed();
        let care =
            Care { department: disease.department, doctor: doctor_of(disease.department, 1), bed: Some(bed) };
        self.chart.stays.push(Stay {
            admitted,
            care,
            disease,
            moved: None,
            discharged: None,
            withdrawn_discharge: None,
            cancelled: Some(admitted.saturating_add(50.minutes())),
        });
    }

    fn stay(&mut self, bed: Bed, days_ago: i64, length: Option<i64>) {
        let disease = self.dice.pick_early(ACUTE);
        let doctor = doctor_of(disease.department, usize::from(self.dice.chance(50)));
        let care = Care { department: disease.department, doctor, bed: Some(bed) };
        let admitted = days_before(self.now, days_ago, &mut self.dice);
        let nights = length.unwrap_or(days_ago);
        self.laboratory.conditions.push(Condition::acute(disease, admitted, &mut self.dice));

        let moved = (nights >= 3 && self.dice.chance(38)).then(|| self.transfer(admitted, bed));
        let leaves = at_minute(admitted.date().saturating_add(nights.days()), 10 * 60 + 20, &mut self.dice);
        let discharged = length.map(|_| leaves);
        let withdrawn_discharge = (length.is_some() && self.dice.chance(7)).then(|| {
            let planned = leaves.saturating_sub(1.day());
            (planned, planned.saturating_add(2.hours()))
        });
        // A patient who is in hospital now lies in the bed counted for them: the transfer led there.
        let (first_bed, moved) = match moved {
            Some((at, other)) if length.is_none() => (other, Some((at, bed))),
            other => (bed, other),
        };
        let stay = Stay {
            admitted,
            care: Care { bed: Some(first_bed), ..care },
            disease,
            moved,
            discharged,
            withdrawn_discharge,
            cancelled: None,
        };
        self.problem(disease, admitted.saturating_sub(1.day()), admitted, discharged);
        self.days_in_hospital(&stay, nights);
        if let Some(at) = discharged {
            self.discharge_summary(&stay, at);
        }
        self.chart.care = Care { bed: None, ..care };
        self.chart.stays.push(stay);
    }

    /// When the patient changed beds, and the other bed: another room or the ward across the hall.
    fn transfer(&mut self, admitted: DateTime, bed: Bed) -> (DateTime, Bed) {
        let day = admitted.date().saturating_add(self.dice.between(1, 2).days());
        let other = match self.dice.chance(50) {
            true => Bed { east: !bed.east, ..bed },
            false => Bed { room: bed.room % ROOMS_PER_WARD + 1, ..bed },
        };
        (at_minute(day, 14 * 60, &mut self.dice), other)
    }

    fn days_in_hospital(&mut self, stay: &Stay, nights: i64) {
        self.meal(stay, stay.admitted.saturating_add(35.minutes()), stay.disease.meal);
        let resumes = at_minute(stay.admitted.date().saturating_add(3.days()), 9 * 60 + 15, &mut self.dice);
        if nights >= 4 {
            let later = if stay.disease.meal == FASTING { SOFT } else { self.usual_meal() };
            self.meal(stay, resumes, later);
        }
        let tests = self.tests_for(stay.disease);
        let screening = self.dice.chance(80);
        self.lab(stay.admitted.saturating_add(20.minutes()), stay.care, tests, screening);
        self.progress_note(stay.admitted.saturating_add(55.minutes()), stay.care, stay.disease, Some(0));
        for day in 1..=nights {
            self.day_in_hospital(stay, day);
        }
    }

    fn day_in_hospital(&mut self, stay: &Stay, day: i64) {
        let date = stay.admitted.date().saturating_add(day.days());
        if stay.discharged.is_some_and(|at| at.date() == date) {
            let take_home = at_minute(date, 9 * 60, &mut self.dice);
            self.prescription(take_home, stay.last_care(), stay.disease, 14);
            return;
        }
        let morning = at_minute(date, 8 * 60 + 40, &mut self.dice);
        let care = match stay.moved {
            Some((at, _)) if at <= morning => stay.last_care(),
            _ => stay.care,
        };
        if day <= 3 {
            self.injection(morning, care);
        }
        if day % 3 == 0 {
            let tests = self.tests_for(stay.disease);
            let early = at_minute(date, 6 * 60 + 10, &mut self.dice);
            self.lab(early, care, tests, false);
        }
        if day % 2 == 0 {
            self.progress_note(morning.saturating_add(80.minutes()), care, stay.disease, Some(day));
        }
        if day == 4 {
            self.prescription(morning.saturating_add(110.minutes()), care, stay.disease, 7);
        }
    }

    /// The meal of the patient's longest-standing disease.
    fn usual_meal(&self) -> usize {
        self.chronic.first().map_or(ORDINARY, |disease| disease.meal)
    }

    fn meal(&mut self, stay: &Stay, ordered: DateTime, meal: usize) {
        let banned = self.chart.allergies.iter().find_map(|allergy| allergy.allergen.banned);
        let amended = self.dice.chance(12).then(|| ordered.saturating_add(70.minutes()));
        let cancelled = self.dice.chance(3).then(|| ordered.saturating_add(95.minutes()));
        let from = at_minute(ordered.date(), 18 * 60, &mut self.dice);
        let body = Body::Meal { meal, meal_before: ORDINARY, banned, from };
        self.order(ordered, stay.care, amended, cancelled, body);
    }

    fn injection(&mut self, ordered: DateTime, care: Care) {
        let (fluid, additive) = (self.dice.pick_early(FLUIDS), self.dice.pick_early(ADDITIVES));
        let start = ordered.saturating_add(self.dice.between(50, 120).minutes());
        let end = start.saturating_add(self.dice.between(60, 240).minutes());
        let cancelled = self.dice.chance(3).then(|| ordered.saturating_add(25.minutes()));
        let given = cancelled.is_none() && end <= self.now;
        self.order(ordered, care, None, cancelled, Body::Injection { fluid, additive, start, end, given });
    }

    /// A note as doctors write them: subjective, objective, assessment, plan.
    pub(super) fn progress_note(
        &mut self,
        written: DateTime,
        care: Care,
        disease: &'static Disease,
        hospital_day: Option<i64>,
    ) {
        if written > self.now {
            return;
        }
        let day = hospital_day.map_or(String::new(), |day| format!("入院{}日目\n", day + 1));
        let complaint = match hospital_day {
            Some(1..) => {
                *self.dice.pick(&["昨日より楽になった。", "よく眠れた。食事は半分ほど。", "変わりない。"])
            }
            _ => disease.complaint,
        };
        let temperature = self.dice.between(360, 372);
        let text = format!(
            "{day}S: {complaint}\nO: 体温{}.{}度。{}\nA: {}\nP: {}\n",
            temperature / 10,
            temperature % 10,
            disease.finding,
            disease.name,
            disease.plan
        );
        let number = self.number();
        self.chart.notes.push(Note { number, kind: NoteKind::Progress, written, care, text });
    }

    fn discharge_summary(&mut self, stay: &Stay, discharged: DateTime) {
        let written = discharged.saturating_add(40.minutes());
        if written > self.now {
            return;
        }
        let drugs: Vec<&str> = stay.disease.drugs.iter().map(|drug| drug.name).collect();
        let text = format!(
            "退院時サマリー\n診断: {} ({})\n入院日: {}\n退院日: {}\n主訴: {}\n入院時所見: {}\n治療方針: {}\n経過: 症状は改善し、退院とした。\n退院時処方: {}\n",
            stay.disease.name,
            stay.disease.icd10,
            stay.admitted.date(),
            discharged.date(),
            stay.disease.complaint,
            stay.disease.finding,
            stay.disease.plan,
            drugs.join("、")
        );
        let number = self.number();
        let care = stay.last_care();
        self.chart.notes.push(Note { number, kind: NoteKind::DischargeSummary, written, care, text });
    }
}
