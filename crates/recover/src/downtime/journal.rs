//! The journal of downtime notes: what was acknowledged to a person at the bedside is on the disk, and stays.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schema::PatientId;
use serde::{Deserialize, Serialize};

use super::chain::{Chain, Contents, Damage, Purpose, Secret};
use super::note::{Note, NoteId};
use crate::Error;

/// A note as it was taken in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// What was written.
    pub note: Note,
    /// When it was taken in, by this machine's clock.
    pub received_at: Timestamp,
    /// Who handed it in: the author, or who imported or typed in what others had written.
    pub by: String,
    /// How it came here.
    pub via: Via,
    /// SHA-256 of the file that it was read from, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// How a note came into the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Written in the viewer.
    Viewer,
    /// From the signed file of an offline bundle.
    Bundle,
    /// Typed in from paper.
    Paper,
    /// From another journal.
    Journal,
}

/// One record of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Note(Box<Kept>),
    CarriedOver(CarriedOver),
}

/// That a damaged journal was set aside, and what was found in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedOver {
    /// Where it lies.
    pub from: PathBuf,
    /// What was wrong, in English.
    pub damage: Vec<String>,
}

/// Whether a note was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is in the journal now.
    New,
    /// It was there already, the same in every field.
    Known,
}

/// All notes of a journal, in the order of their arrival.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    kept: Vec<Kept>,
    places: HashMap<NoteId, usize>,
    carried_over: Vec<CarriedOver>,
}

impl Notes {
    /// All of them.
    pub fn all(&self) -> &[Kept] {
        &self.kept
    }

    /// The note of that id.
    pub fn get(&self, id: &NoteId) -> Option<&Kept> {
        self.kept.get(*self.places.get(id)?)
    }

    /// Those about a patient with an id, newest first.
    pub fn of_patient(&self, patient: &PatientId) -> Vec<&Kept> {
        self.of(|kept| kept.note.patient.id.as_ref() == Some(patient))
    }

    /// Those about a patient without an id, by the number of the downtime form, newest first.
    pub fn of_number(&self, number: &str) -> Vec<&Kept> {
        self.of(|kept| {
            kept.note.patient.id.is_none() && kept.note.patient.downtime_number.as_deref() == Some(number)
        })
    }

    fn of(&self, is_meant: impl Fn(&&Kept) -> bool) -> Vec<&Kept> {
        let mut found: Vec<&Kept> = self.kept.iter().filter(is_meant).collect();
        found.sort_by_key(|kept| std::cmp::Reverse((kept.note.at, kept.note.written_at)));
        found
    }

    /// The notes that replace this one.
    pub fn replacing(&self, id: &NoteId) -> Vec<&Kept> {
        self.kept.iter().filter(|kept| kept.note.replaces.as_ref() == Some(id)).collect()
    }

    /// Those that no other replaces: what stands.
    pub fn standing(&self) -> Vec<&Kept> {
        let replaced: std::collections::HashSet<&NoteId> =
            self.kept.iter().filter_map(|kept| kept.note.replaces.as_ref()).collect();
        self.kept.iter().filter(|kept| !replaced.contains(&kept.note.id)).collect()
    }

    /// The damaged journals whose notes these were.
    pub fn carried_over(&self) -> &[CarriedOver] {
        &self.carried_over
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::CarriedOver(carried_over) => self.carried_over.push(carried_over),
            Line::Note(kept) => {
                if !self.places.contains_key(&kept.note.id) {
                    self.places.insert(kept.note.id.clone(), self.kept.len());
                    self.kept.push(*kept);
                }
            }
        }
    }

    /// Records that are no notes (of a newer version) are counted as damage rather than left out in silence.
    fn of_contents(contents: &Contents) -> (Notes, u64) {
        let (mut notes, mut unknown) = (Notes::default(), 0u64);
        for record in &contents.records {
            match serde_json::from_slice(&record.payload) {
                Ok(line) => notes.take(line),
                Err(_) => unknown = unknown.saturating_add(1),
            }
        }
        (notes, unknown)
    }
}

/// What opening or reading a journal found beside its notes.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// What is wrong with the file.
    pub damage: Vec<Damage>,
    /// Bytes of a record that nobody was told of; they are cut off.
    pub torn: u64,
    /// Records that this version does not understand.
    pub unknown: u64,
    /// Where the damaged file lies now.
    pub set_aside: Option<PathBuf>,
}

/// The journal, open for writing. One process has it.
pub struct Journal {
    chain: Chain,
    notes: Notes,
}

