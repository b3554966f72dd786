//! Real servers for the tests of sources: private ones in temporary folders, ended when dropped.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use recover::Error;
use recover::adapter::{Handed, Source};
use recover::capture::{CaptureRequest, Captured, capture};
use recover::drill::{DrillRequest, drill};
use recover::vault::{KeyCost, Vault};
use schema::Drill;

use crate::support::password;

/// Ends the process with the test, however the test ends.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder of its own that servers may enter as the user `nobody`, on which root runs them.
pub(crate) struct Ground {
    pub(crate) dir: tempfile::TempDir,
}

impl Ground {
    pub(crate) fn new() -> Ground {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        Ground { dir }
    }

    /// A new folder that belongs to the servers.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        if is_root() {
            chown(&path, Some(65_534), Some(65_534)).unwrap();
        }
        path
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program as the user that servers run as.
pub(crate) fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root() {
        command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]);
    }
    command.arg("--").arg(program).current_dir("/").stdin(Stdio::null());
    command
}

pub(crate) fn ran(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn wait_until(what: &str, mut answers: impl FnMut() -> bool) {
    let began = Instant::now();
    while !answers() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A vault, and sandboxes beside it.
pub(crate) struct Yard {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) vault: Vault,
}

impl Yard {
    pub(crate) fn new() -> Yard {
        let dir = tempfile::tempdir().unwrap();
        // Servers of a drill run below it and not as us.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let vault = Vault::init_with_cost(&dir.path().join("vault"), &password(), KeyCost::TEST).unwrap();
        Yard { dir, vault }
    }

    pub(crate) fn capture(&self, sources: &[&str], roots: &[&Path]) -> Result<Captured, Error> {
        self.capture_handed(sources, roots, &Handed::new())
    }

    /// With a file that holds `password`, handed over under the name `emr-db`.
    pub(crate) fn capture_with_password(&self, source: &str, password: &str) -> Result<Captured, Error> {
        let file = self.dir.path().join("password");
        fs::write(&file, format!("{password}\n")).unwrap();
        self.capture_handed(&[source], &[], &[("emr-db".to_owned(), file)].into())
    }

    fn capture_handed(&self, sources: &[&str], roots: &[&Path], handed: &Handed) -> Result<Captured, Error> {
        let staging = tempfile::tempdir_in(self.dir.path()).unwrap();
        let sources = sources.iter().map(|text| Source::parse_with(text, handed));
        let request = CaptureRequest {
            pulled: Vec::new(),
            filter: recover::vault::Filter::default(),
            moment: recover::capture::MomentChoice::Auto,
            time: None,
            cache: None,
            parent: recover::vault::ParentChoice::Newest,
            roots: roots.iter().map(|root| root.to_path_buf()).collect(),
            sources: sources.collect::<Result<_, _>>()?,
            exclude: Vec::new(),
            tags: Vec::new(),
            hostname: "emr".to_owned(),
            zone: TimeZone::UTC,
            staging: staging.path().to_path_buf(),
            recovery: Vec::new(),
        };
        capture(&self.vault, &request, &Timestamp::now, &|_| ())
    }

    /// Drills the newest snapshot.
    pub(crate) fn drill(&self) -> Drill {
        let snapshot = self.vault.find("latest").unwrap();
        let sandbox = tempfile::tempdir_in(self.dir.path()).unwrap();
        let engines = tempfile::tempdir_in(self.dir.path()).unwrap();
        let request = DrillRequest {
            snapshot: &snapshot,
            sandbox: sandbox.path(),
            engines: Some(engines.path()),
            previous: None,
            sample: None,
            scanner: &recover::drill::Scanner::None("a test".to_owned()),
            zone: TimeZone::UTC,
            now: &Timestamp::now,
        };
        drill(&self.vault, &request, &|_| ()).unwrap()
    }

    pub(crate) fn snapshots(&self) -> usize {
        self.vault.snapshots().unwrap().0.len()
    }
}

/// PostgreSQL on a socket, with the superuser `postgres`.
pub(crate) struct Postgres {
    // Ended before its folder is removed.
    _server: Running,
    pub(crate) ground: Ground,
    pub(crate) socket: PathBuf,
    pub(crate) bin: PathBuf,
}

impl Postgres {
    /// `None` after saying that `test` is skipped.
    pub(crate) fn start(test: &str, options: &[&str]) -> Option<Postgres> {
        let Some(bin) = postgres_programs() else {
            testkit::skip(test, "PostgreSQL is not installed (./test installs it)");
            return None;
        };
        let ground = Ground::new();
        let socket = ground.folder("pg");
        let data = socket.join("data");
        let mut initdb = as_nobody(&bin.join("initdb"));
        initdb.args([
            "--auth=trust",
            "--no-sync",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "-D",
        ]);
        ran(initdb.arg(&data));
        let log = fs::File::create(ground.dir.path().join("log")).unwrap();
        let mut server = as_nobody(&bin.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(&socket).args(["-h", "", "-F"]).args(options);
        let server = server.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let postgres = Postgres { _server: Running(server), ground, socket, bin };
        wait_until("postgres", || {
            let mut probe = Command::new(postgres.bin.join("pg_isready"));
            probe.arg("-h").arg(&postgres.socket).output().unwrap().status.success()
        });
        Some(postgres)
    }

    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"]).arg(&self.socket);
        // In the environment, where no name of a database can be taken for a connection string.
        ran(psql.env("PGDATABASE", database).env("PGCLIENTENCODING", "UTF8").args(["-c", sql]))
    }

    /// The text of a source that captures it.
    pub(crate) fn source(&self, kind: &str, more: &str) -> String {
        format!("{kind}:name=emr,host={},user=postgres{more}", self.socket.display())
    }
}

pub(crate) fn postgres_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|it| it.path().join("bin")).filter(|bin| bin.join("initdb").is_file()).collect();
    found.sort();
    found.pop()
}

