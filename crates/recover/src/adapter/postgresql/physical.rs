//! PostgreSQL by its data files and its write-ahead log: what was committed minutes ago comes back.
//!
//! A spool on this machine keeps the newest base backup and the log since then. Each capture adds the log up to now (from
//! the server's archive, or received through a replication slot) and seals both. A drill restores the base, replays
//! up to the moment at which the rows were counted and counts them there, then replays all the rest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use schema::{DatabaseCensus, Exception, ExceptionKind};
use serde_json::Value;

use super::census::{self, Bound, Server};
use super::programs::Programs;
use super::session::{Connection, Session, not_understood};
use super::{CONNECTION, replay};
use crate::adapter::settings::{self, Setting, optional, required};
use crate::adapter::{Adapter, Entry, Place, Settings, Taken, program};
use crate::error::Error;

/// The adapter.
pub const ENTRY: Entry = Entry {
    kind: KIND,
    title: (
        "PostgreSQL, base backup and write-ahead log: minutes of loss at most, version 12 or later",
        "PostgreSQL(ベースバックアップとWAL):失うのは最大でも数分。バージョン12以降",
    ),
    settings: &SETTINGS,
    open: |settings| Ok(Box::new(Physical::new(settings)?)),
    proves: Some((
        "PostgreSQL {} was started on its base backup, its log replayed, every table counted",
        "PostgreSQL {}：ベースバックアップから起動してログ(WAL)を適用し、全テーブルを計数した",
    )),
    drill: replay::drill,
};

pub(super) const KIND: &str = "postgresql-wal";
/// The part with the base backup.
pub(super) const BASE: &str = "base";
/// The part with the log.
pub(super) const WAL: &str = "wal";

static SETTINGS: [Setting; CONNECTION.len() + 4] = settings::joined(
    &CONNECTION,
    &[
        required(
            "spool",
            "folder here for the base backup and the log since, on an encrypted disk",
            "ベースバックアップとWALを置く、この機械のフォルダー(暗号化したディスク)",
        ),
        optional(
            "archive",
            "folder into which the server's archive_command writes; without it the log is received",
            "サーバーのarchive_commandの書き込み先。省略時はWALを受信します",
        ),
        optional(
            "slot",
            "replication slot that keeps the log for us (default chartward)",
            "WALを保持させるレプリケーションスロット(既定 chartward)",
        ),
        optional(
            "base-every-hours",
            "age at which a new base backup is made (default 24)",
            "ベースバックアップを取り直す間隔(時間、既定24)",
        ),
    ],
);

/// Waiting for the server's archiver, and for the log to arrive.
const PATIENCE: Duration = Duration::from_secs(120);
/// Moments that are tried until one is found at which nobody commits.
const MOMENTS: usize = 50;

struct Physical {
    connection: Connection,
    spool: PathBuf,
    archive: Option<PathBuf>,
    slot: String,
    base_every: Duration,
}

impl Physical {
    fn new(settings: &Settings) -> Result<Physical, Error> {
        let missing = || settings.refuse("spool= is missing".to_owned());
        Ok(Physical {
            connection: Connection::new(settings)?,
            spool: settings.path("spool")?.ok_or_else(missing)?,
            archive: settings.path("archive")?,
            slot: settings.text("slot").unwrap_or("chartward").to_owned(),
            base_every: Duration::from_secs(
                settings.number("base-every-hours")?.unwrap_or(24).saturating_mul(3600),
            ),
        })
    }
}

