//! The network sensor as a child of the hub: with few rights, a scan becomes an incident and a block, and what it does not see an alarm.

use std::fs;
use std::process::Command;

use super::stage::{Stage, Up, until};
use crate::sensor::net::{Net, inside, ip};
use crate::support::BINARY;

const SCANNER: &str = "10.77.0.66";

#[test]
fn the_hub_runs_the_sensor_and_a_scan_becomes_an_incident_and_a_block() {
    let test = "the_hub_runs_the_sensor";
    let Some(net) = Net::new(test) else { return };
    if testkit::tool(test, "nmap").is_none() {
        return;
    }
    let Some(stage) = Stage::with_wall(test) else { return };
    for host in 2..40 {
        ip(&net.post, &format!("addr add 10.77.0.{host}/24 dev m0"));
    }
    stage.configure(
        "[sensor]\ninterfaces = [\"m0\"]\n[[sensor.contract]]\nname = \"ct\"\npeer = [\"198.51.100.7\"]\nhosts = [\"10.77.0.1\"]\n\n\
         [[watch]]\nname = \"net\"\nsensor = true\n\n\
         [[playbook]]\nname = \"scans\"\nwatchers = [\"sensor\"]\ndetectors = [\"scan.*\"]\nseverity_min = \"low\"\n\
         acts = [\"block_address\"]\napproval = \"none\"\n\n",
    );
    let mut command = inside(&net.post, &[BINARY, "up", "--json", "--config"]);
    command.arg(stage.path("chartward.toml"));
    let hub = Up::start(command, &stage.path("hub.log"));
    assert_eq!(hub.ready["type"], "ready", "{}", stage.log());
    let socket = stage.state.join("sensor/control.sock");
    until("the sensor", || socket.exists().then_some(()));
    let pid = child(hub.pid(), "sensor");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(
        (field("CapEff:").as_str(), field("CapPrm:").as_str()),
        ("0000000000000000", "0000000000000000")
    );
    assert!(field("Uid:").starts_with("65534"), "{}", field("Uid:"));
    assert_eq!(stage.alarms("sensor.blind"), Vec::<serde_json::Value>::new());

    stage.done(&["act", "arm", "block_address", "sensor"]);
    let scanned = net.ward(&["nmap", "-sS", "-n", "-Pn", "-p", "445", "--max-retries", "0", "10.77.0.1-39"]);
    assert!(scanned.status.success());
    let measure = until("a block", || stage.measure("block_address"));
    assert_eq!(measure["act"]["address"], SCANNER, "{measure:#}");
    until("the block in force", || {
        stage.banned().iter().any(|(address, _)| address == SCANNER).then_some(())
    });
    let incidents = stage.incidents();
    assert!(!incidents.is_empty());
    // The incident leads to what left the network meanwhile.
    let id = incidents[0]["id"].to_string();
    let shown = stage.done(&["incident", "show", &id]);
    let command = shown["network_evidence"].as_str().unwrap();
    assert!(
        command.starts_with("chartward sensor evidence --from ") && command.contains(SCANNER),
        "{command}"
    );
    let report = stage.done(&["incident", "report", &id]);
    let page = fs::read_to_string(report["ja"].as_str().unwrap()).unwrap();
    assert!(page.contains("chartward sensor evidence") && page.contains("観測"), "{page}");

    ip(&net.post, "link set m0 down");
    let alarms = until("an alarm", || Some(stage.alarms("sensor.blind")).filter(|alarms| !alarms.is_empty()));
    assert!(alarms[0]["title"].as_str().unwrap().contains("m0"), "{alarms:#?}");
    assert_eq!(hub.stop().0, 0);
    assert!(fs::read_dir(stage.state.join("sensor/flows")).unwrap().count() > 0);
}

/// The process below `of` that runs that subcommand and nothing else.
fn child(of: i32, subcommand: &str) -> i32 {
    until("the process of the sensor", || {
        let listed = Command::new("ps").args(["-eo", "pid,ppid,args", "--no-headers"]).output().unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        let rows: Vec<(i32, i32, String)> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let (pid, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                Some((pid, parent, words.skip(1).take(1).collect()))
            })
            .collect();
        let below = |mut pid: i32| {
            while let Some((_, parent, _)) = rows.iter().find(|row| row.0 == pid) {
                if *parent == of {
                    return true;
                }
                pid = *parent;
            }
            false
        };
        rows.iter().find(|(pid, _, first)| first == subcommand && below(*pid)).map(|row| row.0)
    })
}
