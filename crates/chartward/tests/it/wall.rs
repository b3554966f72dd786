//! `chartward wall` seen from outside: on a gateway of its own, with a client before it and a server behind it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::support::{Run, Site};

const CLIENT: &str = "10.81.0.2";
const SERVER: &str = "10.82.0.2";
const GATEWAY: &str = "10.81.0.1";

/// A gateway between two hosts; the server answers on some ports.
struct Place {
    site: Site,
    names: [String; 3],
    servers: Vec<Child>,
}

impl Drop for Place {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

impl Place {
    fn new(test: &str) -> Option<Self> {
        if !testkit::root(test) {
            return None;
        }
        for tool in ["ip", "nft", "python3"] {
            testkit::tool(test, tool)?;
        }
        let names = ["gw", "client", "server"].map(|it| format!("cw-{}-{test}-{it}", std::process::id()));
        let [gateway, client, server] = &names;
        let ip = |words: &str| {
            let words = words.replace("GW", gateway).replace("CLIENT", client).replace("SERVER", server);
            assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success(), "ip {words}");
        };
        for name in ["GW", "CLIENT", "SERVER"] {
            ip(&format!("netns add {name}"));
            ip(&format!("-n {name} link set lo up"));
        }
        for (name, net, port) in [("CLIENT", "10.81.0", "p0"), ("SERVER", "10.82.0", "p1")] {
            ip(&format!("-n GW link add {port} type veth peer name eth0 netns {name}"));
            ip(&format!("-n GW addr add {net}.1/24 dev {port}"));
            ip(&format!("-n GW link set {port} up"));
            ip(&format!("-n {name} addr add {net}.2/24 dev eth0"));
            ip(&format!("-n {name} link set eth0 up"));
            ip(&format!("-n {name} route add default via {net}.1"));
        }
        let mut place = Self { site: Site::new(), names, servers: Vec::new() };
        place.within(0, &["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        for (at, port) in [(2, "445"), (2, "104"), (0, "22")] {
            let script = format!(
                "import socket\nl = socket.create_server(('0.0.0.0', {port}))\nk = []\nprint('ready', flush=True)\nwhile True: k.append(l.accept())"
            );
            let mut server = Command::new("ip")
                .args(["netns", "exec", &place.names[at], "python3", "-c", &script])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut ready = [0; 6];
            std::io::Read::read_exact(server.stdout.as_mut().unwrap(), &mut ready).unwrap();
            place.servers.push(server);
        }
        Some(place)
    }

