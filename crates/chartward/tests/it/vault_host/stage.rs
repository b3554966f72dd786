//! A vault host that a test started, its clients, and a door for requests that no honest client makes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use base64::Engine;
use serde_json::Value;
use tempfile::TempDir;
pub(super) use testkit::noise;

use crate::support::{BINARY, PASSPHRASE, Run, files, restored, run};

pub(super) struct Stage {
    dir: TempDir,
    pub(super) addr: SocketAddr,
    pub(super) fingerprint: Option<String>,
    child: Child,
    /// Kept open: a server whose reader went away would lose its voice.
    _lines: BufReader<ChildStdout>,
    keys: BTreeMap<String, String>,
    tls: bool,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stage {
    /// A host with TLS.
    pub(super) fn new(clients: &[&str], more: &[&str]) -> Stage {
        Stage::start(clients, more, true)
    }

    /// A host without, so that requests can be written by hand.
    pub(super) fn plain(clients: &[&str], more: &[&str]) -> Stage {
        Stage::start(clients, more, false)
    }

    fn start(clients: &[&str], more: &[&str], tls: bool) -> Stage {
        let dir = TempDir::with_prefix("chartward-host-").unwrap();
        let host = dir.path().join("host");
        let mut keys = BTreeMap::new();
        for client in clients {
            let (name, rest) = client.split_once(' ').unwrap_or((client, ""));
            let mut command = Command::new(BINARY);
            command.args(["vault", "client", "add", name, "--json"]).args(rest.split_whitespace());
            let added = run(command.arg("--host").arg(&host));
            assert_eq!(added.code, 0, "{}", added.stderr);
            keys.insert(name.to_owned(), added.last()["key"].as_str().unwrap().to_owned());
        }
        let mut command = Command::new(BINARY);
        command.args([
            "vault",
            "serve",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--immutable",
            "off",
            "--lang",
            "en",
        ]);
        if !tls {
            command.arg("--no-tls");
        }
        command.arg("--host").arg(&host).args(more).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["type"], "ready", "{line}");
        Stage {
            addr: ready["addr"].as_str().unwrap().parse().unwrap(),
            fingerprint: ready["fingerprint"].as_str().map(str::to_owned),
            dir,
            child,
            _lines: lines,
            keys,
            tls,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn key(&self, client: &str) -> &str {
        &self.keys[client]
    }

    /// A folder with files, some of them large enough for several chunks.
    pub(super) fn source(&self, name: &str, seed: u64) -> PathBuf {
        let dir = self.path(name);
        fs::create_dir_all(dir.join("診療")).unwrap();
        for number in 0..20u64 {
            fs::write(dir.join(format!("診療/{number}")), noise(seed + number, 3000)).unwrap();
        }
        fs::write(dir.join("database"), noise(seed + 100, 6 << 20)).unwrap();
        dir
    }

    fn scheme(&self) -> &str {
        if self.tls { "https" } else { "http" }
    }

    pub(super) fn address(&self, repository: &str) -> String {
        format!("rest:{}://{}/{repository}/", self.scheme(), self.addr)
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.path("host/tls/certificate.pem")
    }

    /// The binary as a client whose repository it is.
    pub(super) fn command<'a>(&self, client: &str, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(args)
            .env("CHARTWARD_PASSWORD", PASSPHRASE)
            .env("LC_ALL", "C.UTF-8")
            .env("CHARTWARD_VAULT", self.address(client))
            .env("CHARTWARD_REST_KEY", self.key(client));
        if self.tls {
            command.env("CHARTWARD_REST_CA", self.certificate());
        }
        command
    }

    pub(super) fn ours<'a>(&self, client: &str, args: impl IntoIterator<Item = &'a str>) -> Run {
        run(self.command(client, args).arg("--json"))
    }

    pub(super) fn init(&self, client: &str) {
        let address = self.address(client);
        let state = self.path("state");
        let made = run(self.command(client, ["vault", "init", &address, "--json", "--state"]).arg(state));
        assert_eq!(made.code, 0, "{}", made.stderr);
    }

