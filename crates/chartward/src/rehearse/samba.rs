//! A real Samba on the record server of a rehearsal; it stands in for the Windows server that encrypts itself.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::network::{Network, SERVER};
use super::stage::{Stage, random_hex};

/// The share's name.
pub(crate) const SHARE: &str = "emr";
const PORT: u16 = 445;
const USER: &str = "root";
const START_WITHIN: Duration = Duration::from_secs(20);

/// Serves the hospital's folder; dropped, it is gone, and who still serves a connection ends with the network.
pub(crate) struct Samba(Child);

impl Samba {
    pub(crate) fn start(stage: &Stage, network: &Network) -> anyhow::Result<Samba> {
        let (smbd, smbpasswd) = (program("smbd")?, program("smbpasswd")?);
        let root = stage.root().join("samba");
        for folder in ["private", "lock", "state", "cache", "ncalrpc", "log"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let conf = root.join("smb.conf");
        fs::write(&conf, configuration(&root, &stage.hospital()))?;
        let password = random_hex()?;
        add_account(&smbpasswd, &conf, &password)?;
        fs::write(stage.account(), format!("username={USER}\npassword={password}\n"))?;
        fs::set_permissions(stage.account(), Permissions::from_mode(0o600))?;
        let child = network
            .on_server(&smbd)
            .args(["--foreground", "--no-process-group", "-s"])
            .arg(&conf)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("smbd cannot be started")?;
        let mut samba = Samba(child);
        let deadline = Instant::now() + START_WITHIN;
        while !network.server_answers(PORT)? {
            ensure!(samba.0.try_wait()?.is_none(), "smbd ended; see {}", root.join("log").display());
            ensure!(Instant::now() < deadline, "smbd does not answer; see {}", root.join("log").display());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(samba)
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(name: &str) -> anyhow::Result<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/local/samba/sbin"];
    let found = folders.map(|folder| Path::new(folder).join(name)).into_iter().find(|path| path.is_file());
    match found {
        Some(path) => Ok(path),
        None => bail!(
            "{name} is missing: the rehearsal without an agent serves the records by a real Samba; run `apt install samba`"
        ),
    }
}

fn configuration(root: &Path, hospital: &Path) -> String {
    let (root, hospital) = (root.display(), hospital.display());
    format!(
        "[global]\nserver role = standalone server\ninterfaces = {SERVER}/24\nbind interfaces only = yes\nsmb ports = {PORT}\n\
         disable netbios = yes\nload printers = no\nprintcap name = /dev/null\nprivate dir = {root}/private\n\
         lock directory = {root}/lock\nstate directory = {root}/state\ncache directory = {root}/cache\n\
         pid directory = {root}\nncalrpc dir = {root}/ncalrpc\nlog file = {root}/log/smbd.log\n\
         passdb backend = tdbsam\nserver min protocol = SMB3\n\
         [{SHARE}]\npath = {hospital}\nread only = no\nvalid users = {USER}\nforce user = {USER}\n"
    )
}

fn add_account(smbpasswd: &Path, conf: &Path, password: &str) -> anyhow::Result<()> {
    let mut child = Command::new(smbpasswd)
        .arg("-c")
        .arg(conf)
        .args(["-a", "-s", USER])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("smbpasswd cannot be run")?;
    write!(child.stdin.take().context("smbpasswd has no input")?, "{password}\n{password}\n")?;
    ensure!(child.wait()?.success(), "the share's account cannot be made");
    Ok(())
}
