//! A gateway with a server behind it, an attacker and an administrator before it, all in namespaces; the server runs a real sshd and
//! a real xrdp.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sensor::net::{inside, ip};

use super::super::stage::until;

pub(super) const ATTACKER: &str = "198.51.100.7";
pub(super) const ADMIN: &str = "203.0.113.9";
pub(super) const SERVER: &str = "192.0.2.10";
const GATEWAY: &str = "192.0.2.1";
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A process that ends with its owner.
pub(super) struct Running(pub(super) Child);

impl Running {
    pub(super) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) struct Site {
    // Ended before the namespaces are.
    servers: Vec<Running>,
    pub(super) gateway: String,
    pub(super) server: String,
    pub(super) attacker: String,
    pub(super) admin: String,
    dir: tempfile::TempDir,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.servers.clear();
        for name in [&self.gateway, &self.server, &self.attacker, &self.admin] {
            // What a server leaves behind: a session that was begun and whose master is gone.
            let left = Command::new("ip").args(["netns", "pids", name]).output();
            for pid in left.iter().flat_map(|left| left.stdout.split(|byte| *byte == b'\n')) {
                if let Some(pid) = std::str::from_utf8(pid).ok().and_then(|pid| pid.trim().parse().ok()) {
                    let _ = rustix::process::kill_process(
                        rustix::process::Pid::from_raw(pid).unwrap(),
                        rustix::process::Signal::KILL,
                    );
                }
            }
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

impl Site {
    /// `None` after saying what is missing.
    pub(super) fn new(test: &str) -> Option<Self> {
        if !testkit::root(test) {
            return None;
        }
        for tool in ["ip", "nft", "conntrack", "ss", "sshd", "ssh", "ssh-keygen", "logger"] {
            testkit::tool(test, tool)?;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let [gateway, server, attacker, admin] =
            ["gw", "srv", "att", "adm"].map(|what| format!("so{what}-{}-{number}", std::process::id()));
        let dir = tempfile::TempDir::with_prefix("chartward-shutout-").unwrap();
        let site = Site { servers: Vec::new(), gateway, server, attacker, admin, dir };
        site.lay();
        Some(site)
    }

    fn lay(&self) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in [&self.gateway, &self.server, &self.attacker, &self.admin] {
            assert!(Command::new("ip").args(["netns", "add", name]).status().unwrap().success());
            ip(name, "link set lo up");
        }
        for (name, port, own, other) in [
            (&self.server, "p0", GATEWAY, SERVER),
            (&self.attacker, "p1", "198.51.100.1", ATTACKER),
            (&self.admin, "p2", "203.0.113.1", ADMIN),
        ] {
            ip(&self.gateway, &format!("link add {port} type veth peer name e0 netns {name}"));
            ip(&self.gateway, &format!("addr add {own}/24 dev {port}"));
            ip(&self.gateway, &format!("link set {port} up"));
            ip(name, &format!("addr add {other}/24 dev e0"));
            ip(name, "link set e0 up");
            ip(name, &format!("route add default via {own}"));
        }
        let forward = ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"];
        assert!(inside(&self.gateway, &forward).status().unwrap().success());
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// A real sshd on the server, that takes the key `good` and asks others for a password. What it logs gets syslog's form.
    pub(super) fn sshd(&mut self) {
        // The server wants this folder, which its own service makes at boot.
        fs::create_dir_all("/run/sshd").unwrap();
        for key in ["host", "good"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(self.path(key))
                .status();
            assert!(made.unwrap().success());
        }
        let config = format!(
            "ListenAddress {SERVER}:22\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
             PermitRootLogin yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\nMaxStartups 100\n",
            self.path("host").display(),
            self.path("good.pub").display()
        );
        fs::write(self.path("sshd_config"), config).unwrap();
        let sshd = testkit::tool("sshd", "sshd").unwrap();
        let mut command = inside(&self.server, &[sshd.to_str().unwrap(), "-D", "-e", "-f"]);
        command.arg(self.path("sshd_config")).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let mut logger = Command::new("logger");
        // It sends nothing, and writes what it would send.
        logger.args(["--udp", "--server", "127.0.0.1", "--tag", "sshd", "--id=77", "--no-act", "--stderr"]);
        logger.stdin(server.stderr.take().unwrap()).stderr(File::create(self.path("sshd.log")).unwrap());
        self.servers.extend([Running(server), Running(logger.spawn().unwrap())]);
        let asked = self.path("askpass");
        fs::write(&asked, "#!/bin/sh\necho Summer2026!\n").unwrap();
        fs::set_permissions(&asked, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        until("sshd answers", || (self.ssh(&self.admin, "true") == Some(0)).then_some(()));
    }

    fn ssh_command(&self, from: &str, patience: &str, words: &str, more: &[&str]) -> Command {
        // Who is banned while he is asked for a password would wait for ever.
        let mut command = inside(from, &["timeout", "--foreground", patience, "ssh", "-F", "none"]);
        let common = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            "ConnectTimeout=2",
        ];
        for option in common.iter().chain(more) {
            command.args(["-o", option]);
        }
        command.arg("-i").arg(self.path("good")).arg(format!("root@{SERVER}")).arg(words);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Logs in, runs something and says how that ended.
    pub(super) fn ssh(&self, from: &str, words: &str) -> Option<i32> {
        self.ssh_command(from, "10", words, &["BatchMode=yes"]).stdout(Stdio::null()).status().unwrap().code()
    }

    /// Tries a wrong password.
    pub(super) fn guess(&self, from: &str) -> Option<i32> {
        let options = ["PreferredAuthentications=password", "NumberOfPasswordPrompts=1"];
        let mut command = self.ssh_command(from, "10", "true", &options);
        command.env("SSH_ASKPASS", self.path("askpass")).env("SSH_ASKPASS_REQUIRE", "force");
        command.stdout(Stdio::null()).status().unwrap().code()
    }

    /// A session that stands and says something ten times a second, into a file.
    pub(super) fn session(&self, from: &str, name: &str) -> Session {
        let heard = self.path(name);
        let mut command =
            self.ssh_command(from, "600", "while echo x; do sleep 0.1; done", &["BatchMode=yes"]);
        let client = Running(command.stdout(File::create(&heard).unwrap()).spawn().unwrap());
        let session = Session { client, heard };
        until("the session speaks", || (session.length() > 4).then_some(()));
        session
    }

    /// The far ports of the sessions from an address that the server's kernel still holds.
    pub(super) fn established(&self, from: &str, port: u16) -> Vec<String> {
        let filter = format!("sport = :{port} and dst {from}");
        let listed = inside(&self.server, &["ss", "-Htn", "state", "established", &filter]).output().unwrap();
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        text.lines().filter_map(|line| Some(line.rsplit_once(':')?.1.trim().to_owned())).collect()
    }

    /// A real xrdp with its session manager on the server; nobody's password is right.
    pub(super) fn xrdp(&mut self, test: &str) -> Option<()> {
        for tool in ["xrdp", "xrdp-sesman", "xfreerdp", "Xvfb"] {
            testkit::tool(test, tool)?;
        }
        let theirs = |name: &str| fs::read_to_string(Path::new("/etc/xrdp").join(name)).unwrap();
        let log = |text: String, file: &str| -> String {
            // Made beforehand: theirs could be read by root alone, and a watcher is not.
            File::create(self.path(file)).unwrap();
            let with_file = |line: &str| match line.split_once('=') {
                Some(("LogFile", _)) => format!("LogFile={}", self.path(file).display()),
                Some(("LogLevel", _)) => "LogLevel=INFO".to_owned(),
                Some(("EnableSyslog", _)) => "EnableSyslog=false".to_owned(),
                _ => line.to_owned(),
            };
            text.lines().map(with_file).collect::<Vec<_>>().join("\n")
        };
        fs::write(self.path("xrdp.ini"), log(theirs("xrdp.ini"), "xrdp.log")).unwrap();
        fs::write(self.path("sesman.ini"), log(theirs("sesman.ini"), "sesman.log")).unwrap();
        for (program, config) in [("xrdp-sesman", "sesman.ini"), ("xrdp", "xrdp.ini")] {
            let program = testkit::tool(test, program)?;
            let mut command = inside(&self.server, &[program.to_str().unwrap(), "-n", "-c"]);
            command.arg(self.path(config)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            self.servers.push(Running(command.spawn().unwrap()));
        }
        let listens = || {
            let listed = inside(&self.server, &["ss", "-Htln"]).output().unwrap();
            let text = String::from_utf8_lossy(&listed.stdout).into_owned();
            (text.contains(":3389") && text.contains(":3350")).then_some(())
        };
        until("xrdp listens", listens);
        Some(())
    }

    /// A screen for the clients.
    pub(super) fn screen(&mut self) -> String {
        let shown = self.path("screen");
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"]);
        command.stdin(Stdio::null()).stdout(File::create(&shown).unwrap()).stderr(Stdio::null());
        self.servers.push(Running(command.spawn().unwrap()));
        let number =
            until("the screen", || fs::read_to_string(&shown).ok().filter(|text| text.ends_with('\n')));
        format!(":{}", number.trim())
    }

    /// A real RDP client that stays at the server's log-in window, or gives a name and a password there.
    pub(super) fn rdp(&self, from: &str, screen: &str, words: &[&str]) -> Running {
        let mut command =
            inside(from, &["xfreerdp", &format!("/v:{SERVER}"), "/cert:ignore", "/w:640", "/h:480"]);
        command.args(words).env("DISPLAY", screen).env("HOME", self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }
}

/// What somebody has open over SSH.
pub(super) struct Session {
    pub(super) client: Running,
    heard: PathBuf,
}

impl Session {
    fn length(&self) -> u64 {
        fs::metadata(&self.heard).map_or(0, |of| of.len())
    }

    /// Whether it says something within two seconds.
    pub(super) fn goes_on(&self) -> bool {
        let before = self.length();
        (0..40).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            self.length() > before
        })
    }
}
