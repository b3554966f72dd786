//! Who the patient is: PID and OBX of ADT-00.

use decode::hl7::{Field, Segment};
use jiff::civil::Date;

use super::model::{Answer, Banner, Item, Sex};
use super::record::{Record, amount, label, text, value};

/// JLAC10 analytes in ADT-00.
const HEIGHT: &str = "9N001";
const WEIGHT: &str = "9N006";
const BLOOD_ABO: &str = "5H010";
const BLOOD_RH: &str = "5H020";

/// Reads the banner from ADT-00, or, where there is none, from the PID that the newest other record has.
pub(super) fn banner(records: &[Record], as_of: Option<Date>) -> Banner {
    let newest = |kind: Option<&str>| {
        records
            .iter()
            .filter(|record| kind.is_none_or(|kind| record.name.kind == kind))
            .filter(|record| record.message.first("PID").is_some())
            .max_by_key(|record| &record.name.stamp)
    };
    let Some(record) = newest(Some("ADT-00")).or_else(|| newest(None)) else {
        return Banner::default();
    };
    let Some(pid) = record.message.first("PID") else {
        return Banner::default();
    };
    let mut banner = person(&pid);
    banner.age = banner.birth_date.zip(as_of).and_then(|(born, on)| age(born, on));
    banner.from = Some(record.from.clone());
    banner.height = observed(record, HEIGHT);
    banner.weight = observed(record, WEIGHT);
    banner.blood_abo = blood(records, BLOOD_ABO, "ABO");
    banner.blood_rh = blood(records, BLOOD_RH, "RH");
    banner
}

/// The identity in a PID segment.
pub(super) fn person(pid: &Segment<'_>) -> Banner {
    let (name, kana) = names(pid.field(5));
    Banner {
        name,
        kana,
        birth_date: decode::hl7::date(&pid.field(7).text()),
        sex: match &*pid.field(8).text() {
            "M" => Some(Sex::Male),
            "F" => Some(Sex::Female),
            "" => None,
            _ => Some(Sex::Other),
        },
        address: address(pid.field(11)),
        phone: phone(pid.field(13)),
        ..Banner::default()
    }
}

/// PID-5 repeats the name in kanji and in kana. Component 8 should say which is which (I, P); some writers
/// put it elsewhere, so a name wholly in kana counts as such too when another one is not.
fn names(field: Field<'_>) -> (Option<String>, Option<String>) {
    let (mut name, mut kana) = (None, None);
    for repetition in field.repetitions() {
        let written = amount(&text(repetition.component(1)), &text(repetition.component(2)));
        if written.is_empty() {
            continue;
        }
        let is_phonetic = [7, 8].iter().any(|n| repetition.component(*n).raw() == "P")
            || name.is_some() && written.chars().all(is_kana);
        let slot = if is_phonetic { &mut kana } else { &mut name };
        slot.get_or_insert(written);
    }
    (name, kana)
}

fn is_kana(c: char) -> bool {
    matches!(c, 'ぁ'..='ヿ' | 'ｦ'..='ﾟ' | ' ' | '　')
}

fn address(field: Field<'_>) -> Option<String> {
    // Japanese addresses stand whole in component 8 or are spread over state, city and street.
    let whole = text(field.component(8));
    let spread: String = [4, 3, 1, 2].map(|n| text(field.component(n))).concat();
    let postcode = text(field.component(5));
    let place = if whole.is_empty() { spread } else { whole };
    let written = amount(&postcode, &place);
    (!written.is_empty()).then_some(written)
}

fn phone(field: Field<'_>) -> Option<String> {
    [12, 1, 7]
        .into_iter()
        .map(|n| text(field.component(n)))
        .find(|number| number.bytes().any(|b| b.is_ascii_digit()))
}

/// Whole years; `None` when the birth is later.
pub(super) fn age(born: Date, on: Date) -> Option<u16> {
    let had_birthday = (on.month(), on.day()) >= (born.month(), born.day());
    let years = on.year() - born.year() - i16::from(!had_birthday);
    u16::try_from(years).ok()
}

fn observed(record: &Record, analyte: &str) -> Option<String> {
    let obx = record.message.all("OBX").find(|obx| obx.field(3).text().starts_with(analyte))?;
    let written = amount(&value(obx.field(5)), &value(obx.field(6)));
    (!written.is_empty()).then_some(written)
}

/// A blood group from ADT-00, else the newest from the laboratory.
fn blood(records: &[Record], analyte: &str, word: &str) -> Option<Item<Answer>> {
    let sources = records.iter().filter(|record| matches!(record.name.kind.as_str(), "ADT-00" | "OML-11"));
    let mut found: Vec<(&Record, String)> = sources
        .flat_map(|record| {
            let obx = record.message.all("OBX").filter(move |obx| {
                obx.field(3).text().starts_with(analyte)
                    || obx.field(3).component(2).text().contains("血液型")
                        && obx.field(3).component(2).text().to_uppercase().contains(word)
            });
            obx.map(move |obx| (record, label(obx.field(5))))
        })
        .filter(|(_, value)| !value.is_empty())
        .collect();
    found.sort_by_key(|(record, _)| (record.name.kind == "ADT-00", &record.name.stamp));
    found.pop().map(|(record, value)| record.item(Answer { value }))
}
