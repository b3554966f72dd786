use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::file;
use crate::Error;
use crate::durable::sync_dir;

/// A file that is larger than this is none of ours.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Counts: kept.
    Counts,
    /// Addresses of sources: removed after a while.
    Addresses,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Kind::Counts => "counts",
            Kind::Addresses => "addresses",
        }
    }
}

/// A file of the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// Days since 1970 in UTC.
    pub day: i64,
    /// The sensor.
    pub sensor: String,
    /// What it holds.
    pub kind: Kind,
}

/// The files of an observation network: `DAYS/YEAR/DAY.SENSOR.counts`, one for each day and sensor.
///
/// A file is replaced as a whole: after a power cut it is the one before or the one after. Several processes may write.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The store below a state folder, made when missing.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(state: &Path) -> Result<Store, Error> {
        let folder = state.join("telescope").join("days");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(Error::file("make the state folder", &folder))?;
        Ok(Store { folder })
    }

    /// Whether a sensor may be called that: letters, digits, `-` and `_`, at most 64, as it becomes part of a file's name.
    pub fn is_name(sensor: &str) -> bool {
        (1..=64).contains(&sensor.len())
            && sensor.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    }

    /// All files of the days, in order.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn list(&self, days: std::ops::RangeInclusive<i64>) -> Result<Vec<Stored>, Error> {
        let mut found = Vec::new();
        let failed = |path: &Path| Error::file("list", path.to_owned());
        for year in fs::read_dir(&self.folder).map_err(failed(&self.folder))?.flatten() {
            let path = year.path();
            if !path.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&path).map_err(failed(&path))?.flatten() {
                let stored = entry.file_name().to_str().and_then(parse);
                found.extend(stored.filter(|stored| days.contains(&stored.day)));
            }
        }
        found.sort();
        Ok(found)
    }

    /// The lines of a file; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Observation`].
    pub fn read(&self, stored: &Stored) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(stored);
        let mut bytes = Vec::new();
        let opened = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::file("open", &path))?,
        };
        opened.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(Error::file("read", &path))?;
        let (head, lines) =
            file::read(&bytes).map_err(|source| Error::Observation { path: path.clone(), source })?;
        if (head.day, &head.sensor) != (stored.day, &stored.sensor) {
            // A copy under another's name would count twice.
            return Err(Error::Observation { path, source: file::Fault::Head });
        }
        Ok(Some(lines))
    }

    /// Replaces a file by what `change` makes of its lines, while nobody else writes.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Observation`], and those of `change`; the file is then as it was.
    pub fn update<E: From<Error>>(
        &self,
        stored: &Stored,
        change: impl FnOnce(Option<Vec<u8>>) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        let _lock = self.lock()?;
        let lines = change(self.read(stored)?)?;
        let path = self.path(stored);
        let bytes = file::write(stored.day, &stored.sensor, &lines)
            .map_err(|source| Error::Observation { path: path.clone(), source })?;
        replace(&path, &bytes)?;
        Ok(())
    }

    /// Removes the addresses of days before `day`. Says how many files there were.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn forget_addresses(&self, before: i64) -> Result<u64, Error> {
        let _lock = self.lock()?;
        let mut removed = 0;
        for stored in self.list(i64::MIN..=before.saturating_sub(1))? {
            if stored.kind == Kind::Addresses {
                let path = self.path(&stored);
                fs::remove_file(&path).map_err(Error::file("remove", &path))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn lock(&self) -> Result<File, Error> {
        let path = self.folder.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|cause| Error::file("lock", &path)(cause.into()))?;
        Ok(file)
    }

    fn path(&self, stored: &Stored) -> PathBuf {
        let date = date(stored.day);
        let name = format!("{}.{}.{}", date.strftime("%Y%m%d"), stored.sensor, stored.kind.suffix());
        self.folder.join(date.strftime("%Y").to_string()).join(name)
    }
}

fn date(day: i64) -> jiff::civil::Date {
    let at = jiff::Timestamp::from_second(day.saturating_mul(86_400)).unwrap_or(jiff::Timestamp::MAX);
    at.to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn parse(name: &str) -> Option<Stored> {
    let mut parts = name.split('.');
    let (day, sensor, kind) = (parts.next()?, parts.next()?, parts.next()?);
    let kind = [Kind::Counts, Kind::Addresses].into_iter().find(|it| it.suffix() == kind)?;
    let date = jiff::civil::Date::strptime("%Y%m%d", day).ok()?;
    let at = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let is_ours = parts.next().is_none() && Store::is_name(sensor);
    is_ours.then(|| Stored { day: at.as_second().div_euclid(86_400), sensor: sensor.to_owned(), kind })
}

/// Writes beside it, syncs, renames.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::file("make", folder))?;
    let new = path.with_added_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .map_err(Error::file("open", &new))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::file("write", &new))?;
    fs::rename(&new, path).map_err(Error::file("replace", path))?;
    sync_dir(path)
}
