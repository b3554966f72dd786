//! Real database servers that start, work and stop below a folder that is guarded already: nobody of theirs is stopped, and whoever
//! encrypts their files is stopped without them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::after::guard;
use super::databases::{Loop, NOBODY, PATIENCE, Postgres, guarded};
use super::{Attacker, Case};

const ROUNDS: usize = 3;
/// One that others than root may run.
const PYTHON: &str = "/usr/bin/python3";
const RESTED: Duration = Duration::from_millis(600);

fn may(test: &str, tools: &[&str]) -> bool {
    if !Path::new(PYTHON).exists() {
        testkit::skip(test, &format!("no {PYTHON}"));
        return false;
    }
    testkit::root(test) && tools.iter().all(|tool| testkit::tool(test, tool).is_some())
}

/// A folder that the server's user may reach.
fn room() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let tree = dir.path().canonicalize().unwrap().join("tree");
    fs::create_dir(&tree).unwrap();
    (dir, tree)
}

/// The attacker's script and its marker, where the server's user reads them.
fn armed(room: &Path, data: &Path) -> PathBuf {
    fs::write(data.parent().unwrap().join("made-by-the-guard-test"), data.to_str().unwrap()).unwrap();
    let script = room.join("attack.py");
    fs::write(&script, include_str!("attack.py")).unwrap();
    script
}

fn left_alone(case: &mut Case, when: &str) {
    let finding = case.wait_for("finding", RESTED);
    let findings: Vec<&Value> = case.seen.iter().filter(|line| line["class_uid"] == 2004).collect();
    assert!(finding.is_none() && findings.is_empty(), "{when}: {findings:?}");
    let stopped: Vec<&Value> = case.seen.iter().filter(|line| line["type"] == "action").collect();
    assert!(stopped.is_empty(), "{when}: {stopped:?}");
}

/// As the user of the data, in a job of its own.
fn encryptor(script: &Path, data: &Path) -> Attacker {
    let nobody = NOBODY.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups", PYTHON]);
    command.arg(script).arg("in-place").arg(data);
    Attacker::start(command)
}

fn harmed(case: &mut Case) -> Value {
    loop {
        let line = case.wait_for("database", PATIENCE).expect("the harm is not told");
        if line["event"] == "harmed" {
            return line;
        }
    }
}

