//! A hub with a vault: jobs, the lock, the viewer, an isolated host's way back, notices.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::servers::free_port;

use super::stage::{Stage, Up, finding, until};
use crate::support::{BINARY, run};

const PASSPHRASE: &str = "correct horse";

/// A small hospital, protected in a vault that does not exist yet.
pub(super) fn protected(stage: &Stage, more: &str) {
    let until = jiff::Zoned::now().datetime().strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let mut sample = Command::new(BINARY);
    sample.args(["sample", "hospital", "--json", "--patients", "5", "--until", &until]);
    let made = run(sample.arg(stage.path("hospital")));
    assert_eq!(made.code, 0, "{}", made.stderr);
    let text = format!(
        "[vault]\ndir = {:?}\npassphrase = {{ file = {:?} }}\n\n[viewer]\nlisten = \"127.0.0.1:{}\"\n\n\
         [[protect]]\nname = \"emr\"\nhost = \"emr\"\naddress = \"10.9.0.9\"\npaths = [{:?}]\nbackup = {{ every = \"1h\" }}\ndrill = {{ every = \"1h\" }}\n\n",
        stage.path("vault"),
        stage.private_file("vault.pass", PASSPHRASE),
        free_port(),
        stage.path("hospital")
    );
    stage.configure(&[text, more.to_owned()].concat());
}

pub(super) fn runs(stage: &Stage, name: &str) -> Vec<prove::state::JobRun> {
    prove::State::open_read(&stage.state).unwrap().job_runs(Some(name), 50).unwrap()
}

pub(super) fn done(stage: &Stage, name: &str, times: usize) {
    let is_done = |run: &&prove::state::JobRun| run.outcome == prove::state::JobOutcome::Done;
    until(name, || (runs(stage, name).iter().filter(is_done).count() >= times).then_some(()));
}

pub(super) fn restic(stage: &Stage, words: &[&str]) -> std::process::Output {
    let mut restic = Command::new("restic");
    restic.args(["--no-cache", "-r"]).arg(stage.path("vault")).args(words).env("RESTIC_PASSWORD", PASSPHRASE);
    restic.output().unwrap()
}

