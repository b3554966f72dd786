//! Rows of a query as items of a chart.

use std::cell::RefCell;

use decode::fhir::When;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use schema::PatientId;

use super::section::Section;
use crate::charts::labs::flag_of;
use crate::charts::model::{
    Allergy, Answer, Appointment, Banner, Bed, Course, Drug, Given, Item, LabFlag, LabResult, Meal,
    Medication, Note, Problem, Provenance, Route, Sex, Stay, Unread, Visit,
};
use crate::charts::notes::shortened;
use crate::charts::parts::{Part, Said};

/// One row.
pub(super) struct Row<'r> {
    pub(super) section: &'static Section,
    pub(super) columns: &'r [String],
    pub(super) values: &'r [Option<String>],
    /// Counted from 1, for rows without a key of their own.
    pub(super) number: usize,
    pub(super) path: &'r str,
    pub(super) zone: &'r TimeZone,
    pub(super) wrong: &'r RefCell<Vec<String>>,
}

impl Row<'_> {
    /// A value, trimmed; empty when there is none.
    pub(super) fn text(&self, column: &str) -> &str {
        let place = self.columns.iter().position(|known| known == column);
        place.and_then(|place| self.values.get(place)?.as_deref()).map_or("", str::trim)
    }

    fn owned(&self, column: &str) -> String {
        self.text(column).to_owned()
    }

    fn some(&self, column: &str) -> Option<String> {
        Some(self.owned(column)).filter(|text| !text.is_empty())
    }

    /// A time by the hospital's clock; what is none is named.
    pub(super) fn time(&self, column: &str) -> Option<DateTime> {
        let text = self.text(column);
        // MariaDB writes so that there is none.
        if text.is_empty() || text.starts_with("0000-00-00") {
            return None;
        }
        let found = time(text, self.zone);
        if found.is_none() {
            self.wrong.borrow_mut().push(format!("{column} of {} is no time", self.name()));
        }
        found
    }

    pub(super) fn day(&self, column: &str) -> Option<Date> {
        self.time(column).map(DateTime::date)
    }

    fn is_true(&self, column: &str) -> Option<bool> {
        match self.text(column).to_ascii_lowercase().as_str() {
            "" => None,
            "1" | "t" | "true" | "y" | "yes" => Some(true),
            "0" | "f" | "false" | "n" | "no" => Some(false),
            _ => {
                self.wrong.borrow_mut().push(format!("{column} of {} is neither yes nor no", self.name()));
                None
            }
        }
    }

    /// `problems#12`: by its own key where the query brings one.
    fn name(&self) -> String {
        match self.text("row_id") {
            "" => format!("{}#{}", self.section.name, self.number),
            row => format!("{}#{row}", self.section.name),
        }
    }

    pub(super) fn from(&self) -> Provenance {
        Provenance {
            path: self.path.to_owned(),
            part: Some(self.name()),
            recorded_at: self.time("recorded_at"),
            other_patient: None,
        }
    }

    fn item<T>(&self, value: T) -> Item<T> {
        Item { value, from: self.from() }
    }

    /// A row that says nothing of what it is there for.
    fn empty(&self, column: &str) -> Unread {
        let cause = format!("{} has nothing in {column}", self.name());
        Unread { path: self.path.to_owned(), kind: self.section.name.to_owned(), cause }
    }

    pub(super) fn bed(&self) -> Bed {
        Bed { ward: self.owned("ward"), room: self.owned("room"), bed: self.owned("bed") }
    }

    pub(super) fn sex(&self) -> Option<Sex> {
        match self.text("sex").to_lowercase().as_str() {
            "" | "unknown" | "u" | "不明" | "0" => None,
            "m" | "male" | "1" | "男" | "男性" => Some(Sex::Male),
            "f" | "female" | "2" | "女" | "女性" => Some(Sex::Female),
            _ => Some(Sex::Other),
        }
    }

    /// What the row says of the patient.
    pub(super) fn parts(&self, parts: &mut Vec<Part>) -> Result<(), Unread> {
        if let Some(empty) = self.section.needs.iter().find(|column| self.text(column).is_empty()) {
            return Err(self.empty(empty));
        }
        let part = match self.section.name {
            "allergies" => Part::Allergy(self.item(self.allergy())),
            "problems" => Part::Problem(self.item(self.problem()), self.is_true("active")),
            "medication" => {
                let (medication, said) = self.medication();
                Part::Medication(self.item(medication), said)
            }
            "given" => Part::Given(self.item(Given {
                drug: self.drug(),
                at: self.time("at"),
                status: match self.text("status") {
                    "" | "completed" => "CP".to_owned(),
                    other => other.to_owned(),
                },
                by: self.owned("given_by"),
            })),
            "labs" => self.lab(),
            "stays" => {
                let (admitted, discharged) = (self.time("admitted"), self.time("discharged"));
                let bed = self.bed();
                if discharged.is_none() && bed != Bed::default() {
                    parts.push(Part::Bed(self.item(bed.clone()), admitted));
                }
                let (dept, doctor) = (self.owned("dept"), self.owned("doctor"));
                Part::Stay(self.item(Stay { admitted, discharged, bed, dept, doctor }))
            }
            "visits" => {
                let (at, dept, doctor) = (self.time("at"), self.owned("dept"), self.owned("doctor"));
                Part::Visit(self.item(Visit { at, dept, doctor }))
            }
            "meals" => Part::Meal(self.item(Meal {
                diet: self.owned("diet"),
                instruction: self.owned("instruction"),
                timing: self.owned("timing"),
                start: self.time("start"),
            })),
            "notes" => Part::Note(self.item(Note {
                kind: self.owned("kind"),
                standard_code: self.owned("code"),
                date: self.day("date"),
                bytes: self.text("text").len() as u64,
                text: Some(shortened(self.text("text"))),
            })),
            "appointments" => Part::Appointment(self.item(Appointment {
                at: self.time("at"),
                dept: self.owned("dept"),
                doctor: self.owned("doctor"),
                what: self.owned("what"),
                status: self.owned("status"),
            })),
            _ => return self.person(parts),
        };
        parts.push(part);
        Ok(())
    }

    fn person(&self, parts: &mut Vec<Part>) -> Result<(), Unread> {
        parts.push(Part::Person(Box::new(Banner {
            name: self.some("name"),
            kana: self.some("kana"),
            birth_date: self.day("birth_date"),
            sex: self.sex(),
            address: self.some("address"),
            phone: self.some("phone"),
            from: Some(self.from()),
            ..Banner::default()
        })));
        let answer = |column| self.some(column).map(|value| self.item(Answer { value }));
        parts.extend(answer("blood_abo").map(Part::BloodAbo));
        parts.extend(answer("blood_rh").map(Part::BloodRh));
        parts.extend(answer("height").map(Part::Height));
        parts.extend(answer("weight").map(Part::Weight));
        if self.bed() != Bed::default() {
            parts.push(Part::Bed(self.item(self.bed()), None));
        }
        Ok(())
    }

    fn allergy(&self) -> Allergy {
        let severity_code = match self.text("severity").to_lowercase().as_str() {
            "severe" | "sv" | "high" | "life_threatening_severity" | "fatal" | "重度" => "SV",
            "moderate" | "mo" | "中等度" | "中度" => "MO",
            "mild" | "mi" | "low" | "軽度" => "MI",
            _ => "",
        };
        let category_code = match self.text("category").to_lowercase().as_str() {
            "drug" | "medication" | "da" | "薬剤" | "医薬品" => "DA",
            "food" | "fa" | "食物" | "食品" => "FA",
            "environment" | "ea" | "環境" => "EA",
            "contrast" | "ma" => "MA",
            _ => "",
        };
        Allergy {
            substance: self.owned("substance"),
            code: self.owned("code"),
            category_code: category_code.to_owned(),
            category: self.owned("category"),
            severity_code: severity_code.to_owned(),
            severity: self.owned("severity"),
            reaction: self.owned("reaction"),
            since: self.owned("since"),
        }
    }

    fn problem(&self) -> Problem {
        Problem {
            name: self.owned("name"),
            icd10: self.owned("icd10"),
            main: self.is_true("main").unwrap_or(false),
            since: self.day("since"),
            until: self.day("until"),
            outcome: self.owned("outcome"),
            active: false,
        }
    }

    fn drug(&self) -> Drug {
        Drug {
            name: self.owned("drug"),
            code: self.owned("code"),
            dose: self.owned("dose"),
            per_day: self.owned("per_day"),
        }
    }

    fn medication(&self) -> (Medication, Said) {
        let (start, days) =
            (self.day("start"), self.text("days").parse::<u16>().ok().filter(|days| *days > 0));
        let last =
            |start: Date| start.checked_add(jiff::Span::new().days(i64::from(days?).saturating_sub(1))).ok();
        let route = match self.text("route").to_lowercase().as_str() {
            "injection" | "注射" | "iv" | "im" | "sc" => Route::Injection,
            _ => Route::Prescription,
        };
        let said = match self.text("status").to_lowercase().as_str() {
            "stopped" | "cancelled" | "discontinued" | "on-hold" | "中止" => Said::Stopped,
            "ended" | "completed" | "終了" => Said::Over,
            _ => Said::Nothing,
        };
        let medication = Medication {
            route,
            drugs: vec![self.drug()],
            usage: self.owned("directions"),
            start,
            until: self.day("until").or_else(|| start.and_then(last)),
            days,
            state: Course::Open,
            ordered_by: self.owned("ordered_by"),
            order: self.owned("order_no"),
        };
        (medication, said)
    }

    fn lab(&self) -> Part {
        let (value, range) = (self.owned("value"), self.owned("normal_range"));
        let (flag, flag_computed) = match self.text("flag").to_lowercase().as_str() {
            "high" => (LabFlag::High, false),
            "low" => (LabFlag::Low, false),
            "normal" | "no" => (LabFlag::Normal, false),
            "yes" | "abnormal" => (LabFlag::Abnormal, false),
            "vhigh" | "vlow" | "critical" => (LabFlag::Critical, false),
            _ => flag_of(&self.text("flag").to_uppercase(), &value, &range),
        };
        let preliminary = matches!(self.text("status"), "preliminary" | "prelim" | "P" | "中間");
        let at = self.time("at");
        let result =
            LabResult { value, unit: self.owned("unit"), range, flag, flag_computed, at, preliminary };
        Part::Lab { code: self.owned("code"), name: self.owned("test"), result: self.item(result) }
    }

    /// The patient's id.
    pub(super) fn patient(&self) -> PatientId {
        PatientId(self.owned("patient"))
    }
}

