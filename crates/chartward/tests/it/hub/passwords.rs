//! A database's password from the sealed store reaches the backup that names it, and no file, argument or environment on the way.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::stage::{Stage, until};
use super::vault::done;
use crate::support::{BINARY, run};

const PASSWORD: &str = "p:a ss\"w0rd-of-the-keeper";
const NOBODY: u32 = 65_534;

/// A MariaDB server of the test's own, ended when dropped.
struct Mariadb {
    child: Child,
    socket: PathBuf,
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Mariadb {
    fn start(test: &str, folder: &Path) -> Option<Mariadb> {
        if !testkit::root(test) {
            return None;
        }
        let server = testkit::tool(test, "mariadbd")?;
        let install = testkit::tool(test, "mariadb-install-db")?;
        fs::create_dir(folder).unwrap();
        chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
        let as_nobody = |program: &Path| {
            let mut command = Command::new("setpriv");
            command.args([
                "--pdeathsig",
                "KILL",
                "--reuid",
                "nobody",
                "--regid",
                "nogroup",
                "--clear-groups",
                "--",
            ]);
            // A MariaDB that starts removes the temporary tables of all others in the same place.
            command
                .arg(program)
                .current_dir("/")
                .env("TMPDIR", folder)
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            command.stderr(File::create(folder.with_extension("log")).unwrap());
            command
        };
        let data = format!("--datadir={}", folder.join("data").display());
        let mut install = as_nobody(&install);
        install.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal", &data]);
        assert!(install.status().unwrap().success());
        let socket = folder.join("socket");
        let mut command = as_nobody(&server);
        command.args(["--no-defaults", "--skip-networking", &data]);
        command
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--pid-file={}", folder.join("pid").display()));
        let server = Mariadb { child: command.spawn().unwrap(), socket };
        until("mariadbd", || server.sql("SELECT 1").then_some(()));
        Some(server)
    }

    fn sql(&self, sql: &str) -> bool {
        let mut client = Command::new("mariadb");
        client
            .args(["--no-defaults", "--user=root", "--execute", sql])
            .stderr(Stdio::null())
            .stdout(Stdio::null());
        client.arg(format!("--socket={}", self.socket.display())).status().unwrap().success()
    }
}

/// Ends the watch also where the test fails: a scope waits for its threads.
struct Ending<'o>(&'o AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether any process has the password in its arguments or its environment.
fn is_shown() -> bool {
    let has = |path: PathBuf| {
        fs::read(path)
            .is_ok_and(|bytes| bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()))
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes.into_iter().any(|process| has(process.join("cmdline")) || has(process.join("environ")))
}

fn holds_password(folder: &Path) -> bool {
    let files = crate::support::files(folder);
    files.values().any(|bytes| bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()))
}

#[test]
fn a_password_of_the_sealed_store_reaches_its_backup_and_nobody_else() {
    let stage = Stage::new();
    let test = "a_password_of_the_sealed_store_reaches_its_backup";
    let Some(server) = Mariadb::start(test, &stage.path("my")) else { return };
    assert!(server.sql("CREATE DATABASE emr; CREATE TABLE emr.patient (n INT) ENGINE=InnoDB; INSERT INTO emr.patient VALUES (1), (2)"));
    assert!(
        server.sql(&format!("CREATE USER keeper IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO keeper"))
    );
    let pass = stage.private_file("vault.pass", "correct horse");
    let mut init = Command::new(BINARY);
    init.args(["vault", "init", "--json"]).arg(stage.path("vault")).arg("--state").arg(&stage.state);
    assert_eq!(run(init.env("CHARTWARD_PASSWORD_FILE", &pass)).code, 0);
    let source =
        format!("mariadb:name=emr,user=keeper,socket={},password-secret=emr-db", server.socket.display());
    stage.configure(&format!(
        "[vault]\ndir = {:?}\npassphrase = {{ file = {pass:?} }}\n\n[[protect]]\nname = \"emr\"\nsources = [{source:?}]\n\
         backup = {{ every = \"1h\" }}\ndrill = {{ every = \"1h\" }}\n\n",
        stage.path("vault")
    ));
    // The watch over all processes begins before the secret is known to anybody but the test and the server.
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = false;
            while !over.load(Ordering::Relaxed) {
                seen |= is_shown();
                std::thread::sleep(Duration::from_millis(10));
            }
            seen
        });
        let end = Ending(&over);
        let up = stage.up();
        until("the backup that lacks its password", || {
            super::vault::runs(&stage, "backup:emr")
                .iter()
                .any(|run| run.detail.contains("emr-db"))
                .then_some(())
        });
        let file = stage.private_file("typed", PASSWORD);
        assert_eq!(stage.ask(&["secret", "set", "emr-db", "--file", file.to_str().unwrap()]).code, 0);
        fs::remove_file(file).unwrap();
        stage.done(&["act", "apply", "snapshot_now", "emr"]);
        done(&stage, "backup:emr", 1);
        drop(end);
        assert!(!watch.join().unwrap(), "a process showed the password");
        drop(up);
    });
    assert_eq!(fs::metadata(stage.path("vault.pass")).unwrap().permissions().mode() & 0o077, 0);
    assert!(!holds_password(&stage.state) && !holds_password(&stage.path("vault")));
}
