#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests read and write fixtures")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use schema::{AuthProtocol, AuthReason, Severity};

use super::scenes::{self, Logon, Scene, Stage};
use super::*;

fn findings(rules: &Rules, events: &[Logon]) -> Vec<Finding> {
    let mut detectors = Detectors::new(rules);
    let mut out = Vec::new();
    for event in events {
        detectors.step(&event.event(), 0, &mut out);
    }
    out
}

fn text_of(scene: &Scene) -> String {
    let rules = (scene.rules != Rules::default()).then(|| {
        let default = serde_json::to_value(Rules::default()).unwrap();
        let mut rules = serde_json::to_value(&scene.rules).unwrap();
        let said = rules.as_object_mut().unwrap();
        said.retain(|key, value| default.get(key) != Some(value));
        serde_json::json!({ "rules": rules }).to_string()
    });
    let events = scene.events.iter().map(|event| serde_json::to_string(event).unwrap());
    rules.into_iter().chain(events).map(|line| line + "\n").collect()
}

fn place_of(scene: &Scene) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(scene.detector.replace('.', "_"))
        .join(if scene.is_attack { "attack" } else { "benign" })
        .join(scene.name)
        .with_extension("jsonl")
}

/// With `CHARTWARD_BLESS` set, the fixtures are written anew.
#[test]
fn the_fixtures_are_what_the_scenes_make() {
    let bless = std::env::var_os("CHARTWARD_BLESS").is_some();
    for scene in scenes::all() {
        let (place, text) = (place_of(&scene), text_of(&scene));
        if bless {
            let folder = place.parent().unwrap();
            fs::create_dir_all(folder).unwrap();
            let kind = if scene.is_attack { "What has to be found" } else { "What has to be left alone" };
            let note = format!(
                "{kind}: logons made up by `src/logins/scenes`, written by its test with CHARTWARD_BLESS=1. A first \
                 line `rules` holds what differs from the default.\n"
            );
            fs::write(folder.join("README.md"), note).unwrap();
            fs::write(&place, text).unwrap();
        } else {
            let kept = fs::read_to_string(&place).unwrap_or_else(|e| panic!("{}: {e}", place.display()));
            assert!(kept == text, "{} is not what its scene makes", place.display());
        }
    }
}

