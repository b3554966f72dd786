use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use schema::Event;

use super::Settings;
use crate::Error;
use crate::durable::sync_dir;

/// Sources by OCSF class; what is none of them is an `event`.
pub(super) const SOURCES: [&str; 5] = ["findings", "flows", "logins", "mail", "events"];
pub(super) const EXTENSION: &str = "parquet";

/// One folder of the lake: a source and a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Partition {
    source: &'static str,
    day: Date,
}

impl Partition {
    /// Where an event belongs: its own day, or that of its arrival when its time is absurd.
    pub(super) fn of(event: &Event, arrived: Timestamp, retention_days: u16) -> Self {
        let (day, today) = (day(event.time), day(arrived));
        let sane = day >= oldest_kept(arrived, retention_days)
            && today.tomorrow().is_ok_and(|tomorrow| day <= tomorrow);
        Partition { source: source(event.class_uid), day: if sane { day } else { today } }
    }

    pub(super) fn dir(&self, lake: &Path, settings: &Settings) -> PathBuf {
        lake.join(self.source)
            .join(format!("region={}", settings.region))
            .join(format!("accountId={}", settings.account))
            .join(format!("eventDay={}", self.day.strftime("%Y%m%d")))
    }
}

/// A Parquet file with the positions that it was made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stored {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) path: PathBuf,
}

impl Stored {
    pub(super) fn new(dir: &Path, first: u64, last: u64) -> Self {
        Stored { first, last, path: dir.join(format!("{first:020}-{last:020}.{EXTENSION}")) }
    }

    fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
        let (first, last) = name.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        Some(Stored { first, last, path })
    }

    fn within(&self, other: &Stored) -> bool {
        self != other && other.first <= self.first && self.last <= other.last
    }
}

/// The source that a class belongs to.
pub(super) fn source(class_uid: u32) -> &'static str {
    match class_uid {
        2001..=2007 => SOURCES[0],
        4001 => SOURCES[1],
        3002 => SOURCES[2],
        4009 => SOURCES[3],
        _ => SOURCES[4],
    }
}

pub(super) fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// The first day that is kept.
pub(super) fn oldest_kept(now: Timestamp, retention_days: u16) -> Date {
    day(now).saturating_sub(Span::new().days(retention_days))
}

/// A name as it may stand in a path: what is not a letter, digit, `.`, `_` or `-` becomes `_`.
pub(super) fn name(wanted: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = wanted.trim_start_matches('.').chars().take(64).map(fit).collect();
    if name.is_empty() { "none".to_owned() } else { name }
}

/// Removes what a killed flush or compaction left.
pub(super) fn clear_up(lake: &Path, flushed: u64) -> Result<(), Error> {
    for (dir, _) in days(lake)? {
        for path in list(&dir)? {
            if path.extension().is_some_and(|extension| extension == "new") {
                remove(&path)?;
            }
        }
        let files = stored(&dir)?;
        for file in &files {
            if file.last > flushed || files.iter().any(|other| other.last <= flushed && file.within(other)) {
                remove(&file.path)?;
            }
        }
    }
    Ok(())
}

/// The last position that any file was made from; 0 without a file.
pub(super) fn newest(lake: &Path) -> Result<u64, Error> {
    let mut newest = 0;
    for (dir, _) in days(lake)? {
        newest = stored(&dir)?.iter().map(|file| file.last).fold(newest, u64::max);
    }
    Ok(newest)
}

/// Every folder of a day, whatever its region and account, with its day.
pub(super) fn days(lake: &Path) -> Result<Vec<(PathBuf, Date)>, Error> {
    let mut found = Vec::new();
    for source in SOURCES {
        for region in below(&lake.join(source), "region=")? {
            for account in below(&region, "accountId=")? {
                for dir in below(&account, "eventDay=")? {
                    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let digits = name.strip_prefix("eventDay=").unwrap_or_default();
                    if let Ok(day) = Date::strptime("%Y%m%d", digits) {
                        found.push((dir, day));
                    }
                }
            }
        }
    }
    Ok(found)
}

/// The Parquet files of a folder, in the order of their positions.
pub(super) fn stored(dir: &Path) -> Result<Vec<Stored>, Error> {
    let mut found: Vec<Stored> = list(dir)?.into_iter().filter_map(Stored::parse).collect();
    found.sort();
    Ok(found)
}

/// Removes folders of days before `oldest`.
pub(super) fn expire(lake: &Path, oldest: Date) -> Result<u64, Error> {
    let mut removed = 0;
    for (dir, day) in days(lake)? {
        if day < oldest {
            fs::remove_dir_all(&dir).map_err(Error::file("remove", &dir))?;
            sync_dir(&dir)?;
            removed += 1;
        }
    }
    Ok(removed)
}

pub(super) fn remove(path: &Path) -> Result<(), Error> {
    fs::remove_file(path).map_err(Error::file("remove", path))
}

fn below(dir: &Path, prefix: &str) -> Result<Vec<PathBuf>, Error> {
    let mut found = list(dir)?;
    found.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    found.sort();
    Ok(found)
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    match fs::read_dir(dir) {
        Ok(entries) => {
            let entries: io::Result<Vec<_>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
            entries.map_err(Error::file("list", dir))
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(cause) => Err(Error::file("list", dir)(cause)),
    }
}
