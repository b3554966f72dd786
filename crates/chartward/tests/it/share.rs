//! A share of a real Samba, looked at from outside while its server encrypts itself, and while it does its daily work.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::samba::{PASSWORD, Samba, user};
use crate::support::{BINARY, Run, run};

const PATIENTS: u32 = 50;

/// A Samba that serves a hospital; dropped, it is gone.
struct Server {
    samba: Samba,
    port: u16,
    dir: TempDir,
}

impl Server {
    /// `None` where a part is missing, after saying so.
    fn start(test: &str, patients: u32) -> Option<Server> {
        Server::start_with(test, patients, |_| String::new())
    }

    /// With more lines in the share's part of its configuration, made for the server's folder.
    fn start_with(test: &str, patients: u32, more: impl Fn(&Path) -> String) -> Option<Server> {
        testkit::tool(test, "smbd")?;
        testkit::tool(test, "python3")?;
        let dir = TempDir::with_prefix("chartward-share-").unwrap();
        let hospital = dir.path().join("hospital");
        let made = run(Command::new(BINARY)
            .args(["sample", "hospital", "--json", "--patients", &patients.to_string()])
            .arg(&hospital));
        assert_eq!(made.code, 0, "{}", made.stderr);
        let samba = Samba::start(test, dir.path(), &hospital, &more(dir.path()), None)?;
        let account = dir.path().join("account");
        fs::write(&account, format!("username={}\npassword={PASSWORD}\n", user())).unwrap();
        fs::set_permissions(&account, fs::Permissions::from_mode(0o600)).unwrap();
        Some(Server { port: samba.port, samba, dir })
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("hospital")
    }

    fn share() -> &'static str {
        "//127.0.0.1/ssmix"
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .arg("share")
            .args(args)
            .args(["--json", "--port", &self.port.to_string()])
            .arg("--credentials")
            .arg(self.dir.path().join("account"));
        command
    }

    fn pull(&self, to: &Path) -> Run {
        run(&mut self.command(&["pull", Server::share(), "--to", to.to_str().unwrap()]))
    }

    fn watch(&self, more: &[&str]) -> Watch {
        let mut child = self
            .command(&[Server::share()])
            .arg("--state")
            .arg(self.dir.path().join("watch"))
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        let mut watch = Watch { child, lines, seen: Vec::new() };
        watch.wait_for("ready", Duration::from_secs(60)).expect("the watch is never ready");
        watch
    }
}

struct Watch {
    child: Child,
    lines: Receiver<Value>,
    seen: Vec<Value>,
}

impl Watch {
    fn wait_for(&mut self, kind: &str, patience: Duration) -> Option<Value> {
        let end = Instant::now() + patience;
        loop {
            let line = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
            self.seen.push(line.clone());
            if line["type"] == kind {
                return Some(line);
            }
        }
    }

    fn count(&self, kind: &str) -> usize {
        self.seen.iter().filter(|line| line["type"] == kind).count()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// XORs files of the tree with a seeded stream, so that it can be turned back; it writes how many it has done.
const ENCRYPTOR: &str = r#"
import os, random, sys, time
root, kind, pace, only = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]
assert os.path.isfile(os.path.join(root, "..", "smb.conf")), "refused: no test made this tree"
files = sorted(os.path.join(d, n) for d, _, x in os.walk(root) for n in x if only in os.path.join(d, n))
for done, f in enumerate(files, 1):
    with open(f, "rb") as h: data = h.read()
    key = random.Random(f).randbytes(len(data))
    if kind == "first4k": key = key[:4096] + bytes(max(0, len(data) - 4096))
    out = bytes(a ^ b for a, b in zip(data, key))
    if kind == "newdelete":
        with open(f + ".lockbit", "wb") as h: h.write(out)
        os.unlink(f)
    else:
        times = os.stat(f)
        with open(f, "r+b") as h: h.write(out)
        if kind == "sametime": os.utime(f, ns=(times.st_atime_ns, times.st_mtime_ns))
        if kind == "gandcrab":
            os.rename(f, f + ".KRAB")
            with open(os.path.join(os.path.dirname(f), "KRAB-DECRYPT.txt"), "w") as h: h.write("pay")
        if kind == "random":
            os.rename(f, os.path.join(os.path.dirname(f), "%016x" % random.Random(f).getrandbits(64)))
    print(done, flush=True)
    time.sleep(pace)
"#;

struct Encryptor {
    child: Child,
    done: Receiver<u64>,
    started: Instant,
}

impl Encryptor {
    fn start(server: &Server, kind: &str, pace: f64, only: &str) -> Encryptor {
        let mut child = Command::new("python3")
            .args(["-c", ENCRYPTOR])
            .arg(server.tree())
            .args([kind, &pace.to_string(), only])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (send, done) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(line.parse().unwrap());
            }
        });
        Encryptor { child, done, started: Instant::now() }
    }

    fn files(&self) -> u64 {
        self.done.try_iter().last().unwrap_or(0)
    }
}

