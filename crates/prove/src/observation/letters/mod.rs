//! Letters to the owners of networks that scan: drafted by the program, approved and sent by people, tracked to a reply.

mod text;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::Lang;
use schema::telescope::{LetterEvidence, Network};
use serde::{Deserialize, Serialize};

use super::Services;
use super::store::replace;
use crate::Error;
use crate::ledger::Fact;

const LETTER_BYTES_MAX: u64 = 8 << 20;

/// How a letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// Written by the program; nobody has read it.
    Draft,
    /// A person has read it and lets it go.
    Approved,
    /// A person has sent it.
    Sent,
    /// Somebody answered.
    Replied,
}

impl LetterState {
    /// As it stands in JSON.
    pub fn word(self) -> &'static str {
        match self {
            LetterState::Draft => "draft",
            LetterState::Approved => "approved",
            LetterState::Sent => "sent",
            LetterState::Replied => "replied",
        }
    }

    /// Nothing is sent that was not approved; several may answer.
    fn may_follow(self, before: LetterState) -> bool {
        matches!(
            (before, self),
            (LetterState::Draft, LetterState::Approved)
                | (LetterState::Approved, LetterState::Sent)
                | (LetterState::Sent | LetterState::Replied, LetterState::Replied)
        )
    }
}

/// Something that was done with a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// How it stood from then on.
    pub state: LetterState,
    /// Who says so.
    pub by: String,
    /// How it was sent, what was answered: "antivirus found malware".
    pub note: String,
}

/// A letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// Its number, such as `L-0001`.
    pub id: String,
    /// To whom.
    pub network: Network,
    /// What it reports begins here.
    pub from: Timestamp,
    /// And ends here.
    pub to: Timestamp,
    /// Time zone of the times in its text.
    pub zone: String,
    /// Who writes: the place's name, as it stands under the letter.
    pub sender: String,
    /// The addresses.
    pub evidence: Vec<LetterEvidence>,
    /// Addresses of that network that are too many to be listed.
    pub more: u64,
    /// What was done with it, the draft first.
    pub steps: Vec<Step>,
}

impl Letter {
    /// How it stands.
    pub fn state(&self) -> LetterState {
        self.steps.last().map_or(LetterState::Draft, |step| step.state)
    }

    /// Its text, subject and address first.
    pub fn text(&self, services: &Services, lang: Lang) -> String {
        text::text(self, services, &TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC), lang)
    }

    /// Its subject and its text as one mail holds them, Japanese first.
    pub fn mail(&self, services: &Services) -> (String, String) {
        let zone = TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC);
        let [ja, en] = [Lang::Ja, Lang::En].map(|lang| text::body(self, services, &zone, lang));
        let (line, english) = ("-".repeat(72), text::subject(self, Lang::En));
        (english, format!("{ja}\n{line}\n\n{en}"))
    }

    /// The line for the ledger about its last step.
    pub fn fact(&self) -> Fact {
        let last = self.steps.last();
        Fact::LetterChanged {
            letter: self.id.clone(),
            network: self.network.prefix.clone(),
            addresses: self.evidence.len() as u64 + self.more,
            state: self.state().word().to_owned(),
            by: last.map(|step| step.by.clone()).unwrap_or_default(),
            note: last.map(|step| step.note.chars().take(400).collect()).unwrap_or_default(),
        }
    }
}

/// The letters below a state folder: `telescope/letters/L-0001/` with `letter.json` and the text in both languages.
#[derive(Debug, Clone)]
pub struct Letters {
    folder: PathBuf,
}