impl Journal {
    /// Opens the journal, or makes it. A damaged one is set aside and its readable notes are carried over.
    pub fn open(path: &Path, secret: Secret<'_>, now: Timestamp) -> Result<(Journal, Findings), Error> {
        let carry = |from: &Path, contents: &Contents| {
            let damage = contents.damage.iter().map(ToString::to_string).collect();
            let line = Line::CarriedOver(CarriedOver { from: from.to_path_buf(), damage });
            serde_json::to_vec(&line).unwrap_or_default()
        };
        let (chain, opened) = Chain::open(path, Purpose::Notes, secret, now, carry)?;
        let (notes, unknown) = Notes::of_contents(&opened.contents);
        let findings = Findings {
            damage: opened.contents.damage,
            torn: opened.contents.torn,
            unknown,
            set_aside: opened.set_aside,
        };
        Ok((Journal { chain, notes }, findings))
    }

    /// Reads a journal that may be open elsewhere.
    pub fn read(path: &Path, secret: Secret<'_>) -> Result<(Notes, Findings), Error> {
        let contents = Chain::read(path, Purpose::Notes, secret)?;
        let (notes, unknown) = Notes::of_contents(&contents);
        Ok((notes, Findings { damage: contents.damage, torn: contents.torn, unknown, set_aside: None }))
    }

    /// The notes in it.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Takes a note in. When this returns, it is on the disk; a note that was there already is acknowledged again.
    pub fn add(&mut self, kept: Kept) -> Result<Added, Error> {
        let id = || kept.note.id.0.chars().take(32).collect::<String>();
        kept.note.check().map_err(|source| Error::NoteRefused { id: id(), source })?;
        if let Some(known) = self.notes.get(&kept.note.id) {
            if known.note != kept.note {
                return Err(Error::NoteDiffers { id: id() });
            }
            // The record may be there from a time when its head could not be written.
            self.chain.write_head()?;
            return Ok(Added::Known);
        }
        let line = Line::Note(Box::new(kept));
        let bytes = serde_json::to_vec(&line)
            .map_err(|source| Error::Engine { op: "write a note as JSON", source: source.into() })?;
        let before = self.chain.head().0;
        let appended = self.chain.append(&bytes);
        // With the record in the file and only its head unwritten, the same note sent again is acknowledged, not written twice.
        if self.chain.head().0 > before {
            self.notes.take(line);
        }
        appended.map(|()| Added::New)
    }

    /// A key for something beside the notes that must outlive the process (see [`Chain::key_for`]).
    pub fn key_for(&self, purpose: &str) -> [u8; 32] {
        self.chain.key_for(purpose)
    }

    /// How many records there are, and the hash of the last one.
    pub fn head(&self) -> (u64, String) {
        self.chain.head()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const NOTE: &str = r#"{"id": "00112233445566778899aabbccddee01", "written_at": "2018-10-16T05:40:00Z", "at": "2018-10-16T14:30:00",
        "author": "看護師 山田", "device": "viewer", "patient": {"id": "0001234567", "name": "斎藤 花子", "birth_date": "1948-04-05",
        "checked": ["name", "birth_date"]}, "entry": {"vitals": {"temperature": 37.2, "pulse": 88}}}"#;

    fn kept(change: impl FnOnce(&mut Note)) -> Kept {
        let mut note: Note = serde_json::from_str(NOTE).unwrap();
        change(&mut note);
        Kept { note, received_at: Timestamp::UNIX_EPOCH, by: "山田".into(), via: Via::Viewer, file: None }
    }

    #[test]
    fn a_note_twice_is_one_another_under_its_id_is_refused_and_a_replaced_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (path, key) = (dir.path().join("notes"), dir.path().join("key"));
        let open = || Journal::open(&path, Secret::File(&key), Timestamp::UNIX_EPOCH).unwrap();
        let (mut journal, _) = open();
        assert_eq!(journal.add(kept(|_| ())).unwrap(), Added::New);
        assert_eq!(journal.add(kept(|_| ())).unwrap(), Added::Known);
        let other = journal.add(kept(|note| note.author = "鈴木".into()));
        assert!(matches!(other, Err(Error::NoteDiffers { .. })));
        let wrong = journal.add(kept(|note| note.patient.checked.clear()));
        assert!(matches!(wrong, Err(Error::NoteRefused { .. })));
        let second = kept(|note| {
            note.replaces = Some(note.id.clone());
            note.id = NoteId("2".repeat(32));
        });
        journal.add(second.clone()).unwrap();
        drop(journal);

        let (journal, findings) = open();
        let notes = journal.notes();
        assert!(findings.damage.is_empty() && findings.unknown == 0);
        assert_eq!(notes.all().len(), 2);
        assert_eq!(notes.standing(), [&second]);
        assert_eq!(notes.replacing(&kept(|_| ()).note.id), [&second]);
        assert_eq!(notes.of_patient(&PatientId("0001234567".into())).len(), 2);
        assert!(notes.of_number("1").is_empty());
    }
}
