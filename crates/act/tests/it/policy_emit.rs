//! Rules for other firewalls: what a program can judge is judged by that program.

use std::io::Write;
use std::process::{Command, Stdio};

use act::wall::policy::emit::{Device, emit};
use act::wall::policy::{Action, Allow, Egress, Limit, Mode, Pair, Policy, Zone};
use schema::Lang;

use crate::legs::{Legs, Stands};
use crate::policy::{allow, nets, words};

fn everything() -> Policy {
    let zone = |name: &str, networks: &[&str]| Zone {
        name: name.to_owned(),
        networks: nets(networks),
        ..Zone::default()
    };
    let pair = |from: &str, to: &str, action| Pair { from: from.into(), to: to.into(), action };
    Policy {
        default: Action::Watch,
        zones: vec![
            Zone {
                interfaces: words(&["lan0", "lan0.20"]),
                ..zone("clinic", &["10.10.0.0/24", "fd10::/64"])
            },
            Zone { egress: Egress::Listed, ..zone("電子カルテ", &["10.20.0.0/24", "fd20::/64"]) },
            Zone {
                quarantine: true,
                interfaces: words(&["lan0.99"]),
                ..zone("quarantine", &["10.99.0.0/24", "fd99::/64"])
            },
        ],
        services: vec![act::wall::policy::Service {
            name: "vendor".into(),
            ports: act::wall::policy::Ports {
                tcp: vec![(5000, 5010), (7000, 7000)],
                udp: vec![(5000, 5000)],
                ping: true,
            },
        }],
        allow: vec![
            allow(&["clinic"], &["電子カルテ"], &["dicom", "vendor"]),
            Allow {
                hours: Some("Mon-Fri 08:00-18:00, Sat 09:00-12:30".parse().unwrap()),
                because: "保守 \"vendor\"".into(),
                to_hosts: nets(&["10.20.0.7", "fd20::7"]),
                ..allow(&["outside"], &["電子カルテ"], &["rdp"])
            },
            Allow {
                to_hosts: nets(&["192.0.2.53", "2001:db8::1:2", "2001:db8:1::2"]),
                ..allow(&["電子カルテ"], &["outside"], &["dns", "ntp"])
            },
            Allow { from_hosts: nets(&["10.10.0.9"]), ..allow(&[], &["self"], &[]) },
        ],
        pairs: vec![pair("clinic", "電子カルテ", Action::Refuse), pair("outside", "self", Action::Refuse)],
        limits: vec![Limit {
            from: words(&["clinic", "outside"]),
            services: words(&["rdp", "ssh"]),
            rate: "10/minute".parse().unwrap(),
            burst: 5,
        }],
        spared: nets(&["10.10.0.1", "fd10::1"]),
        reach: nets(&["10.20.0.2"]),
        utc_offset_seconds: 32_400,
        ..Policy::default()
    }
}

fn check(words: &[&str], input: &str) {
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{words:?}: {}\n{input}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_emitted_is_taken_by_the_programs_it_is_for() {
    let Some(legs) = Legs::new("what_is_emitted_is_taken", Stands::Router) else { return };
    let nft = legs.nft_command();
    let namespace = nft[3].clone();
    for tool in ["iptables-restore", "ip6tables-restore"] {
        if testkit::tool("what_is_emitted_is_taken", tool).is_none() {
            return;
        }
    }
    for mode in [Mode::Router, Mode::Bridge] {
        let mut policy = Policy { mode, ..everything() };
        if mode == Mode::Bridge {
            policy.zones.iter_mut().for_each(|zone| zone.interfaces.clear());
        }
        assert!(policy.check().iter().all(|problem| !problem.is_error), "{:?}", policy.check());
        let within = |words: &[&str], text: &str| {
            check(&[&["ip", "netns", "exec", &namespace], words].concat(), text);
        };
        within(&["nft", "-c", "-f", "-"], &emit(&policy, Device::Nft, Lang::En));
        within(&["iptables-restore", "--test"], &emit(&policy, Device::Iptables, Lang::En));
        within(&["ip6tables-restore", "--test"], &emit(&policy, Device::Ip6tables, Lang::En));
    }
    // Not only taken, but in force.
    let policy = Policy {
        zones: vec![Zone {
            name: "lan".into(),
            networks: nets(&["10.10.0.0/24", "fd10::/64"]),
            ..Zone::default()
        }],
        default: Action::Refuse,
        allow: vec![allow(&["lan"], &["outside"], &["smb"])],
        ..Policy::default()
    };
    for (program, device) in
        [("iptables-restore", Device::Iptables), ("ip6tables-restore", Device::Ip6tables)]
    {
        let text = emit(&policy, device, Lang::En);
        check(&["ip", "netns", "exec", &namespace, program, "--noflush"], &text);
    }
    let (lan, emr) = (legs.host("lan1"), legs.host("emr1"));
    for v6 in [false, true] {
        assert!(lan.reaches(emr.address(v6), 445) && lan.is_refused_by(emr.address(v6), 104), "{v6}");
        assert!(emr.is_refused_by(lan.address(v6), 445), "{v6}");
    }
}

#[test]
fn what_is_for_a_device_says_that_nobody_tried_it_and_names_every_rule() {
    let policy = everything();
    for (device, parts) in [
        (
            Device::Fortigate,
            &[
                "config firewall policy",
                "set action deny",
                "set subnet 10.20.0.7 255.255.255.255",
                "5000-5010 7000",
                "srcintf \"lan0\"",
                // Two addresses that differ only in where their zeros are.
                "edit \"cw-2001-db8-0-0-0-0-1-2-128\"",
                "edit \"cw-2001-db8-1-0-0-0-0-2-128\"",
                // A service with ports and ping is two of the device's.
                "-u5000\" \"PING\"",
                "-u5000\" \"PING6\"",
            ][..],
        ),
        (
            Device::Cisco,
            &[
                "permit tcp any any established",
                "range 5000 5010",
                "host 10.20.0.7 eq 3389 time-range",
                "0.0.0.255",
            ],
        ),
        (
            Device::YamahaRtx,
            &["ip filter 10000", "tcp * 104,5000-5010,7000,11112", "ipv6 filter", "secure filter in"],
        ),
    ] {
        let text = emit(&policy, device, Lang::En);
        assert!(text.contains("Not tested on that device"), "{device:?}");
        assert!(emit(&policy, device, Lang::Ja).contains("実機では試験していません"), "{device:?}");
        for part in parts {
            assert!(text.contains(part), "{device:?}: {part}\n{text}");
        }
    }
    let text = emit(&policy, Device::Text, Lang::Ja);
    assert!(text.contains("許可: clinic → 電子カルテ: dicom (tcp 104, 11112)"), "{text}");
}
