//! The mapping as it is written: TOML.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::section::{PATIENTS, SECTIONS, Section};
use crate::Error;

/// Longest mapping.
const BYTES_MAX: usize = 1 << 20;

/// The kinds of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A dump by `pg_dump`.
    Postgresql,
    /// A dump by `mariadb-dump`, or data files copied by `mariadb-backup`.
    Mariadb,
}

/// Which database, and which query brings what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The kind of database.
    pub kind: Engine,
    /// SQLite: where the file lies on the protected host.
    pub file: Option<PathBuf>,
    /// PostgreSQL, MariaDB: the name of the source in the snapshot (`name=` of `backup`); not needed where it is the only one of its kind.
    pub source: Option<String>,
    /// PostgreSQL, MariaDB: the name of the database.
    pub database: Option<String>,
    /// One query for each section.
    sections: BTreeMap<String, String>,
}

impl Mapping {
    /// Reads a mapping.
    pub fn parse(text: &str) -> Result<Mapping, Error> {
        let fail = |what: &str, reason: String| Error::Mapping { what: what.to_owned(), reason };
        if text.len() > BYTES_MAX {
            return Err(fail("file", format!("it is longer than {BYTES_MAX} bytes")));
        }
        let mapping: Mapping = toml::from_str(text)
            .map_err(|error| fail("file", error.to_string().trim().replace('\n', " ")))?;
        if let Some(unknown) =
            mapping.sections.keys().find(|name| !SECTIONS.iter().any(|known| known.name == **name))
        {
            let known: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
            return Err(fail(unknown, format!("it is no section; sections are {}", known.join(", "))));
        }
        if !mapping.sections.contains_key(PATIENTS) {
            return Err(fail(PATIENTS, "it is missing, and nobody knows whose charts there are".to_owned()));
        }
        let wanted = match mapping.kind {
            Engine::Sqlite => mapping.file.as_ref().map(|_| ()).ok_or("file"),
            Engine::Postgresql | Engine::Mariadb => mapping.database.as_ref().map(|_| ()).ok_or("database"),
        };
        wanted
            .map_err(|key| fail(key, "it is missing, and nothing says which database is meant".to_owned()))?;
        Ok(mapping)
    }

    /// Sections with their queries, the patients first.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&'static Section, &str)> {
        let query = |section: &'static Section| {
            Some((section, self.sections.get(section.name)?.trim().trim_end_matches(';').trim_end()))
        };
        SECTIONS.iter().filter_map(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_that_cannot_work_says_why() {
        let check = |text: &str, expected: &str| {
            let error = Mapping::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let good = "kind = 'sqlite'\nfile = '/srv/emr.db'\n[sections]\npatients = 'SELECT 1 AS patient ; '\n";
        let mapping = Mapping::parse(good).unwrap();
        assert_eq!(mapping.sections().map(|(_, sql)| sql).collect::<Vec<_>>(), ["SELECT 1 AS patient"]);
        check(&good.replace("'sqlite'", "'oracle'"), "oracle");
        check(&good.replace("file = '/srv/emr.db'\n", ""), "file");
        check(&good.replace("'sqlite'", "'mariadb'"), "database");
        check(&good.replace("patients", "labs"), "patients");
        check(&good.replace("patients", "patient"), "patient: it is no section");
        check(&format!("{good}x"), "");
        check(&format!("colour = 1\n{good}"), "colour");
    }
}
