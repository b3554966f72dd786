//! `chartward scan pcap`: captures by what a script sees.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::frames::{self, Tcp, flag};

use super::support::{BINARY, Run, Site};

const SECOND: i64 = 1_000_000;

fn scan(site: &Site, args: &[&str]) -> Run {
    let mut all = vec!["scan", "pcap", "--json"];
    all.extend(args);
    site.bare(all)
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// One conversation, and a host that tries so many others, which refuse.
fn capture(tried: u8) -> Vec<u8> {
    let (client, server) = (at("10.0.0.5:40000"), at("10.0.0.9:443"));
    let mut file = frames::pcap_header();
    let mut now = 1_500_000_000 * SECOND;
    let mut packet = |source, destination, flags| {
        now += SECOND / 10;
        frames::pcap_record(now, &Tcp::bare(source, destination, flags).frame(), &mut file);
    };
    for (source, destination, flags) in [
        (client, server, flag::SYN),
        (server, client, flag::SYN | flag::ACK),
        (client, server, flag::ACK),
        (client, server, flag::FIN | flag::ACK),
        (server, client, flag::FIN | flag::ACK),
        (client, server, flag::ACK),
    ] {
        packet(source, destination, flags);
    }
    for host in 0..tried {
        let (source, target) = (at("10.0.0.66:50000"), at(&format!("10.0.1.{host}:445")));
        packet(source, target, flag::SYN);
        packet(target, source, flag::RST | flag::ACK);
    }
    file
}

fn findings<'a>(run: &'a Run, path: &str) -> Vec<&'a Value> {
    run.lines.iter().filter(|line| line["class_uid"] == 2004 && line["path"] == path).collect()
}

#[test]
fn captures_are_judged_one_by_one_and_what_cannot_be_read_is_named() {
    let site = Site::new();
    let write = |name: &str, bytes: &[u8]| {
        let path = site.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let quiet = write("quiet.pcap", &capture(0));
    let scanned = write("scanned.pcap", &capture(60));
    let run = scan(&site, &[&quiet]);
    assert_eq!((run.code, run.lines.len()), (0, 1), "{}", run.stderr);
    let summary = &run.lines[0];
    assert_eq!(
        (&summary["type"], &summary["packets"], &summary["flows"]),
        (&"summary".into(), &6.into(), &1.into())
    );
    assert_eq!((&summary["coverage"]["two_way"], &summary["coverage"]["undecoded"]), (&1.into(), &0.into()));

    let mut cut = capture(0);
    cut.truncate(cut.len() - 3);
    let (cut, text) = (write("cut.pcap", &cut), write("text.pcap", b"no capture at all, but a text"));
    let missing = site.path().join("missing.pcap").to_str().unwrap().to_owned();
    let run = scan(&site, &[&missing, &text, &cut, &scanned, &quiet]);
    assert_eq!(run.code, 1);
    for name in [&missing, &text, &cut] {
        assert!(run.stderr.contains(name.as_str()), "{}", run.stderr);
    }
    assert!(!findings(&run, &scanned).is_empty(), "{}", run.stdout);
    assert!(findings(&run, &quiet).is_empty() && findings(&run, &cut).is_empty());
    let summary = run.lines.last().unwrap();
    assert_eq!((&summary["failed"], &summary["packets"]), (&3.into(), &(5 + 126 + 6).into()));
    let told = findings(&run, &scanned)[0];
    assert!(told["detector"].as_str().unwrap().starts_with("scan."), "{told}");
    assert_eq!(told["src_endpoint"]["ip"], "10.0.0.66");

    // The same scanner, which is allowed to.
    let run = scan(&site, &["--known-scanner", "10.0.0.66", &scanned]);
    assert_eq!(run.code, 0, "{}", run.stdout);
}

#[test]
fn flows_are_told_and_the_standard_input_is_read() {
    let site = Site::new();
    let path = site.path().join("quiet.pcap");
    fs::write(&path, capture(0)).unwrap();
    let path = path.to_str().unwrap();
    let run = scan(&site, &["--flows", path]);
    let flow = &run.lines[0];
    assert_eq!(
        (&flow["class_uid"], &flow["activity_id"], &flow["path"]),
        (&4001.into(), &2.into(), &path.into())
    );
    assert_eq!((&flow["src_endpoint"]["port"], &flow["dst_endpoint"]["port"]), (&40000.into(), &443.into()));
    assert_eq!((&flow["traffic"]["packets_out"], &flow["traffic"]["packets_in"]), (&4.into(), &2.into()));
    assert_eq!(
        (&flow["connection_info"]["direction"], &flow["end"]),
        (&"Lateral".into(), &"finished".into())
    );
    let outside = scan(&site, &["--flows", "--internal", "10.0.0.9/32", path]);
    assert_eq!(outside.lines[0]["connection_info"]["direction"], "Inbound");

    let piped = Command::new(BINARY)
        .args(["scan", "pcap", "-", "--lang", "ja"])
        .stdin(Stdio::from(fs::File::open(path).unwrap()))
        .output()
        .unwrap();
    let text = String::from_utf8(piped.stdout).unwrap();
    assert_eq!(piped.status.code(), Some(0), "{text}");
    assert!(text.contains("パケット 6 個") && text.contains("検出 0 件"), "{text}");
}
