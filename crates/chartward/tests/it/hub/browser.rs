//! The console of a real hub in a real browser: Debian's Chromium, driven by `tests/browser/console.mjs`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::stage::{Stage, finding, until};
use super::vault::{done, protected};

const TEST: &str = "console_browser";
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
const ATTACKER: &str = "198.51.100.7";
const PLAYBOOKS: &str = r#"
[[playbook]]
name = "intruder"
watchers = ["sensor"]
detectors = ["bruteforce.*", "encryption.*"]
severity_min = "high"
acts = ["block_address", "isolate_host"]
approval = "person"
deadline = "1h"
lasts = "4h"

[[playbook]]
name = "keep-the-charts"
watchers = ["sensor"]
detectors = ["encryption.*"]
severity_min = "critical"
acts = ["lock_vault", "start_viewer"]
approval = "none"

[never_touch]
addresses = ["192.0.2.0/28"]

"#;

/// The scripts with their packages in a folder that outlives the test; `None` after saying what is missing.
pub(crate) fn installed(test: &str) -> Option<(PathBuf, PathBuf)> {
    // Two tests use the folder.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (node, npm) = (testkit::tool(test, "node")?, testkit::tool(test, "npm")?);
    testkit::tool(test, "chromium")?;
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/browser-tests");
    fs::create_dir_all(&cache).unwrap();
    for name in ["package.json", "package-lock.json", "console.mjs", "viewer.mjs"] {
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
            testkit::skip(test, "npm cannot install puppeteer-core and axe-core");
            return None;
        }
        fs::write(cache.join("installed.json"), lock).unwrap();
    }
    Some((node, cache))
}

/// One attack as three detectors see it, with what the console says of each in both languages.
fn attack() -> Vec<Value> {
    let seen = |uid: &str, detector: &str, severity, tactic: &str, technique: [&str; 2], title: [&str; 2]| {
        let mut line = finding(uid, detector, severity, ATTACKER);
        line["attacks"] =
            json!([{"tactics": [{"uid": tactic}], "technique": {"uid": technique[0], "name": technique[1]}}]);
        line["finding_info"]["title"] = title[0].into();
        line["finding_info"]["title_ja"] = title[1].into();
        line
    };
    let mut lines = vec![
        seen(
            "entered",
            "bruteforce.vpn",
            4,
            "TA0001",
            ["T1133", "External Remote Services"],
            ["A log-in over the VPN from a place not seen before", "これまでにない場所からのVPNログイン"],
        ),
        seen(
            "moved",
            "lateral.rdp",
            4,
            "TA0008",
            ["T1021.001", "Remote Desktop Protocol"],
            ["Remote desktop to the record server", "記録サーバーへのリモートデスクトップ接続"],
        ),
    ];
    let mut encrypts = seen(
        "encrypts",
        "encryption.noise",
        5,
        "TA0040",
        ["T1486", "Data Encrypted for Impact"],
        [
            "Structured records are replaced by noise",
            "構造のある記録が、読めないデータに置き換えられています",
        ],
    );
    encrypts["reasons"] = json!(["12 of 12 files no longer decode"]);
    encrypts["reasons_ja"] = json!(["12件中12件のファイルが解読不能になりました"]);
    lines.push(encrypts);
    lines
}

/// Two weeks of proofs, as a hub that has run for long remembers them; no hub may run.
fn remember(stage: &Stage) {
    let now = jiff::Timestamp::now();
    let state = prove::State::open(&stage.state, now).unwrap();
    state
        .write(|tx| {
            for hour in 1..(14 * 24) {
                let proven = !(100..130).contains(&hour);
                tx.put_promise(&prove::state::Promise {
                    at: now - jiff::SignedDuration::from_hours(hour),
                    rpo_seconds: proven.then_some(600.0 + 200.0 * (hour % 12) as f64),
                    rto_first_chart_seconds: proven.then_some(9.0 + (hour % 7) as f64),
                    rto_full_seconds: Some(340.0),
                    alarms: u64::from(!proven),
                })?;
            }
            Ok(())
        })
        .unwrap();
}

