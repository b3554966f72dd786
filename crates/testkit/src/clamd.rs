//! A real clamd with signatures of the test's own, on a socket and a port of its own.
#![allow(clippy::unwrap_used, reason = "only tests call it, and what fails here fails them")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::servers::{free_port, until};

/// The harmless test text of the makers of scanners, in two halves so that no scanner finds this file.
pub fn eicar() -> String {
    ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE!$H+H*"].concat()
}

/// The program in clamav-testfiles that everything else there holds, or `None` after saying that `test` is skipped for want of it.
pub fn test_program(test: &str) -> Option<Vec<u8>> {
    let program = fs::read(test_files().join("clam.exe")).ok();
    if program.is_none() {
        crate::skip(test, "clamav-testfiles is not installed (./test installs it)");
    }
    program
}

/// Where clamav-testfiles lie.
pub fn test_files() -> &'static Path {
    Path::new("/usr/share/clamav-testfiles")
}

/// The daemon; it ends with the test.
#[derive(Debug)]
pub struct Daemon {
    dir: tempfile::TempDir,
    program: PathBuf,
    child: Option<Child>,
    /// Where it listens besides its socket.
    pub port: u16,
}

impl Daemon {
    /// With these signatures, each a name and the bytes that a file holds; `None` after saying that `test` is skipped for want of clamd.
    pub fn start(test: &str, signatures: &[(&str, &[u8])]) -> Option<Self> {
        let program = crate::tool(test, "clamd")?;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        // Whoever may connect may ask, as Debian's package has it: gateways run as other users.
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        fs::create_dir(path.join("db")).unwrap();
        let mut database = String::new();
        for (name, content) in signatures {
            let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
            database.push_str(&format!("{name}:0:*:{hex}\n"));
        }
        fs::write(path.join("db/own.ndb"), database).unwrap();
        let port = free_port();
        let conf = format!(
            "DatabaseDirectory {0}/db\nLocalSocket {0}/s\nLocalSocketMode 666\nTCPSocket {port}\nTCPAddr 127.0.0.1\nForeground yes\n\
             StreamMaxLength 1M\nTemporaryDirectory {0}\nPidFile {0}/pid\nMaxThreads 2\n",
            path.display()
        );
        fs::write(path.join("conf"), conf).unwrap();
        let mut daemon = Self { dir, program, child: None, port };
        daemon.begin();
        Some(daemon)
    }

    /// Starts it again after it was killed.
    pub fn begin(&mut self) {
        let child = Command::new(&self.program)
            .arg("--config-file")
            .arg(self.dir.path().join("conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        until("clamd", || self.answers().then_some(()));
    }

    /// Ends it as a crash does: its socket stays behind.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it in the middle of whatever it does, or lets it go on: it neither answers nor ends.
    pub fn pause(&self, paused: bool) {
        let id = self.child.as_ref().map(Child::id).unwrap();
        let signal = if paused { "-STOP" } else { "-CONT" };
        assert!(Command::new("kill").args([signal, &id.to_string()]).status().unwrap().success());
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(self.socket())?;
            stream.write_all(b"zPING\0")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("PONG"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}
