//! The guard as a child of the hub: with its capabilities and none fewer, and what it answers when it is asked.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Group, Hub, PYTHON, Place, SOMEBODY, has_python};

/// A tree of another user's records with the guard on it.
struct Ward {
    place: Place,
    tree: PathBuf,
    hub: Hub,
    sock: PathBuf,
}

type Records = std::collections::BTreeMap<PathBuf, (Vec<u8>, u32, u32, i64)>;

impl Ward {
    fn new(caps: Option<&[&str]>) -> Ward {
        let place = Place::new();
        let tree = place.dir("tree", 0o777);
        for number in 0..40 {
            let folder = tree.join(format!("{}", number / 10));
            fs::create_dir_all(&folder).unwrap();
            let path = folder.join(format!("{number:010}_OML-11"));
            let mut record =
                format!("MSH|^~\\&|HIS|SEND|GW|RECEIVE|20181016054000||OML^O33^OML_O33|{number}|P|2.5\r");
            for line in 0..2 + number % 12 {
                record +=
                    &format!("OBX|{line}|NM|3A010{line}^TP^JC10||{}.{line}|g/dL|||||F\r", number * 7 % 90);
            }
            fs::write(&path, record).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
            for path in [&path, &folder] {
                std::os::unix::fs::chown(path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
            }
        }
        place.file("made-by-the-guard-test", tree.to_str().unwrap());
        place.file("attack.py", include_str!("../guard/attack.py"));
        let (sock, state) = (place.path("state/control/guard.sock"), place.path("state"));
        let args =
            json!(["guard", "--json", "--mode", "permission", "--state", state, "--control", sock, tree]);
        let mut watcher = json!({"name": "guard", "class": "guard", "program": {"own": args}, "limits": {"grace_ms": 3000}});
        if let Some(caps) = caps {
            watcher["confinement"] = json!({
                "user": "root", "caps": caps, "all_files": true, "mounts": true, "local_sockets": true, "processes_max": null, "open_files_max": null,
            });
        }
        let hub = Hub::start(&place, &json!([watcher]), &["--seconds", "60"]);
        Ward { place, tree, hub, sock }
    }

    fn attack(&self) -> Group {
        let mut command = Command::new(PYTHON);
        command
            .arg(self.place.path("attack.py"))
            .arg("rename-over")
            .arg(&self.tree)
            .uid(SOMEBODY)
            .gid(SOMEBODY);
        Group::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
    }

    fn line(&mut self, kind: &str, patience: Duration) -> Option<Value> {
        let end = Instant::now() + patience;
        while let Ok(line) = self.hub.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.hub.seen.push(line.clone());
            if line["line"]["type"] == kind {
                return Some(line["line"].clone());
            }
        }
        None
    }

    fn records(&self) -> Records {
        let mut found = Records::new();
        for folder in fs::read_dir(&self.tree).unwrap() {
            for file in fs::read_dir(folder.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                let meta = fs::metadata(&path).unwrap();
                found.insert(path.clone(), (fs::read(&path).unwrap(), meta.uid(), meta.mode(), meta.mtime()));
            }
        }
        found
    }

    fn ask(&self, request: &Value) -> Value {
        use std::io::Write;
        let mut stream = std::os::unix::net::UnixStream::connect(&self.sock).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        writeln!(stream, "{request}").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn exe_is_evidence(&self) -> bool {
        let folders = fs::read_dir(self.place.path("state/guard/evidence")).into_iter().flatten().flatten();
        folders
            .map(|folder| fs::read_to_string(folder.path().join("processes.json")).unwrap_or_default())
            .any(|scene| {
                serde_json::from_str::<Value>(&scene)
                    .is_ok_and(|scene| scene["stopped"][0]["exe"].is_object())
            })
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_raw(self.hub.process.pid()).unwrap(), Signal::TERM);
        let _ = self.hub.process.0.wait();
        let _ = rustix::mount::unmount(&self.tree, rustix::mount::UnmountFlags::DETACH);
    }
}

const GUARD_CAPS: [&str; 7] =
    ["sys_admin", "dac_read_search", "dac_override", "chown", "fowner", "kill", "sys_ptrace"];