/// What the script asks for: what happens outside of the browser, and what is so behind the pages.
fn answer(stage: &Stage, asked: &str) -> Value {
    match asked.split_once(' ').unwrap_or((asked, "")) {
        ("attack", _) => {
            stage.say("net", &attack());
            Value::Null
        }
        ("set", name) => stage.set(name).into_iter().map(|(address, _)| address).collect(),
        ("tables", _) => stage.nft(&["list", "tables"]).into(),
        ("invite", name) => {
            stage.done(&["user", "add", name, "--role", name, "--lang", "en"])["code"].clone()
        }
        _ => panic!("the script asks for {asked}"),
    }
}

/// The script, which ends with the test.
pub(crate) struct Script(pub(crate) Child);

impl Drop for Script {
    fn drop(&mut self) {
        // Closing the browser is up to the script; it does so when it is asked to end.
        if let Ok(pid) = i32::try_from(self.0.id())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
            && self.0.try_wait().is_ok_and(|ended| ended.is_none())
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

#[test]
fn a_browser_goes_from_the_first_run_of_a_hub_to_the_report_of_an_incident() {
    let Some((node, cache)) = installed(TEST) else { return };
    let Some(stage) = Stage::with_wall(TEST) else { return };
    let broken = "[[watch]]\nname = \"mail\"\nclass = \"mail\"\nexec = [\"/bin/false\"]\n\n";
    protected(&stage, &[&stage.watch("net", "sensor", ""), broken, PLAYBOOKS].concat());
    let config = fs::read_to_string(stage.path("chartward.toml")).unwrap();
    stage.file("chartward.toml", &config.replace("tls = false", "tls = true"));
    remember(&stage);
    let hub = stage.up();
    done(&stage, "drill:emr", 1);

    let screenshots =
        std::env::var_os("CHARTWARD_SCREENSHOTS").map(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    let plan = json!({"ready": hub.ready, "attacker": ATTACKER, "screenshots": screenshots, "chromium": "/usr/bin/chromium"});
    let mut script = Command::new(node);
    script.arg("console.mjs").arg(plan.to_string()).current_dir(cache);
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut script = Script(script.spawn().unwrap());
    let mut answers = script.0.stdin.take().unwrap();
    for line in BufReader::new(script.0.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        match line.strip_prefix("ask ") {
            Some(asked) => writeln!(answers, "{}", answer(&stage, asked)).unwrap(),
            None => println!("{line}"),
        }
    }
    assert!(script.0.wait().unwrap().success(), "{}", stage.log());
    told(&stage);
    until("nothing is blocked", || stage.banned().is_empty().then_some(()));
    assert_eq!(hub.stop().0, 0);
}

/// What the ledger says of what was done in the browser.
fn told(stage: &Stage) {
    let ledger = stage.ledger();
    let facts: Vec<&Value> = ledger.iter().map(|line| &line["fact"]).collect();
    let holds = |fact: Value| {
        let wanted = fact.as_object().unwrap();
        let is_told = facts.iter().any(|fact| wanted.iter().all(|(name, value)| &fact[name] == value));
        assert!(is_told, "{fact}");
    };
    holds(json!({"kind": "armed", "act": "block_address", "class": "sensor", "armed": true, "by": "chief"}));
    holds(json!({"kind": "access", "user": "viewer", "what": "act.approve", "allowed": false}));
    holds(json!({"kind": "access", "user": "clinician", "what": "charts.read", "allowed": true}));
    holds(json!({"kind": "incident_marked", "id": 1, "status": "closed", "by": "operator"}));
    let states: Vec<&str> = facts
        .iter()
        .map(|fact| &fact["countermeasure"])
        .filter(|it| it["act"]["act"] == "block_address")
        .filter_map(|it| it["state"].as_str())
        .collect();
    assert_eq!(states, ["proposed", "approved", "applied", "undone"]);
}