/// As databases write times: with an offset, without one, or a day.
fn time(text: &str, zone: &TimeZone) -> Option<DateTime> {
    let written = text.replace('/', "-");
    let shape = written.as_bytes();
    // `2018-10-15 09:00:00+09`: PostgreSQL leaves out minutes of an offset that are zero.
    let has_short_offset =
        shape.len() > 19 && shape[shape.len() - 3..].first().is_some_and(|sign| matches!(sign, b'+' | b'-'));
    let full = if has_short_offset { format!("{written}:00") } else { written.clone() };
    When::parse(&full.replacen(' ', "T", 1))
        .or_else(|| When::parse(&written))
        .and_then(|when| when.time(zone))
        .or_else(|| decode::hl7::datetime(text))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn times_are_read_as_databases_write_them() {
        let tokyo = TimeZone::fixed(jiff::tz::offset(9));
        let check =
            |text: &str, expected: Option<DateTime>| assert_eq!(time(text, &tokyo), expected, "{text}");
        let nine = Some(date(2018, 10, 15).at(9, 0, 0, 0));
        check("2018-10-15 09:00:00", nine);
        check("2018-10-15 00:00:00+00", nine);
        check("2018-10-15T00:00:00Z", nine);
        check("2018-10-14 20:00:00-04:00", nine);
        check("2018/10/15 09:00", nine);
        check("201810150900", nine);
        check("2018-10-15", Some(date(2018, 10, 15).at(0, 0, 0, 0)));
        check("20181015", Some(date(2018, 10, 15).at(0, 0, 0, 0)));
        for text in ["", "-", "+09", "昨日", "2018", "2018-99-99 99:99:99+99"] {
            check(text, None);
        }
    }
}
