//! What several tests do with the binary.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PASSPHRASE: &str = "correct horse battery staple 電子カルテ";

/// A place with a vault, a state folder and whatever a test protects.
pub(crate) struct Site {
    dir: TempDir,
}

/// What a run of the binary came to.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) lines: Vec<Value>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    /// An empty place; nothing of the machine's own state is used.
    pub(crate) fn new() -> Site {
        Site { dir: TempDir::with_prefix("chartward-test-").unwrap() }
    }

    /// A place with a hospital of so many patients whose newest record is a minute old, and an initialised vault.
    pub(crate) fn hospital(patients: u32) -> Site {
        let site = Site::new();
        let until = jiff::Zoned::now().datetime().strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let made = run(Command::new(BINARY).args(["sample", "hospital"]).arg(site.hospital_dir()).args([
            "--json",
            "--until",
            &until,
            "--patients",
            &patients.to_string(),
        ]));
        assert_eq!(made.code, 0, "{}", made.stderr);
        site.init();
        site
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn hospital_dir(&self) -> PathBuf {
        self.path().join("hospital")
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.path().join("vault")
    }

    pub(crate) fn init(&self) {
        let vault = self.vault();
        let made = self.bare(["vault", "init", vault.to_str().unwrap(), "--json", "--state", &self.state()]);
        assert_eq!(made.code, 0, "{}", made.stderr);
    }

    pub(crate) fn state(&self) -> String {
        self.path().join("state").to_str().unwrap().to_owned()
    }

    /// A command with the passphrase in the environment.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env("CHARTWARD_PASSWORD", PASSPHRASE).env("LC_ALL", "C.UTF-8");
        command
    }

    /// Runs the binary without adding anything.
    pub(crate) fn bare<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        run(&mut self.command(args))
    }

    /// Runs the binary with `--vault`, `--json`.
    pub(crate) fn vaulted<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        run(self.command(args).arg("--json").arg("--vault").arg(self.vault()))
    }

    /// Runs the binary with `--vault`, `--state` and `--json`.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        run(self
            .command(args)
            .arg("--json")
            .arg("--vault")
            .arg(self.vault())
            .args(["--state", &self.state()]))
    }

    pub(crate) fn backup(&self, source: &Path) -> Run {
        self.run([OsStr::new("backup"), source.as_os_str()])
    }

    /// A stock restic on this vault.
    pub(crate) fn restic(&self, args: &[&str]) -> Output {
        Command::new("restic")
            .args(["--no-cache", "-r"])
            .arg(self.vault())
            .args(args)
            .env("RESTIC_PASSWORD", PASSPHRASE)
            .output()
            .unwrap()
    }
}

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_chartward");

impl Run {
    /// The last line, which every command with `--json` ends with.
    pub(crate) fn last(&self) -> &Value {
        self.lines.last().unwrap_or_else(|| panic!("no line on stdout; stderr: {}", self.stderr))
    }

    /// Ids of the alarms of `status`.
    pub(crate) fn alarms(&self) -> Vec<&str> {
        self.last()["alarms"].as_array().unwrap().iter().map(|alarm| alarm["id"].as_str().unwrap()).collect()
    }
}

pub(crate) fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let lines = stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Run {
        code: output.status.code().unwrap_or(-1),
        lines,
        stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Regular files below a folder with their contents.
pub(crate) fn files(dir: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    fn read(dir: &Path, below: &Path, found: &mut std::collections::BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = below.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                read(&entry.path(), &name, found);
            } else if kind.is_file() {
                found.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut found = std::collections::BTreeMap::new();
    read(dir, Path::new(""), &mut found);
    found
}

/// Where a restore puts what lived at `path`.
pub(crate) fn restored(target: &Path, path: &Path) -> PathBuf {
    target.join(path.strip_prefix("/").unwrap())
}

/// Lets an unprivileged process use a folder made by root.
pub(crate) fn open_to_all(dir: &Path) {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).unwrap();
}
