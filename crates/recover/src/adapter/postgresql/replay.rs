//! The drill of a physical backup: the data files are verified and laid out, the log is replayed up to the counted moment, then to
//! its end.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use schema::DatabaseCensus;
use serde_json::Value;

use super::census::Bound;
use super::cluster::Cluster;
use super::physical::{BASE, KIND, WAL, is_lsn};
use super::programs::Programs;
use crate::adapter::{Engines, Findings, Restored, program};
use crate::error::Error;

/// Replaying a day of a large hospital takes its time.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);
/// What a standby must not have less of than the server had.
const LIMITS: [(&str, &str); 5] = [
    ("max_connections setting", "max_connections"),
    ("max_worker_processes setting", "max_worker_processes"),
    ("max_wal_senders setting", "max_wal_senders"),
    ("max_prepared_xacts setting", "max_prepared_transactions"),
    ("max_locks_per_xact setting", "max_locks_per_transaction"),
];

/// Replays and counts.
pub(super) fn drill(restored: &Restored<'_>) -> Result<Findings, Error> {
    let programs = Programs::exactly(&restored.source.version)?;
    let ground = Ground::lay(restored, &programs)?;
    let superuser = restored.detail("bootstrap");
    let mut findings = Findings::default();
    let lsn = restored.detail("lsn");
    let prefix = format!("{KIND}:{}/", restored.source.name);
    let counted: Vec<&&DatabaseCensus> =
        restored.expected.iter().filter(|it| it.path.starts_with(&prefix)).collect();
    if !counted.is_empty() && is_lsn(lsn) {
        ground.configure(&format!(
            "hot_standby = on\nrecovery_target_lsn = '{lsn}'\nrecovery_target_inclusive = off\nrecovery_target_action = 'pause'\n"
        ))?;
        let cluster = ground.start(&programs, superuser)?;
        wait_for(&cluster, "pg_is_wal_replay_paused()")?;
        for expected in counted {
            let name = expected.path.strip_prefix(&prefix).unwrap_or_default();
            let census = cluster.count(name, &expected.path, &Bound(restored.source.instant))?;
            findings.databases.push(census);
        }
    }
    ground.configure("hot_standby = off\n")?;
    let cluster = ground.start(&programs, superuser)?;
    wait_for(&cluster, "NOT pg_is_in_recovery()")?;
    findings.databases.push(DatabaseCensus {
        newest_record: last_commit(&cluster.log()),
        ..super::empty(&format!("{KIND}:{}", restored.source.name))
    });
    Ok(findings)
}

