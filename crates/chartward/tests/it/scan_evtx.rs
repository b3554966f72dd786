//! `chartward scan evtx`: logs and rules by what a script sees.

use std::fs;

use serde_json::Value;
use testkit::evtx as made;

use super::support::{Run, Site};

const RULE: &str = "title: A shadow copy is deleted\nid: 11111111-2222-3333-4444-555555555555\nauthor: Example Author\nstatus: test\nlevel: high\n\
tags: [attack.impact, attack.t1490]\nlogsource: {product: windows, category: process_creation}\n\
detection:\n  selection:\n    Image|endswith: '\\vssadmin.exe'\n    CommandLine|contains|all: ['delete', 'shadows']\n  condition: selection\n";
const LOW: &str = "title: Any process\nid: 11111111-2222-3333-4444-555555555556\nauthor: Example Author\nstatus: test\nlevel: low\n\
logsource: {product: windows, category: process_creation}\ndetection:\n  selection:\n    Image|endswith: '.exe'\n  condition: selection\n";

fn log() -> Vec<u8> {
    let time = "2026-11-03T00:00:00Z";
    let process = [
        ("NewProcessName", r"C:\Windows\System32\vssadmin.exe"),
        ("CommandLine", "vssadmin delete shadows /all /quiet"),
    ];
    let failed = [
        ("TargetUserName", "sato"),
        ("IpAddress", "203.0.113.7"),
        ("LogonType", "10"),
        ("SubStatus", "0xc000006a"),
    ];
    let event = |id, data: &[(&str, &str)]| {
        made::event("Security", "Microsoft-Windows-Security-Auditing", id, "EMR01.ward.example", time, data)
    };
    let record = |number, event| made::Record { number, at: 1_793_664_000_000_000, event };
    made::file(&[
        record(1, event(4625, &failed)),
        record(2, event(4625, &failed)),
        record(3, event(4688, &process)),
    ])
}

fn scan(site: &Site, args: &[&str]) -> Run {
    let mut all = vec!["scan", "evtx", "--json"];
    all.extend(args);
    site.bare(all)
}

fn put(site: &Site, name: &str, bytes: &[u8]) -> String {
    let path = site.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn findings(run: &Run) -> Vec<&Value> {
    run.lines.iter().filter(|line| line["class_uid"] == 2004).collect()
}

#[test]
fn rules_say_who_wrote_them_and_where_they_hold() {
    let site = Site::new();
    let log = put(&site, "logs/a.evtx", &log());
    put(&site, "rules/high.yml", RULE.as_bytes());
    put(&site, "rules/deeper/low.yml", LOW.as_bytes());
    put(
        &site,
        "rules/broken.yml",
        b"title: Broken\nlogsource: {product: windows}\ndetection:\n  condition: nowhere\n",
    );
    let rules = site.path().join("rules").to_str().unwrap().to_owned();

    let run = scan(&site, &["--rules", &rules, &log]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let titles: Vec<_> = findings(&run).iter().map(|line| line["finding_info"]["title"].clone()).collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert_eq!(run.lines.iter().filter(|line| line["type"] == "rule_not_loaded").count(), 1);

    let run = scan(&site, &["--rules", &rules, "--level", "high", &log]);
    let [finding] = findings(&run)[..] else { panic!("{:?}", run.lines) };
    assert_eq!(finding["sigma"]["id"], "11111111-2222-3333-4444-555555555555");
    assert_eq!(finding["sigma"]["author"], "Example Author");
    assert_eq!(finding["finding_info"]["title"], "A shadow copy is deleted");
    assert_eq!(
        (&finding["path"], &finding["record"], &finding["severity_id"]),
        (&log.into(), &3.into(), &4.into())
    );
    assert_eq!(
        (&finding["detector"], &finding["attacks"][0]["technique"]["uid"]),
        (&"backup.sigma".into(), &"T1490".into())
    );
    let summary = run.lines.last().unwrap();
    assert_eq!(
        (&summary["type"], &summary["events"], &summary["findings"]),
        (&"summary".into(), &3.into(), &1.into())
    );
    assert!(summary["events_per_second"].is_number());
}

#[test]
fn without_rules_ours_are_used_and_the_logons_told() {
    let site = Site::new();
    let log = put(&site, "a.evtx", &log());
    let run = scan(&site, &[&log]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let [finding, logons, summary] = &run.lines[..] else { panic!("{:?}", run.lines) };
    assert_eq!((&finding["sigma"]["author"], &finding["record"]), (&"Chartward".into(), &3.into()));
    assert_eq!((&logons["account"], &logons["source"]), (&"sato".into(), &"203.0.113.7".into()));
    assert_eq!(
        (&logons["protocol"], &logons["failures"], &logons["host"]),
        (&"rdp".into(), &2.into(), &"emr01".into())
    );
    assert_eq!(summary["logons"], 2);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_judged() {
    let site = Site::new();
    let whole = log();
    put(&site, "logs/a.evtx", &whole);
    put(&site, "logs/b.evtx", &whole[..made::HEADER_LEN + 600]);
    put(&site, "logs/c.json", b"neither");
    let logs = site.path().join("logs").to_str().unwrap().to_owned();
    let run = scan(&site, &[&logs]);
    assert_eq!(run.code, 1);
    let summary = run.lines.last().unwrap();
    assert_eq!((&summary["failed"], &summary["events"]), (&1.into(), &3.into()), "{}", run.stderr);
    assert!(run.stderr.contains("c.json") && run.stderr.contains("b.evtx"), "{}", run.stderr);
    assert_eq!(scan(&site, &["--rules", &logs, &logs]).code, 2);
    assert_eq!(scan(&site, &["--level", "worst", &logs]).code, 2);
    assert_eq!(scan(&site, &[&format!("{logs}/none")]).code, 2);
}
