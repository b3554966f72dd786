//! Restricts the calling process and turns it into a watcher. This crate has no unsafe code, hence no code between fork and exec: the hub
//! starts `chartward confine`, which restricts itself and then becomes the watcher's program.
//!
//! Order matters: what needs privileges comes first, the system call filter, which forbids some of the steps, last.

mod files;
mod filter;
mod keeper;
mod user;

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit, setsid,
};
use rustix::thread::{CapabilitySet, set_no_new_privs};
use serde_json::json;

use super::Confinement;
pub(crate) use keeper::{end_like, keep};
use user::User;

/// Why a watcher was not confined, hence not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("find the user {name:?} in /etc/passwd")]
    NoUser { name: String },
    #[error("find a capability of the name {name:?}")]
    NoCapability { name: String },
    #[error("find the program {name:?}")]
    NoProgram { name: String },
    #[error("make the folder {path}")]
    Folder { path: PathBuf, source: io::Error },
    #[error("{step}")]
    Step { step: &'static str, source: io::Error },
    #[error("forbid system calls")]
    Filter { source: seccompiler::Error },
    #[error("run {program}")]
    Run { program: PathBuf, source: io::Error },
}

/// Confines the calling process, prints what could not be enforced as one JSON line, and becomes the program. Returns only when that fails.
///
/// `keeper` is the process that has to be the parent; if it ended meanwhile, nothing is run.
pub(crate) fn become_watcher(
    confinement: &Confinement,
    program: &[OsString],
    keeper: Option<i32>,
) -> Result<Infallible, Error> {
    let mut not_enforced = Vec::new();
    let user = User::find(&confinement.user)?;
    let caps = capabilities(&confinement.caps)?;
    let program_path = find_program(program)?;
    // What it is reached by later may be closed to the watcher's user: root's home, an administrator's own folder.
    let opened = rustix::fs::open(&program_path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|source| Error::Run { program: program_path.clone(), source: source.into() })?;
    let is_root = rustix::process::geteuid().is_root();
    let switches = user.is_another() && is_root;
    if user.is_another() && !switches {
        not_enforced.push(format!("running as {}: only root can switch users", confinement.user));
    }
    // A session of its own: no terminal to write to, and one group to signal.
    let _ = setsid();
    let folder = confinement.folder.as_deref().map(|folder| own_folder(folder, is_root.then_some(&user)));
    let folder = folder.transpose()?;
    limit(confinement, &user, &mut not_enforced)?;
    if confinement.all_files {
        not_enforced.push("Landlock: it mounts, which Landlock would forbid altogether".to_owned());
    } else {
        let own = folder.as_deref().into_iter();
        let write = own.chain(confinement.write.iter().map(PathBuf::as_path));
        let read = confinement.read.iter().map(PathBuf::as_path);
        let ports = (confinement.network, confinement.listen.as_slice());
        files::restrict(&program_path, read, write, ports, &mut not_enforced)?;
    }
    let step = |step| move |source: rustix::io::Errno| Error::Step { step, source: source.into() };
    user::switch(&user, switches, caps, &mut not_enforced)?;
    set_no_new_privs(true).map_err(step("give up gaining privileges"))?;
    // Only now: the kernel forgets it when the user changes.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(step("ask to end with the parent"))?;
    if keeper.is_some_and(|keeper| getppid() != Pid::from_raw(keeper)) {
        let source = io::Error::other("the parent has ended already");
        return Err(Error::Step { step: "stay below the parent", source });
    }
    filter::apply(confinement).map_err(|source| Error::Filter { source })?;
    say(&user, &not_enforced);
    let run = |path: &Path| {
        let mut command = Command::new(path);
        command.arg0(&program_path).args(program.get(1..).unwrap_or_default());
        if let Some(folder) = &folder {
            // Its parents may be closed to the watcher's user, but the working folder is reached without them.
            let here = "/proc/self/cwd";
            command.env("HOME", here).env("TMPDIR", here).env("CHARTWARD_FOLDER", folder);
        }
        command.exec()
    };
    let mut source = run(&program_path);
    if source.kind() == io::ErrorKind::PermissionDenied {
        source = run(&PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd())));
    }
    Err(Error::Run { program: program_path, source })
}

