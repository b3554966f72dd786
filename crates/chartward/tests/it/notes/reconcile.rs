//! After the downtime: side by side, decided by people, exported, read back.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::stage::{Stage, attribute};
use crate::support::run;

/// The first thing that was given to the patient, as a note would have it.
fn given(stage: &Stage) -> (Value, String) {
    let chart = stage.chart(stage.id());
    let given = &chart["given"][0];
    let drug = &given["drug"];
    let entry = json!({"given": {"drug": drug["name"], "dose": drug["dose"], "was_given": true}});
    (entry, given["at"].as_str().unwrap().to_owned())
}

/// Equal to what the EMR has; in conflict with it; only noted; about a patient whose birth date differs; of a downtime number.
pub(super) fn notes(stage: &Stage) -> Vec<Value> {
    let (equal, at) = given(stage);
    let mut conflict = equal.clone();
    conflict["given"]["dose"] = json!("7 mL");
    // Not in JIS X 0208.
    conflict["given"]["remark"] = json!("髙橋医師に確認");
    let timed = |number, entry: Value| stage.note(number, entry, |note| note["at"] = json!(at));
    vec![
        timed(1, equal),
        timed(2, conflict),
        timed(3, json!({"vitals": {"temperature": 38.1, "systolic": 121, "diastolic": 70}})),
        stage.note(4, json!({"text": {"text": "髙熱なし"}}), |note| {
            note["patient"]["birth_date"] = json!("1901-01-01")
        }),
        stage.note(5, json!({"text": {"text": "救急外来で受付"}}), |note| {
            note["patient"] =
                json!({"downtime_number": "D-7", "name": "不詳", "checked": ["downtime_number", "name"]});
        }),
    ]
}

pub(super) fn add(stage: &Stage, notes: &[Value]) {
    let file = stage.file("notes.json", &json!(notes).to_string());
    let added = stage.run(&["charts", "notes", "--json", "add", "--from", &file, "--by", "看護師 山田"]);
    assert_eq!(added.code, 0, "{}{}", added.stdout, added.stderr);
}

fn short(number: u8) -> String {
    format!("{number:02x}").repeat(16)
}

#[test]
fn people_decide_on_each_note_and_what_they_took_reads_back_from_the_export() {
    let stage = Stage::new();
    add(&stage, &notes(&stage));
    let by = ["--by", "医師 佐藤"];
    let id = stage.id().to_owned();

    let listed = stage.reconcile(&["list"]);
    assert_eq!((listed.code, &listed.last()["not_decided"]), (1, &json!(5)));
    let shown = stage.reconcile(&["show", &id]);
    let of = |number: u8| {
        shown
            .lines
            .iter()
            .find(|line| line["note"]["id"] == short(number))
            .unwrap_or_else(|| panic!("{}", shown.stdout))
    };
    assert_eq!(of(1)["finding"]["state"], "equal", "{}", of(1)["finding"]);
    assert_eq!(of(2)["finding"]["state"], "conflict");
    let dose =
        of(2)["finding"]["fields"].as_array().unwrap().iter().find(|field| field["part"] == "dose").unwrap();
    assert_eq!((&dose["note"], &dose["agrees"]), (&json!("7 mL"), &json!(false)));
    assert_eq!(of(3)["finding"]["state"], "only_in_notes");
    assert!(of(4)["identity"]["contradicts"].is_array());

    // The wrong patient cannot be taken without a person who names the right one and the reason.
    let refused = stage.reconcile(&[&["decide", &short(4), "take_note"], &by[..]].concat());
    assert!(refused.code == 2 && refused.stderr.contains("wrong patient"), "{}", refused.stderr);
    let unknown =
        stage.reconcile(&[&["assign", &short(4), "--to", "0000000099", "--reason", "x"], &by[..]].concat());
    assert!(unknown.stderr.contains("no patient with this id"), "{}", unknown.stderr);
    for args in [
        &["assign", &short(4), "--to", &id, "--reason", "本人に生年月日を再確認"][..],
        &["decide", &short(4), "take_note"],
        &["assign", "D-7", "--to", "0000009999", "--new", "--reason", "保険証で新規登録"],
        &["decide", &short(5), "take_note"],
        &["decide", &short(2), "take_note", "--reason", "実施量は記録が正"],
        &["decide", &short(3), "take_note"],
        &["confirm", &id],
    ] {
        let done = stage.reconcile(&[args, &by[..]].concat());
        assert_eq!(done.code, 0, "{args:?} {}", done.stderr);
    }
    let decided = stage.reconcile(&["list"]);
    assert_eq!((decided.code, &decided.last()["not_decided"]), (0, &json!(0)), "{}", decided.stdout);

    let out = stage.path("out");
    let export = stage.reconcile(&[&["export", "--to", out.to_str().unwrap()], &by[..]].concat());
    assert_eq!(export.code, 1, "a character was replaced, and that is said: {}", export.stderr);
    assert_eq!(export.last()["notes"], 4);
    assert!(stage.reconcile(&[&["export", "--to", "/nowhere"], &by[..]].concat()).stderr.contains("--again"));
    read_back(&stage, &out);
    audit(&stage);
}

