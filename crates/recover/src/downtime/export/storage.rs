//! SS-MIX2 1.2i §3: where each message and document lies.

use std::collections::{BTreeSet, HashSet};

use decode::ssmix2::{Flag, RecordName, patient_folder};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use schema::Lang;

use super::{Accepted, Export, Format, hl7, jis};
use crate::charts::words::minute;
use crate::downtime::words::Part;
use crate::downtime::{Entry, NoteId};

/// Type folders of extended storage: our own code, and the standard one beside it.
const TEXT_KIND: (&str, &str) = ("CWDNOTE", "CWDNOTE^停止中の記録^99CWD^34109-9^Note^LN");
const VITALS_KIND: (&str, &str) = ("CWDVITAL", "CWDVITAL^停止中のバイタルサイン^99CWD^8716-3^Vital signs^LN");

pub(super) fn add(
    export: &mut Export,
    accepted: &[Accepted],
    formats: &BTreeSet<Format>,
    now: Timestamp,
    zone: &TimeZone,
) {
    let mut numbers = HashSet::new();
    for (control, one) in (1u64..).zip(accepted) {
        let order = order_number(&one.kept.note.id, &mut numbers);
        // A millisecond each, so that no two files have the same stamp.
        let later = jiff::SignedDuration::from_millis(i64::try_from(control).unwrap_or(0));
        let sent = now.saturating_add(later).map_or(now, |at| at).to_zoned(zone.clone()).datetime();
        match hl7::message(one, &order, control, sent) {
            Some(message) => {
                let bytes =
                    |file: &str, export: &mut Export| jis::encode(&message.text, file, &mut export.replaced);
                if formats.contains(&Format::Hl7) {
                    let kind = message.kind.unwrap_or("VITALS");
                    let path = format!("hl7/{}/{control:06}-{kind}.hl7", super::file_part(&one.patient.id));
                    let content = bytes(&path, export);
                    export.add(path, content);
                }
                if formats.contains(&Format::Ssmix2) {
                    let path = match message.kind {
                        Some(kind) => record_path(one, kind, &order, sent),
                        None => document_path(one, VITALS_KIND, &order, sent, "vitals.hl7"),
                    };
                    let content = bytes(&path, export);
                    export.add(path, content);
                }
            }
            None if formats.contains(&Format::Ssmix2) => {
                let path = document_path(one, TEXT_KIND, &order, sent, "note.txt");
                export.add(path, document(one).into_bytes());
            }
            None => {
                let path = format!("hl7/{}/{control:06}-NOTE.txt", super::file_part(&one.patient.id));
                export.add(path, document(one).into_bytes());
            }
        }
    }
}

/// Fifteen digits from the note's own number: the same note gets the same one in every export.
fn order_number(id: &NoteId, taken: &mut HashSet<u64>) -> String {
    let drawn = id.0.get(..15).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default();
    let mut number = drawn % 999_999_999_999_999;
    while !taken.insert(number) {
        number = number.saturating_add(1) % 999_999_999_999_999;
    }
    format!("{number:015}")
}

fn name(one: &Accepted, kind: &str, order: &str, sent: DateTime) -> RecordName {
    RecordName {
        patient: one.patient.id.clone(),
        care_date: Some(one.kept.note.at.date()),
        kind: kind.to_owned(),
        order: order.to_owned(),
        stamp: format!("{}{:03}", hl7::stamp(sent), sent.millisecond()),
        dept: "-".to_owned(),
        flag: Flag::Current,
    }
}

fn record_path(one: &Accepted, kind: &str, order: &str, sent: DateTime) -> String {
    let name = name(one, kind, order, sent);
    let folder = patient_folder(&one.patient.id);
    format!("ssmix2/{}/{}/{kind}/{}", folder.display(), name.care_date_text(), name.file_name())
}

fn document_path(one: &Accepted, kind: (&str, &str), order: &str, sent: DateTime, file: &str) -> String {
    let name = name(one, kind.0, order, sent);
    let folder = patient_folder(&one.patient.id);
    format!(
        "ssmix2-ext/{}/{}/{}/{}/{file}",
        folder.display(),
        name.care_date_text(),
        kind.1,
        name.file_name()
    )
}

/// A text that says by itself what it is, in UTF-8.
fn document(one: &Accepted) -> String {
    let note = &one.kept.note;
    let mut text = format!(
        "【停止中の記録】電子カルテ停止中に記入し、復旧後に確認して取り込んだ記録です。\n患者ID: {}\n氏名: {}\n日時: {}\n記入: {}\n確認: {} ({})\n\n",
        one.patient.id.0,
        one.patient.name,
        minute(note.at),
        note.author,
        one.decided_by,
        one.decision,
    );
    match &note.entry {
        Entry::Text(said) => text.push_str(&said.text),
        entry => {
            for (part, said) in entry.parts(Lang::Ja) {
                text.push_str(&format!("{}: {said}\n", Part::word(part, Lang::Ja)));
            }
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
