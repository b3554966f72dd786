//! Accepted notes as HL7 v2.5 messages, in the order of segments that the standard and the NHO's checker ask for.

use std::fmt::Write;

use jiff::civil::DateTime;

use super::{Accepted, Patient};
use crate::charts::Sex;
use crate::downtime::identity::folded;
use crate::downtime::reconcile::vitals::loinc;
use crate::downtime::words::Part;
use crate::downtime::{Entry, Given, Note, Order, OrderKind, Vitals};

/// Names of drugs, tests and diets are as they were written: notes hold no codes.
const NO_CODE: &str = "NOCODE";
/// Our own coding system, a local one by HL7's rule (99…).
const OWN: &str = "99CWD";

/// A message and where SS-MIX2 files it.
pub(super) struct Message {
    /// Data type of standardized storage; `None`: extended storage, since the standard has no place for it.
    pub(super) kind: Option<&'static str>,
    /// Without encoding, CR after each segment.
    pub(super) text: String,
}

/// The message of a note; `None` for what goes into extended storage as text.
pub(super) fn message(accepted: &Accepted, order: &str, control: u64, sent: DateTime) -> Option<Message> {
    let note = &accepted.kept.note;
    let build = |event: &str| {
        let mut text = Segments::default();
        text.msh(event, sent, control);
        text.pid(&accepted.patient);
        text
    };
    let (kind, text) = match &note.entry {
        Entry::Given(given) => {
            let mut text = build("RAS^O17^RAS_O17");
            text.given(note, given, &accepted.patient, order);
            (Some(if is_injected(&given.route) { "OMP-12" } else { "OMP-11" }), text)
        }
        Entry::Vitals(vitals) => {
            let mut text = build("ORU^R01^ORU_R01");
            text.vitals(note, vitals, order);
            (None, text)
        }
        Entry::Order(asked) => {
            let (event, kind) = match asked.order {
                OrderKind::Prescription => ("RDE^O11^RDE_O11", "OMP-01"),
                OrderKind::Injection => ("RDE^O11^RDE_O11", "OMP-02"),
                OrderKind::Meal => ("OMD^O03^OMD_O03", "OMD"),
                OrderKind::Lab => ("OML^O33^OML_O33", "OML-01"),
                OrderKind::Examination | OrderKind::Other => return None,
            };
            let mut text = build(event);
            match asked.order {
                OrderKind::Meal => text.meal(note, asked, &accepted.patient, order),
                OrderKind::Lab => text.laboratory(note, asked, &accepted.patient, order),
                _ => text.prescription(note, asked, &accepted.patient, order),
            }
            (Some(kind), text)
        }
        Entry::Text(_) => return None,
    };
    Some(Message { kind, text: text.0 })
}

#[derive(Default)]
struct Segments(String);

impl Segments {
    fn add(&mut self, segment: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.0.write_fmt(segment);
        while self.0.ends_with('|') {
            self.0.pop();
        }
        self.0.push('\r');
    }

    fn msh(&mut self, event: &str, sent: DateTime, control: u64) {
        self.add(format_args!(
            "MSH|^~\\&|CHARTWARD|DOWNTIME|HIS|HOSPITAL|{}.{:03}||{event}|{control:015}|P|2.5||||||~ISO IR87||ISO 2022-1994|\
             SS-MIX2_1.20^SS-MIX2^1.2.392.200250.2.1.100.1.2.120^ISO",
            stamp(sent),
            sent.millisecond(),
        ));
    }

    fn pid(&mut self, patient: &Patient) {
        let (family, given) = halves(&patient.name);
        let (family_kana, given_kana) = halves(&patient.kana);
        let birth = patient.birth_date.map(|date| date.strftime("%Y%m%d").to_string()).unwrap_or_default();
        let sex = match patient.sex {
            Some(Sex::Male) => "M",
            Some(Sex::Female) => "F",
            Some(Sex::Other) => "O",
            None => "U",
        };
        let name = format!("{}^{}^^^^^L^I", esc(family), esc(given));
        let kana = format!("{}^{}^^^^^L^P", esc(family_kana), esc(given_kana));
        let names = if patient.kana.is_empty() { name } else { format!("{name}~{kana}") };
        self.add(format_args!("PID|0001||{}^^^^PI||{names}||{birth}|{sex}", esc(&patient.id.0)));
        let class = if patient.is_inpatient { 'I' } else { 'O' };
        self.add(format_args!("PV1|0001|{class}"));
    }

