//! The hospital's own database: the same charts as rows.

use std::path::Path;

use anyhow::Context;
use jiff::civil::DateTime;
use rusqlite::{Connection, Params, Transaction, params};

use super::catalogue::{Bed, DEPARTMENTS, DOCTORS, MEALS};
use super::chart::{Allergy, Body, Care, Chart, NoteKind, Order, Problem, Stay, Value};
use super::labs::{decimal, flag, range};
use super::person::Sex;

const SCHEMA: &str = include_str!("emr.sql");

/// A database under construction. One writer, one transaction and one order of rows: the same hospital gives the
/// same bytes.
pub(super) struct Database {
    connection: Connection,
}

impl Database {
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let connection =
            Connection::open(path).with_context(|| format!("cannot make the database {}", path.display()))?;
        // No journal while building: a hospital that was not finished is made again, never repaired. WAL comes at the
        // end, because its frames would only be copied.
        connection
            .execute_batch("PRAGMA page_size=4096; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
            .and_then(|()| connection.execute_batch(SCHEMA))
            .context("cannot lay out the database")?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(Self { connection })
    }

    /// Puts all charts into the tables, in the order in which `next` hands them out.
    pub(super) fn fill(
        &mut self,
        wards: u32,
        mut next: impl FnMut() -> anyhow::Result<Option<Chart>>,
    ) -> anyhow::Result<()> {
        let transaction = self.connection.transaction()?;
        house(&transaction, wards)?;
        while let Some(chart) = next()? {
            Rows { transaction: &transaction, id: &chart.person.id, sex: chart.person.sex }
                .chart(&chart)
                .with_context(|| format!("cannot enter patient {} in the database", chart.person.id))?;
        }
        transaction.commit().context("cannot commit the database")
    }

    /// Leaves the file as a running EMR would: in WAL mode, with an empty log.
    pub(super) fn close(self) -> anyhow::Result<()> {
        self.connection
            .execute_batch("PRAGMA optimize; PRAGMA synchronous=NORMAL; PRAGMA journal_mode=WAL; PRAGMA wal_checkpoint(TRUNCATE);")
            .context("cannot switch the database to WAL")?;
        self.connection.close().map_err(|(_, error)| error).context("cannot close the database")
    }
}

/// Departments, doctors, wards, meals.
fn house(transaction: &Transaction<'_>, wards: u32) -> rusqlite::Result<()> {
    for department in DEPARTMENTS {
        transaction
            .execute("INSERT INTO departments VALUES (?1, ?2)", params![department.code, department.name])?;
    }
    for (doctor, department) in DOCTORS
        .chunks(DOCTORS.len() / DEPARTMENTS.len())
        .zip(DEPARTMENTS)
        .flat_map(|(doctors, department)| doctors.iter().map(move |doctor| (doctor, department)))
    {
        let name = format!("{} {}", doctor.family.kanji, doctor.given.kanji);
        let kana = format!("{} {}", doctor.family.kana, doctor.given.kana);
        transaction.execute(
            "INSERT INTO doctors VALUES (?1, ?2, ?3, ?4)",
            params![doctor.code, name, kana, department.code],
        )?;
    }
    for ward in 0..wards {
        let bed = Bed::first_of(ward);
        transaction.execute("INSERT INTO wards VALUES (?1, ?2)", params![bed.ward(), bed.ward_name()])?;
    }
    for meal in MEALS {
        transaction.execute(
            "INSERT INTO meals VALUES (?1, ?2, ?3)",
            params![meal.code, meal.name, meal.restriction],
        )?;
    }
    Ok(())
}

/// One patient's rows.
struct Rows<'a> {
    transaction: &'a Transaction<'a>,
    id: &'a str,
    sex: Sex,
}

