//! A process and a control group that a guard names: proposed, approved, really frozen, and let go again.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::cgroup::{Group, mounts};

use super::stage::{Stage, until};

/// A shell with a child; both end with the test.
struct Family(Child);

impl Family {
    fn new() -> Family {
        Family::with("sleep")
    }

    /// With a child of that name.
    fn with(child: &str) -> Family {
        let script = "\"$0\" 600 & while :; do read -t 0.02 n < /dev/zero || :; done";
        Family(Command::new("bash").args(["-c", script, child]).stdin(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    /// Field 22 of `/proc/PID/stat`, proc(5).
    fn ticks(&self) -> u64 {
        fields(self.pid()).unwrap()[19].parse().unwrap()
    }

    /// The states of the shell and of its children, as the kernel has them.
    fn states(&self) -> Vec<String> {
        let own = self.pid().to_string();
        let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let of = pids.filter_map(|pid| Some((pid, fields(pid)?)));
        of.filter(|(pid, fields)| *pid == self.pid() || fields[1] == own)
            .map(|(_, fields)| fields[0].clone())
            .collect()
    }

    fn stands(&self) -> bool {
        let states = self.states();
        states.len() == 2 && states.iter().all(|state| state == "T")
    }

    fn goes_on(&self) -> bool {
        let states = self.states();
        states.len() == 2 && states.iter().all(|state| state != "T")
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let own = self.pid().to_string();
        let _ = Command::new("pkill").args(["-KILL", "-P", &own]).status();
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What follows the name in `/proc/PID/stat`: state, parent, …
fn fields(pid: i32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

fn encrypts(uid: &str, who: &Value) -> Value {
    let mut line = json!({
        "class_uid": 2004, "category_uid": 2, "activity_id": 1, "type_uid": 200_401, "severity_id": 5,
        "time": jiff::Timestamp::now().as_millisecond(), "detector": "encryption.replacement",
        "finding_info": {"uid": uid, "title": "Files are replaced by noise"},
        "attacks": [{"tactics": [{"uid": "TA0040"}], "technique": {"uid": "T1486", "name": "Data Encrypted for Impact"}}],
    });
    line.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
    line
}

fn process(family: &Family) -> Value {
    let (pid, ticks) = (family.pid(), family.ticks());
    json!({"actor": {"process": {"pid": pid, "uid": format!("{pid}-{ticks}")}}})
}

fn playbook(act: &str, deadline: &str) -> String {
    format!(
        "[[playbook]]\nname = {act:?}\nwatchers = [\"guard\"]\ndetectors = [\"encryption.*\"]\nacts = [{act:?}]\napproval = \"person\"\ndeadline = {deadline:?}\nlasts = \"1m\"\n\n"
    )
}

fn stage(playbooks: &str) -> Stage {
    let stage = Stage::new();
    let never = "[never_touch]\ncommands = [\"spared\"]\n\n";
    stage.configure(&[&stage.watch("files", "guard", ", \"again\""), never, playbooks].concat());
    stage
}

fn proposed(stage: &Stage, kind: &str) -> String {
    let is_proposed = |it: &Value| it["state"] == "proposed";
    until("a proposal", || stage.measure(kind).filter(is_proposed))["id"].to_string()
}

#[test]
fn a_process_is_frozen_with_its_children_when_a_person_agrees_and_goes_on_when_it_is_undone() {
    if !testkit::root("a_process_is_frozen") {
        return;
    }
    let (stage, family) = (stage(&playbook("freeze", "10m")), Family::new());
    let hub = stage.up();
    until("the child", || family.goes_on().then_some(()));
    stage.done(&["act", "arm", "freeze", "guard"]);
    stage.say("files", &[encrypts("a", &process(&family))]);
    let id = proposed(&stage, "freeze");
    thread::sleep(Duration::from_millis(300));
    assert!(family.goes_on(), "frozen before anybody agreed: {:?}", family.states());

    let answer = stage.done(&["act", "apply", &id]);
    assert_eq!(answer["answer"]["countermeasure"]["state"], "applied", "{answer:#}");
    assert_eq!(answer["answer"]["countermeasure"]["detail"], "2 processes stand still");
    assert!(family.stands(), "{:?}", family.states());
    assert_eq!(stage.incidents()[0]["status"], "contained");
    // An attacker must not go on because the hub was killed.
    hub.kill();
    assert!(family.stands(), "{:?}", family.states());
    let hub = stage.up();
    let answer = stage.done(&["act", "undo", &id]);
    assert_eq!(answer["answer"]["countermeasure"]["state"], "undone", "{answer:#}");
    assert_eq!(answer["answer"]["countermeasure"]["detail"], "2 processes go on, 0 have ended");
    until("it goes on", || family.goes_on().then_some(()));
    assert_eq!(fs::read_dir(stage.state.join("frozen")).unwrap().count(), 0);

    // Approved by nobody in particular, but meant for a minute only.
    stage.done(&["act", "apply", "freeze", &family.pid().to_string()]);
    assert!(family.stands(), "{:?}", family.states());
    stage.done(&["act", "undo", &stage.measure("freeze").unwrap()["id"].to_string()]);
    assert_eq!(hub.stop().0, 0);
    let ledger = stage.ledger();
    let states = ledger.iter().filter(|it| it["fact"]["countermeasure"]["id"].as_u64() == id.parse().ok());
    let states: Vec<&str> = states.filter_map(|it| it["fact"]["countermeasure"]["state"].as_str()).collect();
    assert_eq!(states, ["proposed", "approved", "applied", "undone"]);
}

#[test]
fn what_nobody_agrees_to_in_time_is_not_frozen_and_what_was_frozen_thaws_when_its_time_is_over() {
    if !testkit::root("what_nobody_agrees_to") {
        return;
    }
    let (stage, family, other) = (stage(&playbook("freeze", "10s")), Family::new(), Family::new());
    let hub = stage.up();
    stage.done(&["act", "arm", "freeze", "guard"]);
    stage.say("files", &[encrypts("a", &process(&family))]);
    let first = proposed(&stage, "freeze");
    stage.say("files", &[encrypts("b", &process(&other))]);
    let second = until("another proposal", || {
        let proposed = stage.measure("freeze").filter(|it| it["state"] == "proposed");
        proposed.map(|it| it["id"].to_string()).filter(|id| *id != first)
    });
    stage.done(&["act", "apply", &second]);
    assert!(other.stands());
    let of = |id: &str| stage.measures().into_iter().find(|it| it["id"].as_u64() == id.parse().ok()).unwrap();
    until("the deadline", || (of(&first)["state"] == "expired").then_some(()));
    assert_eq!(stage.ask(&["act", "apply", &first]).code, 1);
    assert!(family.goes_on(), "{:?}", family.states());

    hub.kill();
    stage.age("freeze", 57);
    let _hub = stage.up();
    until("it thaws by itself", || other.goes_on().then_some(()));
    until("that is written down", || (of(&second)["state"] == "expired").then_some(()));
}

#[test]
fn a_spared_child_leaves_the_rest_frozen_and_undoable_and_a_reused_process_id_is_nobody() {
    if !testkit::root("a_spared_child") {
        return;
    }
    let stage = stage(&playbook("freeze", "10m"));
    let spared = stage.path("spared");
    std::os::unix::fs::symlink("/usr/bin/sleep", &spared).unwrap();
    let family = Family::with(spared.to_str().unwrap());
    let child = until("the child", || {
        let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let mut pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_named =
            |pid: i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|it| it == "spared\n");
        let own = family.pid().to_string();
        pids.find(|pid| is_named(*pid) && fields(*pid).is_some_and(|fields| fields[1] == own))
    });
    let _hub = stage.up();
    let answer = stage.done(&["act", "apply", "freeze", &family.pid().to_string()]);
    let measure = &answer["answer"]["countermeasure"];
    let detail = measure["detail"].as_str().unwrap();
    assert!(detail.starts_with("1 processes stand still; another one goes on"), "{detail}");
    assert_eq!(fields(family.pid()).unwrap()[0], "T");
    assert_ne!(fields(child).unwrap()[0], "T");
    stage.done(&["act", "undo", &measure["id"].to_string()]);
    until("it goes on", || family.goes_on().then_some(()));

    stage.done(&["act", "arm", "freeze", "guard"]);
    let (pid, ticks) = (family.pid(), family.ticks() + 1);
    let earlier = json!({"actor": {"process": {"pid": pid, "uid": format!("{pid}-{ticks}")}}});
    stage.say("files", &[encrypts("c", &earlier)]);
    let refused = stage.ask(&["act", "apply", &proposed(&stage, "freeze")]);
    assert!(refused.code == 1 && refused.stderr.contains("has ended"), "{}", refused.stderr);
    assert!(family.goes_on());
}

#[test]
fn a_control_group_is_frozen_when_a_person_agrees_and_thaws_when_it_is_undone() {
    let test = "a_control_group_is_frozen";
    if !testkit::root(test) {
        return;
    }
    let mounts = mounts();
    if mounts.is_empty() {
        return testkit::skip(test, "no hierarchy of control groups that can freeze is mounted");
    }
    let stage = stage(&playbook("freeze_cgroup", "10m"));
    let hub = stage.up();
    stage.done(&["act", "arm", "freeze_cgroup", "guard"]);
    for (hierarchy, mount) in mounts {
        let group = Group::new(&mount, hierarchy);
        assert!(group.counts(), "{hierarchy}");
        let who = json!({"resources": [{"type": "cgroup", "name": group.path, "role_id": 2}]});
        stage.say("files", &[encrypts(hierarchy, &who)]);
        let id = proposed(&stage, "freeze_cgroup");
        assert!(group.counts(), "{hierarchy}: frozen before anybody agreed");
        stage.done(&["act", "apply", &id]);
        assert!(group.stands(), "{hierarchy}");
        let answer = stage.done(&["act", "undo", &id]);
        assert_eq!(answer["answer"]["countermeasure"]["state"], "undone", "{answer:#}");
        assert!(group.counts(), "{hierarchy}");
    }
    // The hub stands in a group itself: freezing that would be the end of everybody's hope.
    let own = fs::read_to_string(format!("/proc/{}/cgroup", hub.pid())).unwrap();
    let own =
        own.lines().find_map(|line| line.strip_prefix("0::").or(line.split(":freezer:").nth(1))).unwrap();
    let refused = stage.ask(&["act", "apply", "freeze_cgroup", own]);
    assert_eq!(refused.code, 1, "{} {}", refused.stdout, refused.stderr);
    assert_eq!(hub.stop().0, 0);
    stage.ledger();
}