    /// ORC, with everything that one of the types asks for.
    fn orc(&mut self, note: &Note, order: &str, by: &str, patient: &Patient) {
        let (class, word) = if patient.is_inpatient {
            ('I', "入院患者オーダ")
        } else {
            ('O', "外来患者オーダ")
        };
        self.add(format_args!(
            "ORC|NW|{order}||{order}_01_001|||||{}|{}||{}|||||DOWNTIME^停止中の記録^{OWN}||||||||||||{class}^{word}^HL70482",
            stamp(note.at),
            person(&note.author),
            person(by),
        ));
    }

    fn given(&mut self, note: &Note, given: &Given, patient: &Patient, order: &str) {
        self.orc(note, order, &note.author, patient);
        let at = stamp(note.at);
        // HL7 v2.5 §4.14.7: 999 where the amount cannot be told; the words then stand in RXA-9.
        let (number, unit, words) = match (given.was_given, amount(&given.dose)) {
            (false, _) => ("0".to_owned(), String::new(), given.dose.clone()),
            (true, Some((number, unit))) => (number, unit, String::new()),
            (true, None) => ("999".to_owned(), String::new(), given.dose.clone()),
        };
        let unit = if unit.is_empty() { unit } else { format!("{u}^{u}^{OWN}", u = esc(&unit)) };
        let remark =
            [words.as_str(), &given.remark].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
        let remark = if remark.is_empty() { String::new() } else { format!("^{}", esc(&remark.join(" / "))) };
        let status = if given.was_given { "CP" } else { "NA" };
        self.add(format_args!(
            "RXA|0|1|{at}|{at}|{NO_CODE}^{}^{OWN}|{number}|{unit}||{remark}|{}||||||||||{status}||{at}",
            esc(&given.drug),
            person(&note.author),
        ));
        self.route(&given.route);
    }

    fn prescription(&mut self, note: &Note, asked: &Order, patient: &Patient, order: &str) {
        self.orc(note, order, orderer(note, asked), patient);
        let (what, directions) = (esc(&asked.what), esc(&asked.directions));
        // The amount is required and a note has it in words: they stand in RXE-7, and the unit says where to look.
        let unit = format!("-^指示欄に記載^{OWN}");
        let dispense =
            if asked.order == OrderKind::Prescription { format!("0|{unit}") } else { "|".to_owned() };
        self.add(format_args!("RXE||{NO_CODE}^{what}^{OWN}|0||{unit}||^{directions}|||{dispense}"));
        self.add(format_args!("TQ1|1||||||{}", stamp(note.at)));
        self.route(if asked.order == OrderKind::Injection { "注射" } else { "内服" });
    }

    fn route(&mut self, route: &str) {
        let text = folded(route);
        let known = [
            ("IM", "筋肉内", &["im", "筋注", "筋肉内"][..]),
            ("SC", "皮下", &["sc", "皮下", "皮下注"]),
            (
                "IV",
                "静脈内",
                &["iv", "静注", "点滴", "静脈内", "点滴静注", "注射", "injection", "infusion", "div"],
            ),
            ("PO", "口", &["po", "内服", "経口", "bymouth", "oral"]),
        ];
        let route = if text.is_empty() { "記載なし" } else { route };
        match known.into_iter().find(|(_, _, spellings)| spellings.contains(&text.as_str())) {
            Some((code, word, _)) => self.add(format_args!("RXR|{code}^{word}^HL70162")),
            None => self.add(format_args!("RXR|OTH^{}^HL70162", esc(route))),
        }
    }

