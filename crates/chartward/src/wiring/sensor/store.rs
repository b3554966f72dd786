//! What the sensor remembers of flows: a folder of compressed files, one for each day and start of the sensor.
//!
//! A file is a row of gzip members, one a minute, each holding JSON lines; `zcat` reads it. What was written stays as it is: a sensor
//! that is killed leaves at most its last member torn, and the next one begins a file of its own. Gaps between the times that are
//! called covered are times in which nobody watched.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use anyhow::{Context, anyhow};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use ipnet::IpNet;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use schema::{Entity, Finding, Micros};
use serde::{Deserialize, Serialize};

use super::flows::Summary;

const LINE_BYTES_MAX: u64 = 64 << 10;
/// Of one file, unpacked: a day of a large hospital is a hundredth of it.
const FILE_BYTES_MAX: u64 = 256 << 30;
const SUFFIX: &str = ".ndjson.gz";
/// Members that wait for the disk; what comes beyond them is not kept.
const WAITING_MAX: usize = 3;
/// The compressor is asked for so much at once: a record by itself costs it as much as this.
const CHUNK_BYTES: usize = 64 << 10;

/// One line of the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "r", rename_all = "snake_case")]
pub(crate) enum Record {
    /// The sensor began.
    Start { at: Micros, interfaces: Vec<String>, internal: Vec<IpNet> },
    /// It watched from then to then.
    Cover(Cover),
    /// Flows of one pair within one minute.
    Flow(Summary),
    /// A detector spoke.
    Finding(Told),
    /// It ended by itself.
    End { at: Micros },
}

/// What of a time was observed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Cover {
    pub(crate) from: Micros,
    pub(crate) to: Micros,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) dropped: u64,
    pub(crate) undecoded: u64,
    /// Frames of a kind that is not read.
    #[serde(default)]
    pub(crate) unread: u64,
    #[serde(default)]
    pub(crate) fragments_lost: u64,
    pub(crate) two_way: u64,
    pub(crate) one_way: u64,
    /// Interfaces that gave no packets for some of it, being down or away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) down: Vec<String>,
}

/// A finding, as far as it is needed later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) at: Micros,
    pub(crate) uid: String,
    pub(crate) detector: String,
    pub(crate) title: String,
    pub(crate) title_ja: String,
    pub(crate) severity_id: u8,
    pub(crate) actor: String,
    /// Names of hosts that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<String>,
}

impl Told {
    pub(crate) fn of(finding: &Finding) -> Self {
        let name = |subject: &schema::Subject| match &subject.entity {
            Entity::Host { name } => Some(name.clone()),
            _ => None,
        };
        Self {
            at: finding.time.as_microsecond(),
            uid: finding.uid.clone(),
            detector: finding.detector.clone(),
            title: finding.title.clone(),
            title_ja: finding.title_ja.clone(),
            severity_id: finding.severity_id.into(),
            actor: finding.actor.clone(),
            names: finding.subjects.iter().filter_map(name).collect(),
        }
    }
}

/// How long and how much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keeping {
    pub(crate) days: u16,
    pub(crate) bytes_max: u64,
}

/// The writing side.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    keeping: Keeping,
    file: Option<(civil::Date, File)>,
}

impl Store {
    pub(crate) fn open(dir: &Path, keeping: Keeping) -> anyhow::Result<Self> {
        act::evidence::private_dir(dir)?;
        Ok(Self { dir: dir.to_owned(), keeping, file: None })
    }

