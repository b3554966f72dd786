//! Who did it: the stopped processes as they stand, those above them and those beside them.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use rustix::fs::OFlags;
use schema::Action;
use serde::Serialize;

use super::proc::{bytes, text};
use super::sockets::{self, Socket};
use super::{private_dir, sha256_of};
use crate::process::{self, Process};

const PROCESSES_MAX: usize = 256;
const OPEN_FILES_MAX: usize = 1024;
const COMMAND_LINE_MAX: usize = 64 * 1024;
const NAMES_MAX: usize = 512;
const MAPPINGS_MAX: usize = 512;
const ARGUMENTS_MAX: usize = 32;
const HASHED_MAX: u64 = 256 << 20;
/// Programs and scripts up to here are kept, so many of them at most.
const COPIED_EACH_MAX: u64 = 32 << 20;
const COPIES_MAX: usize = 8;
/// The unit of proc_pid_stat(5) field 22: USER_HZ, which is 100 in the kernel's interface of every architecture this is built for.
const TICKS_PER_SECOND: u64 = 100;

/// What is known of every process in the picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Brief {
    /// Process id.
    pub pid: i32,
    /// Parent's process id.
    pub parent: i32,
    /// Session id.
    pub session: i32,
    /// Real and effective user.
    pub uid: Option<(u32, u32)>,
    /// Real and effective group.
    pub gid: Option<(u32, u32)>,
    /// Name of the command.
    pub command: String,
    /// The whole command line, words parted by blanks.
    pub command_line: String,
    /// Working directory.
    pub working_directory: Option<PathBuf>,
    /// When it started.
    pub started_at: Option<Timestamp>,
}

/// A file with the hash of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HashedFile {
    /// Its path, as the process sees it.
    pub path: PathBuf,
    /// SHA-256; `None` when it could not be read in time or is too large.
    pub sha256: Option<String>,
    /// The name of the copy in the folder `programs`, where one was kept.
    pub copy: Option<String>,
}

/// A file that a process has open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenFile {
    /// What the descriptor leads to.
    pub path: PathBuf,
    /// It can be written to.
    pub writable: bool,
}

/// One process as it stood when it was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessRecord {
    /// Who it is.
    #[serde(flatten)]
    pub brief: Brief,
    /// The program's file; its path ends in ` (deleted)` when it has no name any more.
    pub exe: Option<HashedFile>,
    /// Files that its command line names, such as the script that an interpreter runs.
    pub named_files: Vec<HashedFile>,
    /// Files it has open.
    pub open_files: Vec<OpenFile>,
    /// Its connections and listening sockets.
    pub sockets: Vec<Socket>,
    /// Files that it runs code from, and `[anonymous]` for code that came from none.
    pub executable_mappings: Vec<String>,
    /// Names of its environment variables, without their values.
    pub environment_names: Vec<String>,
}

/// Everybody in the picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scene {
    /// The processes that were stopped.
    pub stopped: Vec<ProcessRecord>,
    /// Those they descend from, nearest first.
    pub ancestors: Vec<Brief>,
    /// Others of the same sessions, and other children of the nearest ancestor.
    pub relatives: Vec<Brief>,
    /// Stopped processes beyond those that are recorded.
    pub left_out: usize,
}

/// How a scene is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The evidence folder, where copies of programs go.
    pub folder: &'a Path,
    /// No file below these is copied or hashed as a program: they are records.
    pub records: &'a [PathBuf],
    /// Nothing is hashed or copied any more after this.
    pub until: Instant,
}

impl Scene {
    /// Records the processes that `actions` name with their surroundings.
    pub fn of(actions: &[Action], look: Look<'_>) -> Self {
        let mut stopped: Vec<Process> = actions
            .iter()
            .filter_map(|action| {
                let (pid, start_ticks) = action.act.process()?;
                Process::of(pid).filter(|process| process.start_ticks == start_ticks)
            })
            .collect();
        let left_out = stopped.len().saturating_sub(PROCESSES_MAX);
        stopped.truncate(PROCESSES_MAX);
        let all = process::all();
        let (ancestors, relatives) = surroundings(&stopped, &all);
        let booted = booted_at();
        let brief = |process: &Process| Brief::of(process, booted);
        let ancestors = ancestors.into_iter().map(brief).collect();
        let relatives = relatives.into_iter().map(brief).collect();
        let mut programs = Programs { look, known: Vec::new(), copies: 0 };
        let stopped =
            stopped.iter().map(|process| ProcessRecord::of(process, booted, &mut programs)).collect();
        Self { stopped, ancestors, relatives, left_out }
    }
}