/// Whether a guard with these capabilities does all of its work; what fails first, if not.
fn guards(caps: Option<&[&str]>) -> Result<(), &'static str> {
    let mut ward = Ward::new(caps);
    let before = ward.records();
    ward.line("ready", Duration::from_secs(if caps.is_some() { 5 } else { 20 }))
        .ok_or("it is never ready")?;
    let mut attacker = ward.attack();
    let restored = ward.line("restored", Duration::from_secs(6)).ok_or("nobody is stopped")?;
    thread::sleep(Duration::from_millis(100));
    if attacker.0.try_wait().unwrap().is_some() {
        return Err("the attacker is not frozen");
    }
    if restored["files_irrecoverable"] != 0 {
        return Err("files are lost");
    }
    if ward.records() != before {
        return Err("files are not as before");
    }
    if !ward.exe_is_evidence() {
        return Err("the attacker's program is no evidence");
    }
    Ok(())
}

#[test]
fn the_guard_guards_with_its_capabilities_and_with_none_fewer() {
    let test = "the_guard_guards_with_its_capabilities_and_with_none_fewer";
    if !testkit::root(test) || !has_python(test) {
        return;
    }
    assert_eq!(guards(None), Ok(()));
    let attempts: Vec<_> = GUARD_CAPS
        .into_iter()
        .map(|without| {
            thread::spawn(move || {
                let caps: Vec<&str> = GUARD_CAPS.into_iter().filter(|cap| *cap != without).collect();
                (without, guards(Some(&caps)))
            })
        })
        .collect();
    for attempt in attempts {
        let (without, went) = attempt.join().unwrap();
        assert!(went.is_err(), "the guard does all of its work without {without}");
    }
}

#[test]
fn a_running_guard_is_asked_disarmed_armed_and_told_to_release() {
    let test = "a_running_guard_is_asked_disarmed_armed_and_told_to_release";
    if !testkit::root(test) || !has_python(test) {
        return;
    }
    let mut ward = Ward::new(None);
    ward.line("ready", Duration::from_secs(20)).unwrap();
    let health = ward.ask(&json!({"do": "health"}));
    assert_eq!(
        (&health["ok"], &health["armed"], &health["mode"]),
        (&true.into(), &true.into(), &"permission".into())
    );
    assert_eq!(ward.ask(&json!({"do": "reload"}))["reloaded"], json!([]));
    assert_eq!(ward.ask(&json!({"do": "release", "pid": 1, "start_ticks": 1}))["ok"], false);
    assert_eq!(ward.ask(&json!({"do": "disarm"}))["armed"], false);
    let before = ward.records();
    let mut attacker = ward.attack();
    assert!(ward.line("finding", Duration::from_secs(10)).is_some());
    assert!(attacker.0.wait().unwrap().success(), "a disarmed guard stops somebody");
    assert_ne!(ward.records(), before);
    for (path, (bytes, ..)) in &before {
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(ward.ask(&json!({"do": "arm"}))["armed"], true);
    let mut second = ward.attack();
    ward.line("restored", Duration::from_secs(10)).unwrap();
    assert!(second.0.try_wait().unwrap().is_none());
    let health = ward.ask(&json!({"do": "health"}));
    let frozen = health["frozen"].to_string();
    assert!(frozen.contains(&second.pid().to_string()), "{frozen}");
    let frozen =
        health["frozen_processes"].as_array().unwrap().iter().flat_map(|actor| actor.as_array().unwrap());
    let exactly = frozen.clone().find(|process| process["pid"] == second.pid()).unwrap();
    let start = exactly["start_ticks"].as_u64().unwrap();
    // A number that was given to somebody else meanwhile releases nobody.
    let ask = |start: u64| json!({"do": "release", "pid": second.pid(), "start_ticks": start});
    assert_eq!(ward.ask(&ask(start - 1))["ok"], false);
    assert_eq!(ward.ask(&json!({"do": "release", "pid": second.pid()}))["ok"], false);
    let released = ward.ask(&ask(start));
    assert_eq!(released["ok"], true, "{released}");
    assert!(released["released"].to_string().contains(&second.pid().to_string()), "{released}");
    let told = ward.line("action", Duration::from_secs(5)).unwrap();
    assert_eq!(told["outcome"], "undone", "{told}");
    // Nobody but the guard's own user and root is answered.
    let other = Command::new("setpriv").args(["--reuid=48214", "--regid=48214", "--clear-groups", "--", PYTHON, "-c"]).arg(
        "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ntry: s.connect(sys.argv[1])\nexcept OSError as e: print(e.errno)",
    ).arg(&ward.sock).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&other.stdout).trim(), "13");
}
