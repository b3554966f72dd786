//! What others say of their own samples: fail2ban's `failJSON`, CrowdSec's `.assert`. Neither is copied here.

use std::collections::BTreeMap;
use std::path::Path;

use schema::{AuthOutcome, AuthReason};
use serde_json::Value;

use super::{Read, events, reader};

/// fail2ban's own tests are run at this moment, in this zone.
const NOW: &str = "2005-08-14T10:00:00Z";
const ZONE: &str = "Europe/Zurich";

/// Lines about which we disagree, and why.
const EXPLAINED: &[(&str, &str)] = &[
    // PAM before 0.99.2 is read here; fail2ban gave it up.
    ("pam-generic", "webmail pop(pam_unix)[4920]: authentication failure"),
];

/// What fail2ban calls a failure in its mode: in those beyond the normal one, whoever breaks off counts too.
fn is_failure(read: &Read, is_normal: bool) -> bool {
    read.from.is_some()
        && (read.outcome == AuthOutcome::Failure
            || !is_normal && read.outcome == AuthOutcome::Reached && read.reason == AuthReason::Broken)
}

#[test]
fn every_failure_that_fail2ban_knows_is_read_with_its_address_and_no_other() {
    let Some(dir) = testkit::shared("fail2ban's truth", "logins/logs-fail2ban-gpl2") else { return };
    let (mut checked, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        checked += check_file(&path, &mut wrong);
    }
    assert!(wrong.is_empty(), "{} of {checked} lines:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checked > 330, "{checked}");
}

fn check_file(path: &Path, wrong: &mut Vec<String>) -> usize {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let (mut reader_now, mut is_normal, mut truth) = (reader(NOW, ZONE), true, None::<Value>);
    let mut checked = 0;
    for line in text.lines() {
        if let Some(options) = line.strip_prefix("# filterOptions: ") {
            // A mode that is not named is the normal one.
            let options: Value = serde_json::from_str(options).unwrap();
            let first = options.get(0).unwrap_or(&options);
            is_normal = first["mode"].is_null();
            reader_now = reader(NOW, ZONE);
        } else if let Some(json) = line.strip_prefix("# failJSON: ") {
            truth = Some(serde_json::from_str(json).unwrap());
        } else if !line.starts_with('#') && !line.is_empty() {
            let truth = truth.take();
            let constraint =
                truth.as_ref().and_then(|truth| truth["constraint"].as_str()).unwrap_or_default();
            if constraint.contains("== 'aggressive'") {
                continue;
            }
            let found = events(&mut reader_now, line.as_bytes());
            let Some(truth) = truth else { continue };
            if EXPLAINED.iter().any(|(file, part)| *file == name && line.contains(part)) {
                continue;
            }
            checked += 1;
            if let Err(why) = judge(&name, &truth, &found, is_normal) {
                wrong.push(format!("{name}: {line}\n    {why}; truth {truth}\n    {found:?}"));
            }
        }
    }
    checked
}

fn judge(name: &str, truth: &Value, found: &[Read], is_normal: bool) -> Result<(), String> {
    let failures: Vec<&Read> = found.iter().filter(|read| is_failure(read, is_normal)).collect();
    if truth["match"] == false {
        return if failures.is_empty() { Ok(()) } else { Err("is no failure".into()) };
    }
    let Some(failure) = failures.first() else { return Err("not found".into()) };
    let host = truth["host"].as_str();
    if host.is_some_and(|host| failure.from.as_deref() != Some(host)) {
        return Err("another address".into());
    }
    let account = failure.account.as_deref().unwrap_or_default();
    // With several accounts on one connection fail2ban lists them all.
    if truth["user"].as_str().is_some_and(|user| user != account) {
        return Err("another account".into());
    }
    if let Some(time) = truth["time"].as_str() {
        // fail2ban takes cowrie's UTC for local time.
        let zone = if name == "cowrie" { "UTC" } else { ZONE };
        let zoned = jiff::Timestamp::from_microsecond(failure.at).unwrap().in_tz(zone).unwrap();
        if zoned.strftime("%Y-%m-%dT%H:%M:%S").to_string() != time {
            return Err(format!("another time {zoned}"));
        }
    }
    Ok(())
}

/// CrowdSec's parsers: which line has which source and account.
#[test]
fn every_line_that_crowdsecs_parsers_know_has_the_same_source_and_account() {
    let Some(dir) = testkit::shared("CrowdSec's parsers", "logins/logs-crowdsec-mit") else { return };
    let mut checked = 0;
    for (log, parser) in [
        ("fortinet-vpn-bf__fortinet-vpn-bf.log", "fortinet-vpn-bf__parser.assert"),
        ("openvpn__openvpn.log", "openvpn__parser.assert"),
        ("opnsense-sshd__opnsense-sshd.log", "opnsense-sshd__parser.assert"),
        ("palo-alto-threat__palo-alto-threat.log", "palo-alto-threat__parser.assert"),
        ("smb-logs__smb-logs.log", "smb-logs__parser.assert"),
        ("sshd-invalid-bf__sshd-invalid-bf.log", "sshd-invalid-bf__parser.assert"),
        ("sshd-logs-fp__sshd-logs.log", "sshd-logs-fp__parser.assert"),
        ("sshd-success-logs__sshd-success-logs.log", "sshd-success-logs__parser.assert"),
    ] {
        let known = metas(&std::fs::read_to_string(dir.join(parser)).unwrap());
        let text = std::fs::read_to_string(dir.join(log)).unwrap();
        let mut reader = reader("2026-11-23T00:00:00Z", "UTC");
        for (number, line) in text.lines().enumerate() {
            let found = events(&mut reader, line.as_bytes());
            let meta = known.get(&number).cloned().unwrap_or_default();
            let of = |name: &str| meta.get(name).map(String::as_str);
            let Some(source) = of("source_ip") else {
                assert!(!found.iter().any(|read| is_failure(read, true)), "{log}:{number} {found:?}");
                continue;
            };
            // A threat that is no logon (a scan of a web server, say) is the network's business.
            if log.starts_with("palo") && !line.contains("Brute Force") {
                assert!(found.is_empty(), "{found:?}");
                continue;
            }
            checked += 1;
            let is_it = |read: &&Read| read.from.as_deref() == Some(source);
            let Some(read) = found.iter().find(is_it) else { panic!("{log}:{number} {line}: {found:?}") };
            // FortiOS writes N/A where it has no account.
            let account = of("target_user").or(of("user")).filter(|user| *user != "N/A" && !user.is_empty());
            assert_eq!(read.account.as_deref(), account.or(read.account.as_deref()), "{log}:{number}");
            let is_let_in = log.starts_with("sshd-success");
            assert_eq!(read.outcome == AuthOutcome::Success, is_let_in, "{log}:{number} {read:?}");
        }
    }
    assert_eq!(checked, 9 + 8 + 10 + 1 + 2 + 6 + 4);
}

/// `results["s01-parse"]["…"][N].Evt.Meta["NAME"] == "VALUE"` by line.
fn metas(text: &str) -> BTreeMap<usize, BTreeMap<String, String>> {
    let mut known: BTreeMap<usize, BTreeMap<String, String>> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("results[\"s01-parse\"]")) {
        let Some((head, rest)) = line.split_once("].Evt.Meta[\"") else { continue };
        let number = head.rsplit_once('[').unwrap().1.parse().unwrap();
        let (name, value) = rest.split_once("\"] == ").unwrap();
        known.entry(number).or_default().insert(name.into(), value.trim_matches('"').into());
    }
    known
}

