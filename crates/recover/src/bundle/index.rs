//! What finds a patient: one line for each, in the words that a search compares.

use std::fmt::Write;

use crate::charts::{RosterLine, Sex, folded};

/// Starts the lines of the patients whose charts lie in that part; no line begins with such a character.
pub(super) fn heading(part: &str) -> String {
    format!("\u{1}{part}\n")
}

/// The patient's line: id, name, kana, birth date, sex, ward, room, bed, and what a search compares (id, name, kana and ward folded).
/// Fields are separated by tabs; what a record holds can neither make a field nor a line.
pub(super) fn line(patient: &RosterLine, has_chart: bool) -> String {
    let plain = |text: &str| text.replace(|c: char| c.is_control(), " ");
    let text = |text: &Option<String>| text.as_deref().map(plain).unwrap_or_default();
    let fold = |text: &str| folded(text).replace(|c: char| c.is_control(), "");
    let (name, kana) = (text(&patient.name), text(&patient.kana));
    let id = &patient.patient.0;
    let bed = patient.bed.clone().unwrap_or_default();
    let sex = match patient.sex {
        Some(Sex::Male) => "m",
        Some(Sex::Female) => "f",
        Some(Sex::Other) => "o",
        None => "",
    };
    let born = patient.birth_date.map(|date| date.to_string()).unwrap_or_default();
    let mut line = String::new();
    for field in
        [&plain(id), &name, &kana, &born, sex, &plain(&bed.ward), &plain(&bed.room), &plain(&bed.bed)]
    {
        line.push_str(field);
        line.push('\t');
    }
    // A missing chart is said in the list already.
    let has_chart = if has_chart { "" } else { "-" };
    let folds = [fold(id), fold(&name), fold(&kana), fold(&bed.ward)];
    let [id, name, kana, ward] = &folds;
    // Writing into a string never fails.
    let _ = writeln!(line, "{has_chart}\t{id}\t{name}\t{kana}\t{ward}");
    line
}
