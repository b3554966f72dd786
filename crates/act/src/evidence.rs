//! The evidence folder: what an investigator needs, readable by its owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use schema::Action;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::process::Process;

const OPEN_FILES_MAX: usize = 1024;
const COMMAND_LINE_MAX: usize = 64 * 1024;
const HASHED_MAX: u64 = 256 * 1024 * 1024;

/// One process as it stood when it was stopped. Environment variables are left out: they hold passwords.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessRecord {
    /// Process id.
    pub pid: i32,
    /// Parent's process id.
    pub parent: i32,
    /// Name of the command.
    pub command: String,
    /// The whole command line, words parted by blanks.
    pub command_line: String,
    /// The program's file.
    pub exe: Option<PathBuf>,
    /// Its SHA-256, when it can be read.
    pub exe_sha256: Option<String>,
    /// Working directory.
    pub working_directory: Option<PathBuf>,
    /// Files it has open.
    pub open_files: Vec<PathBuf>,
}

/// Records the processes that `actions` name.
pub fn processes(actions: &[Action]) -> Vec<ProcessRecord> {
    let mut hashes: Vec<(PathBuf, Option<String>)> = Vec::new();
    actions
        .iter()
        .filter_map(|action| {
            let (pid, start_ticks) = action.act.process()?;
            let process = Process::of(pid).filter(|process| process.start_ticks == start_ticks)?;
            let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
            let exe_sha256 =
                exe.as_ref().and_then(|exe| match hashes.iter().find(|(known, _)| known == exe) {
                    Some((_, hash)) => hash.clone(),
                    None => {
                        let hash = sha256(Path::new(&format!("/proc/{pid}/exe")));
                        hashes.push((exe.clone(), hash.clone()));
                        hash
                    }
                });
            Some(ProcessRecord {
                pid,
                parent: process.parent,
                command: process.command,
                command_line: command_line(pid),
                exe,
                exe_sha256,
                working_directory: fs::read_link(format!("/proc/{pid}/cwd")).ok(),
                open_files: open_files(pid),
            })
        })
        .collect()
}

fn command_line(pid: i32) -> String {
    let mut bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.truncate(COMMAND_LINE_MAX);
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " ")
}

fn open_files(pid: i32) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return vec![] };
    entries.flatten().take(OPEN_FILES_MAX).filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
}

fn sha256(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    if file.metadata().ok()?.len() > HASHED_MAX {
        return None;
    }
    sha256_of(&mut file).ok()
}

/// SHA-256 of all that a reader gives, in lower-case hexadecimal digits.
pub(crate) fn sha256_of(reader: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(len) => hash.update(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    })
}

/// Makes a folder that only its owner may enter.
pub fn private_dir(path: &Path) -> Result<PathBuf, Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| Error::MakeFolder { path: path.to_owned(), source })?;
    Ok(path.to_owned())
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Writes a value as JSON that people can read.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    write_private(path, &serde_json::to_vec_pretty(value).map_err(Error::Encode)?)
}
