//! `chartward confine`, hidden: what stands between the hub and a watcher.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::supervise::Confinement;
use crate::supervise::confine::{become_watcher, end_like, keep};

/// Run a program with few rights
#[derive(Debug, clap::Args)]
pub(crate) struct ConfineArgs {
    /// Who runs it, by name or number
    #[arg(long, default_value = "nobody")]
    user: String,
    /// A capability that it keeps
    #[arg(long = "cap", value_name = "NAME")]
    caps: Vec<String>,
    /// What it reads besides the system's folders
    #[arg(long, value_name = "PATH")]
    ro: Vec<PathBuf>,
    /// What it reads and writes
    #[arg(long, value_name = "PATH")]
    rw: Vec<PathBuf>,
    /// Its own folder, made when missing
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Leave the files to their permissions
    #[arg(long)]
    all_files: bool,
    /// Let it mount
    #[arg(long)]
    mounts: bool,
    /// Let it connect to other machines
    #[arg(long)]
    network: bool,
    /// Let it take packets as they pass by
    #[arg(long)]
    packets: bool,
    /// Let it listen at this port
    #[arg(long, value_name = "PORT")]
    listen: Vec<u16>,
    /// Let it use Unix sockets
    #[arg(long)]
    local_sockets: bool,
    /// The most descriptors
    #[arg(long, value_name = "N")]
    open_files: Option<u64>,
    /// The most processes and threads, beyond those that its user has already
    #[arg(long, value_name = "N")]
    processes: Option<u64>,
    /// The most bytes of address space for each process
    #[arg(long, value_name = "BYTES")]
    memory: Option<u64>,
    /// Stay in front of it, and end all that it started when it or the parent ends; with this much time to end by itself
    #[arg(long, value_name = "MS")]
    keep_ms: Option<u64>,
    /// The process that has to be the parent
    #[arg(long, value_name = "PID")]
    parent: Option<i32>,
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

pub(crate) fn run(args: ConfineArgs) -> anyhow::Result<ExitCode> {
    let ConfineArgs { keep_ms, parent, program, .. } = &args;
    let (keep_ms, parent, program) = (*keep_ms, *parent, program.clone());
    let confinement = args.confinement();
    let Some(keep_ms) = keep_ms else {
        // On one line, since the hub shows the last one as the cause.
        let Err(error) = become_watcher(&confinement, &program, parent);
        bail!("{:#}", anyhow::Error::from(error).context("confine a watcher"));
    };
    let own = std::env::current_exe().context("find this program")?;
    let mut inner = Command::new(own);
    inner.args(["confine", "--parent", &std::process::id().to_string()]);
    inner.args(confinement.args()).arg("--").args(&program);
    let status = keep(inner, parent, Duration::from_millis(keep_ms)).context("keep a watcher")?;
    let code = end_like(status);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

impl ConfineArgs {
    fn confinement(self) -> Confinement {
        Confinement {
            user: self.user,
            caps: self.caps,
            read: self.ro,
            write: self.rw,
            folder: self.folder,
            all_files: self.all_files,
            mounts: self.mounts,
            network: self.network,
            listen: self.listen,
            packets: self.packets,
            local_sockets: self.local_sockets,
            open_files_max: self.open_files,
            processes_max: self.processes,
            memory_bytes_max: self.memory,
        }
    }
}