/// Starts, is used and stops, several times, by `pg_ctl` as an administrator does and as a service does.
#[test]
fn a_postgresql_that_starts_works_and_stops_under_the_guard_is_left_alone() {
    let test = "a_postgresql_that_starts_works_and_stops_under_the_guard_is_left_alone";
    let tools = ["setpriv", "pgbench"];
    if !may(test, &tools) {
        return;
    }
    let (dir, tree) = room();
    let (data, sockets) = (tree.join("pg/data"), tree.join("pg/sockets"));
    fs::create_dir_all(&sockets).unwrap();
    let Some(mut server) = Postgres::new(test, &data, &sockets) else { return };
    let script = armed(dir.path(), &data);
    let mut case = guarded(&tree, &["--snapshot-every", "1s"]);
    assert_eq!(case.wait_for("ready", PATIENCE).unwrap()["databases"][0]["kind"], "postgresql");

    for round in 0..ROUNDS {
        if round == 1 {
            let options = format!("-c listen_addresses='' -c fsync=off -k {}", sockets.display());
            let mut start = server.program("pg_ctl");
            start.arg("-D").arg(&data).args(["-ws", "-o", &options, "start"]);
            assert!(start.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
        } else {
            server.start(&data);
        }
        // Connections come and go: each is a process of its own that writes and ends.
        let load = server.client("pgbench").args(["-i", "-q", "postgres"]).output().unwrap();
        assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
        let load = server.client("pgbench").args(["-C", "-c", "2", "-t", "20", "postgres"]).output().unwrap();
        assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
        for sql in ["create database another", "vacuum full", "checkpoint", "drop database another"] {
            server.sql(sql);
        }
        left_alone(&mut case, &format!("round {round}"));
        let mut stop = server.program("pg_ctl");
        assert!(stop.arg("-D").arg(&data).args(["-sw", "-m", "fast", "stop"]).status().unwrap().success());
        left_alone(&mut case, &format!("round {round}, stopped"));
        server.kill();
    }

    // The owner of the data, in a job of its own: stopped, and the server goes on.
    server.start(&data);
    let attacker = encryptor(&script, &data);
    assert!(case.wait_for("restored", PATIENCE).is_some(), "the encryptor is not stopped");
    harmed(&mut case);
    assert_eq!(server.sql("select 1"), "1", "the server stands still");
    drop(attacker);
    server.kill();
    case.end();
}

/// Whoever may run programs through the server works in its job, and is stopped without it.
#[test]
fn an_encryptor_that_the_server_itself_started_is_stopped_and_the_server_goes_on() {
    let test = "an_encryptor_that_the_server_itself_started_is_stopped_and_the_server_goes_on";
    let tools = ["setpriv"];
    if !may(test, &tools) {
        return;
    }
    let (dir, tree) = room();
    let (data, sockets) = (tree.join("pg/data"), tree.join("pg/sockets"));
    fs::create_dir_all(&sockets).unwrap();
    let Some(mut server) = Postgres::new(test, &data, &sockets) else { return };
    let script = armed(dir.path(), &data);
    let mut case = guarded(&tree, &[]);
    case.wait_for("ready", PATIENCE).unwrap();
    server.start(&data);
    // Something of the database that the server does not need for an answer, so that what is looked at is who stands still.
    let prey = data.join("prey");
    fs::create_dir(&prey).unwrap();
    let marker = data.join("made-by-the-guard-test");
    fs::write(&marker, prey.to_str().unwrap()).unwrap();
    for number in 0..60 {
        let file = prey.join(number.to_string());
        fs::write(&file, vec![b'x'; 40_000]).unwrap();
        chown(&file, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let sql =
        format!("copy (select 1) to program '{PYTHON} {} in-place {}'", script.display(), prey.display());
    let mut client = server.client("psql");
    client.args(["-Atd", "postgres", "-c", &sql]);
    let client = Attacker::start(client);
    assert!(case.wait_for("action", PATIENCE).is_some(), "nobody is stopped");
    let stopped: Vec<i64> = case
        .seen
        .iter()
        .filter(|line| line["type"] == "action")
        .filter_map(|line| line["pid"].as_i64())
        .collect();
    harmed(&mut case);
    assert_eq!(server.sql("select 1"), "1", "the server stands still");
    for pid in stopped {
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        assert!(!program.ends_with("postgres"), "{pid} is the server");
    }
    drop(client);

    // Records beside the database: what the server started is stopped again, and the server is not.
    let records = tree.join("records");
    fs::create_dir(&records).unwrap();
    fs::write(tree.join("made-by-the-guard-test"), records.to_str().unwrap()).unwrap();
    for number in 0..40 {
        let file = records.join(number.to_string());
        fs::write(&file, super::record(number)).unwrap();
        chown(&file, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let sql =
        format!("copy (select 1) to program '{PYTHON} {} in-place {}'", script.display(), records.display());
    let mut client = server.client("psql");
    client.args(["-Atd", "postgres", "-c", &sql]);
    let client = Attacker::start(client);
    loop {
        let Some(restored) = case.wait_for("restored", PATIENCE) else {
            panic!("nobody is stopped; the guard said {:#?}", case.seen)
        };
        if restored["files_touched"].as_u64() > Some(0) {
            assert_eq!(restored["files_irrecoverable"], 0, "{restored}");
            break;
        }
    }
    assert_eq!(server.sql("select 1"), "1", "the server stands still");
    drop(client);
    drop(case);
    server.kill();
}

/// A MariaDB of the test's own, on a socket alone.
struct Mariadb {
    data: PathBuf,
    socket: PathBuf,
    /// A MariaDB that starts removes the temporary tables of all others in the same place; and the guard looks at them if they
    /// lie in the tree.
    scratch: PathBuf,
    server: Option<Child>,
}

impl Mariadb {
    fn new(test: &str, data: &Path) -> Option<Self> {
        let tools = ["mariadb-install-db", "mariadbd-safe", "mariadb", "mariadb-admin", "setpriv"];
        if tools.iter().any(|tool| testkit::tool(test, tool).is_none()) {
            return None;
        }
        let home = data.parent().unwrap();
        fs::create_dir_all(data).unwrap();
        let scratch = home.ancestors().nth(2).unwrap().join("my-tmp");
        fs::create_dir(&scratch).unwrap();
        for dir in [home, data, &scratch] {
            chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut make = Self::program("mariadb-install-db", &scratch);
        make.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        make.arg(format!("--datadir={}", data.display())).arg("--innodb-log-file-size=8M");
        let made = make.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // The path of a socket must be short.
        Some(Self { data: data.to_owned(), socket: home.join("s"), scratch, server: None })
    }

    fn program(name: &str, scratch: &Path) -> Command {
        let nobody = NOBODY.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups", name]);
        command.current_dir("/").env("HOME", "/nonexistent").env("TMPDIR", scratch);
        command
    }

    /// By its own script, which stays above it, as the package does; or the server alone, as a service does.
    fn start(&mut self, program: &str) {
        use std::os::unix::process::CommandExt;
        let mut server = Self::program(program, &self.scratch);
        server.arg("--no-defaults").arg(format!("--datadir={}", self.data.display()));
        server.arg(format!("--socket={}", self.socket.display()));
        server.arg(format!("--pid-file={}", self.data.join("pid").display()));
        server.args(["--skip-networking", "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M"]);
        if program == "mariadbd-safe" {
            server.args(["--no-auto-restart", "--skip-syslog"]);
        }
        self.server =
            Some(server.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let end = Instant::now() + PATIENCE;
        while !self.client("mariadb-admin").arg("ping").output().unwrap().status.success() {
            assert!(Instant::now() < end, "the server does not start");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn client(&self, name: &str) -> Command {
        let mut command = Self::program(name, &self.scratch);
        command.args(["--no-defaults", "-u", "root"]).arg(format!("--socket={}", self.socket.display()));
        command
    }

    fn sql(&self, text: &str) -> String {
        let output = self.client("mariadb").args(["-Nse", text]).output().unwrap();
        assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn use_it(&self) {
        self.sql(
            "create database emr; use emr; create table emr.visit(id int primary key, note varchar(200)); \
             insert into emr.visit select seq, md5(seq) from seq_1_to_20000; update emr.visit set note = sha1(note); \
             alter table emr.visit add column ward int; optimize table emr.visit; create table emr.other like emr.visit; \
             drop table emr.other",
        );
    }

    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = self.client("mariadb-admin").arg("shutdown").output();
            let end = Instant::now() + PATIENCE;
            while server.try_wait().unwrap().is_none() && Instant::now() < end {
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // The script and the server are one group.
            drop(Attacker(server));
        }
    }
}

#[test]
fn a_mariadb_that_starts_works_and_stops_under_the_guard_is_left_alone() {
    let test = "a_mariadb_that_starts_works_and_stops_under_the_guard_is_left_alone";
    if !may(test, &[]) {
        return;
    }
    let (dir, tree) = room();
    let data = tree.join("my/data");
    let Some(mut server) = Mariadb::new(test, &data) else { return };
    let script = armed(dir.path(), &data);
    let mut case = guarded(&tree, &["--snapshot-every", "1s"]);
    assert_eq!(case.wait_for("ready", PATIENCE).unwrap()["databases"][0]["kind"], "mariadb");
    for program in ["mariadbd-safe", "mariadbd", "mariadbd-safe"] {
        server.start(program);
        server.use_it();
        server.sql("drop database emr");
        left_alone(&mut case, program);
        server.stop();
        left_alone(&mut case, &format!("{program}, stopped"));
    }
    server.start("mariadbd-safe");
    let attacker = encryptor(&script, &data);
    assert!(case.wait_for("restored", PATIENCE).is_some(), "the encryptor is not stopped");
    harmed(&mut case);
    assert_eq!(server.sql("select 1"), "1", "the server stands still");
    drop(attacker);
    drop(server);
    case.end();
}

/// The snapshot is started as it is: the server recovers from its log.
#[test]
fn a_snapshot_of_a_mariadb_at_work_can_be_started() {
    let test = "a_snapshot_of_a_mariadb_at_work_can_be_started";
    if !testkit::root(test) || testkit::tool(test, "mkfs.xfs").is_none() {
        return;
    }
    let Some(disk) = Loop::new(&["mkfs.xfs", "-q", "-m", "reflink=1"]) else {
        testkit::skip(test, "no loop device");
        return;
    };
    let tree = disk.at.join("tree");
    fs::create_dir(&tree).unwrap();
    fs::set_permissions(&disk.at, fs::Permissions::from_mode(0o755)).unwrap();
    let data = tree.join("my/data");
    let Some(mut server) = Mariadb::new(test, &data) else { return };
    let mut case = guarded(&tree, &["--snapshot-every", "1s", "--snapshots-max", "8"]);
    assert!(case.wait_for("ready", PATIENCE).unwrap()["databases"][0]["snapshots"].is_string());
    server.start("mariadbd");
    server.use_it();
    let wanted = Instant::now();
    let load = "use emr; insert into emr.visit(id, note) select seq, 'after' from seq_30001_to_30100";
    server.sql(load);
    let snapshot = loop {
        let line = case.wait_for("database", PATIENCE).expect("no snapshot in time");
        let is_later = wanted.elapsed() > Duration::from_millis(1500);
        if is_later && line["event"] == "snapshot" && line["consistent"] == true {
            break line["id"].as_str().unwrap().to_owned();
        }
    };
    left_alone(&mut case, "at work");
    drop(server);
    let restored = tree.join("my/restored");
    let (code, lines, words) = guard(
        &case,
        &[
            "restore-snapshot",
            "--database",
            data.to_str().unwrap(),
            "--snapshot",
            &snapshot,
            "--target",
            restored.to_str().unwrap(),
        ],
    );
    assert_eq!((code, &lines[0]["consistent"]), (0, &true.into()), "{words}");
    let mut again =
        Mariadb { data: restored, socket: tree.join("my/r"), scratch: disk.at.join("my-tmp"), server: None };
    again.start("mariadbd");
    assert_eq!(again.sql("select count(*), sum(note = 'after') from emr.visit"), "20100\t100");
    assert!(again.sql("check table emr.visit").ends_with("OK"));
    again.stop();
    drop(again);
    case.end();
}