    /// Puts the records on the disk as one member. What is too old or too much goes.
    pub(crate) fn append(&mut self, records: &[Record], now: Timestamp) -> anyhow::Result<()> {
        let compressor = GzEncoder::new(Vec::new(), Compression::fast());
        let mut lines = BufWriter::with_capacity(CHUNK_BYTES, compressor);
        for record in records {
            serde_json::to_writer(&mut lines, record)?;
            lines.write_all(b"\n")?;
        }
        let member = lines.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;
        let today = now.to_zoned(TimeZone::UTC).date();
        if self.file.as_ref().is_none_or(|(day, _)| *day != today) {
            self.file = Some((today, self.begin(now)?));
            self.expire(today)?;
        }
        let Some((_, file)) = &mut self.file else { return Ok(()) };
        let written = file.write_all(&member).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half a member may stand there now: what follows it could not be read.
            self.file = None;
        }
        written.with_context(|| format!("write flows to {}", self.dir.display()))
    }

    fn begin(&self, now: Timestamp) -> anyhow::Result<File> {
        let name = now.strftime("%Y%m%dT%H%M%S%.6fZ").to_string().replace('.', "-");
        let path = self.dir.join(format!("{name}{SUFFIX}"));
        let mut options = OpenOptions::new();
        let file = options.append(true).create_new(true).mode(0o600).open(&path);
        file.with_context(|| format!("begin the file of flows {}", path.display()))
    }

    /// Whole files: first those that are too old, then the oldest for as long as all take too much. Today's stay.
    fn expire(&self, today: civil::Date) -> anyhow::Result<()> {
        let mut files = files(&self.dir)?;
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        files.retain(|file| file.day < today);
        for file in files {
            let age = today.since(file.day).map_or(0, |span| span.get_days());
            if age <= i32::from(self.keeping.days) && bytes <= self.keeping.bytes_max {
                continue;
            }
            fs::remove_file(&file.path).with_context(|| format!("remove {}", file.path.display()))?;
            bytes = bytes.saturating_sub(file.bytes);
        }
        Ok(())
    }
}

/// The writing side, in a thread of its own: whoever reads packets must not wait for a disk.
#[derive(Debug)]
pub(crate) struct Keeper {
    members: Option<Sender<(Vec<Record>, Timestamp)>>,
    troubles: Receiver<anyhow::Error>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn start(mut store: Store) -> anyhow::Result<Self> {
        let (members, waiting) = bounded::<(Vec<Record>, Timestamp)>(WAITING_MAX);
        let (trouble, troubles) = unbounded();
        let keep = move || {
            for (records, now) in waiting {
                if let Err(error) = store.append(&records, now) {
                    let _ = trouble.send(error);
                }
            }
        };
        let thread =
            thread::Builder::new().name("flows".into()).spawn(keep).context("start the thread for flows")?;
        Ok(Self { members: Some(members), troubles, thread: Some(thread) })
    }

    /// Hands a member over. An error when the disk keeps none for so long that there is no room for this one.
    pub(crate) fn append(&self, records: Vec<Record>, now: Timestamp) -> anyhow::Result<()> {
        let lost = records.len();
        let handed = self.members.as_ref().is_some_and(|members| members.try_send((records, now)).is_ok());
        handed.then_some(()).ok_or_else(|| anyhow!("the disk keeps no flows: {lost} lines are lost"))
    }

    /// What could not be written since the last time.
    pub(crate) fn troubles(&self) -> impl Iterator<Item = anyhow::Error> {
        self.troubles.try_iter()
    }