/// MariaDB on a socket.
pub(crate) struct Mariadb {
    // Ended before its folder is removed.
    _server: Running,
    _ground: Ground,
    socket: PathBuf,
}

impl Mariadb {
    /// `None` after saying that `test` is skipped.
    pub(crate) fn start(test: &str) -> Option<Mariadb> {
        let server = testkit::tool(test, "mariadbd")?;
        let install = testkit::tool(test, "mariadb-install-db")?;
        testkit::tool(test, "mariadb-backup")?;
        let ground = Ground::new();
        let folder = ground.folder("my");
        let data = format!("--datadir={}", folder.join("data").display());
        // A MariaDB that starts removes the temporary tables of all others in the same place.
        let scratch = ground.folder("tmp");
        ran(as_nobody(&install)
            .env("TMPDIR", &scratch)
            .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .arg(&data));
        let socket = folder.join("socket");
        let log = std::fs::File::create(ground.dir.path().join("log")).unwrap();
        let mut command = as_nobody(&server);
        command.args(["--no-defaults", "--skip-networking"]).arg(&data).env("TMPDIR", &scratch);
        command.arg(format!("--socket={}", socket.display()));
        command.arg(format!("--pid-file={}", folder.join("pid").display()));
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mariadb = Mariadb { _server: Running(child), _ground: ground, socket };
        wait_until("mariadbd", || mariadb.client("SELECT 1").output().unwrap().status.success());
        Some(mariadb)
    }

    pub(crate) fn client(&self, sql: &str) -> Command {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--user=root", "--default-character-set=utf8mb4"]);
        client.arg(format!("--socket={}", self.socket.display())).args(["--execute", sql]);
        client
    }

    pub(crate) fn sql(&self, sql: &str) {
        ran(&mut self.client(sql));
    }

    /// The text of a source that captures it.
    pub(crate) fn source(&self, kind: &str) -> String {
        format!("{kind}:name=emr,user=root,socket={}", self.socket.display())
    }
}

/// A clamd with the signatures in its folder, which ends with the test.
pub(crate) struct Clamd {
    _server: Running,
    pub(crate) socket: PathBuf,
}

impl Clamd {
    pub(crate) fn start(program: &Path, folder: &Path) -> Clamd {
        let socket = folder.join("clamd.socket");
        let settings = folder.join("clamd.conf");
        let text = format!(
            "Foreground yes\nLocalSocket {}\nDatabaseDirectory {}\nBytecode no\n",
            socket.display(),
            folder.display()
        );
        fs::write(&settings, text).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).arg("--config-file").arg(&settings);
        let server = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        wait_until("clamd", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        Clamd { _server: server, socket }
    }
}