/// Who stands above `stopped`, and who beside them.
fn surroundings<'a>(stopped: &[Process], all: &'a [Process]) -> (Vec<&'a Process>, Vec<&'a Process>) {
    let inside: BTreeSet<i32> = stopped.iter().map(|process| process.pid).collect();
    let find = |pid: i32| all.iter().find(|process| process.pid == pid);
    let mut ancestors: Vec<&Process> = Vec::new();
    let top = stopped.iter().find(|process| !inside.contains(&process.parent));
    let mut next = top.and_then(|process| find(process.parent));
    while let Some(process) = next {
        if ancestors.len() >= PROCESSES_MAX || ancestors.iter().any(|known| known.pid == process.pid) {
            break;
        }
        ancestors.push(process);
        next = find(process.parent);
    }
    let sessions: BTreeSet<i32> = stopped.iter().map(|process| process.session).collect();
    let nearest = ancestors.first().map(|process| process.pid).filter(|pid| *pid > 2);
    let relatives = all
        .iter()
        .filter(|process| !inside.contains(&process.pid))
        .filter(|process| !ancestors.iter().any(|known| known.pid == process.pid))
        .filter(|process| {
            (process.session > 0 && sessions.contains(&process.session)) || Some(process.parent) == nearest
        })
        .take(PROCESSES_MAX);
    let relatives = relatives.collect();
    (ancestors, relatives)
}

impl Brief {
    fn of(process: &Process, booted: Option<Timestamp>) -> Self {
        let pid = process.pid;
        let status = text(&format!("/proc/{pid}/status"));
        let ids = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let mut ids = line.split_ascii_whitespace().map_while(|id| id.parse().ok());
            Some((ids.next()?, ids.next()?))
        };
        let after_boot = i64::try_from(process.start_ticks / TICKS_PER_SECOND).unwrap_or(0);
        Self {
            pid,
            parent: process.parent,
            session: process.session,
            uid: ids("Uid:"),
            gid: ids("Gid:"),
            command: process.command.clone(),
            command_line: words(pid).join(" "),
            working_directory: fs::read_link(format!("/proc/{pid}/cwd")).ok(),
            started_at: booted
                .and_then(|booted| booted.checked_add(SignedDuration::from_secs(after_boot)).ok()),
        }
    }
}

impl ProcessRecord {
    fn of(process: &Process, booted: Option<Timestamp>, programs: &mut Programs<'_>) -> Self {
        let pid = process.pid;
        Self {
            brief: Brief::of(process, booted),
            exe: programs.exe(pid),
            named_files: programs.named(pid),
            open_files: open_files(pid),
            sockets: sockets::of(pid),
            executable_mappings: mappings(pid),
            environment_names: environment(pid),
        }
    }
}

/// Programs that were hashed already, and the copies that were kept.
struct Programs<'a> {
    look: Look<'a>,
    /// By device, inode and change time.
    known: Vec<((u64, u64, i64), HashedFile)>,
    copies: usize,
}

