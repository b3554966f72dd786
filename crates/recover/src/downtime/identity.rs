//! Whether a note is about the patient whose chart it is held against: the commonest harm of a downtime is the wrong patient.

use schema::{Lang, PatientId};
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

use super::note::{Identifier, Whom};
use crate::charts::Banner;

/// An identifier on which the note and the chart disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Which one.
    pub which: Identifier,
    /// As the note has it.
    pub note: String,
    /// As the chart has it.
    pub chart: String,
}

impl Mismatch {
    /// In words.
    pub fn words(&self, lang: Lang) -> String {
        let (which, note, chart) = (self.which.word(lang), &self.note, &self.chart);
        lang.pick(
            format!("{which}: the note says {note}, the chart says {chart}"),
            format!("{which}が一致しません（記録: {note}、カルテ: {chart}）"),
        )
    }
}

/// Where the note's patient and the chart's disagree; empty when all that both have fits. What one of them does not have is no
/// disagreement.
pub fn mismatches(whom: &Whom, patient: &PatientId, banner: &Banner) -> Vec<Mismatch> {
    let mut found = Vec::new();
    if let Some(id) = &whom.id
        && !same_id(id, patient)
    {
        found.push(Mismatch { which: Identifier::Id, note: id.0.clone(), chart: patient.0.clone() });
    }
    if let (Some(note), Some(chart)) = (whom.birth_date, banner.birth_date)
        && note != chart
    {
        let (note, chart) = (note.to_string(), chart.to_string());
        found.push(Mismatch { which: Identifier::BirthDate, note, chart });
    }
    found.extend(name_mismatch(whom, banner));
    found
}

/// A name fits when it is the chart's in kanji or in kana; both are compared where both have both.
fn name_mismatch(whom: &Whom, banner: &Banner) -> Option<Mismatch> {
    let chart: Vec<String> =
        [&banner.name, &banner.kana].into_iter().flatten().map(|name| folded(name)).collect();
    let note: Vec<&String> =
        [&whom.name, &whom.kana].into_iter().filter(|name| !name.trim().is_empty()).collect();
    if chart.is_empty() || note.is_empty() {
        return None;
    }
    let odd = note.iter().find(|name| !chart.contains(&folded(name)))?;
    Some(Mismatch {
        which: Identifier::Name,
        note: (*odd).clone(),
        chart: banner.name.clone().or_else(|| banner.kana.clone()).unwrap_or_default(),
    })
}

/// How many of id, name and date of birth are on both sides and agree.
pub fn agreeing(whom: &Whom, patient: &PatientId, banner: &Banner) -> usize {
    let id = whom.id.as_ref().is_some_and(|id| same_id(id, patient));
    let birth = whom.birth_date.is_some() && whom.birth_date == banner.birth_date;
    let has_name = !whom.name.trim().is_empty() || !whom.kana.trim().is_empty();
    let name =
        has_name && (banner.name.is_some() || banner.kana.is_some()) && name_mismatch(whom, banner).is_none();
    usize::from(id).saturating_add(usize::from(birth)).saturating_add(usize::from(name))
}

/// Zeros in front are no difference: systems pad.
pub fn same_id(a: &PatientId, b: &PatientId) -> bool {
    a.0.trim().trim_start_matches('0') == b.0.trim().trim_start_matches('0')
}

/// Whether an id can stand in the names of records (SS-MIX2: up to 15 letters, digits, hyphens and full stops).
pub fn is_record_id(id: &PatientId) -> bool {
    let name = format!("{}_-_ADT-00_999999999999999_20000101000000000_-_1", id.0);
    decode::ssmix2::RecordName::parse(name.as_bytes()).is_some()
}

/// Width, kana, case and spaces make no difference.
pub(crate) fn folded(text: &str) -> String {
    text.nfkc()
        .filter(|c| !c.is_whitespace() && !matches!(c, '・' | '·'))
        .map(|c| match c {
            'ぁ'..='ゖ' => char::from_u32(u32::from(c).saturating_add(0x60)).unwrap_or(c),
            _ => c,
        })
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::civil::date;

    use super::*;

    fn whom(id: &str, name: &str, kana: &str, birth: i8) -> Whom {
        Whom {
            id: Some(PatientId(id.into())),
            downtime_number: None,
            name: name.into(),
            kana: kana.into(),
            birth_date: Some(date(1948, 4, birth)),
            checked: BTreeSet::new(),
        }
    }

    #[test]
    fn what_both_sides_have_must_fit() {
        let banner = Banner {
            name: Some("斎藤 花子".into()),
            kana: Some("サイトウ ハナコ".into()),
            birth_date: Some(date(1948, 4, 5)),
            ..Banner::default()
        };
        let patient = PatientId("0001234567".into());
        for (whom, odd) in [
            (whom("0001234567", "斎藤　花子", "", 5), vec![]),
            (whom("1234567", "さいとうはなこ", "ｻｲﾄｳﾊﾅｺ", 5), vec![]),
            (whom("0001234568", "斎藤花子", "", 5), vec![Identifier::Id]),
            (whom("0001234567", "斎藤花代", "", 6), vec![Identifier::BirthDate, Identifier::Name]),
            (whom("0001234567", "斎藤花子", "サイトウ ハナヨ", 5), vec![Identifier::Name]),
            (whom("0001234567", "", "", 5), vec![]),
        ] {
            let found: Vec<_> = mismatches(&whom, &patient, &banner).iter().map(|odd| odd.which).collect();
            assert_eq!(found, odd, "{whom:?}");
        }
        assert_eq!(agreeing(&whom("1", "斎藤花子", "", 5), &patient, &banner), 2);
        assert_eq!(agreeing(&whom("1234567", "", "", 6), &patient, &banner), 1);
        assert_eq!(agreeing(&whom("1234567", "花子", "", 5), &patient, &Banner::default()), 1);
    }
}
