//! Shutting out, with a real sshd and a real xrdp: the attacker's live session dies, the administrator's never does.

mod site;

use std::time::{Duration, Instant};

use serde_json::Value;

use self::site::{ADMIN, ATTACKER, SERVER, Site};
use super::stage::{Stage, Up, until, within};

/// How long a client draws until it has guessed, and waits for an answer until it gives up: ten of them on a busy machine.
const CLIENTS_PATIENCE: Duration = Duration::from_secs(180);
/// How long a handful of clients is given to guess, each answer taking the server two seconds.
const GUESSING: Duration = Duration::from_secs(45);
/// Guesses until the watcher says something.
const GUESSES: usize = 10;

/// Where the packet filter stands that shuts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wall {
    Gateway,
    Server,
}

struct Scene {
    hub: Option<Up>,
    stage: Stage,
    site: Site,
}

impl Scene {
    fn new(test: &str, wall: Wall, logs: &[&str]) -> Option<Self> {
        let site = Site::new(test)?;
        let mut stage = Stage::new();
        let of = if wall == Wall::Gateway { &site.gateway } else { &site.server };
        stage.borrow_wall(of);
        let logs: Vec<String> = logs.iter().map(|name| site.path(name).display().to_string()).collect();
        stage.configure(&format!(
            "[logs]\nfiles = {logs:?}\n\n[[watch]]\nname = \"logins\"\nlogs = true\n\n\
             [never_touch]\naddresses = [\"{ADMIN}\"]\n\n\
             [[playbook]]\nname = \"guessing\"\nwatchers = [\"logs\"]\ndetectors = [\"bruteforce.*\"]\n\
             severity_min = \"medium\"\nacts = [\"block_address\"]\napproval = \"none\"\nlasts = \"1m\"\n\n"
        ));
        Some(Self { hub: None, stage, site })
    }

    fn start(&mut self) {
        self.hub = Some(self.stage.up());
        self.stage.done(&["act", "arm", "block_address", "logs"]);
        // What was in a log when it is met for the first time is the past: the watcher has to be at work before somebody guesses.
        let shown = self.stage.state.join("logs/shown.json");
        until("the watcher of logs is at work", || shown.exists().then_some(()));
    }

    fn is_banned(&self) -> bool {
        self.stage.banned().iter().any(|(address, _)| address == ATTACKER)
    }

    fn measure(&self, address: &str) -> Option<Value> {
        self.stage.measures().into_iter().rfind(|it| it["act"]["address"] == address)
    }
}

fn a_live_session_dies(test: &str, wall: Wall) {
    let Some(mut scene) = Scene::new(test, wall, &["sshd.log"]) else { return };
    scene.site.sshd();
    let site = &scene.site;
    let attackers = site.session(&site.attacker, "attackers");
    let mut admins = site.session(&site.admin, "admins");
    let stood = site.established(ATTACKER, 22);
    assert_eq!((stood.len(), site.established(ADMIN, 22).len()), (1, 1));
    scene.start();
    let site = &scene.site;
    for from in [&site.admin, &site.attacker] {
        for _ in 0..GUESSES {
            assert_ne!(site.guess(from), Some(0));
        }
    }
    let guessed = Instant::now();
    until("a ban", || scene.is_banned().then_some(()));
    // How long it takes is measured by bench/shutout.py; a busy machine may be slower here.
    assert!(guessed.elapsed() < Duration::from_secs(10), "{:?}", guessed.elapsed());
    until("the attacker's session is over", || {
        // A guess that the ban met while its password was asked for says nothing, so nobody resets it: the server's own patience ends it.
        (!site.established(ATTACKER, 22).contains(&stood[0])).then_some(())
    });
    assert!(!attackers.goes_on());
    assert_eq!(site.ssh(&site.attacker, "true"), Some(255), "no new one is let in");
    assert!(admins.goes_on() && !admins.client.has_ended(), "the administrator works on");
    assert_eq!(site.ssh(&site.admin, "true"), Some(0));
    let spared = until("the administrator's guesses are noted", || scene.measure(ADMIN));
    assert_eq!(spared["state"], "never_touch", "{spared:#}");
    let measure =
        until("it is written down", || scene.measure(ATTACKER).filter(|it| it["state"] == "applied"));
    assert!(!measure["detail"].as_str().unwrap().contains("may go on"), "{measure:#}");

    // One command, and a new session begins; the old one stays dead.
    scene.stage.done(&["act", "lift", ATTACKER]);
    assert!(!scene.is_banned());
    assert_eq!(site.ssh(&site.attacker, "true"), Some(0));
    assert!(!attackers.goes_on());
    assert_eq!(scene.measure(ATTACKER).unwrap()["state"], "undone");
    assert!(admins.goes_on());
}