/// CrowdSec's scenarios: whoever overflows a bucket there has at least as many failures here, and nobody else does.
#[test]
fn every_source_that_crowdsec_would_ban_has_the_failures_for_it() {
    let Some(dir) = testkit::shared("CrowdSec's scenarios", "logins/logs-crowdsec-mit") else { return };
    let mut checked = 0;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix("__scenario.assert") else { continue };
        // Windows records in XML are read elsewhere; journeys that no one can make are no failures.
        if matches!(stem, "windows-bf" | "sshd-impossible-travel") {
            continue;
        }
        let log = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        let log = log.into_iter().find(|path| {
            path.to_string_lossy().contains(&format!("/{stem}__"))
                && path.extension().is_some_and(|it| it == "log")
        });
        let text = std::fs::read_to_string(log.unwrap()).unwrap();
        let mut reader = reader("2026-11-23T00:00:00Z", "UTC");
        let mut failures: BTreeMap<String, usize> = BTreeMap::new();
        for line in text.lines() {
            for read in events(&mut reader, line.as_bytes()).iter().filter(|read| is_failure(read, false)) {
                *failures.entry(read.from.clone().unwrap()).or_default() += 1;
            }
        }
        for (source, count) in overflows(&std::fs::read_to_string(&path).unwrap()) {
            checked += 1;
            // A threat of a firewall that is no logon is not counted here.
            if stem == "palo-alto-threat" && !failures.contains_key(&source) {
                continue;
            }
            assert!(
                failures.get(&source).is_some_and(|it| *it >= count),
                "{stem}: {source} {count} {failures:?}"
            );
        }
    }
    assert!(checked >= 18, "{checked}");
}

/// Source and number of events of each overflow.
fn overflows(text: &str) -> Vec<(String, usize)> {
    let mut found: BTreeMap<usize, (String, usize)> = BTreeMap::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("results[") else { continue };
        let Some((number, rest)) = rest.split_once(']') else { continue };
        let Ok(number) = number.parse() else { continue };
        let place = found.entry(number).or_default();
        if let Some((_, ip)) = rest.split_once("].IP == \"") {
            place.0 = ip.trim_end_matches('"').into();
        } else if let Some((_, count)) = rest.split_once("GetEventsCount() == ") {
            place.1 = count.parse().unwrap();
        }
    }
    found.into_values().collect()
}

/// Logs of machines that were attacked for weeks: nothing of it is unknown.
#[test]
fn loghubs_machines_are_understood() {
    let Some(dir) = testkit::shared("loghub", "logins/logs-loghub") else { return };
    for (log, failures_min) in [("OpenSSH_2k.log", 500), ("Linux_2k.log", 450)] {
        let text = String::from_utf8_lossy(&std::fs::read(dir.join(log)).unwrap()).into_owned();
        let mut reader = reader("2026-11-23T00:00:00Z", "UTC");
        let read: Vec<Read> = text.lines().flat_map(|line| events(&mut reader, line.as_bytes())).collect();
        let failures = read.iter().filter(|read| is_failure(read, true)).count();
        assert!(failures >= failures_min, "{log}: {failures}");
    }
}