impl Programs<'_> {
    /// The running program, also when its file was removed.
    fn exe(&mut self, pid: i32) -> Option<HashedFile> {
        let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        let is_gone = path.as_os_str().as_encoded_bytes().ends_with(b" (deleted)");
        Some(self.take(Path::new(&format!("/proc/{pid}/exe")), path, is_gone))
    }

    /// What the command line names: the script that an interpreter runs tells more than the interpreter.
    fn named(&mut self, pid: i32) -> Vec<HashedFile> {
        let Ok(home) = fs::read_link(format!("/proc/{pid}/cwd")) else { return vec![] };
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let arguments = words(pid).into_iter().skip(1).take(ARGUMENTS_MAX);
        let paths = arguments.filter(|word| !word.is_empty() && !word.starts_with('-'));
        let paths = paths.map(|word| home.join(word));
        let foreign: Vec<PathBuf> =
            paths.filter(|path| !self.look.records.iter().any(|dir| path.starts_with(dir))).collect();
        let mut named = Vec::new();
        for path in foreign {
            let real = root.join(path.strip_prefix("/").unwrap_or(&path));
            if fs::metadata(&real).is_ok_and(|meta| meta.is_file()) {
                named.push(self.take(&real, path, true));
            }
        }
        named
    }

    fn take(&mut self, real: &Path, path: PathBuf, is_rare: bool) -> HashedFile {
        let nothing = HashedFile { path: path.clone(), sha256: None, copy: None };
        // Never waits on a pipe.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(real) else { return nothing };
        let Ok(meta) = file.metadata() else { return nothing };
        let key = (meta.dev(), meta.ino(), meta.ctime());
        if let Some((_, known)) = self.known.iter().find(|(known, _)| *known == key) {
            return HashedFile { path, ..known.clone() };
        }
        if !meta.is_file() || meta.len() > HASHED_MAX || Instant::now() >= self.look.until {
            return nothing;
        }
        let sha256 = sha256_of(&mut Until { file: &file, until: self.look.until }).ok();
        // A program of the system can be had again; one of a user, or without a name, cannot.
        let is_worth_keeping = is_rare || meta.uid() != 0;
        let copy = sha256
            .as_ref()
            .filter(|_| is_worth_keeping && meta.len() <= COPIED_EACH_MAX && self.copies < COPIES_MAX)
            .and_then(|sha256| self.copy(&file, sha256).ok());
        let hashed = HashedFile { path, sha256, copy };
        self.known.push((key, hashed.clone()));
        hashed
    }

    fn copy(&mut self, file: &File, sha256: &str) -> io::Result<String> {
        let programs = private_dir(&self.look.folder.join("programs")).map_err(io::Error::other)?;
        let mut to =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(programs.join(sha256))?;
        self.copies += 1;
        io::copy(&mut FromStart { file, at: 0 }, &mut to)?;
        Ok(sha256.to_owned())
    }
}

/// Reads from the start, and gives up when the time is over.
struct Until<'a> {
    file: &'a File,
    until: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        (&mut &*self.file).read(buffer)
    }
}

struct FromStart<'a> {
    file: &'a File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

/// When the machine started, from proc_stat(5).
fn booted_at() -> Option<Timestamp> {
    let line = text("/proc/stat").lines().find_map(|line| line.strip_prefix("btime ").map(str::to_owned))?;
    Timestamp::from_second(line.trim().parse().ok()?).ok()
}

fn words(pid: i32) -> Vec<String> {
    let mut bytes = bytes(&format!("/proc/{pid}/cmdline"));
    bytes.truncate(COMMAND_LINE_MAX);
    let line = String::from_utf8_lossy(&bytes).into_owned();
    line.trim_end_matches('\0').split('\0').map(str::to_owned).collect()
}

fn open_files(pid: i32) -> Vec<OpenFile> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return vec![] };
    entries
        .flatten()
        .take(OPEN_FILES_MAX)
        .filter_map(|entry| {
            let path = fs::read_link(entry.path()).ok()?;
            let info = text(&format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_str()?));
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or_default();
            // The lowest two bits are O_ACCMODE; 0 is O_RDONLY.
            let writable = u32::from_str_radix(flags.trim(), 8).is_ok_and(|flags| flags & 3 != 0);
            Some(OpenFile { path, writable })
        })
        .collect()
}

/// proc_pid_maps(5): `address perms offset dev inode path`.
fn mappings(pid: i32) -> Vec<String> {
    let maps = text(&format!("/proc/{pid}/maps"));
    let mut found = BTreeSet::new();
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        if !fields.nth(1).is_some_and(|permissions| permissions.contains('x')) {
            continue;
        }
        let path = fields.skip(3).collect::<Vec<_>>().join(" ");
        found.insert(if path.is_empty() { "[anonymous]".to_owned() } else { path });
        if found.len() >= MAPPINGS_MAX {
            break;
        }
    }
    found.into_iter().collect()
}

fn environment(pid: i32) -> Vec<String> {
    let environment = bytes(&format!("/proc/{pid}/environ"));
    let names = environment.split(|&byte| byte == 0).filter_map(|entry| {
        let name = entry.split(|&byte| byte == b'=').next().filter(|name| name.len() < entry.len())?;
        Some(String::from_utf8_lossy(name).into_owned())
    });
    names.take(NAMES_MAX).collect()
}