pub(super) fn curl(words: &[&str]) -> String {
    let out = Command::new("curl").args(["-s", "-m", "10"]).args(words).output().unwrap();
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn charts_are_captured_drilled_locked_and_read() {
    let test = "charts_are_captured_drilled_locked_and_read";
    if ["restic", "curl"].iter().any(|tool| testkit::tool(test, tool).is_none()) {
        return;
    }
    let stage = Stage::new();
    protected(&stage, "");
    let hub = stage.up();
    done(&stage, "backup:emr", 1);
    done(&stage, "drill:emr", 1);
    // A snapshot that somebody wants now.
    stage.done(&["act", "apply", "snapshot_now", "emr"]);
    done(&stage, "backup:emr", 2);
    let nothing = stage.ask(&["act", "apply", "snapshot_now", "nothing"]);
    assert!(nothing.code == 1 && nothing.stderr.contains("backup:emr"), "{}", nothing.stderr);

    let locked = stage.done(&["act", "apply", "lock_vault"])["answer"]["countermeasure"]["id"].to_string();
    // Also the proven one: the viewer starts all the same and says so.
    let prune = ["forget", "--keep-last", "1", "--prune"];
    let refused = restic(&stage, &prune);
    assert!(!refused.status.success(), "{}", String::from_utf8_lossy(&refused.stdout));
    stage.done(&["act", "undo", &locked]);
    let allowed = restic(&stage, &prune);
    assert!(allowed.status.success(), "{}", String::from_utf8_lossy(&allowed.stderr));

    let viewer = stage.done(&["act", "apply", "start_viewer"])["answer"]["countermeasure"].clone();
    let said = viewer["detail"].as_str().unwrap().to_owned();
    let entrance = fs::read(stage.state.join("viewer-entrance.json")).unwrap();
    let entrance: Value = serde_json::from_slice(&entrance).unwrap();
    let (url, code) = (entrance["url"].as_str().unwrap(), entrance["code"].as_str().unwrap());
    assert!(said.starts_with(url) && !said.contains(code), "{said}");
    assert!(said.ends_with("no drill has proven what it shows"), "{said}");
    let jar = stage.path("jar").display().to_string();
    curl(&[
        "-b",
        &jar,
        "-c",
        &jar,
        "--data-urlencode",
        &format!("code={code}"),
        "--data-urlencode",
        "who=Dr Sato",
        &format!("{url}enter"),
    ]);
    let list = curl(&["-b", &jar, url]);
    let patient = list.split("/chart/").nth(1).unwrap_or_else(|| panic!("{list}")).split('"').next().unwrap();
    let chart = curl(&["-b", &jar, &format!("{url}chart/{patient}")]);
    assert!(chart.contains(patient), "{chart}");
    until("the access is kept", || {
        fs::read_to_string(stage.state.join("charts-opened.jsonl")).ok().filter(|text| text.contains(patient))
    });
    // It comes back with the hub, and ends with it however that ends.
    hub.kill();
    until("the viewer ends", || curl(&["-b", &jar, url]).is_empty().then_some(()));
    let hub = stage.up();
    let again = until("the viewer is back", || {
        stage.measure("start_viewer").filter(|it| it["state"] == "applied" && !curl(&[url]).is_empty())
    });
    let url = again["detail"].as_str().unwrap().split(' ').next().unwrap().to_owned();
    assert!(curl(&[&url]).contains("code"));
    stage.done(&["act", "undo", &again["id"].to_string()]);
    assert_eq!(curl(&[&url]), "");
    assert!(!stage.state.join("viewer-entrance.json").exists());
    assert_eq!(hub.stop().0, 0);
    stage.ledger();
}

#[test]
fn a_failing_job_and_a_missed_one_are_alarms() {
    let stage = Stage::new();
    protected(&stage, "");
    let hub = stage.up();
    done(&stage, "drill:emr", 1);
    assert_eq!(hub.stop().0, 0);
    // As if the hub had been off for three hours, and the records gone meanwhile.
    let state = prove::State::open(&stage.state, jiff::Timestamp::now()).unwrap();
    let three_hours = 3 * 3_600_000_i64;
    state
        .write(|tx| tx.execute("UPDATE jobs SET due_at = due_at - ?1, started_at = started_at - ?1, finished_at = finished_at - ?1", &[&three_hours]))
        .unwrap();
    drop(state);
    fs::rename(stage.path("hospital"), stage.path("elsewhere")).unwrap();
    let hub = stage.up();
    let is = |outcome| move |run: &prove::state::JobRun| run.outcome == outcome;
    until("a missed run", || {
        runs(&stage, "backup:emr").iter().any(is(prove::state::JobOutcome::Missed)).then_some(())
    });
    let failed = until("a failed run", || {
        runs(&stage, "backup:emr").into_iter().find(is(prove::state::JobOutcome::Failed))
    });
    assert!(failed.detail.contains("hospital"), "{}", failed.detail);
    assert_eq!(hub.stop().0, 0);
    assert!(stage.ledger().iter().any(|it| it["fact"]["kind"] == "job_missed"));
}

#[test]
fn an_isolated_host_comes_back_only_after_a_new_backup_and_a_drill() {
    let Some(stage) = Stage::with_wall("an_isolated_host_comes_back") else { return };
    protected(&stage, &stage.watch("net", "sensor", ""));
    let hub = stage.up();
    done(&stage, "drill:emr", 1);
    let not = stage.ask(&["reconnect", "emr"]);
    assert!(not.code == 1 && not.stderr.contains("not isolated"), "{}", not.stderr);
    stage.done(&["act", "apply", "isolate_host", "10.9.0.9"]);
    assert_eq!(
        stage.set("isolate4").len() + stage.set("isolated4").len(),
        1,
        "{}",
        stage.nft(&["list", "ruleset"])
    );
    let refused = |part: &str| {
        let asked = stage.ask(&["reconnect", "emr"]);
        assert!(asked.code == 1 && asked.stderr.contains(part), "{part}: {}", asked.stderr);
    };
    refused("backup:emr");
    thread::sleep(Duration::from_millis(50));
    stage.done(&["act", "apply", "snapshot_now", "emr"]);
    done(&stage, "backup:emr", 2);
    refused("drill:emr");
    let drill = runs(&stage, "drill:emr").len();
    let state = prove::State::open_read(&stage.state).unwrap();
    drop(state);
    assert_eq!(drill, 1);
    assert_eq!(hub.stop().0, 0);
    // The next drill is due.
    let state = prove::State::open(&stage.state, jiff::Timestamp::now()).unwrap();
    let two_hours = 2 * 3_600_000_i64;
    state.write(|tx| tx.execute("UPDATE jobs SET due_at = due_at - ?1, started_at = started_at - ?1, finished_at = finished_at - ?1 WHERE kind = 'drill'", &[&two_hours])).unwrap();
    drop(state);
    let hub = stage.up();
    done(&stage, "drill:emr", 2);
    stage.say("net", &[finding("again", "bruteforce.ssh", 5, "10.9.0.9")]);
    until("an incident", || stage.incidents().first().cloned());
    refused("INC-0001");
    stage.done(&["incident", "mark", "1", "closed"]);
    stage.done(&["reconnect", "emr"]);
    assert_eq!(stage.set("isolate4").len() + stage.set("isolated4").len(), 0);
    assert_eq!(hub.stop().0, 0);
    let state = prove::State::open(&stage.state, jiff::Timestamp::now()).unwrap();
    let mut asset = state.asset("emr").unwrap().unwrap();
    assert_eq!(asset.state, prove::state::AssetState::Watched);
    asset.since -= jiff::SignedDuration::from_hours(8 * 24);
    state.write(|tx| tx.put_asset(&asset)).unwrap();
    drop(state);
    let _hub = stage.up();
    until("the week's report", || {
        let found = fs::read_dir(stage.state.join("reports")).ok()?.filter_map(Result::ok);
        found.map(|it| it.file_name().into_string().unwrap()).find(|name| name.starts_with("reconnected-emr"))
    });
    assert!(stage.ledger().iter().any(|it| it["fact"]["kind"] == "host_reconnected"));
}

struct Receiver(Child);

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_notice_is_delivered_once_its_receiver_takes_it_and_only_once() {
    let stage = Stage::new();
    let port = free_port();
    let hook = format!("[[notify]]\nname = \"chat\"\nwebhook = {{ url = \"http://127.0.0.1:{port}/\" }}\n\n");
    let playbook = "[[playbook]]\nname = \"tell\"\nwatchers = [\"sensor\"]\nacts = [\"notify\"]\nchannels = [\"chat\"]\napproval = \"none\"\n\n";
    stage.configure(&[stage.watch("net", "sensor", ", \"again\""), hook, playbook.to_owned()].concat());
    let hub = stage.up();
    stage.done(&["act", "arm", "notify", "sensor"]);
    stage.say("net", &[finding("a", "bruteforce.ssh", 5, "203.0.113.9")]);
    until("a notice waits", || stage.measure("notify").filter(|it| it["state"] == "approved"));
    hub.kill();
    let kept = stage.path("kept");
    let script = stage.file("hook.py", include_str!("hook.py"));
    let _receiver = Receiver(
        Command::new("python3")
            .arg(script)
            .arg(&kept)
            .arg(port.to_string())
            .stdin(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let hub: Up = stage.up();
    let applied = until("it is delivered", || stage.measure("notify").filter(|it| it["state"] == "applied"));
    assert!(applied["detail"].as_str().unwrap().contains("taken 4711"), "{applied}");
    assert_eq!(applied["lasts_seconds"], Value::Null);
    let refused = stage.ask(&["act", "undo", &applied["id"].to_string()]);
    assert!(refused.code == 1 && refused.stderr.contains("once and for all"), "{}", refused.stderr);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(fs::read_to_string(&kept).unwrap().lines().count(), 1);
    assert_eq!(hub.stop().0, 0);
    let ledger = stage.ledger();
    let told: Vec<&Value> = ledger.iter().filter(|it| it["fact"]["kind"] == "notice_delivered").collect();
    assert!(told.len() == 1 && told[0]["fact"]["channel"] == json!("chat"), "{told:?}");
}

#[test]
fn nothing_is_forgotten_or_pruned_while_an_incident_holds_the_vault() {
    let stage = Stage::new();
    protected(&stage, "[retention]\nforget = { every = \"1h\" }\nprune = { every = \"1h\" }\n");
    let _hub = stage.up();
    let locked = stage.done(&["act", "apply", "lock_vault"])["answer"]["countermeasure"].clone();
    let since: jiff::Timestamp = locked["applied_at"].as_str().unwrap().parse().unwrap();
    for name in ["backup:emr", "drill:emr", "check"] {
        done(&stage, name, 1);
    }
    // Nothing else runs any more, and they are due.
    thread::sleep(Duration::from_secs(2));
    for name in ["forget", "prune"] {
        let begun = runs(&stage, name).into_iter().filter_map(|run| run.started_at);
        assert_eq!(begun.filter(|at| *at > since).count(), 0, "{name}");
    }
    stage.done(&["act", "undo", &locked["id"].to_string()]);
    for name in ["forget", "prune"] {
        done(&stage, name, 1);
        let missed = |run: &&prove::state::JobRun| run.outcome == prove::state::JobOutcome::Missed;
        assert_eq!(
            runs(&stage, name).iter().filter(missed).count(),
            0,
            "what is kept for longer is not missed"
        );
    }
    let forgot = runs(&stage, "forget")[0].detail.clone();
    assert!(forgot.contains("\"applied\":true"), "{forgot}");
}

/// A vault host that a test started.
struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_hub_keeps_its_vault_on_a_vault_host() {
    use std::io::{BufRead, BufReader};
    let stage = Stage::new();
    let folder = stage.path("host");
    let mut add = Command::new(BINARY);
    let added = run(add.args(["vault", "client", "add", "emr", "--json", "--host"]).arg(&folder));
    assert_eq!(added.code, 0, "{}", added.stderr);
    let mut serve = Command::new(BINARY);
    serve.args(["vault", "serve", "--json", "--listen", "127.0.0.1:0", "--immutable", "off", "--host"]);
    let mut host = Host(serve.arg(&folder).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(host.0.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let text = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
    protected(&stage, "");
    let path = stage.path("chartward.toml");
    let config = fs::read_to_string(&path).unwrap();
    let remote = format!(
        "dir = \"rest:https://{}/emr/\"\nkey_file = {:?}\nfingerprint = {:?}",
        text(&ready, "addr"),
        stage.private_file("vault.key", &text(added.last(), "key")),
        text(&ready, "fingerprint")
    );
    fs::write(&path, config.replace(&format!("dir = {:?}", stage.path("vault")), &remote)).unwrap();

    let hub = stage.up();
    for name in ["backup:emr", "drill:emr", "check"] {
        done(&stage, name, 1);
    }
    assert!(fs::read_dir(folder.join("repositories/emr/snapshots")).unwrap().count() >= 1);
    // A person asks for one more, the vault is held beside it, and charts are read from there.
    stage.done(&["act", "apply", "lock_vault"]);
    let held = || fs::read_dir(folder.join("repositories/emr/locks")).unwrap().count();
    assert!(held() >= 1);
    stage.done(&["act", "apply", "snapshot_now", "emr"]);
    done(&stage, "backup:emr", 2);
    let viewer = stage.done(&["act", "apply", "start_viewer"])["answer"]["countermeasure"].clone();
    assert!(text(&viewer, "detail").starts_with("http"), "{viewer}");
    hub.stop();
}
