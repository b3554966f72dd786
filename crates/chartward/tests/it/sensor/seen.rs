//! What a sensor sees of real traffic, without any right left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use super::net::{Net, Sensor, inside, ip};
use crate::support::{BINARY, Run, run};

fn ask(state: &std::path::Path, words: &[&str]) -> Run {
    let config = state.with_extension("toml");
    run(Command::new(BINARY).args(words).arg("--config").arg(config).arg("--state").arg(state))
}

fn flows(heard: &[Value]) -> Vec<&Value> {
    heard.iter().filter(|line| line["class_uid"] == 4001).collect()
}

/// 250 datagrams of 1,000 bytes from 10.78.0.5 to 203.0.113.9 in VLAN 42, and an answer to each. Written to the wire, since not every
/// kernel has VLAN devices; the receiving one takes the tag out all the same.
const LEAK: &str = r#"
import socket, struct
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("e0", 0))
def frame(source, destination, ports, payload):
    udp = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(destination))
    return bytes.fromhex("0200000000020200000000018100002a0800") + ip + udp
for _ in range(250):
    wire.send(frame("10.78.0.5", "203.0.113.9", (40000, 8443), bytes(1000)))
    wire.send(frame("203.0.113.9", "10.78.0.5", (8443, 40000), bytes(10)))
"#;