/// Our own reader finds what was taken, without a fault.
fn read_back(stage: &Stage, out: &std::path::Path) {
    let from = out.to_str().unwrap();
    let shown = stage.run(&["charts", "show", stage.id(), "--json", "--from", from]);
    assert_eq!(shown.code, 0, "{}{}", shown.stdout, shown.stderr);
    let chart = &shown.lines[0];
    assert_eq!((&chart["unread"], &chart["not_shown"]), (&json!([]), &json!([])));
    assert_eq!(chart["given"][0]["drug"]["dose"], "7 mL");
    let texts: Vec<&str> =
        chart["notes"].as_array().unwrap().iter().filter_map(|note| note["text"].as_str()).collect();
    assert!(
        texts.iter().any(|text| text.contains("髙熱なし")) && texts.iter().any(|text| text.contains("38.1"))
    );
    let new = stage.run(&["charts", "show", "0000009999", "--json", "--from", from]);
    assert!(new.lines[0]["notes"][0]["text"].as_str().unwrap().contains("救急外来"));
    for file in ["fhir/0000009999.json", &format!("pdf/{}.pdf", stage.id()), "export.json"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let list: Value = serde_json::from_slice(&fs::read(out.join("export.json")).unwrap()).unwrap();
    for file in list["files"].as_array().unwrap() {
        let sum = Command::new("sha256sum").arg(out.join(file["path"].as_str().unwrap())).output().unwrap();
        assert!(String::from_utf8_lossy(&sum.stdout).starts_with(file["sha256"].as_str().unwrap()));
    }
}

/// Who decided what stands in the log with the hash of each file, and a log that was changed is named.
fn audit(stage: &Stage) {
    let log = stage.reconcile(&["log"]);
    let acts: Vec<&str> = log.lines.iter().filter_map(|line| line["decision"]["act"].as_str()).collect();
    assert_eq!(acts, ["assign", "decide", "assign", "decide", "decide", "decide", "confirm", "exported"]);
    assert!(log.lines.iter().all(|line| line["decision"]["by"].as_str().is_none_or(|by| by == "医師 佐藤")));
    let exported = &log.lines[7]["decision"];
    assert!(
        exported["files"].as_array().unwrap().iter().all(|file| file["sha256"].as_str().unwrap().len() == 64)
    );
    let path = format!("{}.decisions", stage.journal());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let damaged = stage.reconcile(&["log"]);
    assert_eq!((damaged.code, &damaged.last()["is_whole"]), (1, &json!(false)));
    assert!(damaged.stderr.contains("were changed"), "{}", damaged.stderr);
}

#[test]
fn the_pages_show_both_sides_take_decisions_and_take_them_back_in_both_languages() {
    let stage = Stage::new();
    add(&stage, &notes(&stage));
    let viewer = stage.viewer(0);
    let doctor = viewer.enter("医師 佐藤", "ja");
    let list = doctor.get("/reconcile").body;
    assert!(list.contains("未確認の記録: 5 件") && list.contains("仮番号 D-7"));
    let path = format!("/reconcile/patient/{}", stage.id());
    let page = doctor.get(&path).body;
    assert!(
        page.contains("7 mL")
            && page.contains("患者違いの可能性")
            && page.contains("data-state=\"conflict\"")
    );
    let english = viewer.enter("Dr Sato", "en").get(&path).body;
    assert!(english.contains("WRONG PATIENT?") && english.contains("take the note"));

    let csrf = attribute(&page, "name=\"csrf\" value");
    let hash = |page: &str, number: u8| {
        let (_, of) = page.split_once(&format!("id=\"n{}\"", short(number))).unwrap();
        let (_, form) = of.split_once(&format!("name=\"note\" value=\"{}\"", short(number))).unwrap();
        attribute(form, "name=\"hash\" value")
    };
    let act = |fields: &str| {
        let form = format!("about=patient&subject={}&patient={0}&csrf={csrf}&{fields}", stage.id());
        doctor.send("POST", "/reconcile/act", Some(("application/x-www-form-urlencoded", &form)))
    };
    let decide = |number: u8, choice: &str| {
        act(&format!("act=decide&note={}&hash={}&choice={choice}", short(number), hash(&page, number)))
    };
    let forged = doctor.send(
        "POST",
        "/reconcile/act",
        Some((
            "application/x-www-form-urlencoded",
            &format!("act=undo&about=patient&subject={}&decision=x", stage.id()),
        )),
    );
    assert_eq!(forged.status, 403);
    let refused = decide(4, "take_note");
    assert!(refused.status == 422 && refused.body.contains("先に正しい患者"), "{}", refused.body);
    assert_eq!(decide(3, "reject").status, 422, "a rejection says why");
    let taken = decide(2, "take_note");
    assert_eq!(taken.status, 303, "{}", taken.body);
    let after = doctor.get(&path).body;
    assert!(after.contains("停止中の記録を採用") && after.contains("医師 佐藤"));
    let decision = attribute(&after, "name=\"decision\" value");
    assert_eq!(act(&format!("act=undo&decision={decision}")).status, 303);
    assert!(doctor.get("/reconcile/log").body.contains("取り消し済み"));
    assert!(doctor.get("/reconcile").body.contains("未確認の記録: 5 件"));
    // An export runs beside the viewer.
    assert_eq!(decide(2, "both").status, 303);
    let out = stage.path("beside");
    let mut export = stage.command(&[
        "charts",
        "reconcile",
        "export",
        "--json",
        "--format",
        "ssmix2",
        "--by",
        "佐藤",
        "--from",
    ]);
    export.arg(stage.store()).arg("--to").arg(out);
    let exported = run(&mut export);
    assert_eq!(exported.code, 1, "a character was replaced: {}", exported.stderr);
    assert!(doctor.get(&path).body.contains("書き出し済み"));
}
