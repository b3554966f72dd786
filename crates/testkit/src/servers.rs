//! Real servers on loopback that end with the test: those that take notices.
#![allow(clippy::unwrap_used, reason = "only tests call it, and what fails here fails them")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A process that is killed with the test.
#[derive(Debug)]
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Python's own web server on a port of its own, which it gives.
pub fn web() -> (Running, u16) {
    web_at(0)
}

/// The same on a port that is known before.
pub fn web_at(port: u16) -> (Running, u16) {
    let mut child = Command::new("python3")
        .args(["-c", include_str!("web.py"), &port.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Running(child), line.trim().parse().unwrap())
}

/// A port on which nobody listens now, that no other call gets, and that no outgoing connection takes meanwhile: it lies below
/// those that the system hands out.
pub fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const PORTS: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin at different places.
    let begin = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(PORTS)).unwrap();
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut ports =
        (0..PORTS).map(|_| FIRST + (begin + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS) % PORTS);
    ports.find(free).unwrap()
}

/// Waits until `look` finds something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come");
        sleep(Duration::from_millis(20));
    }
}

fn listens(port: u16) {
    until("the server", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
}

/// rsyslog that writes the fields it understood, parted by `|`.
#[derive(Debug)]
pub struct Rsyslog {
    _running: Running,
    dir: tempfile::TempDir,
    /// Takes lines over TCP and UDP.
    pub port: u16,
}

impl Rsyslog {
    /// On a port of its own.
    pub fn start() -> Self {
        Self::start_at(free_port())
    }

    /// On a port that is known before.
    pub fn start_at(port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        let fields = "%protocol-version%|%syslogfacility-text%|%syslogseverity-text%|%timereported:::date-rfc3339%|%app-name%|%procid%|%msgid%|%structured-data%|%msg%";
        let input =
            |kind| format!("input(type=\"{kind}\" address=\"127.0.0.1\" port=\"{port}\" ruleset=\"out\")\n");
        let conf = format!(
            "global(workDirectory=\"{path}\" maxMessageSize=\"16k\")\nmodule(load=\"imudp\")\nmodule(load=\"imtcp\")\n\
             template(name=\"fields\" type=\"string\" string=\"{fields}\\n\")\n{}{}\
             ruleset(name=\"out\") {{ action(type=\"omfile\" file=\"{path}/out\" template=\"fields\") }}\n",
            input("imudp"),
            input("imtcp"),
        );
        fs::write(dir.path().join("conf"), conf).unwrap();
        let child = Command::new(crate::tool("rsyslog", "rsyslogd").unwrap())
            .args(["-n", "-f"])
            .arg(dir.path().join("conf"))
            .arg("-i")
            .arg(dir.path().join("pid"))
            .spawn()
            .unwrap();
        let started = Self { _running: Running(child), dir, port };
        listens(port);
        started
    }

    /// The first line that holds `word`, in fields.
    pub fn fields(&self, word: &str) -> Vec<String> {
        let line = until("a line of syslog", || {
            let text = fs::read_to_string(self.dir.path().join("out")).ok()?;
            text.lines().find(|line| line.contains(word)).map(str::to_owned)
        });
        line.split('|').map(str::to_owned).collect()
    }
}

/// Postfix with a queue, a mailbox and a certificate of its own.
#[derive(Debug)]
pub struct Postfix {
    dir: tempfile::TempDir,
    /// Takes mail in the clear and after STARTTLS.
    pub port: u16,
    /// Encrypted from the first byte.
    pub tls_port: u16,
}

impl Postfix {
    /// On ports of its own.
    pub fn start() -> Self {
        Self::start_at(free_port())
    }

    /// On a port that is known before.
    pub fn start_at(port: u16) -> Self {
        Self::start_with(port, "")
    }

    /// With further lines of its main.cf.
    pub fn start_with(port: u16, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let started = Self { dir, port, tls_port: free_port() };
        for folder in ["etc", "queue", "data", "mail"] {
            fs::create_dir(started.path(folder)).unwrap();
        }
        chown(started.path("mail"), Some(65534), Some(65534)).unwrap();
        assert!(Command::new("chown").arg("postfix").arg(started.path("data")).status().unwrap().success());
        started.certificate();
        fs::write(started.path("etc/main.cf"), started.main_cf() + settings).unwrap();
        fs::write(started.path("etc/master.cf"), started.master_cf()).unwrap();
        assert!(started.postfix("start"), "{}", started.log());
        listens(started.port);
        started
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    fn postfix(&self, word: &str) -> bool {
        let postfix = crate::tool("postfix", "postfix").unwrap();
        let config = self.path("etc");
        let quiet = || Stdio::null();
        Command::new(postfix)
            .arg("-c")
            .arg(config)
            .arg(word)
            .stderr(quiet())
            .status()
            .is_ok_and(|s| s.success())
    }

    /// What it wrote into its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("maillog")).unwrap_or_default()
    }

    /// The hospital's own authority, which no system knows.
    pub fn ca(&self) -> PathBuf {
        self.path("etc/ca.pem")
    }

    fn certificate(&self) {
        let openssl = |arguments: &str| {
            let status = Command::new("openssl")
                .args(arguments.split(' '))
                .current_dir(self.path("etc"))
                .stderr(Stdio::null())
                .status();
            assert!(status.unwrap().success(), "openssl {arguments}");
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=hospital -days 2"));
        openssl(&format!("req {key} -keyout key.pem -out request.pem -subj /CN=127.0.0.1"));
        fs::write(self.path("etc/ext"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        openssl(
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile ext",
        );
    }

    fn main_cf(&self) -> String {
        let path = self.dir.path().display();
        format!(
            "compatibility_level = 3.6\nqueue_directory = {path}/queue\ndata_directory = {path}/data\n\
             command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
             setgid_group = postdrop\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
             myhostname = mail.hospital.invalid\nmydestination =\nmynetworks = 127.0.0.0/8\nalias_maps =\n\
             virtual_mailbox_domains = hospital.invalid\nvirtual_mailbox_base = {path}/mail\n\
             virtual_mailbox_maps = inline:{{ {{oncall@hospital.invalid=oncall/}} }}\n\
             virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
             smtpd_recipient_restrictions = permit_mynetworks, reject\nmaillog_file = {path}/maillog\n\
             maillog_file_prefixes = {path}\nsmtpd_tls_security_level = may\n\
             smtpd_tls_cert_file = {path}/etc/cert.pem\nsmtpd_tls_key_file = {path}/etc/key.pem\n"
        )
    }

    fn master_cf(&self) -> String {
        let services = "cleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\n\
             bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\n\
             showq unix n - n - - showq\nerror unix - - n - - error\nretry unix - - n - - error\nvirtual unix - n n - - virtual\n\
             anvil unix - - n - 1 anvil\ntlsmgr unix - - n 1000? 1 tlsmgr\nproxymap unix - - n - - proxymap\n\
             postlog unix-dgram n - n - 1 postlogd\n";
        let (port, tls_port) = (self.port, self.tls_port);
        format!(
            "127.0.0.1:{port} inet n - n - - smtpd\n\
             127.0.0.1:{tls_port} inet n - n - - smtpd\n -o smtpd_tls_wrappermode=yes\n{services}"
        )
    }

    /// Every mail that lies in the mailbox, as bytes.
    pub fn mails(&self) -> Vec<Vec<u8>> {
        let Ok(entries) = fs::read_dir(self.path("mail/oncall/new")) else { return Vec::new() };
        entries.flatten().map(|entry| fs::read(entry.path()).unwrap()).collect()
    }

    /// Waits until nothing is on its way any more.
    pub fn settled(&self) {
        until("an empty queue", || {
            let listed = Command::new("postqueue").arg("-c").arg(self.path("etc")).arg("-j").output().ok()?;
            (listed.status.success() && listed.stdout.is_empty()).then_some(())
        });
    }

    /// Every mail that lies in the mailbox, once one holds `word`.
    pub fn mail(&self, word: &str) -> String {
        until("the mail", || {
            let read = |path: &Path| fs::read_to_string(path).ok().filter(|mail| mail.contains(word));
            let entries = fs::read_dir(self.path("mail/oncall/new")).ok()?;
            entries.flatten().find_map(|entry| read(&entry.path()))
        })
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.postfix("abort");
        // The daemon ends a moment later than the word that ends it.
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() && Instant::now() < end {
            sleep(Duration::from_millis(20));
        }
    }
}