    pub(super) fn backup(&self, client: &str, source: &Path) -> Run {
        let state = self.path("state");
        let (source, state) = (source.to_str().unwrap(), state.to_str().unwrap());
        self.ours(client, ["backup", source, "--state", state])
    }

    /// A command on the host itself.
    pub(super) fn at_host<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Run {
        let mut command = Command::new(BINARY);
        command.arg("vault").args(args).env("CHARTWARD_PASSWORD", PASSPHRASE).env("LC_ALL", "C.UTF-8");
        run(command.arg("--json").arg("--host").arg(self.path("host")))
    }

    /// A stock restic with a client's key, on a repository or a view of it.
    pub(super) fn restic(&self, client: &str, repository: &str, args: &[&str]) -> Output {
        let (scheme, key, addr) = (self.scheme(), self.key(client), self.addr);
        let mut command = Command::new("restic");
        command.args(["--no-cache", "-r", &format!("rest:{scheme}://{client}:{key}@{addr}/{repository}/")]);
        if self.tls {
            command.arg("--cacert").arg(self.certificate());
        }
        command.args(args).env("RESTIC_PASSWORD", PASSPHRASE).output().unwrap()
    }

    pub(super) fn restic_ok(&self, client: &str, repository: &str, args: &[&str]) -> String {
        let output = self.restic(client, repository, args);
        assert!(output.status.success(), "restic {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A snapshot comes back as the source was, by both engines.
    pub(super) fn assert_restores(
        &self,
        client: &str,
        repository: &str,
        snapshot: &str,
        source: &Path,
        as_was: &Files,
    ) {
        let (one, two) = (self.path(&format!("{snapshot}.restic")), self.path(&format!("{snapshot}.ours")));
        for target in [&one, &two] {
            let _ = fs::remove_dir_all(target);
        }
        self.restic_ok(
            client,
            repository,
            &["--no-lock", "restore", snapshot, "--target", one.to_str().unwrap()],
        );
        assert!(files(&restored(&one, source)) == *as_was, "restic restored something else");
        let ours = self.ours_restore(client, repository, snapshot, &two);
        assert_eq!(ours.code, 0, "{}", ours.stderr);
        assert!(files(&restored(&two, source)) == *as_was, "our own engine restored something else");
    }

    pub(super) fn ours_restore(&self, client: &str, repository: &str, snapshot: &str, target: &Path) -> Run {
        let address = self.address(repository);
        let target = target.to_str().unwrap();
        run(self
            .command(client, ["restore", snapshot, "--target", target, "--vault", &address])
            .arg("--json"))
    }

    /// A request as it is written here, over a connection of its own; status and body.
    pub(super) fn raw(&self, bytes: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // What the server does not want to hear it need not read.
        let _ = stream.write_all(bytes);
        read_answer(&mut stream)
    }

    /// A request whose sender goes away before its end.
    pub(super) fn cut(&self, bytes: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        read_answer(&mut stream)
    }

    /// A request with a client's key.
    pub(super) fn request(&self, client: &str, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        self.raw(&self.written(client, self.key(client), method, path, body))
    }

    pub(super) fn written(&self, name: &str, key: &str, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let login = base64::prelude::BASE64_STANDARD.encode(format!("{name}:{key}"));
        let length = body.len();
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nHost: vault\r\nAuthorization: Basic {login}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
        .into_bytes();
        text.extend_from_slice(body);
        text
    }

    /// Everything in a repository's folder at the host but locks.
    pub(super) fn stored(&self, client: &str) -> Files {
        let mut all = files(&self.path("host/repositories").join(client));
        all.retain(|path, _| !path.starts_with("locks"));
        all
    }

    pub(super) fn audited(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("host/audit.jsonl")).unwrap();
        let what =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["what"].as_str().unwrap().to_owned();
        text.lines().map(what).collect()
    }
}

pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

pub(super) fn read_answer(stream: &mut TcpStream) -> (u16, String) {
    let mut answer = Vec::new();
    // A connection that is cut after the answer is no failure of the answer.
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
