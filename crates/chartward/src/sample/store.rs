//! SS-MIX2 folders and file names, and one patient's files in them.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime};

use super::catalogue::DEPARTMENTS;
use super::chart::{Care, Chart, Note};
use super::hl7::{Day, Sent, Stamp};
use super::text::Message;

/// The order number of a file that belongs to no order.
pub(super) const NO_ORDER: u64 = 999_999_999_999_999;

/// The last field of a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    Deleted = 0,
    Current = 1,
    History = 2,
}

/// What a file is about: at most one file of each key is [`Flag::Current`].
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// The care date, or `None` where the type has none.
    pub(super) date: Option<Date>,
    pub(super) kind: &'static str,
    pub(super) number: u64,
    pub(super) care: Option<Care>,
}

/// How much was written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Transaction time of the newest file.
    pub(super) newest: Option<DateTime>,
}

impl Written {
    pub(super) fn add(&mut self, other: Written) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.newest = self.newest.max(other.newest);
    }
}

/// One patient's folders in both storages.
pub(super) struct Shelf<'a> {
    id: &'a str,
    standardized: PathBuf,
    extended: PathBuf,
    base: u64,
    sequence: u64,
    written: Written,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(root: &Path, chart: &'a Chart) -> Self {
        let id = chart.person.id.as_str();
        let within = |storage: &str| root.join(storage).join(&id[..3]).join(&id[3..6]).join(id);
        Self {
            id,
            standardized: within("ssmix2"),
            extended: within("ssmix2-ext"),
            base: (u64::from(chart.person.index) + 1) * 1_000_000,
            sequence: 0,
            written: Written::default(),
        }
    }

    /// What the next file's message header says.
    pub(super) fn next(&mut self, at: DateTime) -> Sent {
        self.sequence += 1;
        let control = self.base + self.sequence;
        // Spread over the second, so that two files of one second have two names.
        let millis = i64::try_from(control * 379 % 1_000).unwrap_or(0);
        Sent { at: at.saturating_add(millis.milliseconds()), control }
    }

    /// Writes `message` under its name in standardized storage.
    pub(super) fn put(&mut self, key: Key, sent: Sent, flag: Flag, message: &Message) -> anyhow::Result<()> {
        let (date, department) = (date_field(key.date), department_field(key.care));
        let mut folder = self.standardized.join(&date);
        folder.push(key.kind);
        let name = format!(
            "{}_{date}_{}_{:015}_{}{:03}_{department}_{}",
            self.id,
            key.kind,
            key.number,
            Stamp(sent.at),
            sent.at.millisecond(),
            flag as u8
        );
        self.write(&folder, &name, message.bytes(), sent.at)
    }

    /// Writes a note as a content folder in extended storage. Notes are never changed here.
    pub(super) fn put_note(&mut self, note: &Note) -> anyhow::Result<()> {
        let sent = self.next(note.written);
        let date = date_field(Some(note.written.date()));
        let content = format!(
            "{}_{date}_{}_{:015}_{}{:03}_{}_1",
            self.id,
            note.kind.code(),
            note.number,
            Stamp(sent.at),
            sent.at.millisecond(),
            department_field(Some(note.care))
        );
        let folder = self.extended.join(&date).join(note.kind.folder()).join(content);
        self.write(&folder, "note.txt", note.text.as_bytes(), sent.at)
    }

    pub(super) fn written(&self) -> Written {
        self.written
    }

    fn write(&mut self, folder: &Path, name: &str, bytes: &[u8], at: DateTime) -> anyhow::Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let path = folder.join(name);
        File::create_new(&path)
            .and_then(|mut file| file.write_all(bytes))
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.written.add(Written {
            files: 1,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            newest: Some(at),
        });
        Ok(())
    }
}

fn date_field(date: Option<Date>) -> String {
    date.map_or_else(|| "-".to_owned(), |date| Day(date).to_string())
}

fn department_field(care: Option<Care>) -> &'static str {
    care.map_or("-", |care| DEPARTMENTS[care.department].code)
}

/// The moment a chart's first entry is typed in after what it is about.
pub(super) fn typed_in(at: DateTime, now: DateTime) -> DateTime {
    at.saturating_add(2.minutes()).min(now)
}