    /// Returns when everything was written.
    pub(crate) fn close(&mut self) {
        self.members = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Kept {
    path: PathBuf,
    day: civil::Date,
    bytes: u64,
}

/// The oldest first.
fn files(dir: &Path) -> anyhow::Result<Vec<Kept>> {
    let at = || format!("list the flows in {}", dir.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(at)? {
        let entry = entry.with_context(at)?;
        let name = entry.file_name();
        let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else { continue };
        let Some(day) = stem.get(..8).and_then(|day| civil::Date::strptime("%Y%m%d", day).ok()) else {
            continue;
        };
        let bytes = entry.metadata().with_context(at)?.len();
        files.push(Kept { path: entry.path(), day, bytes });
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// What a reading could not read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unread {
    /// Files with a torn end: the sensor was killed, or the disk was full.
    pub(crate) torn: u64,
    /// Lines that are no record.
    pub(crate) lines: u64,
}

/// Reads the records that may concern that time, in the order in which they were written.
pub(crate) fn read(
    dir: &Path,
    (from, to): (Timestamp, Timestamp),
    each: &mut dyn FnMut(Record),
) -> anyhow::Result<Unread> {
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    // A file begins on its day, and holds what was seen up to some minutes into the next; a long flow's beginning lies before.
    let first = day(from).yesterday().unwrap_or(civil::Date::MIN);
    let last = day(to).tomorrow().unwrap_or(civil::Date::MAX);
    let mut unread = Unread::default();
    for file in files(dir)?.into_iter().filter(|file| (first..=last).contains(&file.day)) {
        // The folder is the sensor's, which strangers talk to: root follows no link there and waits for no pipe.
        let opened =
            OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&file.path);
        let opened = opened.with_context(|| format!("open {}", file.path.display()))?;
        if !opened.metadata().is_ok_and(|it| it.is_file()) {
            unread.torn += 1;
            continue;
        }
        if read_file(opened, each, &mut unread).is_err() {
            unread.torn += 1;
        }
    }
    Ok(unread)
}

fn read_file(file: File, each: &mut dyn FnMut(Record), unread: &mut Unread) -> io::Result<()> {
    let mut lines = BufReader::new(MultiGzDecoder::new(BufReader::new(file)).take(FILE_BYTES_MAX));
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = (&mut lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(());
        }
        match serde_json::from_slice(&line) {
            Ok(record) => each(record),
            Err(_) => unread.lines += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(from: Micros) -> Record {
        Record::Cover(Cover { from, to: from + 60_000_000, packets: 7, ..Cover::default() })
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn all(dir: &Path) -> (Vec<Record>, Unread) {
        let mut found = Vec::new();
        let unread = read(dir, (at("2026-01-01T00:00:00Z"), at("2026-12-31T00:00:00Z")), &mut |record| {
            found.push(record);
        });
        (found, unread.unwrap())
    }

    const KEEPING: Keeping = Keeping { days: 30, bytes_max: 1 << 30 };

    #[test]
    fn a_torn_end_costs_the_last_minute_and_the_next_start_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let now = at("2026-05-04T10:00:00Z");
        let mut store = Store::open(dir.path(), KEEPING).unwrap();
        store.append(&[cover(1), cover(2)], now).unwrap();
        let path = files(dir.path()).unwrap().remove(0).path;
        let whole = fs::read(&path).unwrap().len() as u64;
        store.append(&[cover(3)], now).unwrap();
        drop(store);
        for length in whole + 1..fs::read(&path).unwrap().len() as u64 {
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            let bytes = fs::read(&path).unwrap();
            file.set_len(length).unwrap();
            let (found, unread) = all(dir.path());
            assert_eq!(found[..2], [cover(1), cover(2)]);
            assert!(unread.torn == 1 || found.len() == 3, "{length}");
            fs::write(&path, bytes).unwrap();
        }
        let mut store = Store::open(dir.path(), KEEPING).unwrap();
        store.append(&[cover(4)], at("2026-05-04T10:05:00Z")).unwrap();
        let (found, unread) = all(dir.path());
        assert_eq!((found.len(), found.last()), (4, Some(&cover(4))));
        assert_eq!(unread, Unread::default());
    }

    #[test]
    fn a_keeper_writes_everything_before_it_closes_and_says_what_it_could_not() {
        let dir = tempfile::tempdir().unwrap();
        let now = at("2026-05-04T10:00:00Z");
        let mut keeper = Keeper::start(Store::open(dir.path(), KEEPING).unwrap()).unwrap();
        (1..=2).for_each(|n| keeper.append(vec![cover(n)], now).unwrap());
        keeper.close();
        assert_eq!((all(dir.path()).0, keeper.troubles().count()), (vec![cover(1), cover(2)], 0));
        assert!(keeper.append(vec![cover(3)], now).is_err());
        let gone = dir.path().join("gone");
        let mut keeper = Keeper::start(Store::open(&gone, KEEPING).unwrap()).unwrap();
        fs::remove_dir(&gone).unwrap();
        keeper.append(vec![cover(4)], now).unwrap();
        keeper.close();
        assert!(format!("{:#}", keeper.troubles().next().unwrap()).contains("begin the file of flows"));
    }

    #[test]
    fn what_is_too_old_or_too_much_goes_the_oldest_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), Keeping { days: 3, bytes_max: 1 << 30 }).unwrap();
        for day in 1..=6 {
            store.append(&[cover(day)], at(&format!("2026-05-0{day}T10:00:00Z"))).unwrap();
        }
        let days = |dir: &Path| files(dir).unwrap().iter().map(|file| file.day.day()).collect::<Vec<_>>();
        assert_eq!(days(dir.path()), [3, 4, 5, 6]);
        let mut store = Store::open(dir.path(), Keeping { days: 300, bytes_max: 1 }).unwrap();
        store.append(&[cover(7)], at("2026-05-07T10:00:00Z")).unwrap();
        assert_eq!(days(dir.path()), [7]);
    }
}