impl Drop for Encryptor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[allow(clippy::print_stdout, reason = "the figures per class are what a reader of the test's output wants")]
fn check_attack(test: &str, kind: &str, pace: f64, only: &str, planted: bool) {
    let Some(server) = Server::start(test, PATIENTS) else { return };
    let plant: &[&str] = if planted { &["--plant"] } else { &[] };
    let mut watch = server.watch(&[&["--canary-interval", "1", "--look-interval", "3"], plant].concat());
    let attack = Encryptor::start(&server, kind, pace, only);
    let finding = watch.wait_for("finding", Duration::from_secs(30));
    let (seconds, files) = (attack.started.elapsed().as_secs_f64(), attack.files());
    let finding = finding.unwrap_or_else(|| panic!("{kind} is not seen: {:?}", watch.seen));
    println!(
        "{kind} decoys={planted} pace={pace} only={only:?}: {files} files, {seconds:.1} s: {}",
        finding["reasons"]
    );
    assert_eq!(finding["detector"], "encryption.share");
    assert_eq!(finding["attacks"][0]["technique"]["uid"], "T1486");
    let line = finding.to_string();
    assert!(line.contains("//127.0.0.1/ssmix") && line.contains("from outside"), "{line}");
    let said = serde_json::to_string(&watch.seen).unwrap();
    assert!(!said.contains("OML-11") && !said.contains("ADT-"), "a record is named on stdout");
}

#[test]
fn a_server_that_encrypts_itself_is_seen_by_decoys() {
    let test = "a_server_that_encrypts_itself_is_seen_by_decoys";
    for kind in ["gandcrab", "inplace", "newdelete"] {
        check_attack(test, kind, 0.02, "", true);
    }
}

#[test]
fn a_server_that_encrypts_itself_is_seen_without_writing_to_it() {
    let test = "a_server_that_encrypts_itself_is_seen_without_writing_to_it";
    for kind in ["gandcrab", "sametime", "first4k", "random"] {
        check_attack(test, kind, 0.02, "", false);
    }
    // Slowly, and only old files somewhere in the middle.
    check_attack(test, "inplace", 1.0, "/OML-11/", false);
}