/// Confines the calling process for the rest of its life, once it has opened what needs rights: no capability, and what `confinement`
/// says of files, sockets and system calls. To be called before there is a second thread. Says what could not be enforced.
pub(crate) fn restrict_self(confinement: &Confinement) -> Result<Vec<String>, Error> {
    let mut not_enforced = Vec::new();
    let own = find_program(&["/proc/self/exe".into()])?;
    user::give_up_all(&mut not_enforced)?;
    set_no_new_privs(true)
        .map_err(|source| Error::Step { step: "give up gaining privileges", source: source.into() })?;
    let write = confinement.folder.iter().chain(&confinement.write).map(PathBuf::as_path);
    let read = confinement.read.iter().map(PathBuf::as_path);
    let ports = (confinement.network, confinement.listen.as_slice());
    files::restrict(&own, read, write, ports, &mut not_enforced)?;
    filter::apply(confinement).map_err(|source| Error::Filter { source })?;
    Ok(not_enforced)
}

/// The line that the hub reads before any line of the program's own.
fn say(user: &User, not_enforced: &[String]) {
    let line = json!({"type": "confined", "pid": std::process::id(), "uid": user.uid_now(), "not_enforced": not_enforced});
    // Whoever reads it may have gone; the program will find out by itself.
    let _ = writeln!(io::stdout(), "{line}");
}

fn capabilities(names: &[String]) -> Result<CapabilitySet, Error> {
    let mut caps = CapabilitySet::empty();
    for name in names {
        let found = CapabilitySet::from_name(&name.trim_start_matches("cap_").to_uppercase());
        caps |= found.ok_or_else(|| Error::NoCapability { name: name.clone() })?;
    }
    Ok(caps)
}

/// Looked for as execvp(3) does, but before the file system is closed.
fn find_program(program: &[OsString]) -> Result<PathBuf, Error> {
    let name = program.first().cloned().unwrap_or_default();
    let missing = || Error::NoProgram { name: name.to_string_lossy().into_owned() };
    let path = Path::new(&name);
    if path.components().count() > 1 {
        return std::path::absolute(path).map_err(|_| missing());
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&search).map(|dir| dir.join(path)).find(|candidate| candidate.is_file());
    found.filter(|_| !name.is_empty()).ok_or_else(missing)
}

/// Makes the watcher's own folder, gives it to its user and enters it.
fn own_folder(folder: &Path, owner: Option<&User>) -> Result<PathBuf, Error> {
    let failed = |source| Error::Folder { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let folder = fs::canonicalize(folder).map_err(failed)?;
    if let Some(owner) = owner {
        std::os::unix::fs::chown(&folder, Some(owner.uid), Some(owner.gid)).map_err(failed)?;
    }
    std::env::set_current_dir(&folder).map_err(failed)?;
    Ok(folder)
}

fn limit(confinement: &Confinement, user: &User, not_enforced: &mut Vec<String>) -> Result<(), Error> {
    let mut set = |resource, most: u64, what: &str| {
        let hard = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let most = Some(most.min(hard));
        if let Err(error) = setrlimit(resource, Rlimit { current: most, maximum: most }) {
            not_enforced.push(format!("a limit of {what}: {error}"));
        }
    };
    set(Resource::Core, 0, "core dumps");
    if let Some(most) = confinement.open_files_max {
        set(Resource::Nofile, most, "open files");
    }
    if let Some(most) = confinement.memory_bytes_max {
        set(Resource::As, most, "memory");
    }
    if let Some(most) = confinement.processes_max {
        // The kernel counts all that the user runs, wherever it was started.
        set(Resource::Nproc, most.saturating_add(user.threads()), "processes");
        if user.uid_then() == 0 {
            not_enforced.push("a limit of processes: the kernel sets none for root".to_owned());
        }
    }
    Ok(())
}
