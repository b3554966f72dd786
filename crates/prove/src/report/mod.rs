//! What happened, for people: a page in each language, the same as data, and a summary for the terminal.
//!
//! The pages need nothing from anywhere else and print on A4. What the incident does not carry is called
//! unknown, and what was not looked at is never called absent.

mod counts;
mod page;
mod sections;
mod text;
mod timeline;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::{IncidentReport, Lang};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::ledger::{Fact, Head, WrittenFile};

/// A report on one incident, still to be written.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    incident: &'a IncidentReport,
    written_at: Timestamp,
    zone: TimeZone,
    comparison: Option<&'a Comparison>,
    ledger: Option<Head>,
    japanese: BTreeMap<String, String>,
}

/// Then and now, side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// English heading, such as "Uda City Hospital 2018, and this rehearsal".
    pub title_en: String,
    /// The same in Japanese.
    pub title_ja: String,
    /// English headings of the two columns.
    pub columns_en: [String; 2],
    /// The same in Japanese.
    pub columns_ja: [String; 2],
    /// One row for each thing compared.
    pub rows: Vec<ComparisonRow>,
}

/// One thing compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// English.
    pub label_en: String,
    /// Japanese.
    pub label_ja: String,
    /// What it was then.
    pub then: String,
    /// What it is now.
    pub now: String,
}

/// The files of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page in English.
    pub html_en: PathBuf,
    /// The page in Japanese.
    pub html_ja: PathBuf,
    /// The same as data.
    pub json: PathBuf,
    /// Names and digests, as the ledger records them.
    pub files: Vec<WrittenFile>,
}

impl Written {
    /// The fact for the ledger.
    pub fn fact(&self) -> Fact {
        Fact::ReportWritten { files: self.files.clone() }
    }
}

impl<'a> Report<'a> {
    /// A report with times in UTC until [`Report::zone`] says otherwise.
    pub fn new(incident: &'a IncidentReport, written_at: Timestamp) -> Self {
        Report {
            incident,
            written_at,
            zone: TimeZone::UTC,
            comparison: None,
            ledger: None,
            japanese: BTreeMap::new(),
        }
    }

    /// Gives times as this zone's clocks show them.
    pub fn zone(mut self, zone: TimeZone) -> Self {
        self.zone = zone;
        self
    }

    /// Adds a table that sets this incident beside another.
    pub fn comparison(mut self, comparison: &'a Comparison) -> Self {
        self.comparison = Some(comparison);
        self
    }

    /// Names the ledger that holds the facts behind the report.
    pub fn ledger(mut self, head: Head) -> Self {
        self.ledger = Some(head);
        self
    }

    /// Gives the Japanese for a sentence that the incident carries in English only: a finding's title or
    /// reason, what was watched, how a proof was measured. Without it the Japanese page keeps the English.
    pub fn japanese(mut self, en: impl Into<String>, ja: impl Into<String>) -> Self {
        self.japanese.insert(en.into(), ja.into());
        self
    }

    /// The whole page in one language.
    pub fn html(&self, lang: Lang) -> String {
        page::page(self, lang).into_string()
    }

    /// A summary of a few lines for a terminal.
    pub fn text(&self, lang: Lang) -> String {
        text::summary(self, lang)
    }

    /// The report as data, one pretty-printed JSON object.
    pub fn json(&self) -> Result<String, Error> {
        #[derive(Serialize)]
        struct AsData<'a> {
            version: u32,
            written_at: Timestamp,
            incident: &'a IncidentReport,
            comparison: Option<&'a Comparison>,
            ledger: Option<&'a Head>,
        }
        let data = AsData {
            version: 1,
            written_at: self.written_at,
            incident: self.incident,
            comparison: self.comparison,
            ledger: self.ledger.as_ref(),
        };
        serde_json::to_string_pretty(&data).map_err(|source| Error::Json { what: "the report", source })
    }

    /// Writes `report.en.html`, `report.ja.html` and `report.json` into a folder, which is made where it is
    /// missing. A report that is already there is replaced.
    pub fn write(&self, dir: &Path) -> Result<Written, Error> {
        fs::create_dir_all(dir).map_err(Error::file("make the folder", dir))?;
        let mut files = Vec::new();
        let mut write = |name: &str, content: String| {
            let path = dir.join(name);
            fs::write(&path, &content).map_err(Error::file("write", &path))?;
            files.push(WrittenFile { name: name.to_owned(), sha256: hex::encode(Sha256::digest(content)) });
            Ok(path)
        };
        let html_en = write(page::file_name(Lang::En), self.html(Lang::En))?;
        let html_ja = write(page::file_name(Lang::Ja), self.html(Lang::Ja))?;
        let json = write("report.json", self.json()?)?;
        Ok(Written { html_en, html_ja, json, files })
    }

    /// A sentence of the incident in the page's language, as far as that is known.
    fn say<'s>(&'s self, sentence: &'s str, lang: Lang) -> &'s str {
        match lang {
            Lang::En => sentence,
            Lang::Ja => self.japanese.get(sentence).map_or(sentence, String::as_str),
        }
    }

    /// Whether every patient's records are as they were before.
    fn whole(&self) -> bool {
        let effect = &self.incident.effect;
        effect.patients_total > 0
            && effect.patients_intact == effect.patients_total
            && effect.files_irrecoverable == 0
    }
}

#[cfg(test)]
mod tests;
