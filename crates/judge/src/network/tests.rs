#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests read and write fixtures")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::scenes::{self, Scene};
use super::*;

fn findings(rules: &Rules, events: &[NetEvent]) -> Vec<Finding> {
    let mut detectors = Detectors::new(rules);
    let mut out = Vec::new();
    for batch in events.chunks(7) {
        detectors.step(batch, 0, &mut out);
    }
    let end = events.iter().map(|event| event.at).max().unwrap_or_default();
    detectors.flush(end, &mut out);
    out
}

fn text_of(scene: &Scene) -> String {
    let rules = (scene.rules != Rules::default()).then(|| {
        let default = serde_json::to_value(Rules::default()).unwrap();
        let mut rules = serde_json::to_value(&scene.rules).unwrap();
        let said = rules.as_object_mut().unwrap();
        said.retain(|key, value| default.get(key) != Some(value));
        serde_json::json!({ "rules": in_order(rules) }).to_string()
    });
    let events = scene.events.iter().map(|event| serde_json::to_string(event).unwrap());
    rules.into_iter().chain(events).map(|line| line + "\n").collect()
}

/// Keys by the alphabet, whichever order serde_json was built to keep.
fn in_order(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.into_iter().map(|(key, value)| (key, in_order(value))).collect();
            sorted.into_iter().collect()
        }
        serde_json::Value::Array(all) => all.into_iter().map(in_order).collect(),
        other => other,
    }
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
                "{kind}: traffic made up by `src/network/scenes`, written by its test with CHARTWARD_BLESS=1. \
                 A first line `rules` holds what differs from the default.\n"
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
    for scene in scenes::all() {
        let said = findings(&scene.rules, &scene.events);
        let own: Vec<_> = said.iter().filter(|finding| finding.detector == scene.detector).collect();
        assert_eq!(!own.is_empty(), scene.is_attack, "{}/{}: {own:#?}", scene.detector, scene.name);
        for finding in said {
            assert!(finding.reasons.len() >= 2, "{finding:#?}");
            assert_eq!(finding.reasons.len(), finding.reasons_ja.len(), "{finding:#?}");
            assert!(
                (!finding.subjects.is_empty() || finding.detector == "tamper.mirror")
                    && finding.uid.starts_with("net-"),
                "{finding:#?}"
            );
            assert!(finding.title.is_ascii() && !finding.title_ja.is_ascii(), "{finding:#?}");
        }
    }
}

#[test]
fn benign_scenes_raise_no_attack_of_any_kind() {
    for scene in scenes::all().iter().filter(|scene| !scene.is_attack) {
        let said = findings(&scene.rules, &scene.events);
        let worst = said.iter().max_by_key(|finding| finding.severity_id);
        assert!(
            worst.is_none_or(|finding| finding.severity_id <= schema::Severity::Low),
            "{}/{}: {worst:#?}",
            scene.detector,
            scene.name
        );
    }
}

#[test]
fn one_episode_is_told_a_few_times_under_one_uid() {
    let mut stage = scenes::Stage::default();
    for host in 0..4000_u32 {
        stage.unanswered("192.168.10.66", &format!("10.1.{}.{}", host / 250, host % 250 + 1), 445);
        stage.wait(0.01);
    }
    let said = findings(&Rules::default(), &stage.events);
    let mut by_uid = BTreeMap::<&str, usize>::new();
    for finding in &said {
        *by_uid.entry(&finding.uid).or_default() += 1;
    }
    assert_eq!(by_uid.len(), 1, "{said:#?}");
    assert!((2..8).contains(&said.len()), "{} findings", said.len());
}

#[test]
fn a_kept_state_goes_on_as_if_nothing_had_happened() {
    for scene in scenes::all() {
        let half = scene.events.len() / 2;
        let (mut whole, mut broken) = (Vec::new(), Vec::new());
        let mut detectors = Detectors::new(&scene.rules);
        detectors.step(&scene.events, 0, &mut whole);
        let mut first = Detectors::new(&scene.rules);
        first.step(&scene.events[..half], 0, &mut broken);
        let kept = serde_json::to_string(first.state()).unwrap();
        let mut second = Detectors::resume(&scene.rules, serde_json::from_str(&kept).unwrap());
        second.step(&scene.events[half..], 0, &mut broken);
        assert_eq!(whole, broken, "{}/{}", scene.detector, scene.name);
    }
}