impl Adapter for Physical {
    fn capture(&self, place: &Place<'_>) -> Result<Taken, Error> {
        let programs = Programs::newest()?;
        let wal = self.spool.join(WAL);
        program::folder(&wal)?;
        let _alone = self.lock()?;
        let server = Server::of(&self.connection, &programs)?;
        let mut session = self.connection.open(&programs, "postgres")?;
        let mut exceptions = Vec::new();
        if let Some(cause) = self.broken(&programs, &mut session, &wal)? {
            // What is in the vault stays; from here on a new base is the beginning.
            self.begin_anew(&programs, &wal)?;
            self.fetch(&programs, &mut session, &wal)?;
            exceptions.push(Exception {
                path: self.spool.display().to_string(),
                kind: ExceptionKind::Database,
                cause: format!("{cause}: a new base backup was made, and what was committed before it is in earlier snapshots only"),
            });
        }
        let base = self.base(&programs, (place.now)())?;
        let mut moment = Moment::find(&self.connection, &programs, &server)?;
        let instant = (place.now)();
        let mut not_proven =
            vec!["tables without a log (UNLOGGED): they are empty after a restore".to_owned()];
        let mut databases = moment.count(place.name, instant, &mut not_proven)?;
        let committed = heartbeat(&mut session)?;
        self.fetch(&programs, &mut session, &wal)?;
        prune(&mut session, &base, &wal)?;
        if let Some(gap) = gap(&mut session, &wal)? {
            return Err(Error::Answer { program: "the server's log", answer: gap });
        }
        databases.push(DatabaseCensus {
            newest_record: Some(committed),
            ..super::empty(&format!("{KIND}:{}", place.name))
        });
        let mut details = BTreeMap::from([("bootstrap".to_owned(), server.bootstrap.clone())]);
        details.insert("lsn".to_owned(), moment.lsn);
        let parts = vec![(BASE.to_owned(), base), (WAL.to_owned(), wal)];
        Ok(Taken {
            parts,
            version: server.version,
            instant: Some(instant),
            databases,
            details,
            not_proven,
            exceptions,
            ..Taken::default()
        })
    }
}

impl Physical {
    /// Two captures at once would pull the spool from under each other.
    fn lock(&self) -> Result<File, Error> {
        let fail = |source| Error::Io { op: "lock", path: self.spool.clone(), source };
        let file = File::open(&self.spool).map_err(fail)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| fail(errno.into()))?;
        Ok(file)
    }

    /// Brings the log here, and says why it does not follow on what is here already, if so.
    fn broken(
        &self,
        programs: &Programs,
        session: &mut Session,
        wal: &Path,
    ) -> Result<Option<String>, Error> {
        match self.fetch(programs, session, wal) {
            // The slot was dropped, or the server would not keep so much for us.
            Err(Error::ProgramFailed { said, .. }) if said.contains("has already been removed") => {
                Ok(Some("the server no longer has the log that follows".to_owned()))
            }
            Err(error) => Err(error),
            Ok(()) => gap(session, wal),
        }
    }

    fn begin_anew(&self, programs: &Programs, wal: &Path) -> Result<(), Error> {
        if self.archive.is_none() {
            // A slot that was asked for an old position has moved back to it, and would ask for it for ever.
            let mut drop_slot = self.connection.command(programs, "pg_receivewal", None)?;
            drop_slot.args(["--no-password", "--drop-slot", "--slot", &self.slot]);
            program::run_within(&mut drop_slot, PATIENCE)?;
        }
        for (_, base) in bases(&self.spool)? {
            remove(&base)?;
        }
        remove(wal)?;
        program::folder(wal)
    }

    /// Brings the log here, up to what the server has written by now.
    fn fetch(&self, programs: &Programs, session: &mut Session, wal: &Path) -> Result<(), Error> {
        match &self.archive {
            Some(archive) => fetch_archived(session, archive, wal),
            None => self.receive(programs, session, wal),
        }
    }

    fn receive(&self, programs: &Programs, session: &mut Session, wal: &Path) -> Result<(), Error> {
        let command = |more: &[&str]| -> Result<_, Error> {
            let mut command = self.connection.command(programs, "pg_receivewal", None)?;
            command.args(["--no-password", "--slot", &self.slot]).args(more).arg("--directory").arg(wal);
            Ok(command)
        };
        program::run_within(&mut command(&["--create-slot", "--if-not-exists"])?, PATIENCE)?;
        // It ends only behind the position that it is told, and that is all there is on a server without work.
        let end = session.text("SELECT json_build_array((pg_current_wal_flush_lsn() - 1)::text)")?;
        program::run_within(&mut command(&["--no-loop", "--endpos", &end])?, PATIENCE)
    }

    /// The newest base backup; a new one when that is too old.
    fn base(&self, programs: &Programs, now: Timestamp) -> Result<PathBuf, Error> {
        let mut bases = bases(&self.spool)?;
        if let Some((made, base)) = bases.last() {
            let age = now.as_second().saturating_sub(*made);
            if u64::try_from(age).is_ok_and(|age| age < self.base_every.as_secs()) {
                return Ok(base.clone());
            }
        }
        let unfinished = self.spool.join("unfinished");
        remove(&unfinished)?;
        let mut command = self.connection.command(programs, "pg_basebackup", None)?;
        command.args(["--format=tar", "--wal-method=stream", "--checkpoint=fast", "--no-password"]);
        command.args(["--manifest-checksums=SHA256", "--pgdata"]).arg(&unfinished);
        program::run(&mut command)?;
        let base = self.spool.join(format!("base-{}", now.as_second()));
        fs::rename(&unfinished, &base).map_err(|source| Error::Io {
            op: "rename",
            path: unfinished,
            source,
        })?;
        // The vault's snapshots have the older ones.
        bases.drain(..).try_for_each(|(_, old)| remove(&old))?;
        Ok(base)
    }
}

