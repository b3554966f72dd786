//! What keeps a server that runs on restored data apart from this machine: namespaces, a root folder that holds programs and
//! nothing else, limits, and an end that comes with ours.
//!
//! The kernel's means are reached through the programs of util-linux, which every Linux has: this crate has no unsafe code,
//! hence none between fork and exec. What cannot be enforced here is said, and never silently left out.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, getgid, getuid};

use super::program;
use crate::error::Error;

/// Where programs, libraries and their settings are. Everything else of this machine does not exist in a jail.
const SYSTEM: &str = "/usr /bin /sbin /lib /lib32 /lib64 /libx32 /etc /opt /nix";
/// The folder in the jail's own for temporary files.
const SCRATCH: &str = ".tmp";
/// Builds the root folder and enters it. Arguments: the jail's own folder, `up` for a loopback, the number of further folders to
/// read, these, and the program.
const ENTER: &str = r#"set -eu
own=$1; loopback=$2; more=$3; shift 3
root=$own/.root
mkdir -p "$root"
mount -t tmpfs -o size=4m,mode=755 chartward "$root"
show() { mkdir -p "$root$1"; mount --rbind "$1" "$root$1"; mount -o remount,bind,ro "$root$1"; }
for dir in $SYSTEM; do
  if [ -h "$dir" ]; then cp -P "$dir" "$root$dir"; elif [ -d "$dir" ]; then show "$dir"; fi
done
mkdir -p "$root/proc" "$root/dev/shm" "$root/tmp"
mount --bind "$own/.tmp" "$root/tmp"
mount -t tmpfs -o size=1g,mode=1777 chartward "$root/dev/shm"
mount -t proc proc "$root/proc"
while [ "$more" -gt 0 ]; do show "$1"; shift; more=$((more - 1)); done
mkdir -p "$root$own"
mount --bind "$own" "$root$own"
for name in null zero full random urandom; do : >"$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
if [ "$loopback" = up ]; then ip link set lo up; fi
mount -o remount,ro "$root"
exec chroot "$root" "$@"
"#;
/// Building a jail takes milliseconds.
const TRIAL: Duration = Duration::from_secs(20);

/// How much each process in a jail may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of address space.
    pub memory_bytes: u64,
    /// Processes and threads of the user that they run as.
    pub processes: u64,
    /// Seconds of computing.
    pub cpu_seconds: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
}

impl Limits {
    /// What this machine can bear, with `dir` as the place that fills up.
    fn of_machine(dir: &Path) -> Limits {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kilobytes: Option<u64> =
            total.and_then(|text| text.trim().trim_end_matches("kB").trim().parse().ok());
        let memory = kilobytes.map_or(0, |kilobytes| kilobytes.saturating_mul(1024));
        let free = rustix::fs::statvfs(dir).map_or(u64::MAX, |it| it.f_bavail.saturating_mul(it.f_frsize));
        Limits {
            // Address space, not memory: a server reserves far more than it touches.
            memory_bytes: memory.max(8 << 30),
            processes: 2048,
            // The longest that a drill waits for a log to be replayed.
            cpu_seconds: 6 * 3600,
            // Some room stays for the others who use the disk.
            file_bytes: (free / 10).saturating_mul(9),
        }
    }

    fn arguments(&self) -> [String; 5] {
        [
            format!("--as={}", self.memory_bytes),
            format!("--nproc={}", self.processes),
            format!("--cpu={}", self.cpu_seconds),
            format!("--fsize={}", self.file_bytes),
            "--core=0".to_owned(),
        ]
    }
}

/// How far this machine lets us go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walls {
    /// Own network, processes, mounts and root folder.
    All,
    /// Own network and processes; files are guarded by their permissions alone.
    NoRoot,
    /// Limits and another user alone.
    None,
}

/// A place in which programs that handle restored data run.
#[derive(Debug, Clone)]
pub struct Jail {
    own: PathBuf,
    /// Who they run as; `None`: as who we are.
    user: Option<(u32, u32)>,
    /// Folders that they read besides the system's.
    read: Vec<PathBuf>,
    limits: Limits,
    walls: Walls,
    /// Rights of root's that are left, as setpriv has them.
    bounding: &'static str,
}

