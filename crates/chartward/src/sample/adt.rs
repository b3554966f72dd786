//! Messages about the patient: demographics, movements, allergies, problems.

use std::fmt;

use jiff::civil::DateTime;

use super::catalogue::Bed;
use super::chart::{Allergy, Care, Chart, Problem};
use super::hl7::{Control, Day, Identity, Sent, Stamp, Visited, evn, msh, orc, pid, pv1};
use super::person::{Address, Person};
use super::text::Message;

/// ADT-00: who the patient is, at the address of that time.
pub(super) fn demographics(
    message: &mut Message,
    sent: Sent,
    chart: &Chart,
    address: &Address,
) -> fmt::Result {
    let person = &chart.person;
    msh(message, sent, "ADT^A08^ADT_A01")?;
    evn(message, sent.at, None)?;
    message.segment(format_args!(
        "PID|0001||{}|||^^^^{}^JPN^H^{}||^PRN^PH^^^^^^^^^{}||||||||||||||||||||{}",
        Identity(person),
        address.postal_code,
        address.line,
        person.phone,
        Stamp(sent.at)
    ))?;
    pv1(message, chart.care)?;
    message.segment(format_args!("DB1|1|PT||N"))?;
    body(message, person)?;
    for (set, allergy) in (1..).zip(&chart.allergies) {
        let allergen = allergy.allergen;
        message.segment(format_args!(
            "AL1|{set}|{}^{}^HL70127|{}^{}^99XYZ",
            allergen.kind, allergen.kind_name, allergen.code, allergen.name
        ))?;
    }
    let insurance = &person.insurance;
    message.segment(format_args!(
        "IN1|1|{}^{}^JHSD0001|{}|見本保険者||||||見本~{}||{}|||||SEL^本人^HL70063",
        insurance.plan,
        insurance.plan_name,
        insurance.insurer,
        insurance.number,
        Day(chart.registered.date())
    ))
}

/// Height, weight and blood group.
fn body(message: &mut Message, person: &Person) -> fmt::Result {
    let tenths = |value: i64| format!("{}.{}", value / 10, value % 10);
    message.segment(format_args!(
        "OBX|1|NM|9N001000000000001^身長^JC10||{}|cm^cm^ISO+|||||F",
        tenths(person.height)
    ))?;
    message.segment(format_args!(
        "OBX|2|NM|9N006000000000001^体重^JC10||{}|kg^kg^ISO+|||||F",
        tenths(person.weight)
    ))?;
    message.segment(format_args!(
        "OBX|3|CWE|5H010000001999911^血液型-ABO式^JC10||{abo}^{abo}^JSHR002||||||F",
        abo = person.abo
    ))?;
    message.segment(format_args!(
        "OBX|4|CWE|5H020000001999911^血液型-Rh式^JC10||Rh{rh}^{rh}^JSHR002||||||F",
        rh = person.rh
    ))
}

/// ADT-61: all allergies.
pub(super) fn allergies(
    message: &mut Message,
    sent: Sent,
    person: &Person,
    known: &[Allergy],
) -> fmt::Result {
    msh(message, sent, "ADT^A60^ADT_A60")?;
    evn(message, sent.at, None)?;
    pid(message, person)?;
    for (set, allergy) in (1..).zip(known) {
        let (allergen, (code, name)) = (allergy.allergen, allergy.severity);
        message.segment(format_args!(
            "IAM|{set}|{}^{}^HL70127|{}^{}^99XYZ|{code}^{name}^HL70128|{}|A^追加^HL70323|||||{}",
            allergen.kind,
            allergen.kind_name,
            allergen.code,
            allergen.name,
            allergen.reaction,
            Day(allergy.since)
        ))?;
    }
    Ok(())
}

/// PPR-01: all problems in one file.
pub(super) fn problems<'a>(
    message: &mut Message,
    sent: Sent,
    person: &Person,
    list: impl Iterator<Item = &'a Problem>,
) -> fmt::Result {
    msh(message, sent, "PPR^ZD1^PPR_ZD1")?;
    pid(message, person)?;
    for (rank, problem) in list.enumerate() {
        let disease = problem.disease;
        // An older version of the list does not know yet what came later.
        let (resolved, outcome) = match problem.resolved.filter(|day| *day <= sent.at.date()) {
            Some(day) => (Day(day).to_string(), "F^完全に回復^HL70241"),
            None => (String::new(), ""),
        };
        let primary = if rank == 0 { "1^主診断^JHSD0007" } else { "" };
        message.segment(format_args!(
            "PRB|AD|{}|{}^{}^99XYZ|{:015}|||{}||{resolved}|{}^^I10||||{outcome}|{}|{}|{}|{primary}",
            Day(problem.recorded.date()),
            disease.code,
            disease.name,
            problem.number,
            Day(problem.onset),
            disease.icd10,
            Day(problem.recorded.date()),
            Day(problem.onset),
            disease.name
        ))?;
        orc(
            message,
            &Control {
                code: "NW",
                number: problem.number,
                filler: None,
                group: None,
                status: "",
                at: problem.recorded,
                care: problem.care,
            },
        )?;
    }
    Ok(())
}

/// What a patient did, or what is taken back. The care date is where the standard puts it for the event.
pub(super) enum Movement {
    /// ADT-12, A04.
    Visit { at: DateTime },
    /// ADT-22, A01; A11 takes it back.
    Admission { at: DateTime },
    /// ADT-42, A02.
    Transfer { at: DateTime, from: Option<Bed> },
    /// ADT-52, A03; A13 takes it back.
    Discharge { at: DateTime },
}

/// The message of a movement, or of its cancellation.
pub(super) fn movement(
    message: &mut Message,
    sent: Sent,
    person: &Person,
    care: Care,
    movement: &Movement,
    taken_back: bool,
) -> fmt::Result {
    let (event, cancel) = match movement {
        Movement::Visit { .. } => ("ADT^A04^ADT_A01", "ADT^A11^ADT_A09"),
        Movement::Admission { .. } => ("ADT^A01^ADT_A01", "ADT^A11^ADT_A09"),
        Movement::Transfer { .. } => ("ADT^A02^ADT_A02", "ADT^A12^ADT_A12"),
        Movement::Discharge { .. } => ("ADT^A03^ADT_A03", "ADT^A13^ADT_A01"),
    };
    let (occurred, place) = match *movement {
        Movement::Visit { at } | Movement::Admission { at } => {
            (None, Visited { care, from: None, admitted: Some(at), discharged: None })
        }
        Movement::Transfer { at, from } => {
            (Some(at), Visited { care, from, admitted: None, discharged: None })
        }
        Movement::Discharge { at } => {
            (Some(at), Visited { care, from: None, admitted: None, discharged: Some(at) })
        }
    };
    msh(message, sent, if taken_back { cancel } else { event })?;
    evn(message, sent.at, occurred)?;
    pid(message, person)?;
    message.segment(format_args!("{place}"))
}