    fn meal(&mut self, note: &Note, asked: &Order, patient: &Patient, order: &str) {
        self.orc(note, order, orderer(note, asked), patient);
        self.add(format_args!("TQ1|1||||||{}", stamp(note.at)));
        self.add(format_args!("ODS|D||{NO_CODE}^{}^{OWN}|{}", esc(&asked.what), esc(&asked.directions)));
    }

    fn laboratory(&mut self, note: &Note, asked: &Order, patient: &Patient, order: &str) {
        let what = esc(&asked.what);
        self.add(format_args!("SPM|1|||999^不明^{OWN}"));
        self.orc(note, order, orderer(note, asked), patient);
        let orderer = person(orderer(note, asked));
        self.add(format_args!(
            "OBR|1|{order}||{NO_CODE}^{what}^{OWN}|||||||||{}|||{orderer}",
            esc(&asked.directions)
        ));
        self.add(format_args!("OBX|1||{NO_CODE}^{what}^{OWN}||||||||O"));
    }

    fn vitals(&mut self, note: &Note, vitals: &Vitals, order: &str) {
        let at = stamp(note.at);
        self.add(format_args!(
            "OBR|1|{order}||8716-3^Vital signs^LN|||{at}|||{}||||||||||||{at}|||F",
            person(&note.author)
        ));
        let coded =
            vitals.measured().into_iter().filter_map(|(part, value)| Some((part, loinc(part)?.0, value)));
        for (number, (part, code, value)) in (1..).zip(coded) {
            let unit = match part {
                Part::Pain => "{score}^^UCUM".to_owned(),
                part => format!("{}^{}^UCUM", part.unit(), part.unit_word()),
            };
            let name = part.word(schema::Lang::Ja);
            self.add(format_args!("OBX|{number}|NM|{code}^{name}^LN||{value}|{unit}|||||F|||{at}"));
        }
    }
}

fn orderer<'n>(note: &'n Note, asked: &'n Order) -> &'n str {
    if asked.ordered_by.trim().is_empty() { &note.author } else { &asked.ordered_by }
}

/// XCN with a name and no number: notes know people by name.
fn person(name: &str) -> String {
    let (family, given) = halves(name);
    format!("^{}^{}^^^^^^^L^^^^^I", esc(family), esc(given))
}

/// Family and given name, where a space parts them.
fn halves(name: &str) -> (&str, &str) {
    let name = name.trim();
    name.split_once(char::is_whitespace).map_or((name, ""), |(family, given)| (family, given.trim()))
}

pub(super) fn stamp(at: DateTime) -> String {
    at.strftime("%Y%m%d%H%M%S").to_string()
}

/// `1.5 錠` as number and unit; `None` for what is not so simple.
pub(super) fn amount(dose: &str) -> Option<(String, String)> {
    let dose = dose.trim();
    let end = dose.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(dose.len());
    let (number, unit) = dose.split_at_checked(end)?;
    number.parse::<f64>().ok().filter(|number| number.is_finite())?;
    let unit = unit.trim();
    // "1錠×3" is no amount of one unit.
    let is_plain = !unit.chars().any(|c| c.is_ascii_digit() || matches!(c, '×' | '+' | '〜' | '～' | '-'));
    is_plain.then(|| (number.to_owned(), unit.to_owned()))
}

pub(super) fn is_injected(route: &str) -> bool {
    let route = folded(route);
    let words = ["注", "点滴", "静脈", "iv", "im", "sc", "injection", "infusion"];
    words
        .into_iter()
        .any(|word| if word.is_ascii() && word.len() == 2 { route == word } else { route.contains(word) })
}

/// HL7 v2.5 §2.7: separators in text, and line ends as formatted text has them.
fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '\\' => out.push_str("\\E\\"),
            '|' => out.push_str("\\F\\"),
            '^' => out.push_str("\\S\\"),
            '~' => out.push_str("\\R\\"),
            '&' => out.push_str("\\T\\"),
            '\n' => out.push_str("\\.br\\"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
