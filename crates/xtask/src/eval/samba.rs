//! A real Samba over the tree, on a port of the loopback that nobody else uses.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::stage::program;
use super::tidy;

const SHARE: &str = "records";
const USER: &str = "root";
/// Somebody else, who asks whether the share is still served.
const OTHER: &str = "nobody";
/// As the kernel lists it.
const LOOPBACK_6: &str = "00000000000000000000000000000001";
const START_WITHIN: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: &str = "8";

/// Serves a tree; dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Samba {
    child: Child,
    port: u16,
    /// Folder with a file for each account.
    accounts: PathBuf,
}

impl Samba {
    /// `place` takes its folders.
    pub(crate) fn start(room: &Path, place: &Path, tree: &Path) -> anyhow::Result<Self> {
        // Sockets have short names: its folders lie in the room, not on the volume.
        let root = room.join("smb");
        if root.exists() {
            fs::remove_dir_all(&root).context("clear Samba's folders")?;
        }
        for folder in ["private", "lock", "state", "cache", "ncalrpc", "log"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let conf = root.join("smb.conf");
        fs::write(&conf, configuration(&root, tree, port)).context("write smb.conf")?;
        let password = super::secret()?;
        for user in [USER, OTHER] {
            add_account(&conf, user, &password)?;
            let text = format!("username={user}\npassword={password}\n");
            fs::write(place.join(user), text).context("write an account")?;
        }
        let child = tidy::start(
            Command::new(program("smbd").context("smbd is not installed")?)
                .args(["--foreground", "--no-process-group", "-s"])
                .arg(&conf)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )?;
        let mut samba = Self { child, port, accounts: place.to_owned() };
        let end = Instant::now() + START_WITHIN;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(matches!(samba.child.try_wait(), Ok(None)), "smbd ended");
            ensure!(Instant::now() < end, "smbd does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(samba)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Port, share and file with the account, for the attackers.
    pub(crate) fn reached_by(&self) -> String {
        format!("{},{SHARE},{}", self.port, self.accounts.join(USER).display())
    }

    /// Whether another client is let in and sees the share: another account and, where the loopback has a second address, from
    /// there, since an attacker may well be cut off by either.
    pub(crate) fn serves(&self) -> bool {
        let has_second = fs::read_to_string("/proc/net/if_inet6").is_ok_and(|list| list.contains(LOOPBACK_6));
        let elsewhere: &[&str] = if has_second { &["-I", "::1"] } else { &[] };
        let listed = tidy::run(
            Command::new("smbclient")
                .args(["-p", &self.port.to_string(), "-t", ANSWER_WITHIN])
                .arg(format!("//127.0.0.1/{SHARE}"))
                .args(elsewhere)
                .args(["-A".as_ref(), self.accounts.join(OTHER).as_os_str()])
                .args(["-c", "ls"]),
        );
        listed.is_ok()
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(root: &Path, tree: &Path, port: u16) -> String {
    let (root, tree) = (root.display(), tree.display());
    format!(
        "[global]\nserver role = standalone server\ninterfaces = lo\nbind interfaces only = yes\nsmb ports = {port}\n\
         disable netbios = yes\nload printers = no\nprintcap name = /dev/null\nprivate dir = {root}/private\n\
         lock directory = {root}/lock\nstate directory = {root}/state\ncache directory = {root}/cache\n\
         pid directory = {root}\nncalrpc dir = {root}/ncalrpc\nlog file = {root}/log/smbd.log\n\
         passdb backend = tdbsam\nserver min protocol = SMB3\n\
         [{SHARE}]\npath = {tree}\nread only = no\nvalid users = {USER} {OTHER}\nforce user = {USER}\n"
    )
}

fn add_account(conf: &Path, user: &str, password: &str) -> anyhow::Result<()> {
    let mut child = tidy::start(
        Command::new(program("smbpasswd").context("smbpasswd is not installed")?)
            .arg("-c")
            .arg(conf)
            .args(["-a", "-s", user])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )?;
    write!(child.stdin.take().context("smbpasswd has no input")?, "{password}\n{password}\n")?;
    ensure!(child.wait()?.success(), "the share's account cannot be made");
    Ok(())
}

/// Whether this kernel can mount such a share.
pub(crate) fn kernel_has_cifs() -> bool {
    fs::read_to_string("/proc/filesystems")
        .is_ok_and(|list| list.lines().any(|line| line.trim().ends_with("cifs")))
}
