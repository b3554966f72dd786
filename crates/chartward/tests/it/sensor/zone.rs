//! A response-policy zone that a name server takes.

use std::fs;
use std::process::Command;

use super::net::{Net, Sensor};
use crate::support::{BINARY, run};

#[test]
fn the_zone_holds_the_lists_and_a_name_server_takes_it() {
    let Some(check) = testkit::tool("the_zone_holds_the_lists", "named-checkzone") else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(
        path("bad.txt"),
        "# known\n0.0.0.0 evil.example\nwww.evil.example\nphish.test\n偽病院.example\n",
    )
    .unwrap();
    fs::write(path("more.txt"), "*.c2.invalid\nkeep.example\nnot a name\n").unwrap();
    let config =
        format!("[sensor]\nmalware_lists = [{:?}]\nnames_allowed = [\"keep.example\"]\n", path("bad.txt"));
    fs::write(path("chartward.toml"), config).unwrap();
    let made = run(Command::new(BINARY)
        .args(["sensor", "rpz", "--json", "--list"])
        .arg(path("more.txt"))
        .arg("--to")
        .arg(path("rpz.zone"))
        .arg("--config")
        .arg(path("chartward.toml"))
        .arg("--state")
        .arg(path("state")));
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert_eq!(made.lines[0]["names"], 4, "{}", made.stdout);
    let zone = fs::read_to_string(path("rpz.zone")).unwrap();
    for name in ["evil.example", "phish.test", "c2.invalid", "xn--"] {
        assert!(zone.contains(name), "{zone}");
    }
    assert!(!zone.contains("keep.example") && !zone.contains("www."), "{zone}");
    let checked = Command::new(check).arg("rpz.example.org").arg(path("rpz.zone")).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// One question for a name, over plain DNS.
const QUESTION: &str = r#"
import socket, struct, sys
name = b"".join(bytes([len(part)]) + part.encode() for part in sys.argv[1].split(".")) + b"\0"
query = struct.pack("!6H", 4711, 0x0100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(query, ("10.77.0.1", 53))
"#;

#[test]
fn a_look_alike_that_somebody_asked_for_goes_from_the_wire_into_the_zone() {
    let test = "a_look_alike_that_somebody_asked_for";
    let Some(net) = Net::new(test) else { return };
    if testkit::tool(test, "python3").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let mut sensor = Sensor::start(&net, &state, &[]);
    // The second one resembles a brand only a little, the third one nothing.
    for name in ["www.arnazon.co.jp", "amazon-login.example", "www.mhlw.go.jp"] {
        assert!(net.ward(&["python3", "-c", QUESTION, name]).status.success());
    }
    let found = sensor.until("a look-alike", |line| line["detector"] == "phishing.name");
    assert!(found.to_string().contains("\"arnazon.co.jp\""), "{found:#}");
    sensor.stop();
    let zone = dir.path().join("rpz.zone");
    let made = run(Command::new(BINARY)
        .args(["sensor", "rpz", "--json", "--to"])
        .arg(&zone)
        .arg("--config")
        .arg(state.with_extension("toml"))
        .arg("--state")
        .arg(&state));
    assert_eq!((made.code, &made.lines[0]["seen"]), (0, &1.into()), "{} {}", made.stdout, made.stderr);
    let zone = fs::read_to_string(&zone).unwrap();
    assert!(zone.contains("arnazon.co.jp CNAME .\n*.arnazon.co.jp CNAME ."), "{zone}");
    assert!(!zone.contains("mhlw") && !zone.contains("amazon-login"), "{zone}");
}
