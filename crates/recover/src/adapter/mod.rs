//! What is protected, and how it is captured, started again and counted: one file for each kind of store.
//!
//! Files need nothing but a path: [`sqlite`] and [`ssmix2`] are found by their content. Everything else is a [`Source`]:
//! a text such as `postgresql:name=emr,host=/run/postgresql` that names an adapter of [`ENTRIES`]. Its [`Adapter`] writes
//! what it captures into folders that get a place of their own in the snapshot, below [`FOLDER`], and promises counts. A
//! drill needs no settings, only what the snapshot's manifest says: it starts a server of its own on what was
//! restored and counts again.

pub(crate) mod btrfs;
mod handed;
mod jail;
pub mod mariadb;
pub mod opaque;
pub mod orthanc;
pub mod postgresql;
pub(crate) mod program;
mod server;
mod settings;
pub mod sqlite;
pub mod ssh;
pub mod ssmix2;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schema::{DatabaseCensus, Exception, Shortfall, ShortfallKind, SourceCapture};

pub use self::handed::{Handed, wanted as wanted_secret};
pub use self::jail::{Jail, Limits};
pub use self::server::Engines;
pub use self::settings::{Setting, Settings};
use crate::error::Error;

/// The folder in a snapshot below which sources lie, each in a folder of its name.
pub const FOLDER: &str = "/chartward-source";

/// Every adapter there is.
pub const ENTRIES: &[Entry] = &[
    postgresql::ENTRY,
    postgresql::physical::ENTRY,
    mariadb::DUMP,
    mariadb::COPY,
    orthanc::ENTRY,
    ssh::ENTRY,
    opaque::ENTRY,
];

/// An adapter, as registry, command line and documentation know it.
pub struct Entry {
    /// What a source's text begins with, and what the manifest calls it.
    pub kind: &'static str,
    /// What it captures, in English and Japanese.
    pub title: (&'static str, &'static str),
    /// What may be set.
    pub settings: &'static [Setting],
    /// Reads the settings.
    pub open: fn(&Settings) -> Result<Box<dyn Adapter>, Error>,
    /// What its drill does with what was restored, in English and Japanese; `None` where nothing can look into it yet.
    pub proves: Option<(&'static str, &'static str)>,
    /// Starts what was restored and counts it.
    pub drill: fn(&Restored<'_>) -> Result<Findings, Error>,
}

/// Captures one kind of store.
pub trait Adapter: Send + Sync {
    /// Captures one moment of the store. An error means that no snapshot may come of it.
    fn capture(&self, place: &Place<'_>) -> Result<Taken, Error>;
}

/// Where a capture may write, and when it takes place.
pub struct Place<'p> {
    /// Name of the source.
    pub name: &'p str,
    /// An empty folder of mode 0700, removed when the snapshot is sealed.
    pub staging: &'p Path,
    /// The clock.
    pub now: &'p dyn Fn() -> Timestamp,
}

/// What a capture brought.
#[derive(Default)]
pub struct Taken {
    /// Folders to seal, by the name that each gets below the source's own.
    pub parts: Vec<(String, PathBuf)>,
    /// What lies in them and is left out, as paths below the source's own folder.
    pub left_out: Vec<PathBuf>,
    /// Version of the server.
    pub version: String,
    /// The moment that the capture shows; without one, when it began.
    pub instant: Option<Timestamp>,
    /// What the drill must find again.
    pub databases: Vec<DatabaseCensus>,
    /// What the drill needs to know.
    pub details: std::collections::BTreeMap<String, String>,
    /// What no drill looks at, in words.
    pub not_proven: Vec<String>,
    /// What was not captured as it should have been.
    pub exceptions: Vec<Exception>,
}

/// A source that was restored.
pub struct Restored<'r> {
    /// As it was captured.
    pub source: &'r SourceCapture,
    /// What its databases held then.
    pub expected: &'r [&'r DatabaseCensus],
    /// Its folder, restored.
    pub folder: &'r Path,
    /// Where servers may run.
    pub engines: &'r Engines,
}

impl Restored<'_> {
    /// A path of one of its parts.
    pub fn part(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What the capture noted under `key`.
    pub fn detail(&self, key: &str) -> &str {
        self.source.details.get(key).map_or("", String::as_str)
    }
}

/// What starting and counting a restored source found.
#[derive(Default)]
pub struct Findings {
    /// What is there now, under the same paths as at capture.
    pub databases: Vec<DatabaseCensus>,
    /// What is wrong beyond counts.
    pub shortfalls: Vec<Shortfall>,
    /// What is not as it was, and harmless.
    pub remarks: Vec<Shortfall>,
    /// What was restored and not looked into.
    pub not_proven: Vec<String>,
    /// Where it was kept apart less than the other servers.
    pub sandbox: Vec<String>,
}

/// A store that is captured by means of its own.
pub struct Source {
    /// Its name; the folder in the snapshot is called so.
    pub name: String,
    /// Its adapter.
    pub kind: &'static str,
    adapter: Box<dyn Adapter>,
}

impl Source {
    /// Reads a source's text, `KIND:KEY=VALUE,KEY=VALUE`. `name=` names it; without, it is called after its kind.
    pub fn parse(text: &str) -> Result<Source, Error> {
        Source::parse_with(text, &Handed::new())
    }

    /// The same, with what it may name and was handed over.
    pub fn parse_with(text: &str, handed: &Handed) -> Result<Source, Error> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let Some(entry) = entry(kind) else {
            let kinds: Vec<&str> = ENTRIES.iter().map(|entry| entry.kind).collect();
            let reason = format!("its kind {kind:?} is none of {}", kinds.join(", "));
            return Err(Error::SourceText { text: text.to_owned(), reason });
        };
        let settings = Settings::parse(text, rest, entry)?.with(handed);
        let name = settings.text("name").unwrap_or(kind).to_owned();
        let adapter = (entry.open)(&settings)?;
        Ok(Source { name, kind: entry.kind, adapter })
    }

    /// The folder of the snapshot that holds it.
    pub fn folder(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }

    /// See [`Adapter::capture`].
    pub fn capture(&self, place: &Place<'_>) -> Result<Taken, Error> {
        self.adapter.capture(place)
    }
}

/// Whether a source's text begins with the name of an adapter.
pub fn is_source(text: &str) -> bool {
    entry(text.split(':').next().unwrap_or_default()).is_some()
}

/// Starts and counts one restored source. What keeps it from being started is a shortfall: what nobody could start is not
/// proven, and says so.
pub fn drill(restored: &Restored<'_>) -> Findings {
    let what = format!("{} {}", restored.source.kind, restored.source.name);
    let failed = |detail: String| Findings {
        shortfalls: vec![Shortfall { kind: ShortfallKind::NotStarted, what: what.clone(), detail }],
        ..Findings::default()
    };
    let Some(entry) = entry(&restored.source.kind) else {
        return failed("this version of the program has no adapter for it".to_owned());
    };
    match (entry.drill)(restored) {
        Ok(mut findings) => {
            findings.not_proven.extend(restored.source.not_proven.iter().map(|it| format!("{what}: {it}")));
            findings
        }
        Err(error) => failed(error.chain()),
    }
}

/// What the drill of an adapter does, in English and Japanese; `None` where nothing can look into what it captures.
pub(crate) fn proves(kind: &str) -> Option<(&'static str, &'static str)> {
    entry(kind)?.proves
}

/// Whether an adapter is known of which no drill can prove anything.
pub(crate) fn is_opaque(kind: &str) -> bool {
    entry(kind).is_some_and(|entry| entry.proves.is_none())
}

fn entry(kind: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.kind == kind)
}
