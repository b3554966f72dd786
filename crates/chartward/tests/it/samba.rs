//! A real Samba on a port of its own, in a network of its own where a test wants several clients.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const PASSWORD: &str = "only for this test";

/// A server; dropped, it is gone with all its children.
pub(crate) struct Samba {
    pub(crate) port: u16,
    dir: PathBuf,
    smbd: PathBuf,
    network: Option<Network>,
    child: Option<Child>,
}

impl Samba {
    /// Serves `share` as `ssmix` to the user who runs the test, with everything of its own below `dir`; `None` where a part is
    /// missing, after saying so.
    pub(crate) fn start(
        test: &str,
        dir: &Path,
        share: &Path,
        more: &str,
        network: Option<Network>,
    ) -> Option<Samba> {
        let (smbd, smbpasswd) = (testkit::tool(test, "smbd")?, testkit::tool(test, "smbpasswd")?);
        let at = |name: &str| dir.join(name);
        for name in ["private", "lock", "state", "cache", "ncalrpc", "log"] {
            fs::create_dir(at(name)).unwrap();
        }
        let port = testkit::servers::free_port();
        let root = dir.display();
        let share = share.display();
        let user = user();
        fs::write(
            at("smb.conf"),
            format!(
                "[global]\nserver role = standalone server\ninterfaces = lo\nbind interfaces only = yes\nsmb ports = {port}\n\
                 disable netbios = yes\nload printers = no\nprintcap name = /dev/null\nprivate dir = {root}/private\n\
                 lock directory = {root}/lock\nstate directory = {root}/state\ncache directory = {root}/cache\n\
                 pid directory = {root}\nncalrpc dir = {root}/ncalrpc\nlog file = {root}/log/smbd.log\n\
                 passdb backend = tdbsam\nserver min protocol = SMB3\n\
                 [ssmix]\npath = {share}\nread only = no\nvalid users = {user}\nforce user = {user}\n{more}"
            ),
        )
        .unwrap();
        let mut add = Command::new(smbpasswd)
            .arg("-c")
            .arg(at("smb.conf"))
            .args(["-a", "-s", &user])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        write!(add.stdin.take().unwrap(), "{PASSWORD}\n{PASSWORD}\n").unwrap();
        assert!(add.wait().unwrap().success(), "the account of the test's Samba cannot be made");
        let mut samba = Samba { port, dir: dir.to_owned(), smbd, network, child: None };
        samba.go();
        Some(samba)
    }

    /// Starts the server, also again after [`Samba::stop`].
    pub(crate) fn go(&mut self) {
        let child = self
            .there(&self.smbd)
            .args(["--foreground", "--no-process-group", "-s"])
            .arg(self.dir.join("smb.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(20);
        while !self.answers() {
            assert!(Instant::now() < end, "the test's Samba does not start");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        match &self.network {
            None => TcpStream::connect(("127.0.0.1", self.port)).is_ok(),
            // The table of connections of the server's own network says when it listens.
            Some(_) => {
                let pid = self.child.as_ref().map(Child::id).unwrap_or_default();
                let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
                table.contains(&format!(":{:04X} 00000000:0000 0A", self.port))
            }
        }
    }

    /// Ends the server with all its children, as a reboot does.
    pub(crate) fn stop(&mut self) {
        let Some(mut smbd) = self.child.take() else { return };
        let all = Command::new("pgrep").args(["-P", &smbd.id().to_string()]).output();
        let children = all.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default();
        let _ = smbd.kill();
        let _ = smbd.wait();
        for child in children.split_whitespace() {
            let _ = Command::new("kill").args(["-9", child]).stderr(Stdio::null()).status();
        }
    }

    /// The listening server's process.
    pub(crate) fn is_up(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// `smbclient` at one of the network's addresses, which is the client's own as well; it reads its commands from a file.
    pub(crate) fn client(&self, address: &str, commands: &str) -> Command {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let script = self.dir.join(format!("commands-{number}"));
        fs::write(&script, format!("{commands}\nexit\n")).unwrap();
        let mut command = self.there(Path::new("smbclient"));
        command
            .arg(format!("//{address}/ssmix"))
            .args(["--port", &self.port.to_string(), "--user", &format!("{}%{PASSWORD}", user())])
            .args(["--max-protocol", "SMB3", "--debuglevel", "0"])
            .stdin(fs::File::open(script).unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Not `ip netns exec`: that gives a mount namespace, too, past whose copies of mounts a guard cannot see.
    fn there(&self, program: &Path) -> Command {
        match &self.network {
            None => Command::new(program),
            Some(network) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{}", network.0)).arg(program);
                command
            }
        }
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A network with nothing but its loopback and some addresses there: who connects to one of them comes from it.
pub(crate) struct Network(String);

impl Network {
    pub(crate) fn new(test: &str, addresses: &[&str]) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        for tool in ["ip", "nsenter"] {
            testkit::tool(test, tool)?;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let network = Network(format!("samba-{}-{number}", std::process::id()));
        ip(&["netns", "add", &network.0]);
        ip(&["-n", &network.0, "link", "set", "lo", "up"]);
        for address in addresses {
            ip(&["-n", &network.0, "addr", "add", &format!("{address}/32"), "dev", "lo"]);
        }
        Some(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn ip(args: &[&str]) {
    assert!(Command::new("ip").args(args).status().unwrap().success(), "ip {args:?}");
}

pub(crate) fn user() -> String {
    let out = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}