impl Letters {
    /// Opens the folder, made when missing.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(state: &Path) -> Result<Letters, Error> {
        let folder = state.join("telescope").join("letters");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(Error::file("make the state folder", &folder))?;
        Ok(Letters { folder })
    }

    /// Writes a draft; its number is the next free one.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn draft(
        &self,
        letter: Letter,
        services: &Services,
        at: Timestamp,
        by: &str,
    ) -> Result<Letter, Error> {
        let mut number =
            self.list()?.iter().filter_map(|it| it.id.get(2..)?.parse::<u32>().ok()).max().unwrap_or(0);
        let (id, folder) = loop {
            number += 1;
            let id = format!("L-{number:04}");
            let folder = self.folder.join(&id);
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => break (id, folder),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::file("make", folder)(source)),
            }
        };
        let step = Step { at, state: LetterState::Draft, by: by.to_owned(), note: String::new() };
        let letter = Letter { id, steps: vec![step], ..letter };
        for lang in Lang::ALL {
            replace(
                &folder.join(format!("letter.{}.txt", lang.tag())),
                letter.text(services, lang).as_bytes(),
            )?;
        }
        self.write(&letter)?;
        Ok(letter)
    }

    /// All letters, in order of their numbers. What is half written counts as not there.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Json`].
    pub fn list(&self) -> Result<Vec<Letter>, Error> {
        let entries = fs::read_dir(&self.folder).map_err(Error::file("list", &self.folder))?;
        let mut letters = Vec::new();
        for entry in entries.flatten() {
            if let Some(id) = entry.file_name().to_str().filter(|id| is_id(id)) {
                match self.read(id) {
                    Err(Error::NoLetter(_)) => {}
                    other => letters.push(other?),
                }
            }
        }
        letters.sort_by(|a: &Letter, b: &Letter| a.id.cmp(&b.id));
        Ok(letters)
    }

    /// One letter.
    ///
    /// # Errors
    /// [`Error::NoLetter`], [`Error::File`], [`Error::Json`].
    pub fn read(&self, id: &str) -> Result<Letter, Error> {
        let path = self.path(id)?;
        let bytes = match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NoLetter(id.to_owned()));
            }
            Ok(it) if it.len() > LETTER_BYTES_MAX => {
                let source = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
                return Err(Error::file("read", &path)(source));
            }
            _ => fs::read(&path).map_err(Error::file("read", &path))?,
        };
        serde_json::from_slice(&bytes).map_err(|source| Error::Json { what: "a letter", source })
    }

    /// Says what became of a letter.
    ///
    /// # Errors
    /// [`Error::LetterStep`] when that cannot follow; nothing is changed then. Else those of [`Letters::read`].
    pub fn mark(&self, id: &str, step: Step) -> Result<Letter, Error> {
        let mut letter = self.read(id)?;
        if !step.state.may_follow(letter.state()) {
            let (state, wanted) = (letter.state().word(), step.state.word());
            return Err(Error::LetterStep { id: id.to_owned(), state, wanted });
        }
        letter.steps.push(step);
        self.write(&letter)?;
        Ok(letter)
    }

    /// Held by whoever is about to send a letter, so that it goes out once; it ends with its holder.
    ///
    /// # Errors
    /// [`Error::NoLetter`]; [`Error::File`] also while somebody else holds it.
    pub fn lock(&self, id: &str) -> Result<fs::File, Error> {
        let path = self.path(id)?.with_file_name("lock");
        let failed = Error::file("lock", &path);
        let opened = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = match opened {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NoLetter(id.to_owned()));
            }
            opened => opened.map_err(failed)?,
        };
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(error) => Err(Error::file("lock", &path)(error.into())),
        }
    }

    /// An approved letter; nothing else may be sent.
    ///
    /// # Errors
    /// [`Error::LetterStep`] when nobody approved it, or when it was sent already. Else those of [`Letters::read`].
    pub fn to_send(&self, id: &str) -> Result<Letter, Error> {
        let letter = self.read(id)?;
        if !LetterState::Sent.may_follow(letter.state()) {
            let (state, wanted) = (letter.state().word(), LetterState::Sent.word());
            return Err(Error::LetterStep { id: id.to_owned(), state, wanted });
        }
        Ok(letter)
    }

    fn write(&self, letter: &Letter) -> Result<(), Error> {
        let bytes =
            serde_json::to_vec_pretty(letter).map_err(|source| Error::Json { what: "a letter", source })?;
        replace(&self.path(&letter.id)?, &bytes)
    }

    fn path(&self, id: &str) -> Result<PathBuf, Error> {
        // A number from the command line must not lead out of the folder.
        if !is_id(id) {
            return Err(Error::NoLetter(id.to_owned()));
        }
        Ok(self.folder.join(id).join("letter.json"))
    }
}

fn is_id(id: &str) -> bool {
    id.strip_prefix("L-")
        .is_some_and(|digits| (4..=9).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit()))
}