impl Jail {
    /// Tries what this machine allows. `own` is the only folder that programs write to, and it exists already.
    pub fn new(own: &Path, user: Option<(u32, u32)>, read: &[PathBuf]) -> Result<Jail, Error> {
        let failed = |source| Error::Io { op: "find", path: own.to_path_buf(), source };
        let own = fs::canonicalize(own).map_err(failed)?;
        let limits = Limits::of_machine(&own);
        let scratch = own.join(SCRATCH);
        program::folder(&scratch)?;
        fs::set_permissions(&scratch, Permissions::from_mode(0o1777)).map_err(|source| Error::Io {
            op: "open",
            path: scratch,
            source,
        })?;
        let mut jail = Jail { own, user, read: read.to_vec(), limits, walls: Walls::All, bounding: "-all" };
        for walls in [Walls::All, Walls::NoRoot] {
            jail.walls = walls;
            if jail.holds() {
                return Ok(jail);
            }
        }
        jail.walls = Walls::None;
        Ok(jail)
    }

    /// With other limits.
    pub fn limited(mut self, limits: Limits) -> Jail {
        self.limits = limits;
        self
    }

    /// For a program of our own, which makes jails itself.
    pub fn keeping_rights(mut self) -> Jail {
        self.bounding = "+all";
        self
    }

    /// Where its programs run as root: they read what they are shown, whomever it belongs to.
    pub(crate) fn reading_all_files(mut self) -> Jail {
        self.bounding = "-all,+dac_read_search";
        self
    }

