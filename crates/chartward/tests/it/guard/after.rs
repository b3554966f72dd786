//! After a stop: what is kept as evidence, and what a person can do about it.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Attacker, Case, contents};

const PATIENCE: Duration = Duration::from_secs(60);

/// A command of the guard on the case's state folder: its exit status and lines.
pub(super) fn guard(case: &Case, args: &[&str]) -> (i32, Vec<Value>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .arg("guard")
        .args(args)
        .args(["--json".as_ref(), "--state".as_ref(), case.dir.path().join("state").as_os_str()])
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code().unwrap(), lines, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .unwrap()
}

fn sha256(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}

/// GandCrab's manner, run by a program that has removed its own file, with a connection and a password in its environment.
fn conspicuous(case: &Case, port: u16) -> Attacker {
    let script = case.dir.path().join("attack.py");
    fs::write(&script, include_str!("attack.py")).unwrap();
    // The program itself, which `python3` may only be a script in front of.
    let asked = "import os,sys; print(os.path.realpath(sys.executable)); print(sys.prefix)";
    let told = Command::new("python3").args(["-c", asked]).output().unwrap().stdout;
    let told = String::from_utf8(told).unwrap();
    let (python, home) = told.trim().split_once('\n').unwrap();
    let program = case.dir.path().join("updater");
    fs::copy(python, &program).unwrap();
    let line = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; exec \"$0\" -c 'import os,sys; os.unlink(sys.argv[1]); \
         sys.argv=sys.argv[2:]; exec(compile(open(sys.argv[0]).read(),sys.argv[0],\"exec\"))' \"$0\" \"$@\""
    );
    let mut command = Command::new("bash");
    command.args(["-c", &line]).arg(&program).arg(&script).arg("gandcrab").arg(&case.tree);
    command.env("BACKUP_PASSWORD", "hunter2-in-the-clear").env("PYTHONHOME", home);
    Attacker::start(command)
}