#[test]
fn each_scene_is_judged_rightly_and_explained() {
    let mut wrong = Vec::new();
    for scene in scenes::all() {
        let said = findings(&scene.rules, &scene.events);
        let own: Vec<_> = said.iter().filter(|finding| finding.detector == scene.detector).collect();
        if own.is_empty() == scene.is_attack {
            let titles: Vec<_> = said.iter().map(|finding| (&finding.detector, &finding.title)).collect();
            wrong.push(format!("{}/{}: {titles:?}", scene.detector, scene.name));
        }
        for finding in said {
            assert!(finding.reasons.len() >= 2, "{finding:#?}");
            assert_eq!(finding.reasons.len(), finding.reasons_ja.len(), "{finding:#?}");
            assert!(!finding.subjects.is_empty() && finding.uid.starts_with("login-"), "{finding:#?}");
            assert!(finding.title.is_ascii() && !finding.title_ja.is_ascii(), "{finding:#?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What people and services do raises nothing but what it is: an old password, and an administrator's own first visits.
#[test]
fn benign_scenes_raise_no_attack_of_any_kind() {
    let mut wrong = Vec::new();
    for scene in scenes::all().iter().filter(|scene| !scene.is_attack) {
        for finding in findings(&scene.rules, &scene.events) {
            let is_weak_spot = finding.detector.starts_with("exposure.");
            if finding.severity_id > Severity::Low && !is_weak_spot {
                wrong.push(format!(
                    "{}/{}: {} {}",
                    scene.detector, scene.name, finding.detector, finding.title
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A service that is refused every five minutes for three days is one finding, and nothing else is said of it.
#[test]
fn an_old_password_is_one_finding_for_days() {
    for scene in scenes::all().iter().filter(|scene| scene.name == "every_five_minutes") {
        let said = findings(&scene.rules, &scene.events);
        assert_eq!(said.len(), 1, "{said:#?}");
        assert_eq!(
            (said[0].detector.as_str(), said[0].severity_id),
            ("exposure.stale_password", Severity::Medium)
        );
    }
}

#[test]
fn a_kept_state_goes_on_as_if_nothing_had_happened() {
    for scene in scenes::all() {
        let half = scene.events.len() / 2;
        let whole = findings(&scene.rules, &scene.events);
        let mut broken = Vec::new();
        let mut first = Detectors::new(&scene.rules);
        for event in &scene.events[..half] {
            first.step(&event.event(), 0, &mut broken);
        }
        let kept = serde_json::to_string(first.state()).unwrap();
        let mut second = Detectors::resume(&scene.rules, serde_json::from_str(&kept).unwrap());
        for event in &scene.events[half..] {
            second.step(&event.event(), 0, &mut broken);
        }
        assert_eq!(whole, broken, "{}/{}", scene.detector, scene.name);
    }
}

/// Logs of several machines arrive a few at a time: who comes a minute late is still counted where he belongs.
#[test]
fn what_arrives_late_is_found_all_the_same() {
    for scene in scenes::all().iter().filter(|scene| scene.is_attack) {
        let mut events = scene.events.clone();
        for (n, chunk) in events.chunks_mut(4).enumerate() {
            let near = chunk.last().unwrap().at - chunk[0].at < 120_000_000;
            let same = chunk.iter().all(|event| event.outcome == chunk[0].outcome);
            if n % 2 == 1 && near && same {
                chunk.reverse();
            }
        }
        let said = findings(&scene.rules, &events);
        assert!(
            said.iter().any(|finding| finding.detector == scene.detector),
            "{}/{}",
            scene.detector,
            scene.name
        );
    }
}

#[test]
fn times_may_be_anything() {
    for scene in scenes::all() {
        let warp = |change: fn(i64, usize) -> i64| -> Vec<Logon> {
            let change = |(n, event): (usize, &Logon)| Logon { at: change(event.at, n), ..event.clone() };
            scene.events.iter().enumerate().map(change).collect()
        };
        let reversed = scene.events.iter().rev().cloned().collect();
        let extremes = |_, n: usize| [i64::MIN, i64::MAX, 0, -1, 1 << 51, -(1 << 51), 1 << 50][n % 7];
        for events in
            [warp(extremes), warp(|_, _| 0), warp(|at, n| at - 7_200_000_000 * (n as i64 % 2)), reversed]
        {
            let said = findings(&scene.rules, &events);
            assert!(said.len() <= 40 + events.len() / 4, "{}/{}: {}", scene.detector, scene.name, said.len());
        }
    }
}

#[test]
fn private_addresses_and_loud_names_are_never_exempt_but_exempt_ones_are() {
    let scene = scenes::all()
        .into_iter()
        .find(|scene| scene.detector == "bruteforce.login_source" && scene.name == "fast")
        .unwrap();
    for (detector, account, source, silent) in [
        ("bruteforce", None, Some("10.1.1.66/32"), true),
        ("bruteforce.login_source", Some("tan*"), None, true),
        ("bruteforce.login_sourc", None, None, false),
        ("lateral", None, Some("10.0.0.0/8"), false),
        ("bruteforce", Some("suzuki"), None, false),
    ] {
        let exempt = Exempt {
            detector: detector.into(),
            account: account.map(Into::into),
            source: source.map(|net: &str| net.parse().unwrap()),
            host: None,
        };
        let rules = Rules { exempt: vec![exempt], ..scene.rules.clone() };
        assert_eq!(findings(&rules, &scene.events).is_empty(), silent, "{detector} {account:?} {source:?}");
    }
}

/// Event 140 tells the address, event 4625 the account: together they are one failure of both.
#[test]
fn two_records_of_one_refusal_count_once() {
    let mut stage = Stage::default();
    for n in 0..6 {
        stage.fail("", "10.1.1.66", "emr01");
        stage.wait(0.3);
        stage.fail("tanaka", "", "emr01");
        stage.wait(9.0 + f64::from(n * n));
    }
    assert!(findings(&stage.rules, &stage.events).is_empty());
    for n in 0..6 {
        stage.fail("", "10.1.1.66", "emr01");
        stage.wait(0.3);
        stage.fail("tanaka", "", "emr01");
        stage.wait(9.0 + f64::from(n * n));
    }
    stage.enter("tanaka", "10.1.1.66", "emr01");
    let said = findings(&stage.rules, &stage.events);
    let ids: Vec<_> = said.iter().map(|finding| finding.detector.as_str()).collect();
    assert_eq!(ids, ["bruteforce.login_source", "bruteforce.login_success"], "{said:#?}");
}

#[test]
fn learning_is_shown_and_can_be_taken_back() {
    let scene = scenes::all().into_iter().find(|scene| scene.name == "while_learning").unwrap();
    let mut detectors = Detectors::new(&scene.rules);
    let mut out = Vec::new();
    for event in &scene.events {
        detectors.step(&event.event(), 0, &mut out);
    }
    assert!(out.is_empty(), "{out:#?}");
    let learning = detectors.learning();
    assert_eq!(learning.since, Some(scenes::START));
    assert_eq!(learning.until, Some(scenes::START + 14 * 86_400_000_000));
    let learnt = detectors.learnt();
    assert_eq!((learning.pairs, learnt.len()), (6, 6), "{learnt:#?}");
    assert!(
        learnt
            .iter()
            .any(|pair| pair.pair == Pair::AccountHost && &*pair.right == "emr01" && pair.count == 10)
    );

    let one = Forget::One(Pair::AccountSource, "Suzuki".into(), "10.1.8.66".into());
    assert_eq!(detectors.forget(&one, 0), 1);
    assert_eq!(detectors.forget(&Forget::Host("emr01".into()), 0), 2);
    assert_eq!(detectors.learning().anew.len(), 1);
    assert_eq!(detectors.forget(&Forget::All, 0), 3);
    assert!(detectors.learnt().is_empty());
    assert!(detectors.learning().since > learning.since);
}

#[test]
fn a_clock_that_begins_in_1970_does_not_end_the_learning() {
    let scene = scenes::all().into_iter().find(|scene| scene.name == "while_learning").unwrap();
    let mut detectors = Detectors::new(&scene.rules);
    let mut out = Vec::new();
    let boot = |at| Logon { at, host: "firewall".into(), ..scene.events[0].clone() };
    for event in [boot(0), boot(60_000_000)].iter().chain(&scene.events).chain([&boot(120_000_000)]) {
        detectors.step(&event.event(), 0, &mut out);
    }
    assert_eq!((detectors.learning().since, out.len()), (Some(scenes::START), 0), "{out:#?}");
    // A pause after the learning is none of a clock.
    let last = scenes::START + 15 * 86_400_000_000;
    for at in [last, last + 60 * 86_400_000_000] {
        detectors.step(&boot(at).event(), 0, &mut out);
    }
    assert_eq!(detectors.learning().since, Some(scenes::START));
}

#[test]
fn what_was_learnt_and_taken_back_is_told_or_learnt_anew() {
    let scene = scenes::all().into_iter().find(|scene| scene.name == "new_source_and_host").unwrap();
    for (forget, told) in [
        (Forget::One(Pair::AccountSource, "suzuki".into(), "10.1.1.30".into()), true),
        (Forget::Account("suzuki".into()), false),
    ] {
        let mut detectors = Detectors::new(&scene.rules);
        let mut out = Vec::new();
        let (last, before) = scene.events.split_last().unwrap();
        for event in before {
            detectors.step(&event.event(), 0, &mut out);
        }
        detectors.forget(&forget, last.at);
        let again = Logon { at: last.at + 1, ..before[0].clone() };
        detectors.step(&again.event(), 0, &mut out);
        assert_eq!(
            out.iter().any(|finding| finding.detector == "lateral.login_first_seen"),
            told,
            "{forget:?}"
        );
    }
}

#[test]
fn advice_names_first_what_is_open_and_used() {
    let mut stage = Stage::default();
    stage.enter("suzuki", "10.1.1.7", "inner01");
    stage.fail("root", "203.0.113.7", "gate01");
    stage.enter("suzuki", "203.0.113.9", "gate02");
    stage.protocol = AuthProtocol::Ssh;
    stage.fail("root", "203.0.113.7", "gate03");
    let mut detectors = Detectors::new(&stage.rules);
    let mut out = Vec::new();
    for event in &stage.events {
        detectors.step(&event.event(), 0, &mut out);
    }
    let advice = detectors.advice();
    let told: Vec<_> = advice.iter().map(|advice| (&*advice.door.host, advice.severity)).collect();
    assert_eq!(
        told,
        [("gate02", Severity::Critical), ("gate01", Severity::High), ("gate03", Severity::Medium)]
    );
    assert_eq!(detectors.doors().len(), 4);
}

/// Names and addresses that never come twice, and names full of whatever.
#[test]
fn a_flood_fills_no_memory_and_its_loss_is_counted() {
    let mut detectors = Detectors::new(&Rules::default());
    let mut out = Vec::new();
    let long = "x\u{7}".repeat(5000);
    for n in 0..120_000_u32 {
        let name = format!("{n}{}", if n % 1000 == 0 { long.as_str() } else { "" });
        let event = AuthEvent {
            at: scenes::START + i64::from(n) * 1000,
            host: &name,
            protocol: AuthProtocol::Ssh,
            outcome: if n % 2 == 0 { AuthOutcome::Failure } else { AuthOutcome::Success },
            reason: AuthReason::WrongSecret,
            account: Some(&name),
            domain: None,
            source: Some(std::net::IpAddr::from((0x2000_0000 + n).to_be_bytes())),
            workstation: None,
            logon_type: None,
            session: None,
        };
        detectors.step(&event, 0, &mut out);
    }
    assert!(detectors.effort().forgotten > 50_000, "{:?}", detectors.effort());
    let kept = serde_json::to_string(detectors.state()).unwrap().len();
    assert!(kept < 64 << 20, "{kept}");
}

/// Guessing without end is told a few times, under one uid each.
#[test]
fn one_episode_is_told_a_few_times_under_one_uid() {
    let mut stage = Stage::by(AuthProtocol::Ssh);
    for n in 0..4000 {
        stage.fail(&format!("user{}", n % 40), "203.0.113.66", "gate01");
        stage.wait(2.0);
    }
    let said = findings(&stage.rules, &stage.events);
    let mut by_uid = BTreeMap::<&str, usize>::new();
    for finding in &said {
        *by_uid.entry(&finding.uid).or_default() += 1;
    }
    assert!(by_uid.len() <= 4 && said.len() <= 14, "{} {by_uid:?}", said.len());
}

/// A hospital's day: people at their desks, jobs, a service with an old password, doctors at home, guesses at an open SSH.
#[test]
fn a_quiet_day_raises_one_high_finding_at_most() {
    let mut stage = Stage::by(AuthProtocol::Kerberos);
    for minute in 0..1440_u32 {
        for person in (0..300_u32).filter(|person| (person * 7 + minute) % 240 == 0) {
            let (user, from) =
                (format!("user{person:03}"), format!("10.1.{}.{}", person / 200, person % 200 + 10));
            for _ in 0..stage.roll(9).saturating_sub(5) {
                stage.fail(&user, &from, "dc01");
                stage.wait(0.2);
            }
            stage.enter(&user, &from, "dc01");
            stage.enter(&user, &from, ["emr01", "files01"][person as usize % 2]);
        }
        if minute % 5 == 0 {
            stage.fail("svc-scan", "10.1.7.7", "files01");
        }
        if minute % 3 == 0 {
            let (source, name) = (stage.roll(40), stage.roll(20));
            stage.protocol = AuthProtocol::Ssh;
            stage.unknown(&format!("name{name}"), &format!("198.51.100.{}", source + 1), "gate01");
            stage.protocol = AuthProtocol::Kerberos;
        }
        stage.at = scenes::START + i64::from(minute + 1) * 60_000_000;
    }
    let said = findings(&stage.rules, &stage.events);
    let high: Vec<_> = said.iter().filter(|finding| finding.severity_id >= Severity::High).collect();
    assert!(high.len() <= 1, "{high:#?}");
    assert!(said.iter().any(|finding| finding.detector == "exposure.stale_password"), "{said:#?}");
    assert!(said.len() <= 40, "{said:#?}");
}
