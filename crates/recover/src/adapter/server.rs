//! Servers that a drill starts on restored data: private, without a network port, without our rights, ended with the drill.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::{Jail, program};
use crate::error::Error;

/// How long a server may take to end by itself before it is killed.
const FAREWELL: Duration = Duration::from_secs(15);

/// Where the servers of a drill run, and as whom.
///
/// Restored data is hostile until shown otherwise: a dump can hold functions that run programs. So servers and the programs that feed
/// them run in a [`Jail`], as `nobody` where we are root, and never as a user to whom a production server of this machine belongs.
pub struct Engines {
    dir: PathBuf,
    /// User and group id; `None`: who runs this is unprivileged already.
    user: Option<(u32, u32)>,
    jail: Jail,
}

impl Engines {
    /// Servers run in folders below `dir`, which is empty and has room for the restored databases.
    pub fn new(dir: &Path) -> Result<Engines, Error> {
        let user = if geteuid().is_root() { Some(nobody()?) } else { None };
        if user.is_some() {
            let open = Permissions::from_mode(0o711);
            fs::set_permissions(dir, open).map_err(|source| Error::Io {
                op: "open",
                path: dir.to_path_buf(),
                source,
            })?;
        }
        let jail = Jail::new(dir, user, &[])?;
        Ok(Engines { dir: dir.to_path_buf(), user, jail })
    }

    /// How servers are kept apart, and what could not be enforced.
    pub fn said(&self) -> Vec<String> {
        self.jail.said()
    }

    /// A new folder that belongs to whom servers run as.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.dir.join(name);
        program::folder(&path)?;
        self.hand_over(&path)?;
        Ok(path)
    }

    /// Gives one file or folder to whom servers run as.
    pub(super) fn hand_over(&self, path: &Path) -> Result<(), Error> {
        let Some((user, group)) = self.user else { return Ok(()) };
        chown(path, Some(user), Some(group)).map_err(|source| Error::Io {
            op: "hand over",
            path: path.to_path_buf(),
            source,
        })
    }

    /// A program that handles restored data. It ends when this process ends, however that ends.
    pub(super) fn command(&self, program: &Path) -> Result<Command, Error> {
        self.jail.command(program)
    }

    /// A server that knows no sockets of files. It gets a loopback that nobody else has, where this machine allows it.
    pub(super) fn command_with_loopback(&self, program: &Path) -> Result<Command, Error> {
        if self.jail.offers_loopback() {
            self.jail.command_with_loopback(program)
        } else {
            self.jail.command_with_network(program)
        }
    }

    /// What a server on the loopback leaves to say.
    pub(super) fn loopback_said(&self) -> Option<String> {
        (!self.jail.offers_loopback()).then(|| {
            "NOT ENFORCED: it listened on this machine's own loopback, behind a password of this drill alone, since a network of its \
             own takes root, namespaces and the program `ip`"
                .to_owned()
        })
    }
}

/// The user that owns nothing.
fn nobody() -> Result<(u32, u32), Error> {
    let path = Path::new("/etc/passwd");
    let text = fs::read_to_string(path).map_err(|source| Error::Io {
        op: "read",
        path: path.to_path_buf(),
        source,
    })?;
    let ids = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some("nobody")).then_some(())?;
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    ids.ok_or_else(|| Error::ProgramMissing { program: "the user nobody".to_owned(), package: "base-passwd" })
}

/// A server in the making or running; it ends when this is dropped.
pub(super) struct Server {
    child: Child,
    name: String,
    log: PathBuf,
    /// What asks it to end quickly and in order.
    farewell: Signal,
    /// Whether another process stands in front of it.
    jail: Jail,
}

impl Server {
    /// Starts it with everything that it says in `log`.
    pub(super) fn start(
        engines: &Engines,
        command: &mut Command,
        log: &Path,
        farewell: Signal,
    ) -> Result<Server, Error> {
        let fail = |source| Error::Io { op: "create", path: log.to_path_buf(), source };
        let file = File::options().create(true).append(true).open(log).map_err(fail)?;
        let errors = file.try_clone().map_err(fail)?;
        let child = program::spawn(command.stdin(Stdio::null()).stdout(file).stderr(errors))?;
        let jail = engines.jail.clone();
        Ok(Server { child, name: program::name_of(command), log: log.to_path_buf(), farewell, jail })
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    /// Waits until it answers. One that ends before, or takes longer than `patience`, is an error with its last words.
    pub(super) fn wait_until(
        &mut self,
        patience: Duration,
        mut answers: impl FnMut() -> bool,
    ) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            if answers() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failed(status.to_string()));
            }
            if began.elapsed() > patience {
                return Err(self.failed(format!("no answer after {} s", patience.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The same for a server that is asked in its own network, if it has one.
    pub(super) fn network_until(
        &mut self,
        patience: Duration,
        own: bool,
        mut answers: impl FnMut(Option<&File>) -> bool,
    ) -> Result<(), Error> {
        let (jail, pid) = (self.jail.clone(), self.pid());
        self.wait_until(patience, || {
            let network = pid.filter(|_| own).and_then(|pid| network(&jail, pid));
            // Without the network that it should have, somebody else would be asked.
            own == network.is_some() && answers(network.as_ref())
        })
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn end(&mut self) {
        if let (Ok(None), Some(pid)) = (self.child.try_wait(), self.pid()) {
            let inside = self.jail.inside(pid).unwrap_or(pid);
            let _ = kill_process(inside, self.farewell);
            let began = Instant::now();
            while began.elapsed() < FAREWELL {
                if let Ok(Some(_)) = self.child.try_wait() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }

    /// Everything it said so far.
    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn failed(&self, status: String) -> Error {
        let said = program::on_one_line(self.log().as_bytes());
        Error::ProgramFailed { program: self.name.clone(), status, said }
    }
}

/// The network of a server: a file to enter it with.
fn network(jail: &Jail, started: Pid) -> Option<File> {
    let inside = jail.inside(started)?;
    File::open(format!("/proc/{}/ns/net", inside.as_raw_nonzero())).ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
