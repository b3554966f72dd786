//! Notices through the hub to real receivers, which are not there at first.

use std::thread;
use std::time::Duration;

use serde_json::Value;
use testkit::servers::{Postfix, Rsyslog, free_port, web_at};

use super::stage::{Stage, finding, until};

const CHANNELS: [&str; 4] = ["mail", "log", "chat", "lamp"];

fn config(stage: &Stage, [smtp, syslog, http]: [u16; 3]) {
    let key = stage.private_file("key", "a secret of the hospital");
    let channels = format!(
        r#"
[[notify]]
name = "mail"
lang = "ja"
smtp = {{ server = "127.0.0.1", port = {smtp}, tls = "none", from = "chartward@hospital.invalid", to = ["oncall@hospital.invalid"] }}
[[notify]]
name = "log"
syslog = {{ address = "127.0.0.1:{syslog}", transport = "tcp" }}
[[notify]]
name = "chat"
webhook = {{ url = "http://127.0.0.1:{http}/hook", signing_key = {{ file = {key:?} }} }}
[[notify]]
name = "lamp"
lamp = {{ url = "http://127.0.0.1:{http}/lamp?alert={{lights}}&severity={{severity}}" }}
[[notify]]
name = "director"
severity_min = "critical"
lamp = {{ url = "http://127.0.0.1:{http}/lamp?director={{severity}}" }}

[[playbook]]
name = "tell"
watchers = ["sensor"]
severity_min = "medium"
acts = ["notify"]
channels = ["mail", "log", "chat", "lamp", "director"]
approval = "none"

"#
    );
    stage.configure(&[stage.watch("net", "sensor", ""), channels].concat());
}

/// The notices of one channel, in order.
fn of(stage: &Stage, channel: &str) -> Vec<Value> {
    let mut all = stage.measures();
    all.retain(|it| it["act"]["channel"] == channel);
    all
}

fn delivered(stage: &Stage, channel: &str) -> String {
    let applied = |it: Value| (it["state"] == "applied").then(|| it["detail"].as_str().unwrap().to_owned());
    until(channel, || of(stage, channel).into_iter().find_map(applied))
}

#[test]
fn notices_reach_a_mail_server_a_syslog_server_a_webhook_and_a_lamp_once_these_are_there() {
    let test = "notices_reach_a_mail_server";
    let tools = ["postfix", "openssl", "rsyslogd", "python3"];
    if !testkit::root(test) || tools.iter().any(|tool| testkit::tool(test, tool).is_none()) {
        return;
    }
    let (stage, ports) = (Stage::new(), [free_port(), free_port(), free_port()]);
    config(&stage, ports);
    let hub = stage.up();
    stage.done(&["act", "arm", "notify", "sensor"]);
    // Too little for a channel that is told of what is high and worse, whatever the playbook says.
    stage.say("net", &[finding("a", "bruteforce.ssh", 3, "203.0.113.9")]);
    until("an incident", || stage.incidents().first().cloned());
    thread::sleep(Duration::from_millis(500));
    assert_eq!(stage.measures(), Vec::<Value>::new());

    stage.say("net", &[finding("b", "bruteforce.ssh", 4, "203.0.113.9")]);
    until("all wait", || CHANNELS.iter().all(|it| of(&stage, it).len() == 1).then_some(()));
    thread::sleep(Duration::from_millis(1500));
    for channel in CHANNELS {
        assert_eq!(of(&stage, channel)[0]["state"], "approved", "{channel} was delivered to nobody");
    }
    let postfix = Postfix::start_at(ports[0]);
    let rsyslog = Rsyslog::start_at(ports[1]);
    let _web = web_at(ports[2]);

    let queued = delivered(&stage, "mail");
    let queue_id = queued.strip_prefix("250 2.0.0 Ok: queued as ").unwrap_or_else(|| panic!("{queued}"));
    let mail = postfix.mail(queue_id);
    assert!(mail.contains("X-Chartward-Incident: INC-0001"), "{mail}");
    assert!(delivered(&stage, "log").contains("accepted by the kernel of 127.0.0.1:"));
    let fields = rsyslog.fields("INC-0001");
    assert_eq!((fields[0].as_str(), fields[2].as_str()), ("1", "err"), "{fields:?}");
    assert!(fields[7].contains(r#"severity_id="4" lang="en" incident="INC-0001""#), "{fields:?}");
    let taken = delivered(&stage, "chat");
    assert!(
        taken.starts_with("HTTP 202 taken 1 4 ") || taken.starts_with("HTTP 202 taken INC-0001 4 "),
        "{taken}"
    );
    assert_eq!(delivered(&stage, "lamp"), "HTTP 200 GET /lamp?alert=100000&severity=4");
    assert_eq!(of(&stage, "director"), Vec::<Value>::new());

    // It becomes worse: now the director is told, and the others are not told the same again.
    stage.say("net", &[finding("c", "bruteforce.ssh", 5, "203.0.113.9")]);
    assert_eq!(delivered(&stage, "director"), "HTTP 200 GET /lamp?director=5");
    for channel in CHANNELS {
        assert_eq!(of(&stage, channel).len(), 1, "{channel}");
    }
    assert_eq!(hub.stop().0, 0);
    let ledger = stage.ledger();
    let proofs = ledger.iter().filter(|it| it["fact"]["kind"] == "notice_delivered");
    let mut proofs: Vec<(&str, &str)> = proofs
        .map(|it| (it["fact"]["channel"].as_str().unwrap(), it["fact"]["proof"].as_str().unwrap()))
        .collect();
    proofs.sort_unstable();
    assert_eq!(proofs.len(), 5, "{proofs:?}");
    assert!(proofs.iter().any(|(channel, proof)| *channel == "mail" && *proof == queued), "{proofs:?}");
    let state = prove::State::open(&stage.state, jiff::Timestamp::now()).unwrap();
    let kept = state.notices(None, 100).unwrap();
    for channel in CHANNELS {
        let notice = kept.iter().find(|it| it.channel == channel).unwrap();
        assert!(notice.tries >= 1 && notice.delivered_at.is_some(), "{notice:?}");
    }
}
