//! A real PostgreSQL below a guarded folder: its load never waits, an encryptor on its files is stopped, and a snapshot brings it back.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use super::after::guard;
use super::{Attacker, Case, listen};

pub(super) const PATIENCE: Duration = Duration::from_secs(90);
/// `nobody`: the server refuses to run as root.
pub(super) const NOBODY: u32 = 65534;

/// A file system in a file, mounted; dropped, it goes.
pub(super) struct Loop {
    pub(super) at: PathBuf,
    dir: tempfile::TempDir,
}

impl Loop {
    pub(super) fn new(mkfs: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (image, at) = (dir.path().join("image"), dir.path().join("disk"));
        fs::File::create(&image).unwrap().set_len(512 << 20).unwrap();
        fs::create_dir(&at).unwrap();
        let (program, options) = mkfs.split_first().unwrap();
        let made = Command::new(program).args(options).arg(&image).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mounted = Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at).output().unwrap();
        mounted.status.success().then_some(Self { at, dir })
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        for _ in 0..50 {
            if Command::new("umount").arg(&self.at).stderr(Stdio::null()).status().unwrap().success() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// A server of the test's own, on a socket alone.
pub(super) struct Postgres {
    bin: PathBuf,
    pub(super) data: PathBuf,
    sockets: PathBuf,
    server: Option<Child>,
}

impl Postgres {
    pub(super) fn new(test: &str, data: &Path, sockets: &Path) -> Option<Self> {
        let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
            .ok()?
            .flatten()
            .map(|entry| entry.path().join("bin"))
            .collect();
        versions.sort();
        let Some(bin) = versions.pop().filter(|bin| bin.join("initdb").exists()) else {
            testkit::skip(test, "no PostgreSQL server");
            return None;
        };
        fs::create_dir_all(data).unwrap();
        for dir in [data, sockets] {
            chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let server = Self { bin, data: data.to_owned(), sockets: sockets.to_owned(), server: None };
        let made = server
            .program("initdb")
            .args(["-U", "emr", "-A", "trust", "-N", "-D"])
            .arg(data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(server)
    }

    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new("setpriv");
        let nobody = NOBODY.to_string();
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]).arg(self.bin.join(name));
        command.current_dir("/").env("HOME", "/nonexistent").env("LC_ALL", "C");
        command
    }

    pub(super) fn start(&mut self, data: &Path) {
        data.clone_into(&mut self.data);
        let mut server = self.program("postgres");
        server.arg("-D").arg(data).args(["-c", "listen_addresses=", "-k"]).arg(&self.sockets);
        server.args(["-c", "shared_buffers=16MB", "-c", "autovacuum=off", "-c", "fsync=off"]);
        self.server = Some(server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let end = Instant::now() + PATIENCE;
        while !self.program("pg_isready").arg("-qh").arg(&self.sockets).status().unwrap().success() {
            assert!(Instant::now() < end, "the server does not start");
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub(super) fn client(&self, name: &str) -> Command {
        let mut command = self.program(name);
        command.args(["-U", "emr", "-h"]).arg(&self.sockets);
        command
    }

    pub(super) fn sql(&self, text: &str) -> String {
        let output = self.client("psql").args(["-Atd", "postgres", "-c", text]).output().unwrap();
        assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// At once, as a power cut does.
    pub(super) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = self.program("pg_ctl").args(["-sm", "immediate", "stop", "-D"]).arg(&self.data).output();
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A case whose tree lies on a file system of its own, with the guard not started yet.
pub(super) fn guarded(tree: &Path, more: &[&str]) -> Case {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    guarded_with_store(dir, tree, &store, more)
}

/// The same with the store somewhere else.
pub(super) fn guarded_with_store(dir: tempfile::TempDir, tree: &Path, store: &Path, more: &[&str]) -> Case {
    let mut child = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .args(["guard", "--json", "--mode", "permission"])
        .arg(tree)
        .args(["--store".as_ref(), store.as_os_str()])
        .args(["--state".as_ref(), dir.path().join("state").as_os_str()])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (send, lines) = channel();
    listen(&mut child, send);
    let before = std::collections::BTreeMap::new();
    Case { dir, tree: tree.to_owned(), before, guard: child, lines, seen: vec![] }
}

fn check(test: &str, mkfs: &[&str], has_snapshots: bool) {
    let needed = [mkfs[0], "setpriv", "python3"];
    if !testkit::root(test) || needed.iter().any(|tool| testkit::tool(test, tool).is_none()) {
        return;
    }
    let Some(disk) = Loop::new(mkfs) else {
        return testkit::skip(test, &format!("this kernel mounts nothing made by {}", mkfs[0]));
    };
    let (tree, sockets) = (disk.at.join("tree"), disk.dir.path().join("sockets"));
    fs::create_dir_all(tree.join("records")).unwrap();
    fs::create_dir(&sockets).unwrap();
    let Some(mut server) = Postgres::new(test, &tree.join("pg/data"), &sockets) else { return };
    let data = server.data.clone();
    server.start(&data);
    let load = server.client("pgbench").args(["-qis", "2", "postgres"]).output().unwrap();
    assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
    server.sql("create table kept(at int)");
    server.sql("insert into kept select generate_series(1, 1000)");

    let mut case = guarded(&tree, &["--snapshot-every", "2s", "--snapshots-max", "4"]);
    let ready = case.wait_for("ready", PATIENCE).unwrap();
    let database = &ready["databases"][0];
    assert_eq!(
        (&database["kind"], ready["databases"].as_array().unwrap().len()),
        (&"postgresql".into(), 1),
        "{ready}"
    );
    assert_eq!(database["snapshots"].is_string(), has_snapshots, "{database}");

    // Load, a new database, VACUUM FULL: nobody is held, nobody is suspected.
    let load = server.client("pgbench").args(["-c", "4", "-T", "4", "postgres"]).output().unwrap();
    assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
    server.sql("vacuum full");
    server.sql("create database another");
    assert!(
        case.wait_for("finding", Duration::from_millis(300)).is_none(),
        "the server is taken for an attacker"
    );
    if has_snapshots {
        loop {
            let line = case.wait_for("database", PATIENCE).expect("no snapshot in time");
            if line["event"] == "snapshot" && line["consistent"] == true {
                break;
            }
        }
    }

    let script = case.dir.path().join("attack.py");
    fs::write(&script, include_str!("attack.py")).unwrap();
    fs::write(data.parent().unwrap().join("made-by-the-guard-test"), data.to_str().unwrap()).unwrap();
    let mut command = Command::new("python3");
    command.arg(script).arg("in-place").arg(&data);
    let attacker = Attacker::start(command);
    assert!(case.wait_for("restored", PATIENCE).is_some(), "{test}: the encryptor is not stopped");
    let harmed = loop {
        let line = case.wait_for("database", PATIENCE).expect("the harm is not told");
        if line["event"] == "harmed" {
            break line;
        }
    };
    server.kill();
    drop(attacker);
    assert_eq!(harmed["snapshot"].is_string(), has_snapshots, "{harmed}");
    if has_snapshots {
        restored(&mut case, &mut server, &tree, harmed["snapshot"].as_str().unwrap());
    }
    server.kill();
    case.end();
}

/// The snapshot is started as it is: the server recovers from its log, and every page reads.
fn restored(case: &mut Case, server: &mut Postgres, tree: &Path, snapshot: &str) {
    let target = tree.join("pg/restored");
    let data = server.data.clone();
    let args = ["restore-snapshot", "--database", data.to_str().unwrap(), "--snapshot", snapshot, "--target"];
    let (code, lines, words) = guard(case, &[&args[..], &[target.to_str().unwrap()]].concat());
    assert_eq!((code, &lines[0]["consistent"]), (0, &true.into()), "{words}");
    let (again, _, words) = guard(case, &[&args[..], &[target.to_str().unwrap()]].concat());
    assert!(again == 2 && words.contains("is not empty"), "{again} {words}");
    server.start(&target);
    assert_eq!(server.sql("select count(*), sum(at) from kept"), "1000|500500");
    assert_eq!(server.sql("select count(*) from pgbench_accounts"), "200000");
    // Its history and its balances agree: what was committed together is there together.
    assert_eq!(
        server.sql("select coalesce((select sum(delta) from pgbench_history), 0) - (select sum(tbalance) from pgbench_tellers)"),
        "0"
    );
    let dumped = server.client("pg_dump").args(["-f", "/dev/null", "postgres"]).output().unwrap();
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
}

#[test]
fn a_database_on_xfs_is_not_held_and_comes_back_from_its_snapshot() {
    let test = "a_database_on_xfs_is_not_held_and_comes_back_from_its_snapshot";
    check(test, &["mkfs.xfs", "-q", "-m", "reflink=1"], true);
}

#[test]
fn a_database_on_btrfs_is_not_held_and_comes_back_from_its_snapshot() {
    let test = "a_database_on_btrfs_is_not_held_and_comes_back_from_its_snapshot";
    check(test, &["mkfs.btrfs", "-q"], true);
}

#[test]
fn a_database_on_ext4_is_not_held_and_its_encryptor_is_stopped() {
    let test = "a_database_on_ext4_is_not_held_and_its_encryptor_is_stopped";
    check(test, &["mkfs.ext4", "-q"], false);
}
