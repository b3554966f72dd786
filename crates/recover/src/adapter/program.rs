//! Running the programs of a database: what they print is bounded, what they say when they fail is kept, and one that fails
//! never counts.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::Error;

/// Most that is kept of what a program prints for us to read.
const OUTPUT_BYTES_MAX: u64 = 64 << 20;
/// Most that is kept of its complaints: their end.
const SAID_BYTES_MAX: usize = 2048;
/// Where programs are that ordinary users do not have in their path.
const SYSTEM: [&str; 5] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"];

/// A program of that name, and the package that brings it for whoever lacks it.
pub(crate) fn find(name: &str, package: &'static str) -> Result<PathBuf, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM.iter().map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Error::ProgramMissing { program: name.to_owned(), package })
}

/// A program with nothing of our surroundings but the path: no setting of the caller's may lead it elsewhere.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", search_path()).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command.current_dir("/");
    if let Some(home) = env::var_os("HOME") {
        command.env("HOME", home);
    }
    command
}

fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = env::split_paths(&path).chain(SYSTEM.iter().map(PathBuf::from));
    env::join_paths(all).unwrap_or(path)
}

/// As another user of this machine, by name: a database often knows its own user without any password.
pub(super) fn as_user(user: Option<&str>, program: &Path) -> Result<Command, Error> {
    let Some(user) = user else { return Ok(command(program)) };
    let mut command = command(&find("setpriv", "util-linux")?);
    command.env_remove("HOME");
    command.args(["--reuid", user, "--regid", user, "--init-groups", "--"]).arg(program);
    Ok(command)
}

/// Runs to the end and returns what it printed.
pub(super) fn output(command: &mut Command) -> Result<Vec<u8>, Error> {
    let mut child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let complaints = Complaints::of(&mut child);
    let mut bytes = Vec::new();
    let read = match child.stdout.take() {
        Some(stdout) => stdout.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut bytes).map(|_| ()),
        None => Ok(()),
    };
    if read.is_err() || bytes.len() as u64 > OUTPUT_BYTES_MAX {
        let _ = child.kill();
    }
    let status = wait(command, &mut child)?;
    let said = complaints.said();
    if status.success() { Ok(bytes) } else { Err(failed(command, status, said)) }
}

/// Runs to the end with its output in a new file, which is on the disk when this returns.
pub(super) fn into_file(command: &mut Command, path: &Path) -> Result<(), Error> {
    let io = |op| move |source| Error::Io { op, path: path.to_path_buf(), source };
    let file = File::options().write(true).create_new(true).open(path).map_err(io("create"))?;
    let handle = file.try_clone().map_err(io("write"))?;
    let mut child = spawn(command.stdout(handle).stderr(Stdio::piped()))?;
    let complaints = Complaints::of(&mut child);
    let status = wait(command, &mut child)?;
    let said = complaints.said();
    if !status.success() {
        return Err(failed(command, status, said));
    }
    file.sync_all().map_err(io("write"))
}

/// Runs to the end; what it prints is of no interest.
pub(super) fn run(command: &mut Command) -> Result<(), Error> {
    quietly(command, None)
}

/// Runs to the end, and ends it when that takes longer than `patience`.
pub(crate) fn run_within(command: &mut Command, patience: Duration) -> Result<(), Error> {
    quietly(command, Some(patience))
}

fn quietly(command: &mut Command, patience: Option<Duration>) -> Result<(), Error> {
    let mut child = spawn(command.stdout(Stdio::null()).stderr(Stdio::piped()))?;
    let complaints = Complaints::of(&mut child);
    let began = Instant::now();
    let status = loop {
        let Some(patience) = patience else { break wait(command, &mut child)? };
        match child.try_wait().map_err(|source| start_failed(command, source))? {
            Some(status) => break status,
            None if began.elapsed() > patience => {
                let _ = child.kill();
                let status = wait(command, &mut child)?;
                let said = format!("it was ended after {} s; {}", patience.as_secs(), complaints.said());
                return Err(failed(command, status, said));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let said = complaints.said();
    if status.success() { Ok(()) } else { Err(failed(command, status, said)) }
}

/// Starts a program.
pub(super) fn spawn(command: &mut Command) -> Result<Child, Error> {
    command.spawn().map_err(|source| start_failed(command, source))
}

fn start_failed(command: &Command, source: io::Error) -> Error {
    Error::Io { op: "run", path: PathBuf::from(name_of(command)), source }
}

fn wait(command: &Command, child: &mut Child) -> Result<ExitStatus, Error> {
    child.wait().map_err(|source| start_failed(command, source))
}

/// A program that ended badly.
pub(super) fn failed(command: &Command, status: ExitStatus, said: String) -> Error {
    Error::ProgramFailed { program: name_of(command), status: status.to_string(), said }
}

/// The program's own name, also behind those that change user and surroundings: the last of these is always `setpriv`.
pub(super) fn name_of(command: &Command) -> String {
    let words: Vec<&OsStr> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let is_setpriv = |word: &&OsStr| Path::new(word).file_name() == Some(OsStr::new("setpriv"));
    let behind = words.iter().rposition(is_setpriv).and_then(|at| {
        let words = words.get(at..)?;
        words.get(words.iter().position(|word| *word == "--")? + 1)
    });
    let program = behind.copied().unwrap_or(command.get_program());
    Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned()
}

/// The end of what a program writes to its standard error, read while it runs so that it never waits for us.
pub(super) struct Complaints(Option<JoinHandle<Vec<u8>>>);

impl Complaints {
    /// Of a child whose standard error is a pipe.
    pub(super) fn of(child: &mut Child) -> Complaints {
        let stderr = child.stderr.take();
        Complaints(stderr.map(|mut stderr| {
            std::thread::spawn(move || {
                let mut kept = Vec::new();
                let mut block = [0_u8; 4096];
                while let Ok(read @ 1..) = stderr.read(&mut block) {
                    kept.extend_from_slice(&block[..read]);
                    let surplus = kept.len().saturating_sub(2 * SAID_BYTES_MAX);
                    kept.drain(..surplus);
                }
                kept
            })
        }))
    }

    /// Waits until the program has closed it.
    pub(super) fn said(self) -> String {
        let bytes = self.0.and_then(|thread| thread.join().ok()).unwrap_or_default();
        on_one_line(&bytes)
    }
}

/// The end of a text, for an error that is one line.
pub(super) fn on_one_line(bytes: &[u8]) -> String {
    let tail = &bytes[bytes.len().saturating_sub(SAID_BYTES_MAX)..];
    let text = String::from_utf8_lossy(tail);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "it said nothing".to_owned() } else { lines.join("; ") }
}

/// Makes a folder of mode 0700.
pub(crate) fn folder(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().mode(0o700).recursive(true).create(path);
    made.map_err(|source| Error::Io { op: "make", path: path.to_path_buf(), source })
}

/// Writes a small file.
pub(super) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Error> {
    fs::write(path, content).map_err(|source| Error::Io { op: "write", path: path.to_path_buf(), source })
}