#[test]
fn learning_is_shown_and_can_be_forgotten() {
    let mut stage = scenes::Stage::default();
    for host in 1..=3 {
        stage.meet("192.168.10.66", &format!("192.168.20.{host}"), 3389);
    }
    let mut detectors = Detectors::new(&Rules::default());
    let mut out = Vec::new();
    detectors.step(&stage.events, 0, &mut out);
    assert_eq!(out.len(), 1, "{out:#?}");
    let learnt = detectors.learnt();
    assert_eq!(learnt.len(), 3);
    assert!(learnt.iter().all(|pair| pair.first == scenes::START && pair.port == 3389), "{learnt:#?}");

    let pair = learnt[1];
    detectors.forget(Some((pair.client, pair.server, pair.port)));
    assert_eq!(detectors.learnt().len(), 2);
    detectors.forget(None);
    assert!(detectors.learnt().is_empty());

    // What was learnt elsewhere is silent here, and so is what is still being learnt.
    for rules in
        [Rules { learnt, ..Rules::default() }, Rules { learning_until: Some(i64::MAX), ..Rules::default() }]
    {
        assert!(findings(&rules, &stage.events).is_empty());
    }
}

#[test]
fn who_is_exempt_is_not_told_of() {
    let scene =
        scenes::all().into_iter().find(|scene| scene.detector == "scan.trw" && scene.is_attack).unwrap();
    for (detector, actor, silent) in [
        ("scan", "192.168.10.66/32", true),
        ("scan.trw", "192.168.10.0/24", true),
        ("scan.tr", "192.168.10.0/24", false),
        ("beacon", "192.168.10.0/24", false),
        ("scan", "192.168.11.0/24", false),
    ] {
        let exempt = Exempt { detector: detector.into(), actor: Some(actor.parse().unwrap()), target: None };
        let rules = Rules { exempt: vec![exempt], ..Rules::default() };
        assert_eq!(findings(&rules, &scene.events).is_empty(), silent, "{detector} {actor}");
    }
}

/// Clocks that jump, stand still or run backwards, and batches in any order: no panic, and no findings without end.
#[test]
fn times_may_be_anything() {
    let scenes = scenes::all();
    for scene in &scenes {
        let warp = |change: fn(i64, usize) -> i64| -> Vec<NetEvent> {
            let change =
                |(n, event): (usize, &NetEvent)| NetEvent { at: change(event.at, n), ..event.clone() };
            scene.events.iter().enumerate().map(change).collect()
        };
        let reversed = scene.events.iter().rev().cloned().collect();
        let extremes = |_, n: usize| [i64::MIN, i64::MAX, 0, -1, 1 << 61, -(1 << 61), 1 << 50][n % 7];
        for events in
            [warp(extremes), warp(|_, _| 0), warp(|at, n| at - 7_200_000_000 * (n as i64 % 2)), reversed]
        {
            let said = findings(&scene.rules, &events);
            assert!(said.len() <= 40 + events.len() / 4, "{}/{}: {}", scene.detector, scene.name, said.len());
        }
    }
}

#[test]
fn forged_sources_fill_no_memory_and_their_loss_is_counted() {
    let mut detectors = Detectors::new(&Rules::default());
    let mut out = Vec::new();
    let contact = |n: u32| schema::Contact {
        client: schema::Endpoint { address: IpAddr::from((0x2000_0000 + n).to_be_bytes()), port: 1024 },
        server: schema::Endpoint { address: IpAddr::from([203, 0, 113, 9]), port: 80 },
        transport: schema::Transport::Tcp,
        vlan: None,
    };
    for n in 0..200_000_u32 {
        let event = |sight| NetEvent {
            at: scenes::START + i64::from(n),
            packet: u64::from(n),
            flow: u64::from(n),
            contact: contact(n),
            sight,
        };
        let opened = event(Sight::Opened { syn: Some(schema::SynFamily::Bare), sure: true });
        detectors.step(&[opened, event(Sight::Unanswered)], 0, &mut out);
    }
    assert!(out.is_empty(), "{out:#?}");
    assert!(detectors.effort().forgotten > 50_000, "{:?}", detectors.effort());
    assert_eq!(detectors.effort().events, 400_000);
}