/// Python over the tree in argv[1], with room beside it in argv[2].
const JOBS: [(&str, &str); 7] = [
    (
        "a nightly batch of 2000 records",
        "for i in range(2000):\n d=os.path.join(T,'998','%03d'%(i%50),'998%07d'%i,'20250101','OML-11'); os.makedirs(d)\n \
         open(os.path.join(d,'998%07d_20250101_OML-11_%015d_20250101010101000_01_1'%(i,i)),'wb').write(b'MSH|^~\\\\&|HIS\\rPID|1||%d\\r'%i*9)",
    ),
    (
        "a re-export of every record with the same structure",
        "for f in files():\n b=open(f,'rb').read(); open(f,'wb').write(b.replace(b'|P|2.5',b'|P|2.5.1'))",
    ),
    (
        "updates that turn current records into history",
        "for f in files()[:400]:\n if f.endswith('_1'):\n  b=open(f,'rb').read(); os.rename(f,f[:-1]+'2'); open(f,'wb').write(b+b'NTE|1||x\\r')",
    ),
    ("deletion of old files", "for f in files()[:300]: os.unlink(f)"),
    (
        "a copy of the tree into the tree",
        "shutil.copytree(T, os.path.join(B,'copy')); shutil.copytree(os.path.join(B,'copy'), os.path.join(T,'copy'))",
    ),
    (
        "archives beside the records",
        "shutil.make_archive(os.path.join(B,'a'),'zip',T); shutil.move(os.path.join(B,'a.zip'), os.path.join(T,'all.zip'))\n\
         import gzip\nfor f in files()[:50]:\n b=open(f,'rb').read(); gzip.open(f+'.gz','wb').write(b); os.unlink(f)",
    ),
    (
        "a clock that is wrong, and a backup that renames",
        "for f in files()[:200]: os.utime(f,(4e9,4e9))\nfor f in files()[200:260]: os.rename(f,f+'.bak')",
    ),
];

#[test]
fn daily_work_is_left_alone() {
    let test = "daily_work_is_left_alone";
    for (name, job) in JOBS {
        let Some(server) = Server::start(test, 20) else { return };
        let mut watch = server.watch(&["--canary-interval", "0.5", "--look-interval", "1", "--plant"]);
        let script = format!(
            "import os,shutil,sys\nT,B=sys.argv[1:]\n\
             def files(): return sorted(os.path.join(d,n) for d,_,x in os.walk(T) for n in x if '/!' not in d+'/'+n and '/~' not in d)\n{job}"
        );
        let done =
            Command::new("python3").args(["-c", &script]).arg(server.tree()).arg(server.dir.path()).status();
        assert!(done.unwrap().success(), "{name} fails");
        for _ in 0..2 {
            let looks = watch.count("look");
            watch.wait_for("look", Duration::from_secs(20)).unwrap();
            assert!(watch.count("look") > looks);
        }
        assert_eq!(watch.count("finding"), 0, "{name} is taken for an attack: {:?}", watch.seen);
    }
}

#[test]
fn a_server_that_restarts_is_missed_and_seen_again() {
    let test = "a_server_that_restarts_is_missed_and_seen_again";
    let Some(mut server) = Server::start(test, 5) else { return };
    let mut watch = server.watch(&["--canary-interval", "0.5", "--look-interval", "1", "--plant"]);
    server.samba.stop();
    let missed =
        watch.wait_for("missed", Duration::from_secs(20)).expect("nobody says that the share is gone");
    assert_eq!(missed["answers"], false);
    server.samba.go();
    let again =
        watch.wait_for("missed", Duration::from_secs(20)).expect("nobody says that the share is back");
    assert_eq!(again["answers"], true);
    watch.wait_for("look", Duration::from_secs(20)).unwrap();
    assert_eq!(watch.count("finding"), 0, "{:?}", watch.seen);
    let _attack = Encryptor::start(&server, "inplace", 0.02, "");
    assert!(watch.wait_for("finding", Duration::from_secs(20)).is_some());
}

#[test]
fn decoys_are_planted_known_again_and_taken_away() {
    let Some(server) = Server::start("decoys_are_planted_known_again_and_taken_away", 3) else { return };
    let before = crate::support::files(&server.tree());
    let watch = server.watch(&["--plant"]);
    assert_eq!(watch.seen[0]["canaries"], 3);
    drop(watch);
    assert_eq!(crate::support::files(&server.tree()).len(), before.len() + 3);
    assert_eq!(server.watch(&[]).seen[0]["canaries"], 3, "a restart knows them again");
    let state = server.dir.path().join("watch");
    let done = run(server.command(&[Server::share(), "--unplant"]).arg("--state").arg(state));
    assert_eq!((done.code, &done.last()["removed"]), (0, &3.into()), "{}", done.stderr);
    assert_eq!(crate::support::files(&server.tree()), before);
    assert!(
        fs::read_dir(server.tree()).unwrap().all(|entry| !entry
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .starts_with('!'))
    );
}

