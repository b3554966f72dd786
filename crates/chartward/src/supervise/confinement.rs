//! What a watcher may do, as a value; the confine step in front of it carries it out.

use std::ffi::OsString;
use std::path::PathBuf;

use schema::WatcherClass;
use serde::{Deserialize, Serialize};

/// Capabilities that guarding with permission events needs, and why; found by taking each away.
const GUARD_CAPS: [&str; 7] = [
    // fanotify groups and the mount of its own for each protected folder.
    "sys_admin",
    // Events name folders by handle.
    "dac_read_search",
    // Records of any owner are put back, and changed files moved into the evidence.
    "dac_override",
    // With owner, mode and times as they were.
    "chown",
    "fowner",
    // Attackers of any user are stopped.
    "kill",
    // Their programs and open files are evidence.
    "sys_ptrace",
];

/// Everything that is not named is forbidden, as far as the kernel and the hub's own rights allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Confinement {
    /// Name or number. Only a hub that runs as root can switch; elsewhere it is said that nobody switched.
    pub(crate) user: String,
    /// Capabilities by name, without `cap_`, for a watcher that runs as root.
    pub(crate) caps: Vec<String>,
    /// Read and run, besides the folders that every program of the system needs.
    pub(crate) read: Vec<PathBuf>,
    /// Read and write.
    pub(crate) write: Vec<PathBuf>,
    /// Its own folder: made when missing, given to its user, written to; its working folder, HOME and TMPDIR.
    pub(crate) folder: Option<PathBuf>,
    /// Files are not restricted beyond their permissions: Landlock forbids every mount, and the guard needs its own.
    pub(crate) all_files: bool,
    /// It mounts and watches file systems.
    pub(crate) mounts: bool,
    /// It connects to other machines. It listens at none of its ports but these.
    pub(crate) network: bool,
    /// Ports that it listens at.
    pub(crate) listen: Vec<u16>,
    /// Sockets that take packets as they pass by an interface; needs the capability `net_raw`.
    pub(crate) packets: bool,
    /// Unix sockets, such as its control socket.
    pub(crate) local_sockets: bool,
    /// Descriptors; `None` leaves them as the hub has them.
    pub(crate) open_files_max: Option<u64>,
    /// Processes and threads, beyond those that its user has already.
    pub(crate) processes_max: Option<u64>,
    /// Address space of each process.
    pub(crate) memory_bytes_max: Option<u64>,
}

impl Default for Confinement {
    /// For another program: an ordinary user without a network.
    fn default() -> Self {
        Self {
            user: "nobody".to_owned(),
            caps: Vec::new(),
            read: Vec::new(),
            write: Vec::new(),
            folder: None,
            all_files: false,
            mounts: false,
            network: false,
            listen: Vec::new(),
            packets: false,
            local_sockets: false,
            open_files_max: Some(256),
            processes_max: Some(64),
            memory_bytes_max: None,
        }
    }
}

impl Confinement {
    /// What a watcher of this class needs, with a folder of its own.
    pub(crate) fn of(class: WatcherClass, folder: PathBuf) -> Self {
        match class {
            WatcherClass::Guard => Self::guard(),
            WatcherClass::External => Self::exec(folder),
            WatcherClass::Share | WatcherClass::Sensor | WatcherClass::Logs => Self::share(folder),
            WatcherClass::Mail => Self::mail(folder),
        }
    }

    /// For `chartward guard`: root with the capabilities it uses.
    fn guard() -> Self {
        Self {
            user: "root".to_owned(),
            caps: GUARD_CAPS.map(str::to_owned).to_vec(),
            all_files: true,
            mounts: true,
            local_sockets: true,
            open_files_max: None,
            processes_max: None,
            ..Self::default()
        }
    }

    /// For another program, which writes to `folder` only.
    fn exec(folder: PathBuf) -> Self {
        Self { folder: Some(folder), ..Self::default() }
    }

    /// For a watcher of ours that looks at other machines: it connects to them, and writes to `folder` only.
    fn share(folder: PathBuf) -> Self {
        Self { network: true, local_sockets: true, open_files_max: Some(4096), ..Self::exec(folder) }
    }

    /// For the mail gateway: it asks name servers, and a thread stands by for each connection of the mail server.
    fn mail(folder: PathBuf) -> Self {
        Self { processes_max: Some(512), ..Self::share(folder) }
    }

    /// For our own network sensor: it opens its packet sockets, gives up the one capability that this needs, and speaks to nobody.
    pub(crate) fn sensor(folder: PathBuf) -> Self {
        Self { caps: vec!["net_raw".to_owned()], packets: true, local_sockets: true, ..Self::exec(folder) }
    }

    /// For our own watcher of logs: it reads logs of any owner, listens at its doors, and connects to nobody.
    pub(crate) fn logs(folder: PathBuf) -> Self {
        let caps = ["dac_read_search", "net_bind_service"].map(str::to_owned).to_vec();
        Self { caps, processes_max: Some(1_024), ..Self::share(folder) }
    }

    /// As arguments of `chartward confine`.
    pub(crate) fn args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["--user".into(), self.user.clone().into()];
        let mut add = |flag: &str, value: OsString| args.extend([flag.into(), value]);
        for cap in &self.caps {
            add("--cap", cap.into());
        }
        for path in &self.read {
            add("--ro", path.into());
        }
        for path in &self.write {
            add("--rw", path.into());
        }
        if let Some(folder) = &self.folder {
            add("--folder", folder.into());
        }
        for port in &self.listen {
            add("--listen", port.to_string().into());
        }
        let numbers = [
            ("--open-files", self.open_files_max),
            ("--processes", self.processes_max),
            ("--memory", self.memory_bytes_max),
        ];
        for (flag, value) in numbers {
            if let Some(value) = value {
                add(flag, value.to_string().into());
            }
        }
        let switches = [
            ("--all-files", self.all_files),
            ("--mounts", self.mounts),
            ("--network", self.network),
            ("--packets", self.packets),
            ("--local-sockets", self.local_sockets),
        ];
        args.extend(switches.into_iter().filter(|(_, on)| *on).map(|(flag, _)| flag.into()));
        args
    }
}