fn wait_for(cluster: &Cluster<'_>, condition: &str) -> Result<(), Error> {
    let began = Instant::now();
    let mut session = cluster.session("postgres")?;
    while session.one(&format!("SELECT json_build_array({condition})"))? != Value::Bool(true) {
        if began.elapsed() > PATIENCE {
            return Err(Error::Answer { program: "psql", answer: format!("not yet: {condition}") });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// When the last transaction that was replayed had committed, as the server's log says it at the end of recovery.
fn last_commit(log: &str) -> Option<Timestamp> {
    let (_, rest) = log.rsplit_once("last completed transaction was at log time ")?;
    let time = rest.lines().next()?.trim();
    // The server writes `2026-11-22 08:35:26.1+00`.
    let (date, rest) = time.split_once(' ')?;
    let clock = rest.strip_suffix("+00")?;
    format!("{date}T{clock}Z").parse().ok()
}

/// The folder of a private server with restored data in it.
struct Ground<'r> {
    engines: &'r Engines,
    folder: PathBuf,
    data: PathBuf,
    wal: PathBuf,
    limits: String,
}

impl<'r> Ground<'r> {
    fn lay(restored: &Restored<'r>, programs: &Programs) -> Result<Ground<'r>, Error> {
        let engines = restored.engines;
        let folder = engines.folder(&format!("pg-{}", restored.source.name))?;
        let make = |name: &str| -> Result<PathBuf, Error> {
            let path = folder.join(name);
            program::folder(&path)?;
            engines.hand_over(&path)?;
            Ok(path)
        };
        let (data, wal) = (make("data")?, make("wal")?);
        let base = restored.part(BASE);
        unpack(engines, &base.join("base.tar"), &data)?;
        unpack(engines, &base.join("pg_wal.tar"), &data.join("pg_wal"))?;
        tablespaces(&base, &data, &make, engines)?;
        verify(engines, programs, &base, &folder, &data)?;
        let from = restored.part(WAL);
        let fail = |path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Io { op: "copy", path, source }
        };
        for entry in fs::read_dir(&from).map_err(fail(&from))? {
            let entry = entry.map_err(fail(&from))?;
            let target = wal.join(entry.file_name());
            fs::copy(entry.path(), &target).map_err(fail(&entry.path()))?;
            engines.hand_over(&target)?;
        }
        // Settings of the lost server, which may load libraries and run programs, do not apply here.
        for name in ["postgresql.auto.conf", "standby.signal", "postmaster.opts"] {
            let _ = fs::remove_file(data.join(name));
        }
        for (name, content) in
            [("recovery.signal", ""), ("pg_hba.conf", "local all all trust\n"), ("pg_ident.conf", "")]
        {
            program::write(&data.join(name), content)?;
            engines.hand_over(&data.join(name))?;
        }
        let limits = limits(engines, programs, &data)?;
        Ok(Ground { engines, folder, data, wal, limits })
    }

    fn configure(&self, recovery: &str) -> Result<(), Error> {
        let wal = self.wal.to_string_lossy().replace('\'', "''");
        let text = format!(
            "listen_addresses = ''\nfsync = off\nfull_page_writes = off\nautovacuum = off\njit = off\narchive_mode = off\n\
             logging_collector = off\nlog_destination = 'stderr'\nlog_timezone = 'UTC'\nlog_min_messages = log\n\
             lc_messages = 'C'\n{}restore_command = 'cp \"{wal}/%f\" \"%p\" || cp \"{wal}/%f.partial\" \"%p\"'\n{recovery}",
            self.limits
        );
        let path = self.data.join("postgresql.conf");
        program::write(&path, text)?;
        self.engines.hand_over(&path)
    }

    fn start<'g>(&'g self, programs: &'g Programs, superuser: &str) -> Result<Cluster<'g>, Error> {
        Cluster::start(self.engines, programs, superuser, &self.folder, &self.data, &[], PATIENCE)
    }
}

/// Unpacks as the user that servers run as, and reads from a pipe, since that user may not look at what was restored.
fn unpack(engines: &Engines, archive: &Path, into: &Path) -> Result<(), Error> {
    let file = File::open(archive).map_err(|source| Error::Io {
        op: "read",
        path: archive.to_path_buf(),
        source,
    })?;
    let mut tar = engines.command(&program::find("tar", "tar")?)?;
    tar.args(["--extract", "--no-same-owner", "--file", "-", "--directory"]).arg(into);
    program::run(tar.stdin(Stdio::from(file)))
}

/// Tablespaces lie in archives of their own, and are to be put where they were: here, beside the data instead.
fn tablespaces(
    base: &Path,
    data: &Path,
    make: &dyn Fn(&str) -> Result<PathBuf, Error>,
    engines: &Engines,
) -> Result<(), Error> {
    let map = data.join("tablespace_map");
    let Ok(text) = fs::read_to_string(&map) else { return Ok(()) };
    let mut moved = String::new();
    for line in text.lines() {
        let oid = line.split(' ').next().filter(|oid| oid.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(oid) = oid else { continue };
        let place = make(&format!("tablespace-{oid}"))?;
        unpack(engines, &base.join(format!("{oid}.tar")), &place)?;
        // Writing to a string cannot fail.
        let _ = writeln!(moved, "{oid} {}", place.display());
    }
    program::write(&map, moved)?;
    engines.hand_over(&map)
}

/// Every file against the checksums that the server noted when it sent it.
fn verify(
    engines: &Engines,
    programs: &Programs,
    base: &Path,
    folder: &Path,
    data: &Path,
) -> Result<(), Error> {
    let manifest = folder.join("backup_manifest");
    fs::copy(base.join("backup_manifest"), &manifest).map_err(|source| Error::Io {
        op: "copy",
        path: manifest.clone(),
        source,
    })?;
    engines.hand_over(&manifest)?;
    let mut command = engines.command(&programs.path("pg_verifybackup"))?;
    // What is written anew for the sandbox, and what lies outside of the folder here.
    command.args(["--no-parse-wal", "--quiet", "--ignore=tablespace_map", "--ignore=pg_tblspc"]);
    program::run(command.arg("--manifest-path").arg(&manifest).arg(data))
}

fn limits(engines: &Engines, programs: &Programs, data: &Path) -> Result<String, Error> {
    let mut command = engines.command(&programs.path("pg_controldata"))?;
    let said = program::output(command.env("LC_ALL", "C").arg(data))?;
    let said = String::from_utf8_lossy(&said);
    let mut text = String::new();
    for (label, setting) in LIMITS {
        let value = said
            .lines()
            .find_map(|line| line.strip_prefix(label)?.strip_prefix(':')?.trim().parse::<u32>().ok());
        if let Some(value) = value {
            let _ = writeln!(text, "{setting} = {value}");
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_last_commit_is_read_from_the_log() {
        let log = "LOG:  redo done\n2026 LOG:  last completed transaction was at log time 2026-11-22 08:35:26.5+00\nLOG:  x\n";
        assert_eq!(last_commit(log), "2026-11-22T08:35:26.5Z".parse().ok());
        assert_eq!(last_commit("LOG:  nothing to replay"), None);
    }
}
