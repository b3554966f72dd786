//! Ids of patients as several systems write them: `0001234567` and `1234567` are one, since systems pad.

use std::collections::HashMap;

use schema::PatientId;

use super::roster::{Roster, RosterLine};

/// Longest id of SS-MIX2.
const ID_MAX: usize = 15;

/// What is the same in all spellings.
pub(super) fn key(id: &str) -> &str {
    match id.trim_start_matches('0') {
        "" => id,
        key => key,
    }
}

/// Other spellings of an id of digits: without zeros in front, and with ever more of them.
pub(super) fn spellings(id: &PatientId) -> impl Iterator<Item = PatientId> {
    let bare = key(&id.0).to_owned();
    let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    let lengths = bare.len()..if is_number { ID_MAX + 1 } else { 0 };
    let asked = id.clone();
    lengths
        .map(move |length| PatientId(format!("{bare:0>length$}")))
        .filter(move |spelling| *spelling != asked)
}

impl Roster {
    /// Adds the patients of another source. One whom both know keeps one line, made of what either knows.
    pub(super) fn add(&mut self, lines: Vec<RosterLine>) {
        if lines.is_empty() {
            return;
        }
        let mut known: HashMap<String, usize> = HashMap::new();
        for (place, line) in self.patients.iter().enumerate() {
            known.entry(key(&line.patient.0).to_owned()).or_insert(place);
        }
        for line in lines {
            match known.get(key(&line.patient.0)).and_then(|place| self.patients.get_mut(*place)) {
                Some(same) => same.complete(line),
                None => {
                    known.insert(key(&line.patient.0).to_owned(), self.patients.len());
                    self.patients.push(line);
                }
            }
        }
        self.patients.sort_by(|a, b| a.patient.cmp(&b.patient));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_in_front_are_no_difference() {
        let all: Vec<String> = spellings(&PatientId("0001234567890".into())).map(|id| id.0).collect();
        let expected = ["1234567890", "01234567890", "001234567890", "00001234567890", "000001234567890"];
        assert_eq!(all, expected);
        for none in ["", "A12", "..", "１２", "1234567890123456"] {
            assert_eq!(spellings(&PatientId(none.into())).count(), 0, "{none}");
        }
        assert_eq!((key("0012"), key("000"), key("A0")), ("12", "000", "A0"));
    }
}