#[test]
fn a_share_is_pulled_whole_and_then_only_what_changed() {
    let Some(server) = Server::start("a_share_is_pulled_whole_and_then_only_what_changed", PATIENTS) else {
        return;
    };
    let big: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    fs::write(server.tree().join("scan.bin"), &big).unwrap();
    let long = server.tree().join(format!("{}.pdf", "あ".repeat(80)));
    fs::write(&long, "x").unwrap();
    let to = server.dir.path().join("mirror");
    let mirrored = || {
        let mut files = crate::support::files(&to);
        files.remove(Path::new(".chartward-pull")).unwrap();
        files
    };
    let first = server.pull(&to);
    assert_eq!((first.code, &first.last()["unstorable"]), (1, &1.into()), "{}", first.stderr);
    fs::remove_file(&long).unwrap();
    let second = server.pull(&to);
    assert_eq!((second.code, &second.last()["fetched"]), (0, &0.into()), "{}", second.stderr);
    assert_eq!(mirrored(), crate::support::files(&server.tree()));
    let gone = mirrored().keys().next().unwrap().clone();
    fs::remove_file(server.tree().join(&gone)).unwrap();
    fs::write(server.tree().join("scan.bin"), b"shorter").unwrap();
    let third = server.pull(&to);
    let last = third.last();
    assert_eq!((third.code, &last["fetched"], &last["removed"]), (0, &1.into(), &1.into()), "{last}");
    assert_eq!(mirrored(), crate::support::files(&server.tree()));
}

/// Samba's snapshots in a folder: what VSS is on a Windows server.
fn previous_versions(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "vfs objects = shadow_copy2\nshadow:snapdir = {dir}/snapshots\nshadow:basedir = {dir}/hospital\nshadow:sort = desc\n\
         shadow:localtime = no\n"
    )
}

#[test]
fn a_share_with_previous_versions_is_pulled_as_it_was_at_one_instant() {
    let test = "a_share_with_previous_versions_is_pulled_as_it_was_at_one_instant";
    let module = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|machine| format!("/usr/lib/{machine}/samba/vfs/shadow_copy2.so"));
    if !module.iter().any(|module| Path::new(module).exists()) {
        return testkit::skip(test, "Samba's shadow_copy2 is not installed (./test installs it)");
    }
    let Some(server) = Server::start_with(test, 5, previous_versions) else { return };
    let to = server.dir.path().join("mirror");
    let pull = |more: &[&str]| {
        let mut command = server.command(&["pull", Server::share(), "--to", to.to_str().unwrap()]);
        let pulled = run(command.args(more));
        assert_eq!(pulled.code, 0, "{}", pulled.stderr);
        pulled.last().clone()
    };
    let mirrored = || {
        let mut files = crate::support::files(&to);
        files.remove(Path::new(".chartward-pull")).unwrap();
        files
    };
    // None yet: the files are of when each was read, and it is said.
    let old = server.dir.path().join("mirror-without");
    let first = server.pull(&old);
    assert_eq!(first.last()["instant"]["files_are_of"], "many");

    fs::write(server.tree().join("scan.bin"), vec![7; 300_000]).unwrap();
    let then = jiff::Timestamp::now().checked_sub(jiff::SignedDuration::from_mins(10)).unwrap();
    snapshot(&server, then);
    let as_it_was = crate::support::files(&server.tree());
    // What an attacker, or the day's work, did since.
    fs::write(server.tree().join("scan.bin"), "encrypted").unwrap();
    fs::write(server.tree().join("note.txt"), "pay").unwrap();
    let pulled = pull(&[]);
    assert_eq!(pulled["instant"]["files_are_of"], "one", "{pulled}");
    assert_eq!(mirrored(), as_it_was);
    assert_eq!(pull(&[])["fetched"], 0, "the same previous version again");
    // The instant is sealed with what is backed up of it.
    let site = crate::support::Site::hospital(1);
    let sealed = || {
        let backup = site.vaulted(["backup", to.to_str().unwrap()]);
        assert!(backup.code < 2, "{}", backup.stderr);
        backup.last()["moments"][0]["pulled_as_of"]
            .as_str()
            .map(|at| at.parse::<jiff::Timestamp>().unwrap().as_second())
    };
    assert_eq!(sealed(), Some(then.as_second()));
    // Too old for what is asked: the share as it is. And nothing goes back in time after that.
    assert_eq!(pull(&["--shadow-max-age", "60"])["instant"]["files_are_of"], "too_old");
    assert_eq!(mirrored(), crate::support::files(&server.tree()));
    assert_eq!(sealed(), None, "its files are of different instants now");
    assert_eq!(pull(&[])["instant"]["files_are_of"], "too_old");
    assert_eq!(mirrored(), crate::support::files(&server.tree()));
}