/// Finished base backups in the spool, oldest first.
fn bases(spool: &Path) -> Result<Vec<(i64, PathBuf)>, Error> {
    let fail = |source| Error::Io { op: "read", path: spool.to_path_buf(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(spool).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let made =
            name.to_str().and_then(|name| name.strip_prefix("base-")).and_then(|made| made.parse().ok());
        found.extend(made.map(|made: i64| (made, entry.path())));
    }
    found.sort();
    Ok(found)
}

fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { op: "remove", path: folder.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}

/// Makes the server hand over the segment it writes to, waits for it, and copies what is not here yet.
fn fetch_archived(session: &mut Session, archive: &Path, wal: &Path) -> Result<(), Error> {
    let last = session.text("SELECT json_build_array(pg_walfile_name(pg_switch_wal()))")?;
    let began = std::time::Instant::now();
    // That the file is there does not mean that it is whole: only the server knows that its command has ended.
    let archived = format!(
        "SELECT json_build_array(coalesce(last_archived_wal >= '{last}', false)) FROM pg_stat_archiver"
    );
    while session.one(&archived)? != Value::Bool(true) || !archive.join(&last).is_file() {
        if began.elapsed() > PATIENCE {
            let source = std::io::Error::other("the server's archive_command did not write it");
            return Err(Error::Io { op: "find", path: archive.join(last), source });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let fail = |source| Error::Io { op: "read", path: archive.to_path_buf(), source };
    for entry in fs::read_dir(archive).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let target = wal.join(entry.file_name());
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if !is_log(&text) || target.exists() || (text.len() == last.len() && *text > *last) {
            continue;
        }
        let copy = wal.join("unfinished");
        fs::copy(entry.path(), &copy)
            .and_then(|_| fs::rename(&copy, &target))
            .map_err(|source| Error::Io { op: "copy", path: entry.path(), source })?;
    }
    Ok(())
}

/// A segment, or the history of a timeline.
fn is_log(name: &str) -> bool {
    let (stem, rest) = name.split_at_checked(24).unwrap_or((name, ""));
    let is_segment = stem.len() == 24 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_segment && (rest.is_empty() || rest == ".partial")) || name.ends_with(".history")
}

/// Removes the log before the base backup.
fn prune(session: &mut Session, base: &Path, wal: &Path) -> Result<(), Error> {
    let manifest = base.join("backup_manifest");
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::Io { op: "read", path, source }
    };
    let text = fs::read(&manifest).map_err(io(&manifest))?;
    let parsed: Value = serde_json::from_slice(&text).unwrap_or_default();
    let Some(start) = parsed["WAL-Ranges"][0]["Start-LSN"].as_str().filter(|lsn| is_lsn(lsn)) else {
        return Err(Error::Answer {
            program: "pg_basebackup",
            answer: "a manifest without its start".to_owned(),
        });
    };
    let first = session.text(&format!("SELECT json_build_array(pg_walfile_name('{start}'))"))?;
    for entry in fs::read_dir(wal).map_err(io(wal))? {
        let entry = entry.map_err(io(wal))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // The first eight digits are the timeline, which says nothing about the position.
        let older = is_log(&name) && name.get(8..24).zip(first.get(8..24)).is_some_and(|(a, b)| a < b);
        if older && !name.ends_with(".history") {
            fs::remove_file(entry.path()).map_err(io(&entry.path()))?;
        }
    }
    Ok(())
}

