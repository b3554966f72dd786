//! Notes come in through the viewer and the command line, and stay.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::stage::{Stage, attribute};

#[test]
fn notes_are_checked_against_the_chart_kept_and_there_after_a_kill() {
    let stage = Stage::new();
    let viewer = stage.viewer(0);
    let nurse = viewer.enter("看護師 山田", "ja");
    let path = format!("/notes/{}", stage.id());
    let page = nurse.get(&path).body;
    assert!(page.contains("この患者で間違いありませんか") && page.contains("バイタル"));
    assert!(viewer.enter("Nurse", "en").get(&path).body.contains("Is this the right patient?"));
    assert_eq!(viewer.outside().get(&path).status, 303);
    let token = attribute(&page, "data-token");
    let vitals = || json!({"vitals": {"temperature": 37.2, "pulse": 88}});
    let note = stage.note(1, vitals(), |_| ());
    let id = note["id"].clone();

    assert_eq!(viewer.outside().hand_in(&note, &token, None).status, 401);
    for _ in 0..2 {
        let answer = nurse.hand_in(&note, &token, Some(stage.id()));
        assert_eq!((answer.status, &answer.json()["saved"]), (200, &id), "{}", answer.body);
    }
    type Change = fn(&mut Value);
    let cases: &[(u8, Change, u16, &str)] = &[
        (1, |note| note["entry"]["vitals"]["pulse"] = json!(89), 409, "別の内容"),
        (2, |note| note["patient"]["birth_date"] = json!("1901-01-01"), 422, "患者が違う可能性"),
        (2, |note| note["patient"]["name"] = json!("別人 太郎"), 422, "患者が違う可能性"),
        (2, |note| note["patient"]["id"] = json!("9999999999"), 422, "患者が違う可能性"),
        (2, |note| note["patient"]["checked"] = json!(["name"]), 422, "2つ以上"),
        (2, |note| note["author"] = json!("別の看護師"), 422, "その名前で入り直して"),
        (2, |note| note["entry"]["vitals"]["temperature"] = json!(98.6), 422, "範囲"),
        (2, |note| note["entry"] = json!({"vitals": {"temprature": 37}}), 422, "読み取れません"),
        (
            2,
            |note| {
                note["patient"] = json!({"downtime_number": "1122-K7QX-3M4P-ZZ", "name": "不詳", "checked": ["downtime_number", "name"]});
            },
            422,
            "仮番号",
        ),
        (2, |note| note["replaces"] = json!("0".repeat(32)), 422, "訂正元"),
    ];
    for (number, change, status, words) in cases {
        let answer = nurse.hand_in(&stage.note(*number, vitals(), change), &token, Some(stage.id()));
        assert_eq!(answer.status, *status, "{words}: {}", answer.body);
        assert!(answer.json()["refused"].as_str().unwrap().contains(words), "{}", answer.body);
    }
    // Written under one name, handed in under another once the log-in has ended: the author stays who wrote it.
    let other = viewer.enter("看護師 鈴木", "en");
    let second = stage.note(3, json!({"text": {"text": "<b>家族</b>に説明"}}), |note| {
        note["replaces"] = json!("01".repeat(16));
    });
    assert_eq!(other.hand_in(&second, &token, Some(stage.id())).status, 200);
    let newcomer = stage.note(4, json!({"text": {"text": "意識清明"}}), |note| {
        note["author"] = json!("看護師 鈴木");
        note["patient"] =
            json!({"downtime_number": "D-0042", "name": "不詳", "checked": ["downtime_number", "name"]});
    });
    assert_eq!(other.hand_in(&newcomer, "", None).status, 200);

    // Another viewer does not write the same journal; it shows charts all the same and says so.
    let beside = stage.viewer(0);
    let page = beside.enter("x", "en").get(&path);
    assert!(page.status == 503 && page.body.contains("keeps no notes"));
    assert_eq!(beside.enter("x", "en").get(&format!("/chart/{}", stage.id())).status, 200);

    let before = stage.run(&["charts", "notes", "list", "--json"]);
    assert_eq!((before.code, before.last()["notes"].as_u64()), (0, Some(3)), "{}", before.stderr);
    drop(viewer);
    let viewer = stage.viewer(0);
    let nurse = viewer.enter("看護師 山田", "en");
    let page = nurse.get(&path).body;
    assert!(page.contains("&lt;b&gt;家族&lt;/b&gt;に説明") && page.contains("handed in by 看護師 鈴木"));
    let chart = nurse.get(&format!("/chart/{}", stage.id())).body;
    assert!(
        chart.contains("Write a note") && chart.contains("<s>") && chart.contains("家族"),
        "struck out on the chart"
    );
    assert!(nurse.get("/notes/new?number=D-0042").body.contains("意識清明"));
    // The voucher outlives the viewer.
    let answer = nurse.hand_in(&stage.note(5, vitals(), |_| ()), &token, Some(stage.id()));
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn notes_from_paper_and_from_another_journal_are_taken_once() {
    let stage = Stage::new();
    let notes = json!([
        stage.note(1, json!({"vitals": {"pulse": 88}}), |note| note["device"] = json!("paper")),
        stage.note(2, json!({"text": {"text": ""}}), |note| note["device"] = json!("paper")),
    ]);
    let file = stage.file("paper.json", &notes.to_string());
    let add = |args: &[&str]| {
        let all = [&["charts", "notes", "--json"], args].concat();
        stage.run(&all)
    };
    let added = add(&["add", "--from", &file, "--by", "医事課 佐藤"]);
    assert_eq!(added.code, 1, "one of the two says nothing: {}", added.stderr);
    assert_eq!((&added.last()["new"], &added.last()["refused"]), (&json!(1), &json!(1)));
    assert_eq!(add(&["add", "--from", &file, "--by", "佐藤"]).last()["known"], 1);

    let out = stage.path("export.jsonl");
    assert_eq!(add(&["export", "--to", out.to_str().unwrap()]).code, 0);
    let mut elsewhere = stage.command(&["charts", "notes", "--json", "import"]);
    elsewhere.arg(&out).args(["--by", "佐藤"]).env("CHARTWARD_NOTES", stage.path("other/journal"));
    assert_eq!(crate::support::run(&mut elsewhere).last()["new"], 1);
    let listed = add(&["list", stage.id()]);
    assert_eq!(listed.lines[0]["kept"]["via"], "paper");

    // A signed file of a bundle that nobody here made is not taken; with its key confirmed it is.
    let signer = recover::downtime::signed::Signer::generate().unwrap();
    let note = stage.note(7, json!({"vitals": {"pulse": 70}}), |note| note["device"] = json!("bundle"));
    let signed = signer.write(&"ab".repeat(16), jiff::Timestamp::now(), &json!([note]), &[]).unwrap();
    fs::write(stage.path("bundle.json"), signed).unwrap();
    let file = stage.path("bundle.json").to_str().unwrap().to_owned();
    let none = stage.file("bundles.json", r#"{"bundles": []}"#);
    let refused = add(&["import", &file, "--by", "佐藤", "--bundles", &none]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("not known here"), "{}", refused.stderr);
    let known =
        stage.file("bundles.json", &json!({"bundles": [{"public_key": signer.public_key()}]}).to_string());
    let taken = add(&["import", &file, "--by", "佐藤", "--bundles", &known]);
    assert_eq!((taken.code, &taken.last()["new"]), (0, &json!(1)), "{}", taken.stderr);
}

#[test]
fn on_a_full_disk_the_writer_is_told_and_nothing_else_is_lost() {
    let test = "on_a_full_disk_the_writer_is_told_and_nothing_else_is_lost";
    if !testkit::root(test) {
        return;
    }
    let stage = Stage::new();
    let place = stage.path("notes");
    fs::create_dir(&place).unwrap();
    let Some(_small) = Small::mount(&place) else {
        return testkit::skip(test, "a tmpfs cannot be mounted here");
    };
    let viewer = stage.viewer(0);
    let nurse = viewer.enter("看護師 山田", "ja");
    let token = attribute(&nurse.get(&format!("/notes/{}", stage.id())).body, "data-token");
    let hand_in = |number: u8| {
        let note = stage.note(number, json!({"text": {"text": "記録 ".repeat(3_000)}}), |_| ());
        nurse.hand_in(&note, &token, Some(stage.id()))
    };
    let full = (1..100).find(|number| hand_in(*number).status != 200).unwrap();
    let answer = hand_in(full);
    assert_eq!(answer.status, 503);
    assert!(answer.json()["failed"].as_str().unwrap().contains("ディスクがいっぱい"), "{}", answer.body);
    let grown = Command::new("mount").args(["-o", "remount,size=4m"]).arg(&place).status().unwrap();
    assert!(grown.success());
    assert_eq!(hand_in(full).status, 200, "sent again by itself, it is saved");
    let listed = stage.run(&["charts", "notes", "list", "--json"]);
    assert_eq!((listed.code, listed.last()["notes"].as_u64()), (0, Some(u64::from(full))));
}

/// A file system of 256 KiB.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(place: &std::path::Path) -> Option<Small> {
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "chartward-test"])
            .arg(place)
            .status();
        done.is_ok_and(|done| done.success()).then(|| Small(place.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // The viewer still has a file open there; it ends a moment later.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