impl Rows<'_> {
    fn insert(&self, sql: &str, values: impl Params) -> rusqlite::Result<()> {
        self.transaction.prepare_cached(sql)?.execute(values).map(drop)
    }

    fn chart(&self, chart: &Chart) -> rusqlite::Result<()> {
        self.patient(chart)?;
        chart.allergies.iter().try_for_each(|allergy| self.allergy(allergy))?;
        chart.problems.iter().try_for_each(|problem| self.problem(problem))?;
        for visit in &chart.visits {
            self.insert(
                "INSERT INTO visits (patient_id, visited_at, department, doctor) VALUES (?1, ?2, ?3, ?4)",
                params![self.id, text(visit.at), department(visit.care), visit.care.doctor.code],
            )?;
        }
        chart.stays.iter().try_for_each(|stay| self.stay(stay))?;
        chart.orders.iter().try_for_each(|order| self.order(order))?;
        for note in &chart.notes {
            let kind = match note.kind {
                NoteKind::Progress => "progress",
                NoteKind::DischargeSummary => "discharge summary",
            };
            self.insert(
                "INSERT INTO notes (patient_id, kind, written_at, doctor, text) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![self.id, kind, text(note.written), note.care.doctor.code, note.text],
            )?;
        }
        Ok(())
    }

    fn patient(&self, chart: &Chart) -> rusqlite::Result<()> {
        let person = &chart.person;
        let updated = person.former.as_ref().map_or(chart.registered, |(_, until)| *until);
        self.insert(
            "INSERT INTO patients VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            params![
                person.id,
                person.family.kanji,
                person.given.kanji,
                person.family.kana,
                person.given.kana,
                person.sex.code().to_string(),
                person.birth.to_string(),
                person.address.postal_code,
                person.address.line,
                person.phone,
                person.abo,
                person.rh.to_string(),
                person.insurance.plan,
                person.insurance.number,
                text(chart.registered),
                text(updated)
            ],
        )
    }

    fn allergy(&self, allergy: &Allergy) -> rusqlite::Result<()> {
        self.insert(
            "INSERT INTO allergies (patient_id, kind, code, substance, severity, reaction, since, recorded_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                self.id,
                allergy.allergen.kind,
                allergy.allergen.code,
                allergy.allergen.name,
                allergy.severity.1,
                allergy.allergen.reaction,
                allergy.since.to_string(),
                text(allergy.recorded)
            ],
        )
    }

    fn problem(&self, problem: &Problem) -> rusqlite::Result<()> {
        self.insert(
            "INSERT INTO problems (patient_id, icd10, name, department, onset, resolved, recorded_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                self.id,
                problem.disease.icd10,
                problem.disease.name,
                department(problem.care),
                problem.onset.to_string(),
                problem.resolved.map(|day| day.to_string()),
                text(problem.recorded)
            ],
        )
    }

    fn stay(&self, stay: &Stay) -> rusqlite::Result<()> {
        let (ward, room, bed) = place(stay.care.bed);
        self.insert(
            "INSERT INTO admissions (patient_id, admitted_at, department, doctor, ward, room, bed, icd10, discharged_at, cancelled_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                self.id,
                text(stay.admitted),
                department(stay.care),
                stay.care.doctor.code,
                ward,
                room,
                bed,
                stay.disease.icd10,
                stay.discharged.map(text),
                stay.cancelled.map(text)
            ],
        )?;
        let Some((at, to)) = stay.moved else { return Ok(()) };
        let (admission, (ward, room, bed)) = (self.transaction.last_insert_rowid(), place(Some(to)));
        self.insert(
            "INSERT INTO transfers (admission_id, moved_at, ward, room, bed) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![admission, text(at), ward, room, bed],
        )
    }

    fn order(&self, order: &Order) -> rusqlite::Result<()> {
        let kind = match order.body {
            Body::Prescription { .. } => "prescription",
            Body::Injection { .. } => "injection",
            Body::Meal { .. } => "meal",
            Body::Lab { .. } => "laboratory",
        };
        let number = format!("{:015}", order.number);
        self.insert(
            "INSERT INTO orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                number,
                self.id,
                kind,
                text(order.ordered),
                department(order.care),
                order.care.doctor.code,
                place(order.care.bed).0,
                order.amended.map(text),
                order.cancelled.map(text)
            ],
        )?;
        self.details(&number, &order.body)
    }

    /// What is ordered, and what came of it.
    fn details(&self, number: &str, body: &Body) -> rusqlite::Result<()> {
        match body {
            Body::Prescription { lines, days, .. } => lines.iter().try_for_each(|drug| {
                let (name, unit) = (drug.name, drug.unit.name);
                self.item(number, drug.code, name, drug.usage.per_day * days, unit, drug.usage.name)
            }),
            Body::Injection { fluid, additive, start, end, given } => {
                for part in [fluid, additive] {
                    self.item(number, part.code, part.name, 1, part.unit.name, "点滴静注")?;
                }
                if !given {
                    return Ok(());
                }
                self.insert(
                    "INSERT INTO administrations (order_number, started_at, ended_at) VALUES (?1, ?2, ?3)",
                    params![number, text(*start), text(*end)],
                )
            }
            Body::Meal { meal, banned, from, .. } => self.insert(
                "INSERT INTO meal_orders VALUES (?1, ?2, ?3, ?4)",
                params![number, MEALS[*meal].code, text(*from), banned],
            ),
            Body::Lab { collected, values, reports } => {
                let Some(report) = reports.last() else { return Ok(()) };
                let status = if report.is_final { "F" } else { "P" };
                values.iter().try_for_each(|value| self.result(number, value, *collected, report.at, status))
            }
        }
    }

    fn item(
        &self,
        order: &str,
        code: &str,
        name: &str,
        amount: i64,
        unit: &str,
        usage: &str,
    ) -> rusqlite::Result<()> {
        self.insert(
            "INSERT INTO order_items (order_number, code, name, amount, unit, usage) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![order, code, name, amount, unit, usage],
        )
    }

    fn result(
        &self,
        order: &str,
        value: &Value,
        collected: DateTime,
        reported: DateTime,
        status: &str,
    ) -> rusqlite::Result<()> {
        let (code, name, system) = value.identifier();
        let (found, unit, reference, abnormal) = match value {
            Value::Measured { test, value } => {
                let analyte = test.analyte();
                let found = decimal(*value, analyte.decimals);
                (found, analyte.unit, range(analyte, self.sex), flag(analyte, self.sex, *value))
            }
            Value::Screened { positive: true, .. } => ("(+)".to_owned(), "", "(-)".to_owned(), "A"),
            Value::Screened { positive: false, .. } => ("(-)".to_owned(), "", "(-)".to_owned(), ""),
        };
        self.insert(
            "INSERT INTO lab_results (order_number, patient_id, code, code_system, name, value, unit, reference, flag, status, collected_at, reported_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                order,
                self.id,
                code,
                system,
                name,
                found,
                unit,
                reference,
                abnormal,
                status,
                text(collected),
                text(reported)
            ],
        )
    }
}

fn department(care: Care) -> &'static str {
    DEPARTMENTS[care.department].code
}

fn place(bed: Option<Bed>) -> (Option<String>, Option<u32>, Option<u32>) {
    (bed.map(Bed::ward), bed.map(Bed::room_number), bed.map(|bed| bed.bed))
}

fn text(at: DateTime) -> String {
    at.to_string()
}