fn snapshot(server: &Server, at: jiff::Timestamp) {
    let name = at.strftime("@GMT-%Y.%m.%d-%H.%M.%S").to_string();
    let to = server.dir.path().join("snapshots");
    fs::create_dir_all(&to).unwrap();
    let copied = Command::new("cp").arg("-a").arg(server.tree()).arg(to.join(name)).status();
    assert!(copied.unwrap().success());
}

#[test]
fn what_cannot_be_watched_is_refused_with_its_reason() {
    let Some(server) = Server::start("what_cannot_be_watched_is_refused_with_its_reason", 1) else { return };
    let wrong = server.dir.path().join("wrong");
    fs::write(&wrong, "username=nobody-here\npassword=x\n").unwrap();
    fs::set_permissions(&wrong, fs::Permissions::from_mode(0o600)).unwrap();
    for (args, expected) in [
        (vec!["ssmix"], "//server/share"),
        (vec!["//127.0.0.1/nothing-here"], "connect to //127.0.0.1/nothing-here"),
        (vec!["//127.0.0.1/ssmix", "--look-interval", "0"], "between 0.1"),
    ] {
        let refused = run(server.command(&args).arg("--state").arg(server.dir.path()));
        assert_eq!(refused.code, 2, "{args:?}");
        assert!(refused.stderr.contains(expected), "{args:?}: {}", refused.stderr);
    }
    let refused = run(Command::new(BINARY)
        .args(["share", Server::share(), "--port", &server.port.to_string(), "--credentials"])
        .arg(&wrong)
        .arg("--state")
        .arg(server.dir.path()));
    assert_eq!(refused.code, 2);
    assert!(!refused.stderr.contains("password=x"));
}

#[test]
fn the_watch_answers_how_it_stands_also_while_the_server_is_gone() {
    let Some(mut server) = Server::start("the_watch_answers_how_it_stands", 3) else { return };
    let socket = server.dir.path().join("watch").join("control.sock");
    let _watch = server.watch(&[
        "--canary-interval",
        "0.3",
        "--look-interval",
        "0.5",
        "--control",
        socket.to_str().unwrap(),
    ]);
    let ask = |request: &str| -> Value {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        writeln!(stream, "{request}").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let until = |what: &str, is: &dyn Fn(&Value) -> bool| {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let health = ask(r#"{"do":"health"}"#);
            if is(&health) {
                return health;
            }
            assert!(Instant::now() < end, "it is never {what}: {health}");
            thread::sleep(Duration::from_millis(50));
        }
    };
    let health = until("looked at", &|health| !health["looked_at"].is_null());
    assert_eq!(
        (&health["ok"], &health["answers"], &health["mode"]),
        (&true.into(), &true.into(), &"share".into())
    );
    assert!(health["files"].as_u64().unwrap() > 10 && health["complete"] == true, "{health}");
    // It acts on nobody.
    assert_eq!(ask(r#"{"do":"release","pid":7,"start_ticks":7}"#)["ok"], false);
    server.samba.stop();
    until("without its server", &|health| health["answers"] == false);
}