    fn within(&self, at: usize, words: &[&str]) -> String {
        let output =
            Command::new("ip").args(["netns", "exec", &self.names[at]]).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn reaches(&self, to: &str, port: u16) -> bool {
        let script = format!("import socket; socket.create_connection(('{to}', {port}), 1)");
        let tried = Command::new("ip")
            .args(["netns", "exec", &self.names[1], "python3", "-c", &script])
            .stderr(Stdio::null())
            .status();
        tried.unwrap().success()
    }

    /// A program that is called nft, runs in the gateway and waits first while a file lies there.
    fn slow_nft(&self) -> PathBuf {
        let path = self.site.path().join("nft");
        let (slow, begun) = (self.site.path().join("slow"), self.site.path().join("begun"));
        let script = format!(
            "#!/bin/sh\nif [ -e {slow:?} ] && [ \"$1\" = -f ]; then cat > {begun:?}.text; touch {begun:?}; while [ -e {slow:?} ]; do sleep 0.05; done; exec nft -f {begun:?}.text; fi\nexec nft \"$@\"\n"
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The client reaches the server's service by this name, and the gateway by these.
    fn configure(&self, service: &str, own: &str, command: &[&str]) {
        let own = match own {
            "" => String::new(),
            own => format!("[[wall.allow]]\nfrom = [\"ward\"]\nto = [\"self\"]\nservices = [\"{own}\"]\n"),
        };
        let text = format!(
            "hospital = \"Test\"\n[vault]\ndir = \"/nowhere\"\npassphrase = {{ file = \"/nowhere/pass\" }}\n[[protect]]\nname = \"emr\"\npaths = [\"/srv\"]\nhost = \"emr1\"\naddress = \"{SERVER}\"\n\
             [wall]\ncommand = {command:?}\ndefault = \"refuse\"\n\
             [[wall.zone]]\nname = \"ward\"\nnetworks = [\"10.81.0.0/24\"]\n\
             [[wall.zone]]\nname = \"emr\"\nnetworks = [\"10.82.0.0/24\"]\n\
             [[wall.allow]]\nfrom = [\"ward\"]\nto = [\"emr\"]\nservices = [\"{service}\"]\nbecause = \"images\"\n{own}"
        );
        fs::write(self.site.path().join("chartward.toml"), text).unwrap();
    }

    fn usual(&self, service: &str) {
        self.configure(service, "ssh", &["ip", "netns", "exec", &self.names[0], "nft"]);
    }

    fn command(&self, words: &[&str]) -> Command {
        let config = self.site.path().join("chartward.toml");
        let mut command = self.site.command(["wall"]);
        command.args(words).arg("--config").arg(config).args(["--state", &self.site.state()]);
        command.env_remove("SSH_CONNECTION");
        command
    }

    fn wall(&self, words: &[&str]) -> Run {
        super::support::run(self.command(words).arg("--json"))
    }

    /// Lines of the ledger about the policy: what happened, and which one counts from then on.
    fn told(&self) -> Vec<(String, Option<u64>)> {
        let ledger = fs::read_to_string(self.site.path().join("state/ledger.jsonl")).unwrap();
        let facts = ledger.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let facts = facts.map(|line| line["fact"].clone()).filter(|it| it["kind"] == "wall_policy_changed");
        facts.map(|it| (it["event"].as_str().unwrap().to_owned(), it["number"].as_u64())).collect()
    }

    fn done(&self, words: &[&str]) -> Run {
        let run = self.wall(words);
        assert_eq!(run.code, 0, "{words:?}: {} {}", run.stdout, run.stderr);
        run
    }
}

#[test]
fn a_policy_is_planned_applied_on_trial_confirmed_asked_about_and_undone() {
    let Some(place) = Place::new("planned") else { return };
    place.usual("smb");
    let plan = place.done(&["plan"]);
    let changes = plan.lines.iter().filter(|line| line["type"] == "change").count();
    assert!(changes > 5 && plan.stdout.contains("table inet chartward_policy"), "{}", plan.stdout);
    assert!(place.reaches(SERVER, 104), "a plan changes nothing");
    let applied = place.done(&["apply", "--confirm-within", "60s"]);
    assert!(applied.lines[0]["confirm_until"].is_string(), "{}", applied.stdout);
    assert!(place.reaches(SERVER, 445) && !place.reaches(SERVER, 104));
    assert_eq!(place.wall(&["status"]).code, 1, "on trial");
    place.done(&["confirm", "--because", "modalities send again"]);
    let status = place.done(&["status"]);
    let rule = status.lines.iter().find(|line| line["rule"] == "allow:1").unwrap();
    assert!(rule["words"].as_str().unwrap().contains("images"), "{rule}");
    for (words, code, rule) in [
        (["test", CLIENT, SERVER, "445"].as_slice(), 0, "allow 1"),
        (&["test", CLIENT, "emr1", "smb"], 0, "allow 1"),
        (&["test", CLIENT, SERVER, "104"], 1, "default ward → emr"),
        (&["test", CLIENT, SERVER, "445", "--udp"], 1, "default ward → emr"),
        (&["test", CLIENT, GATEWAY, "22"], 0, "allow 2"),
        (&["test", SERVER, CLIENT, "445"], 1, "default emr → ward"),
    ] {
        let answer = place.wall(words);
        assert_eq!((answer.code, answer.lines[0]["rule"].as_str().unwrap()), (code, rule), "{words:?}");
    }
    assert_eq!(place.wall(&["test", "nobody", SERVER, "445"]).code, 2);
    place.usual("dicom");
    assert_eq!(place.wall(&["status"]).code, 1, "the configuration says something else");
    place.done(&["apply", "--confirm-within", "0s"]);
    assert!(place.reaches(SERVER, 104) && !place.reaches(SERVER, 445));
    place.done(&["undo"]);
    assert!(place.reaches(SERVER, 445) && !place.reaches(SERVER, 104));
    place.within(0, &["nft", "flush", "ruleset"]);
    let status = place.wall(&["status"]);
    assert_eq!((status.code, status.lines[0]["drift"].as_str()), (1, Some("gone")));
    place.done(&["load"]);
    assert!(!place.reaches(SERVER, 104));
    for kind in ["nft", "iptables", "fortigate", "text"] {
        assert!(!place.done(&["emit", "--for", kind]).lines[0]["text"].as_str().unwrap().is_empty());
    }
    assert_eq!(place.wall(&["emit", "--for", "abacus"]).code, 2);
    let told = [("on_trial", 1), ("confirmed", 1), ("applied", 2), ("undone", 1), ("loaded", 1)];
    assert_eq!(place.told(), told.map(|(event, number)| (event.to_owned(), Some(number))));
    let ledger = fs::read_to_string(place.site.path().join("state/ledger.jsonl")).unwrap();
    assert!(ledger.contains("modalities send again") && ledger.contains("+ Allowed: ward → emr"), "{ledger}");
    let verified = place.site.bare(["prove", "verify", "--state", &place.site.state()]);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    // Once more for a person, in Japanese.
    let run = super::support::run(place.command(&["status"]).args(["--lang", "ja"]));
    assert!(
        run.stdout.contains("規則が有効です") && run.stdout.contains("許可: ward → emr"),
        "{}",
        run.stdout
    );
}

#[test]
fn whoever_is_logged_in_is_not_shut_out_but_by_a_person_who_says_so() {
    let Some(place) = Place::new("sessions") else { return };
    let mut session = Command::new("ip")
        .args(["netns", "exec", &place.names[1], "python3", "-c"])
        .arg(format!("import socket,time\ns=socket.create_connection(('{GATEWAY}',22),5)\nprint('in',flush=True)\ntime.sleep(60)"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(session.stdout.as_mut().unwrap(), &mut [0; 2]).unwrap();
    let netns = ["ip", "netns", "exec", &place.names[0], "nft"];
    place.configure("smb", "", &netns);
    let refused = place.wall(&["apply"]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(refused.stderr.contains(CLIENT) && refused.stderr.contains("port 22"), "{}", refused.stderr);
    assert!(place.reaches(SERVER, 104), "nothing was changed");
    // The variable of sshd names it as well.
    let _ = session.kill();
    let _ = session.wait();
    thread::sleep(Duration::from_millis(200));
    let ssh = format!("{CLIENT} 50000 {GATEWAY} 22");
    let refused = super::support::run(place.command(&["apply"]).env("SSH_CONNECTION", ssh));
    assert!(refused.code == 2 && refused.stderr.contains("--even-if-cut-off"), "{}", refused.stderr);
    place.done(&["apply", "--even-if-cut-off"]);
    assert!(!place.reaches(GATEWAY, 22));
    place.configure("smb", "ssh", &netns);
    place.done(&["undo"]);
    place.done(&["apply"]);
    assert!(place.reaches(GATEWAY, 22));
}

#[test]
fn a_trial_ends_although_the_one_who_began_it_was_killed_at_any_moment() {
    let Some(place) = Place::new("killed") else { return };
    place.usual("smb");
    place.done(&["apply", "--confirm-within", "0s"]);
    let nft = place.slow_nft();
    let command = ["ip", "netns", "exec", &place.names[0], nft.to_str().unwrap()];
    place.configure("dicom", "ssh", &command);
    let (slow, begun) = (place.site.path().join("slow"), place.site.path().join("begun"));
    fs::File::create(&slow).unwrap().write_all(b"x").unwrap();
    let mut apply =
        place.command(&["apply", "--confirm-within", "8s"]).stdout(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while !begun.exists() {
        assert!(started.elapsed() < Duration::from_secs(20), "it never came to the packet filter");
        thread::sleep(Duration::from_millis(20));
    }
    // Killed while the packet filter's program is at work; that goes on by itself.
    apply.kill().unwrap();
    apply.wait().unwrap();
    fs::remove_file(&slow).unwrap();
    let loaded = Instant::now();
    while !place.reaches(SERVER, 104) {
        assert!(loaded.elapsed() < Duration::from_secs(8), "the new policy never came");
    }
    thread::sleep(Duration::from_millis(9000).saturating_sub(loaded.elapsed()));
    assert!(place.reaches(SERVER, 445) && !place.reaches(SERVER, 104), "it went back by itself");
    assert_eq!(place.wall(&["confirm"]).code, 2);
    place.done(&["load"]);
    let status = place.wall(&["status"]);
    assert_eq!(status.lines[0]["number"], 1, "{}", status.stdout);
    assert!(status.lines[0]["drift"].is_null(), "{}", status.stdout);
    assert!(place.reaches(SERVER, 445));
    // Who began the trial did not live to tell it; that it ended is told once, by whoever comes next.
    let told = [("applied", 1), ("trial_ended", 1), ("loaded", 1)];
    assert_eq!(place.told(), told.map(|(event, number)| (event.to_owned(), Some(number))));
}
