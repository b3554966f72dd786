//! More packets than there is room for.

use rustix::process::Signal;
use serde_json::Value;

use super::net::{Net, Sensor};

/// 20,000 frames of 1,400 bytes, as fast as Python sends them.
const FLOOD: &str = r#"
import socket
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("e0", 0))
udp = bytes.fromhex("ffffffffffff020000000042" "0800" "450005720001000040110000" "0a4d0042" "0a4d0007" "13881388055e0000")
frame = udp + bytes(1372)
for _ in range(20000):
    try:
        wire.send(frame)
    except OSError:
        pass
"#;

#[test]
fn packets_that_find_no_room_are_counted_and_told() {
    let test = "packets_that_find_no_room_are_counted";
    let Some(net) = Net::new(test) else { return };
    if testkit::tool(test, "python3").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut sensor = Sensor::start(&net, &dir.path().join("state"), &["--ring", "4 MiB"]);
    sensor.signal(Signal::STOP);
    let sent = net.ward(&["python3", "-c", FLOOD]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    sensor.signal(Signal::CONT);
    let is_told = |line: &Value| line["type"] == "health" && line["dropped"].as_u64().unwrap() > 0;
    let health = sensor.until("drops", is_told);
    let (read, dropped) = (health["packets"].as_u64().unwrap(), health["dropped"].as_u64().unwrap());
    assert!(dropped > 5_000 && read + dropped >= 20_000, "{health:#}");
    sensor.stop();
}
