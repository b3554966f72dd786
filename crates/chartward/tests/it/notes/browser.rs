//! Notes and reconciliation in Debian's Chromium, which is killed like the viewer: `tests/browser/notes.mjs`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::reconcile::{add, notes};
use super::stage::{Stage, Viewer};

const TEST: &str = "notes_browser";
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

/// The script with its packages in a folder that outlives the test; `None` after saying what is missing.
fn installed() -> Option<(PathBuf, PathBuf)> {
    let (node, npm) = (testkit::tool(TEST, "node")?, testkit::tool(TEST, "npm")?);
    testkit::tool(TEST, "chromium")?;
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/browser-tests-notes");
    fs::create_dir_all(&cache).unwrap();
    for name in ["package.json", "package-lock.json", "notes.mjs"] {
        fs::copy(Path::new(SCRIPTS).join(name), cache.join(name)).unwrap();
    }
    let lock = fs::read(cache.join("package-lock.json")).unwrap();
    if fs::read(cache.join("installed.json")).ok().as_ref() != Some(&lock) {
        let done = Command::new(npm)
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&cache)
            .output()
            .unwrap();
        if !done.status.success() {
            testkit::skip(TEST, "npm cannot install puppeteer-core");
            return None;
        }
        fs::write(cache.join("installed.json"), lock).unwrap();
    }
    Some((node, cache))
}

/// The script and the browsers that it started: a process group, so that none is left behind.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.0.id())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

#[test]
fn a_note_outlives_the_browser_the_network_the_log_in_and_the_viewer_and_is_reconciled() {
    use std::os::unix::process::CommandExt;
    let Some((node, cache)) = installed() else { return };
    let stage = Stage::new();
    // The port of the first one is that of all that follow, as a browser would find it.
    let first = stage.viewer(0);
    let port = first.port;
    let mut viewer: Option<Viewer> = Some(first);
    let screenshots =
        std::env::var_os("CHARTWARD_SCREENSHOTS").map(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    let plan = json!({
        "url": format!("http://127.0.0.1:{port}/"), "code": viewer.as_ref().unwrap().code, "patient": stage.id(),
        "birth": stage.patient["birth_date"].as_str().unwrap().replace('-', ""), "chromium": "/usr/bin/chromium",
        "profile": stage.path("profile"), "screenshots": screenshots,
    });
    let mut script = Command::new(node);
    script.arg("notes.mjs").arg(plan.to_string()).current_dir(cache).process_group(0);
    let mut script = Script(script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut answers = script.0.stdin.take().unwrap();
    for line in BufReader::new(script.0.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(asked) = line.strip_prefix("ask ") else {
            println!("{line}");
            continue;
        };
        let answer = match asked {
            // SIGKILL: nothing is written on the way out.
            "kill the viewer" => {
                viewer = None;
                Value::Null
            }
            "start the viewer" => {
                viewer = Some(stage.viewer(port));
                Value::Null
            }
            "notes of the downtime" => {
                drop(viewer.take());
                add(&stage, &notes(&stage));
                viewer = Some(stage.viewer(port));
                Value::Null
            }
            "kept" => stage.run(&["charts", "notes", "list", "--json"]).lines.into(),
            other => panic!("the script asks for {other}"),
        };
        writeln!(answers, "{answer}").unwrap();
    }
    assert!(script.0.wait().unwrap().success());
    drop(viewer);
    let out = stage.path("out");
    let export = stage.reconcile(&["export", "--to", out.to_str().unwrap(), "--by", "医師 佐藤"]);
    assert_eq!(export.code, 1, "a character was replaced: {}", export.stderr);
    let read = stage.run(&["charts", "show", stage.id(), "--json", "--from", out.to_str().unwrap()]);
    assert_eq!(
        (read.code, &read.lines[0]["given"][0]["drug"]["dose"]),
        (0, &json!("7 mL")),
        "{}",
        read.stdout
    );
}