#[test]
fn a_live_session_dies_at_the_gateway_and_the_administrators_never_does() {
    a_live_session_dies("a_live_session_dies_at_the_gateway", Wall::Gateway);
}

#[test]
fn a_live_session_dies_at_the_server_itself_and_the_administrators_never_does() {
    a_live_session_dies("a_live_session_dies_at_the_server", Wall::Server);
}

#[test]
fn a_remote_desktop_is_cut_off_and_the_administrators_stays_connected() {
    let test = "a_remote_desktop_is_cut_off";
    let Some(mut scene) = Scene::new(test, Wall::Gateway, &["sesman.log", "xrdp.log"]) else { return };
    if scene.site.xrdp(test).is_none() {
        return;
    }
    let screen = scene.site.screen();
    let site = &scene.site;
    // Both stand before the server's log-in window: encrypted, drawn, alive.
    let mut admins = site.rdp(&site.admin, &screen, &[]);
    let mut attackers = site.rdp(&site.attacker, &screen, &[]);
    within(CLIENTS_PATIENCE, "both are connected", || {
        (site.established(ADMIN, 3389).len() == 1 && site.established(ATTACKER, 3389).len() == 1)
            .then_some(())
    });
    scene.start();
    let site = &scene.site;
    let begun = Instant::now();
    while !scene.is_banned() {
        let heard = std::fs::read_to_string(site.path("sesman.log")).unwrap();
        assert!(begun.elapsed() < CLIENTS_PATIENCE, "no ban, and the server heard:\n{heard}");
        // On a busy machine not each client gets as far as guessing: whoever wants in tries again.
        let _clients: Vec<_> = (0..GUESSES)
            .map(|nth| site.rdp(&site.attacker, &screen, &["/u:root", &format!("/p:Summer202{nth}!")]))
            .collect();
        let tried = Instant::now();
        while !scene.is_banned() && tried.elapsed() < GUESSING {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    within(CLIENTS_PATIENCE, "the attacker's desktop is gone", || attackers.has_ended().then_some(()));
    assert!(!admins.has_ended() && site.established(ADMIN, 3389).len() == 1);
    let mut again = site.rdp(&site.attacker, &screen, &["/timeout:3000"]);
    within(CLIENTS_PATIENCE, "no new one is let in", || again.has_ended().then_some(()));
    assert!(!admins.has_ended());
}

#[test]
fn whoever_is_killed_leaves_bans_that_end_by_themselves_and_can_be_lifted_without_it() {
    let test = "whoever_is_killed";
    let Some(mut scene) = Scene::new(test, Wall::Gateway, &["made.log"]) else { return };
    scene.start();
    let now = jiff::Timestamp::now();
    let line = |address: &str| {
        format!("{now} gate sshd[7]: Failed password for root from {address} port 50000 ssh2\n")
    };
    let lines: String =
        (1..=20).flat_map(|n| (0..GUESSES).map(move |_| line(&format!("198.51.100.{n}")))).collect();
    std::fs::write(scene.site.path("made.log"), lines).unwrap();
    // One of them is the gateway's own, and is spared.
    let applied = || scene.stage.measures().iter().filter(|it| it["state"] == "applied").count();
    until("all are banned", || (applied() == 19).then_some(()));
    scene.hub.take().unwrap().kill();
    let banned = scene.stage.banned();
    assert_eq!(banned.len(), 19);
    assert!(banned.iter().all(|(_, left)| left.is_some_and(|left| left <= 60)), "{banned:?}");
    // Nobody who is never touched is among them, and one command without a hub opens everything.
    assert!(!banned.iter().any(|(address, _)| address == ADMIN || address == SERVER));
    let config = scene.stage.path("chartward.toml");
    let lift = |words: &[&str]| {
        scene.stage.done(&[&["act", "lift", "--config", config.to_str().unwrap()], words].concat())
    };
    lift(&[&banned[0].0]);
    assert!(!scene.stage.banned().iter().any(|(address, _)| *address == banned[0].0));
    lift(&["--all"]);
    assert_eq!(scene.stage.nft(&["list", "tables"]), "");
    // Nor does the hub put them back.
    scene.start();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(scene.stage.banned().is_empty(), "{:?}", scene.stage.banned());
    scene.stage.ledger();
}

#[test]
fn nothing_is_enforced_without_an_allow_list_and_an_inside_source_waits_for_a_person() {
    let test = "nothing_is_enforced_without_an_allow_list";
    let Some(stage) = Stage::with_wall(test) else { return };
    let playbook = "[[playbook]]\nname = \"guessing\"\nwatchers = [\"logs\"]\ndetectors = [\"bruteforce.*\"]\n\
                    acts = [\"block_address\"]\napproval = \"none\"\nlasts = \"1h\"\n\n";
    let with = |more: &str| stage.configure(&[&stage.watch("l", "logs", ""), more, playbook].concat());
    with("[never_touch]\n\n");
    let hub = stage.up();
    let refused = stage.ask(&["act", "arm", "block_address", "logs"]);
    assert!(refused.code == 1 && refused.stderr.contains("never_touch"), "{}", refused.stderr);
    assert_eq!(hub.stop().0, 0);

    with(
        "[never_touch]\naddresses = [\"203.0.113.9\"]\nservers = [\"198.51.100.53\"]\n\n\
         [[wall.zone]]\nname = \"ward\"\nnetworks = [\"203.0.113.0/24\"]\n\n",
    );
    let hub = stage.up();
    stage.done(&["act", "arm", "block_address", "logs"]);
    let sources = ["198.51.100.7", "10.20.30.40", "203.0.113.77", "198.51.100.53"];
    let finding = |address: &str| super::stage::finding(address, "bruteforce.rdp", 4, address);
    // A line whose address nobody vouches for: nobody is banned for it.
    let mut forged = finding("198.51.100.66");
    forged["src_endpoint"]["ip_trust"] = "claimed".into();
    stage.say("l", &[forged]);
    stage.say("l", &sources.map(finding));
    let state = |address: &str| {
        let measure = stage.measures().into_iter().rfind(|it| it["act"]["address"] == address)?;
        Some(measure["state"].as_str()?.to_owned())
    };
    until("one is banned", || (state(sources[0])? == "applied").then_some(()));
    let states = until("all are decided", || sources.iter().map(|it| state(it)).collect::<Option<Vec<_>>>());
    assert_eq!(states, ["applied", "proposed", "proposed", "never_touch"]);
    assert_eq!(state("198.51.100.66"), None);
    let banned: Vec<String> = stage.banned().into_iter().map(|(address, _)| address).collect();
    assert_eq!(banned, ["198.51.100.7"]);
    let waits = stage.measures().into_iter().find(|it| it["act"]["address"] == "10.20.30.40").unwrap();
    assert!(waits["because"].as_str().unwrap().contains("a person decides"), "{waits:#}");
    stage.done(&["act", "apply", &waits["id"].to_string()]);
    assert_eq!(stage.banned().len(), 2);
    assert_eq!(hub.stop().0, 0);
}