#[test]
fn the_evidence_tells_who_did_it_and_holds_no_password() {
    let test = "the_evidence_tells_who_did_it_and_holds_no_password";
    if !testkit::root(test) || ["python3", "bash"].iter().any(|tool| testkit::tool(test, tool).is_none()) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut case = Case::new("permission", &[]);
    let attacker = conspicuous(&case, port);
    let restored = case.wait_for("restored", PATIENCE).expect("not stopped");
    assert_eq!(
        (&restored["files_irrecoverable"], &restored["evidence_missing"]),
        (&0.into(), &Value::Array(vec![]))
    );
    let folder = PathBuf::from(restored["evidence"].as_str().unwrap());
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);

    let scene = json(&folder.join("processes.json"));
    let pid = attacker.pid().as_raw_nonzero().get();
    let stopped = scene["stopped"].as_array().unwrap();
    let process = stopped.iter().find(|process| process["pid"] == pid).unwrap();
    assert_eq!((process["uid"][0].as_u64(), process["session"].as_i64().is_some()), (Some(0), true));
    assert!(
        process["started_at"].as_str().is_some()
            && process["command_line"].as_str().unwrap().contains("gandcrab")
    );
    let exe = &process["exe"];
    assert!(exe["path"].as_str().unwrap().ends_with("updater (deleted)"), "{exe}");
    let kept = folder.join("programs").join(exe["copy"].as_str().unwrap());
    assert_eq!(sha256(&kept), exe["sha256"].as_str().unwrap());
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let script = process["named_files"].as_array().unwrap().iter();
    let script = script.clone().find(|file| file["path"].as_str().unwrap().ends_with("attack.py")).unwrap();
    assert_eq!(script["sha256"].as_str().unwrap(), sha256(&case.dir.path().join("attack.py")));
    let sockets = process["sockets"].as_array().unwrap();
    assert!(sockets.iter().any(|socket| socket["remote"] == format!("127.0.0.1:{port}")), "{sockets:?}");
    let names: BTreeSet<_> =
        process["environment_names"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(names.contains("BACKUP_PASSWORD"), "{names:?}");
    assert!(
        process["executable_mappings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|path| path.as_str().unwrap().contains("libc"))
    );
    let own = i64::from(std::process::id());
    assert!(scene["ancestors"].as_array().unwrap().iter().any(|ancestor| ancestor["pid"] == own));
    let notes = json(&folder.join("notes.json"));
    assert!(notes[0]["text"].as_str().unwrap().contains("GANDCRAB"), "{notes}");

    // Everything is listed with its hash, and the list's hash was told.
    let manifest = json(&folder.join("manifest.json"));
    assert_eq!(restored["evidence_sha256"].as_str().unwrap(), sha256(&folder.join("manifest.json")));
    for (name, listed) in manifest.as_object().unwrap() {
        assert_eq!(listed["sha256"].as_str().unwrap(), sha256(&folder.join(name)), "{name}");
        let bytes = fs::read(folder.join(name)).unwrap();
        assert!(!bytes.windows(20).any(|part| part == b"hunter2-in-the-clear"), "{name} holds a password");
    }
    for name in ["finding.json", "processes.json", "files.json", "undo.json", "README.txt"] {
        assert!(manifest[name].is_object(), "{name} is not listed");
    }
    drop(attacker);
    case.end();
}

#[test]
fn a_stop_is_listed_undone_taken_back_and_ended() {
    let test = "a_stop_is_listed_undone_taken_back_and_ended";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    for kind in ["gandcrab", "rename-over", "new-then-delete"] {
        let mut case = Case::new("permission", &[]);
        let mut attacker = case.attack(kind);
        let restored = case.wait_for("restored", PATIENCE).unwrap_or_else(|| panic!("{kind}: not stopped"));
        let (code, stops, _) = guard(&case, &["incidents"]);
        assert_eq!((code, stops.len(), &stops[0]["standing"]), (1, 1, &"frozen".into()), "{kind}: {stops:?}");
        let id = stops[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(restored["stop"], id);
        assert!(!stops[0].to_string().contains("_OML-11_"), "{kind}: a record is named");

        // Somebody works on one of the files since: that one is left alone.
        let undo = json(&PathBuf::from(restored["evidence"].as_str().unwrap()).join("undo.json"));
        let turns = undo["turns"].as_array().unwrap();
        let first = turns.iter().find(|turn| turn["here"].is_object()).unwrap();
        let edited = case.tree.join(first["path"].as_str().unwrap());
        let before = fs::read(&edited).unwrap();
        fs::write(&edited, [&before[..], b"OBX|99|TX|addendum\r"].concat()).unwrap();

        let (code, lines, words) = guard(&case, &["undo", &id]);
        assert_eq!((code, lines.len()), (1, 1), "{kind}: {words}");
        assert_eq!(lines[0]["refused"], 1, "{kind}: {lines:?}");
        let turned = lines[0]["paths"].as_u64().unwrap();
        assert!(turned > 0, "{kind}: nothing was undone");
        let undone = contents(&case.tree);
        for turn in turns.iter().filter(|turn| turn["group"] != first["group"]) {
            let path = case.tree.join(turn["path"].as_str().unwrap());
            let there = undone.get(&path).map(|(bytes, ..)| hex::encode(Sha256::digest(bytes)));
            assert_eq!(there.as_deref(), turn["there"]["sha256"].as_str(), "{kind}: {}", path.display());
        }
        assert!(fs::read(&edited).unwrap().ends_with(b"addendum\r"), "{kind}: newer work was overwritten");
        assert!(
            case.wait_for("finding", Duration::from_millis(400)).is_none(),
            "{kind}: the undo is taken for an attack"
        );

        let (code, lines, words) = guard(&case, &["undo", "--take-back", &id]);
        assert_eq!((code, lines[0]["paths"].as_u64()), (0, Some(turned)), "{kind}: {words}");
        fs::write(&edited, before).unwrap();

        assert!(attacker.0.try_wait().unwrap().is_none(), "{kind}");
        let (code, lines, words) = guard(&case, &["end", &attacker.0.id().to_string()]);
        assert_eq!((code, lines.is_empty()), (0, false), "{kind}: {words}");
        assert!(!attacker.0.wait().unwrap().success());
        let (code, stops, _) = guard(&case, &["incidents"]);
        assert_eq!((code, &stops[0]["standing"]), (0, &"ended".into()), "{kind}");
        case.end();
        let after = contents(&case.tree);
        for (path, (bytes, ..)) in &case.before {
            assert_eq!(after.get(path).map(|(bytes, ..)| bytes), Some(bytes), "{kind}: {}", path.display());
        }
        assert_eq!(after.len(), case.before.len(), "{kind}: something is left");
    }
}

/// Renames each folder first and encrypts in it then; works in a marked tree only.
const FOLDERS_FIRST: &str = r#"
import os, random, sys
tree = sys.argv[1]
assert open(os.path.join(os.path.dirname(tree), "made-by-the-guard-test")).read() == tree
for name in sorted(os.listdir(tree)):
    folder = os.path.join(tree, name) + ".locked"
    os.rename(os.path.join(tree, name), folder)
    for place, _, files in os.walk(folder):
        for path in (os.path.join(place, file) for file in files):
            with open(path, "r+b") as file:
                data = file.read()
                file.seek(0)
                file.write(bytes(a ^ b for a, b in zip(data, random.Random(path).randbytes(len(data)))))
"#;

#[test]
fn folders_that_were_renamed_first_get_their_names_back() {
    let test = "folders_that_were_renamed_first_get_their_names_back";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    let mut case = Case::new("permission", &[]);
    let mut command = Command::new("python3");
    command.args(["-c", FOLDERS_FIRST]).arg(&case.tree);
    let _attacker = Attacker::start(command);
    let restored = case.wait_for("restored", PATIENCE).expect("not stopped");
    assert_eq!(restored["files_irrecoverable"], 0, "{restored}");
    case.end();
    assert_eq!(contents(&case.tree), case.before);
}