    /// What it limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn holds(&self) -> bool {
        let nothing = program::find("true", "coreutils");
        nothing
            .and_then(|nothing| self.command(&nothing))
            .is_ok_and(|mut command| program::run_within(&mut command, TRIAL).is_ok())
    }

    /// Whether programs have no network at all.
    pub fn has_no_network(&self) -> bool {
        self.walls != Walls::None
    }

    /// Whether a loopback of its own can be set up and reached, which takes root and the program `ip`.
    pub(super) fn offers_loopback(&self) -> bool {
        let has_ip = || program::find("ip", "iproute2").is_ok();
        self.walls == Walls::All && getuid().is_root() && has_ip()
    }

    /// In words: what is enforced, and what is not.
    pub fn said(&self) -> Vec<String> {
        let who = match self.user {
            Some((user, _)) => format!("as user {user} without rights"),
            None => "as the user who runs the drill".to_owned(),
        };
        let Limits { memory_bytes, processes, cpu_seconds, file_bytes } = self.limits;
        let limits = format!(
            "at most {} MiB of address space and {} s of computing for each process, {processes} processes, {} MiB for each file",
            memory_bytes >> 20,
            cpu_seconds,
            file_bytes >> 20
        );
        match self.walls {
            Walls::All => vec![format!(
                "restored servers ran {who}, without a network, with processes and a root folder of their own; {limits}"
            )],
            Walls::NoRoot => vec![
                format!("restored servers ran {who}, without a network, with processes of their own; {limits}"),
                "NOT ENFORCED: a root folder of their own, since this machine allows no mounts; permissions alone kept them from \
                 other files"
                    .to_owned(),
            ],
            Walls::None => vec![
                format!("restored servers ran {who}; {limits}"),
                "NOT ENFORCED: no network and processes of their own, since this machine allows neither root nor user \
                 namespaces; they were told to listen on a socket in their own folder alone"
                    .to_owned(),
            ],
        }
    }

    /// A program in the jail. It ends when this process ends, however that ends, and with it all that it started.
    pub fn command(&self, program: &Path) -> Result<Command, Error> {
        self.build(program, "down")
    }

    /// The same with a loopback that nobody else has; see [`Jail::offers_loopback`].
    pub(super) fn command_with_loopback(&self, program: &Path) -> Result<Command, Error> {
        self.build(program, "up")
    }

    /// The same in the network of this machine.
    pub(super) fn command_with_network(&self, program: &Path) -> Result<Command, Error> {
        Jail { walls: Walls::None, ..self.clone() }.command(program)
    }

    /// For temporary files. Never a place that is shared with others: a MariaDB that starts removes the temporary tables of every
    /// other one there, also those of the server that care depends on.
    fn scratch(&self) -> PathBuf {
        if self.walls == Walls::All { PathBuf::from("/tmp") } else { self.own.join(SCRATCH) }
    }

    fn build(&self, program: &Path, loopback: &str) -> Result<Command, Error> {
        let setpriv = program::find("setpriv", "util-linux")?;
        let mut command = program::command(&setpriv);
        command.env("HOME", &self.own).env("TMPDIR", self.scratch());
        command.args(["--no-new-privs", "--pdeathsig", "KILL"]).arg("--");
        if self.walls != Walls::None {
            command.arg(program::find("unshare", "util-linux")?);
            if !getuid().is_root() {
                command.args(["--user", "--map-root-user"]);
            }
            command.args(["--net", "--ipc", "--pid", "--fork", "--kill-child=KILL"]);
        }
        if self.walls == Walls::All {
            let read = self.folders_read(program);
            command.env("SYSTEM", SYSTEM).args(["--mount", "--"]);
            command.arg(program::find("sh", "dash")?).args(["-c", ENTER, "sh"]);
            command.arg(&self.own).arg(loopback).arg(read.len().to_string()).args(read);
        } else if self.walls == Walls::NoRoot {
            command.arg("--");
        }
        if self.walls != Walls::None && !getuid().is_root() {
            // A server refuses to run as root, also as a root who is none.
            command.arg(program::find("unshare", "util-linux")?).args(["--user", "--map-user"]);
            command
                .arg(getuid().as_raw().to_string())
                .arg("--map-group")
                .arg(getgid().as_raw().to_string())
                .arg("--");
        }
        command.arg(program::find("prlimit", "util-linux")?).args(self.limits.arguments()).arg("--");
        command.arg(&setpriv).args(["--no-new-privs", "--pdeathsig", "KILL"]);
        if getuid().is_root() || self.walls != Walls::None {
            command.arg("--inh-caps=-all").arg(format!("--bounding-set={}", self.bounding));
        }
        if let Some((user, group)) = self.user {
            command.args(["--reuid", &user.to_string(), "--regid", &group.to_string(), "--clear-groups"]);
        }
        command.arg("--").arg(program);
        Ok(command)
    }

    /// What is asked for, and the program's own folder where it is none of the system's.
    fn folders_read(&self, program: &Path) -> Vec<OsString> {
        let real = fs::canonicalize(program).unwrap_or_else(|_| program.to_path_buf());
        let is_system = SYSTEM.split(' ').any(|dir| real.starts_with(dir)) || real.starts_with(&self.own);
        let own = real.parent().filter(|_| !is_system).map(Path::to_path_buf);
        self.read.iter().cloned().chain(own).map(PathBuf::into_os_string).collect()
    }

    /// The process of a program that was started in here: behind walls there is one in front of it.
    pub(super) fn inside(&self, started: Pid) -> Option<Pid> {
        if self.walls == Walls::None {
            return Some(started);
        }
        let id = started.as_raw_nonzero();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn temporary_files_never_lie_where_others_have_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let jail = Jail::new(dir.path(), None, &[]).unwrap();
        for walls in [Walls::NoRoot, Walls::None] {
            let command = Jail { walls, ..jail.clone() }.command(Path::new("/bin/true")).unwrap();
            let told = command.get_envs().find(|(name, _)| *name == OsStr::new("TMPDIR"));
            let place = Path::new(told.and_then(|(_, value)| value).unwrap());
            assert!(place.starts_with(fs::canonicalize(dir.path()).unwrap()) && place.is_dir(), "{place:?}");
        }
    }
}
