//! The segments that several message types share, field by field as the standard's own samples fill them.

use std::fmt;

use jiff::civil::{Date, DateTime};

use super::catalogue::{Bed, DEPARTMENTS, Doctor, HOSPITAL};
use super::chart::Care;
use super::person::Person;
use super::text::Message;

/// `20181016050000`.
pub(super) struct Stamp(pub(super) DateTime);

impl fmt::Display for Stamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.0.time();
        write!(out, "{}{:02}{:02}{:02}", Day(self.0.date()), time.hour(), time.minute(), time.second())
    }
}

/// `20181016`.
pub(super) struct Day(pub(super) Date);

impl fmt::Display for Day {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}{:02}{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

/// A staff member: number, family name, given name.
struct Staff(&'static Doctor);

impl fmt::Display for Staff {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}^{}^{}^^^^^^^L^^^^^I", self.0.code, self.0.family.kanji, self.0.given.kanji)
    }
}

/// Where the patient is: ward, room and bed, or the clinic.
pub(super) struct Location(pub(super) Care);

impl fmt::Display for Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.bed {
            Some(bed) => write!(out, "{}^{}^{}^^^N", bed.ward(), bed.room_number(), bed.bed),
            None => write!(out, "{}^^^^^C", DEPARTMENTS[self.0.department].code),
        }
    }
}

/// When a file was written and what its message is called.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    /// With milliseconds.
    pub(super) at: DateTime,
    /// Unique in the hospital.
    pub(super) control: u64,
}

/// Starts a message: MSH.
pub(super) fn msh(message: &mut Message, sent: Sent, event: &str) -> fmt::Result {
    message.clear();
    message.segment(format_args!(
        "MSH|^~\\&|HIS|SAMPLE|SSMIX2|SAMPLE|{}.{:03}||{event}|{}|P|2.5||||||~ISO IR87||ISO 2022-1994|\
         SS-MIX2_1.20^SS-MIX2^1.2.392.200250.2.1.100.1.2.120^ISO",
        Stamp(sent.at),
        sent.at.millisecond(),
        sent.control
    ))
}

/// EVN, with the moment of the event where the event type has its care date there.
pub(super) fn evn(message: &mut Message, recorded: DateTime, occurred: Option<DateTime>) -> fmt::Result {
    match occurred {
        Some(at) => message.segment(format_args!("EVN||{}||||{}|SAMPLE", Stamp(recorded), Stamp(at))),
        None => message.segment(format_args!("EVN||{}|||||SAMPLE", Stamp(recorded))),
    }
}

/// PID as most messages carry it: identity, no address.
pub(super) fn pid(message: &mut Message, person: &Person) -> fmt::Result {
    message.segment(format_args!("PID|0001||{}", Identity(person)))
}

/// PID-3 to PID-8.
pub(super) struct Identity<'a>(pub(super) &'a Person);

impl fmt::Display for Identity<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Person { id, family, given, sex, birth, .. } = self.0;
        write!(
            out,
            "{id}^^^^PI||{}^{}^^^^^L^I~{}^{}^^^^^L^P||{}|{}",
            family.kanji,
            given.kanji,
            family.kana,
            given.kana,
            Day(*birth),
            sex.code()
        )
    }
}

/// PV1 of orders and results: class, place, doctor, department.
pub(super) fn pv1(message: &mut Message, care: Care) -> fmt::Result {
    message.segment(format_args!("{}", Visited { care, from: None, admitted: None, discharged: None }))
}

/// PV1 with what only the patient's movements fill.
pub(super) struct Visited {
    pub(super) care: Care,
    /// PV1-6, the bed before a transfer.
    pub(super) from: Option<Bed>,
    /// PV1-44, arrival or admission.
    pub(super) admitted: Option<DateTime>,
    /// PV1-45.
    pub(super) discharged: Option<DateTime>,
}

impl fmt::Display for Visited {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let care = self.care;
        let class = if care.bed.is_some() { 'I' } else { 'O' };
        write!(out, "PV1|0001|{class}|{}|||", Location(care))?;
        if let Some(bed) = self.from {
            write!(out, "{}", Location(Care { bed: Some(bed), ..care }))?;
        }
        write!(out, "|{}|||{}", Staff(care.doctor), DEPARTMENTS[care.department].code)?;
        if self.admitted.is_none() && self.discharged.is_none() {
            return Ok(());
        }
        // From PV1-10 to PV1-44.
        write!(out, "{:|<34}", "")?;
        if let Some(at) = self.admitted {
            write!(out, "{}", Stamp(at))?;
        }
        if let Some(at) = self.discharged {
            write!(out, "|{}", Stamp(at))?;
        }
        Ok(())
    }
}

/// ORC: one for each line of an order.
pub(super) struct Control {
    /// `NW` new, `XO` changed, `CA` cancelled, `SC` result.
    pub(super) code: &'static str,
    pub(super) number: u64,
    /// The laboratory's own number.
    pub(super) filler: Option<u64>,
    /// Line and administration within the order (ORC-4).
    pub(super) group: Option<usize>,
    /// ORC-5.
    pub(super) status: &'static str,
    /// ORC-9. The folder's date comes from here, so it stays the order's own through changes and cancellation.
    pub(super) at: DateTime,
    pub(super) care: Care,
}

pub(super) fn orc(message: &mut Message, control: &Control) -> fmt::Result {
    message.segment(format_args!("{control}"))
}

impl fmt::Display for Control {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let care = self.care;
        let department = &DEPARTMENTS[care.department];
        write!(out, "ORC|{}|{:015}|", self.code, self.number)?;
        if let Some(filler) = self.filler {
            write!(out, "{filler:016}")?;
        }
        out.write_str("|")?;
        if let Some(line) = self.group {
            write!(out, "{:015}_{line:02}_001", self.number)?;
        }
        write!(
            out,
            "|{}||||{}|{staff}||{staff}|{}||||{}^{}^99XYZ|T{}^^99XYZ|||{HOSPITAL}|{ADDRESS}|{PHONE}||||||{}",
            self.status,
            Stamp(self.at),
            Location(care),
            department.code,
            department.name,
            department.code,
            if care.bed.is_some() {
                "I^入院患者オーダ^HL70482"
            } else {
                "O^外来患者オーダ^HL70482"
            },
            staff = Staff(care.doctor),
        )
    }
}

const ADDRESS: &str = "^^^^000-0000^JPN^^見本県見本市中央1-1-1";
const PHONE: &str = "^^^^^^^^^^^000-0000-0000";

/// The doctor as PRB's ORC and the results name them.
pub(super) fn staff(care: Care) -> impl fmt::Display {
    Staff(care.doctor)
}