#[test]
fn a_scan_is_seen_by_a_process_without_rights_and_the_evidence_says_what_it_covers() {
    let test = "a_scan_is_seen_by_a_process_without_rights";
    let Some(net) = Net::new(test) else { return };
    if ["nmap", "python3"].iter().any(|tool| testkit::tool(test, tool).is_none()) {
        return;
    }
    for host in 2..40 {
        ip(&net.post, &format!("addr add 10.77.0.{host}/24 dev m0"));
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let mut sensor = Sensor::start(&net, &state, &[]);
    let ready = sensor.heard[0].clone();
    assert_eq!((&ready["paths"], &ready["interfaces"][0]["state"]), (&json!(["m0"]), &json!("up")));
    assert!(ready["blind_spots"].as_array().unwrap().len() >= 3, "{ready:#}");
    // What it was started with is gone.
    for field in ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"] {
        assert_eq!(sensor.status(field), "0000000000000000", "{field}");
    }
    assert_eq!((sensor.status("NoNewPrivs"), sensor.status("Seccomp")), ("1".to_owned(), "2".to_owned()));

    let scanned = net.ward(&["nmap", "-sS", "-n", "-Pn", "-p", "445", "--max-retries", "0", "10.77.0.1-39"]);
    assert!(scanned.status.success(), "{}", String::from_utf8_lossy(&scanned.stderr));
    let scan =
        sensor.until("a scan", |line| line["detector"].as_str().is_some_and(|it| it.starts_with("scan.")));
    assert_eq!(scan["src_endpoint"]["ip"], "10.77.0.66", "{scan:#}");

    // Something leaves the network, inside a VLAN.
    let sent = net.ward(&["python3", "-c", LEAK]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let heard = sensor.stop();
    let out = flows(&heard).into_iter().find(|flow| flow["dst_endpoint"]["ip"] == "203.0.113.9");
    let out = out.unwrap_or_else(|| panic!("{heard:#?}"));
    assert_eq!(
        (&out["src_endpoint"]["vlan_uid"], &out["connection_info"]["direction_id"]),
        (&json!("42"), &json!(2))
    );
    assert!(out["traffic"]["bytes_out"].as_u64().unwrap() > 200_000, "{out:#}");
    let health = heard.iter().rfind(|line| line["type"] == "health").unwrap();
    assert_eq!(health["dropped"], 0, "{health:#}");
    assert_eq!(heard.last().unwrap()["type"], "stopped");

    let kept = fs::metadata(state.join("sensor/flows")).unwrap().permissions().mode() & 0o777;
    assert_eq!(kept, 0o700);
    let hour = jiff::SignedDuration::from_hours(1);
    let now = jiff::Timestamp::now();
    let (from, to) = ((now - hour).to_string(), (now + hour).to_string());
    let words = ["sensor", "evidence", "--from", &from, "--to", &to, "--host", "10.78.0.5"];
    let evidence = ask(&state, &[&words[..], &["--json"]].concat());
    assert_eq!(evidence.code, 1, "{}", evidence.stderr);
    let said = &evidence.lines[0];
    assert_eq!(said["outside"][0]["peer"], "203.0.113.9", "{said:#}");
    assert!(said["outside"][0]["payload_sent"].as_u64().unwrap() >= 200_000);
    assert_eq!(said["observation"]["gaps"].as_array().unwrap().len(), 2, "before it ran, and after");
    assert_eq!(said["observation"]["interfaces"], json!(["m0"]));
    for (lang, words) in [("en", "were seen to leave the network"), ("ja", "外部に出たデータが")] {
        let run = ask(&state, &["sensor", "evidence", "--from", &from, "--to", &to, "--lang", lang]);
        assert!(run.stdout.contains(words), "{}", run.stdout);
    }
}

#[test]
fn an_interface_that_vanishes_is_told_and_taken_back() {
    let test = "an_interface_that_vanishes_is_told";
    let Some(net) = Net::new(test) else { return };
    if testkit::tool(test, "ping").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut sensor = Sensor::start(&net, &dir.path().join("state"), &[]);
    let interface =
        |state: &'static str| move |line: &Value| line["type"] == "interface" && line["state"] == state;
    ip(&net.ward, "link set e0 down");
    sensor.until("an unplugged cable", interface("no_carrier"));
    ip(&net.ward, "link set e0 up");
    sensor.until("the cable", interface("up"));
    ip(&net.post, "link set m0 down");
    sensor.until("an interface that is down", interface("down"));
    net.unplug();
    sensor.until("an interface that is gone", interface("gone"));
    let health = sensor.until("its health", |line| line["type"] == "health");
    assert_eq!(health["interfaces"][0]["state"], "gone");
    net.plug_in();
    sensor.until("the interface again", interface("up"));
    let pinged = net.ward(&["ping", "-c", "3", "-i", "0.2", "10.77.0.1"]);
    assert!(pinged.status.success());
    let heard = sensor.stop();
    let ping = flows(&heard).into_iter().find(|flow| {
        flow["connection_info"]["protocol_name"] == "icmp" && flow["src_endpoint"]["ip"] == "10.77.0.66"
    });
    assert!(ping.is_some(), "{heard:#?}");
}

#[test]
fn what_was_learnt_is_shown_and_forgotten_while_the_sensor_runs_and_after() {
    let test = "what_was_learnt_is_shown_and_forgotten";
    let Some(net) = Net::new(test) else { return };
    if testkit::tool(test, "ncat").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let mut sensor = Sensor::start(&net, &state, &[]);
    let mut server = inside(&net.post, &["ncat", "-lk", "10.77.0.1", "445"]).spawn().unwrap();
    let call = "for i in 1 2 3 4 5 6 7 8; do ncat -z 10.77.0.1 445 && break; sleep 0.5; done";
    assert!(net.ward(&["sh", "-c", call]).status.success());
    sensor.until("a learnt pair", |line| line["type"] == "health" && line["learnt"] == 1);
    let refused = ask(&state, &["sensor", "learnt", "--json", "--forget", "10.9.9.9,10.9.9.8:1"]);
    assert_eq!((refused.code, &refused.lines[0]["count"]), (1, &json!(0)), "{}", refused.stderr);
    let forgotten = ask(&state, &["sensor", "learnt", "--json", "--forget", "10.77.0.66,10.77.0.1:445"]);
    assert_eq!((forgotten.code, &forgotten.lines[0]["count"]), (0, &json!(1)), "{}", forgotten.stderr);
    assert!(net.ward(&["sh", "-c", call]).status.success());
    let _ = server.kill();
    let _ = server.wait();
    sensor.until("a pair learnt anew", |line| line["type"] == "health" && line["learnt"] == 1);
    sensor.stop();
    let listed = ask(&state, &["sensor", "learnt", "--json"]);
    assert_eq!((&listed.lines[0]["client"], &listed.lines[0]["port"]), (&json!("10.77.0.66"), &json!(445)));
    let all = ask(&state, &["sensor", "learnt", "--json", "--forget-all"]);
    assert_eq!((all.code, &all.lines[0]["count"]), (0, &json!(1)), "{}", all.stderr);
    assert_eq!(ask(&state, &["sensor", "learnt", "--json"]).lines[0]["pairs"], 0);
}

#[test]
fn what_cannot_be_watched_is_said_at_the_start() {
    let Some(net) = Net::new("what_cannot_be_watched_is_said") else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::write(state.with_extension("toml"), "").unwrap();
    for (words, expected) in
        [(&["--interface", "nowhere9"][..], "find the interface nowhere9"), (&[], "name an interface")]
    {
        let config = state.with_extension("toml");
        let mut command = inside(&net.post, &[BINARY, "sensor", "--json"]);
        let run = run(command.args(words).arg("--config").arg(config).arg("--state").arg(&state));
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
    }
    let nothing = ask(&state, &["sensor", "evidence", "--from", "2026-05-04", "--to", "2026-05-04"]);
    assert_eq!(nothing.code, 2, "{}", nothing.stdout);
}