/// A segment that is missing between the first and the last.
fn gap(session: &mut Session, wal: &Path) -> Result<Option<String>, Error> {
    let bytes =
        session.count("SELECT json_build_array(pg_size_bytes(current_setting('wal_segment_size')))")?;
    let fail = |source| Error::Io { op: "read", path: wal.to_path_buf(), source };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(wal).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
        let part =
            |from: usize, to: usize| name.get(from..to).and_then(|it| u64::from_str_radix(it, 16).ok());
        if let (true, Some(high), Some(low)) = (is_log(&name), part(8, 16), part(16, 24)) {
            numbers.push(high.saturating_mul((1 << 32) / bytes.max(1)).saturating_add(low));
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    let broken = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
    Ok(broken.map(|pair| format!("{} segments of the log are missing", pair[1] - pair[0] - 1)))
}

/// A position in the log.
pub(super) fn is_lsn(text: &str) -> bool {
    let hexadecimal = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split_once('/').is_some_and(|(high, low)| hexadecimal(high) && hexadecimal(low))
}

/// A commit of our own at the end of the log. Without it a server on which nothing happens could not show that nothing is missing.
fn heartbeat(session: &mut Session) -> Result<Timestamp, Error> {
    let micros = session.one(
        "SELECT json_build_array(floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint, \
         pg_logical_emit_message(true, 'chartward', 'captured')::text)",
    )?;
    let time = micros.as_i64().and_then(|micros| Timestamp::from_microsecond(micros).ok());
    time.ok_or_else(|| not_understood(&micros.to_string()))
}

/// One moment of all databases, and its position in the log.
struct Moment {
    sessions: Vec<(String, Session)>,
    lsn: String,
    exact: bool,
}

impl Moment {
    /// Tries until nobody commits between the first session's snapshot and the position: then counts in these sessions are those of a
    /// server that replayed the log up to there.
    fn find(connection: &Connection, programs: &Programs, server: &Server) -> Result<Moment, Error> {
        let open = |name: &String| Ok((name.clone(), connection.open(programs, name)?));
        let names: Vec<String> = server.databases.iter().map(|database| database.name.clone()).collect();
        let sessions = names.iter().map(open).collect::<Result<Vec<_>, Error>>()?;
        let mut watch = connection.open(programs, "postgres")?;
        let mut moment = Moment { sessions, lsn: String::new(), exact: false };
        for _ in 0..MOMENTS {
            let mut seen = Vec::new();
            for (_, session) in &mut moment.sessions {
                session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
                seen.push(session.text("SELECT json_build_array(txid_current_snapshot()::text)")?);
            }
            moment.lsn = watch.text("SELECT json_build_array(pg_current_wal_insert_lsn()::text)")?;
            seen.push(watch.text("SELECT json_build_array(txid_current_snapshot()::text)")?);
            seen.dedup();
            moment.exact = seen.len() == 1;
            if moment.exact {
                break;
            }
            for (_, session) in &mut moment.sessions {
                session.run("ROLLBACK")?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(moment)
    }

    fn count(
        &mut self,
        name: &str,
        instant: Timestamp,
        not_proven: &mut Vec<String>,
    ) -> Result<Vec<DatabaseCensus>, Error> {
        if !self.exact {
            not_proven.push("row counts: at every moment that was tried somebody was writing".to_owned());
            return Ok(Vec::new());
        }
        let mut counted = Vec::new();
        for (database, session) in &mut self.sessions {
            let path = format!("{KIND}:{name}/{database}");
            let (census, unseen) = census::count(session, &path, &Bound(instant))?;
            not_proven.extend(unseen.into_iter().map(|it| format!("{database}: {it}")));
            counted.push(census);
        }
        Ok(counted)
    }
}
